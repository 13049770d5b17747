//! Formats: how commands print data, and how log lines and notes look. Writes nothing.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::SystemTime,
};

use clap::ValueEnum;
use kafkaesk_core::timestamp;
use serde_json::json;

use crate::{colour, terminal};

/// How a command prints its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON value a line, for programs.
    Json,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether notes are JSON, as the log's lines are then.
static NOTES_AS_JSON: AtomicBool = AtomicBool::new(false);

/// Sets how notes look from now on.
pub(crate) fn notes_as(format: LogFormat) {
    NOTES_AS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
}

/// A note for standard error, with its line end: plain text, or JSON where the log is JSON.
pub(crate) fn note_line(level: &str, text: &str) -> Vec<u8> {
    if NOTES_AS_JSON.load(Ordering::Relaxed) {
        return json_line(level, text);
    }
    let mut line = safe(text.as_bytes());
    if colour::stderr() {
        line = colour::note(&String::from_utf8_lossy(&line)).into_bytes();
    }
    line.push(b'\n');
    line
}

/// A line as the log writes it, with its line end.
pub(crate) fn log_line(level: &str, text: &str) -> Vec<u8> {
    if NOTES_AS_JSON.load(Ordering::Relaxed) {
        return json_line(level, text);
    }
    format!("{} {level:>5} {text}\n", now().unwrap_or_default()).into_bytes()
}

/// The members of the log's own lines.
fn json_line(level: &str, text: &str) -> Vec<u8> {
    let line = json!({
        "timestamp": now(),
        "level": level,
        "fields": {"message": text},
        "target": env!("CARGO_CRATE_NAME"),
    });
    let mut line = safe(line.to_string().as_bytes());
    line.push(b'\n');
    line
}

fn now() -> Option<String> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    timestamp::format(now.as_millis() as i64)
}

/// As standard error shows it.
fn safe(text: &[u8]) -> Vec<u8> {
    match terminal::stderr_is_shown() {
        true => terminal::escape(text).into_owned(),
        false => text.to_vec(),
    }
}
