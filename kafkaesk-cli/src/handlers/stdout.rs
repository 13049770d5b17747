//! The `stdout` handler: writes whole lines to standard output, flushed, one at a time. A line that could not be written
//! is never counted as handled.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use kafkaesk_core::answer::Answer;

use super::Reply;
use crate::{output, writer::Writer};

/// Writes lines; all `stdout` handlers of a worker share one.
#[derive(Clone, Debug)]
pub(crate) struct Stdout {
    writer: Writer,
    /// Set when the reader of standard output went away: the worker then ends quietly.
    closed: Arc<AtomicBool>,
}

impl Stdout {
    /// Starts the writer.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start() -> io::Result<Self> {
        Writer::start().map(Self::over)
    }

    fn over(writer: Writer) -> Self {
        Self {
            writer,
            closed: Arc::default(),
        }
    }

    /// Whether the reader of standard output went away.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Writes one line; answers when it is written.
    pub(crate) async fn handle(&self, line: Vec<u8>) -> Reply {
        match self.writer.write(line).await {
            Ok(()) => Reply::DONE,
            Err(error) if output::is_closed(&error) => {
                self.closed.store(true, Ordering::Relaxed);
                Reply::Answered(Answer::Abort { reason: None })
            }
            // A full disk, say: no message is to blame.
            Err(error) => Reply::Unavailable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_was_not_written_is_not_done() {
        let mut answers = vec![
            Ok(()),
            Err(io::ErrorKind::BrokenPipe.into()),
            Err(io::ErrorKind::StorageFull.into()),
        ]
        .into_iter();
        let writer = Writer::over(move |_| answers.next().unwrap()).unwrap();
        let stdout = Stdout::over(writer);
        assert_eq!(stdout.handle(b"1".to_vec()).await, Reply::DONE);
        assert!(matches!(
            stdout.handle(b"2".to_vec()).await,
            Reply::Answered(Answer::Abort { .. })
        ));
        assert!(stdout.is_closed());
        assert!(matches!(
            stdout.handle(b"3".to_vec()).await,
            Reply::Unavailable(_)
        ));
    }
}
