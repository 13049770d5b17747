//! Logs: tracing events become lines on standard error, through a queue that never blocks. Standard output belongs to
//! data.

use std::{fmt, io};

use tracing::warn;
use tracing_subscriber::{
    EnvFilter,
    field::RecordFields,
    fmt::{
        FormatFields,
        format::{DefaultFields, Writer},
    },
};

use crate::{
    colour,
    format::{self, LogFormat},
    stderr, terminal,
};

/// Starts logging. `RUST_LOG` beats `default_level`, unless it is empty or not a filter. A program that has set up
/// tracing itself keeps its own.
pub(crate) fn start(format: LogFormat, default_level: &str) {
    let given = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let (filter, problem) = match EnvFilter::try_new(&given) {
        Ok(filter) if !given.trim().is_empty() => (filter, None),
        Ok(_) => (EnvFilter::new(default_level), None),
        Err(problem) => (EnvFilter::new(default_level), Some(problem)),
    };
    let terminal = terminal::stderr_is_shown();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // It would tell of a failure by `eprintln!`, which panics when standard error fails.
        .log_internal_errors(false)
        .with_ansi(colour::stderr() && format == LogFormat::Text);
    let _ = match format {
        LogFormat::Text => builder
            .with_target(false)
            .fmt_fields(Fields { escape: terminal })
            .with_writer(|| Lines { escape: false })
            .try_init(),
        LogFormat::Json => builder
            .json()
            .with_writer(move || Lines { escape: terminal })
            .try_init(),
    };
    format::notes_as(format);
    if let Some(problem) = problem {
        warn!("RUST_LOG={given:?} is not a filter and is ignored: {problem}");
    }
}

/// Takes whole lines to the queue of standard error.
struct Lines {
    /// Whether a terminal would act on what the line holds.
    escape: bool,
}

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        stderr::push(match self.escape {
            true => terminal::escape(line).into_owned(),
            false => line.to_vec(),
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Formats an event's fields; on a terminal without what it would act on. The line around them is our own.
struct Fields {
    escape: bool,
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        if !self.escape {
            return DefaultFields::new().format_fields(writer, fields);
        }
        let mut text = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut text), fields)?;
        writer.write_str(&terminal::escape_str(&text))
    }
}
