//! Logs: tracing events go in, lines on standard error come out. Standard output belongs to data.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::warn;
use tracing_subscriber::EnvFilter;

use crate::output;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `RUST_LOG` beats `default_level`, unless it is empty or no filter. A program that has set up tracing
/// itself keeps its own.
pub(crate) fn start(format: LogFormat, default_level: &str) {
    let given = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let (filter, problem) = match EnvFilter::try_new(&given) {
        Ok(filter) if !given.trim().is_empty() => (filter, None),
        Ok(_) => (EnvFilter::new(default_level), None),
        Err(problem) => (EnvFilter::new(default_level), Some(problem)),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let _ = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    output::notes_as(format);
    if let Some(problem) = problem {
        warn!("RUST_LOG={given:?} is no filter and is ignored: {problem}");
    }
}
