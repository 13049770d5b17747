//! The `stdout` handler: lines go in, whole lines come out of standard output, flushed, one at a time. A line that
//! could not be written is never counted as handled.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::sync::{mpsc, oneshot};

use super::Answer;
use crate::output;

/// How many lines wait for the writer, at most; more wait in their lanes.
const QUEUE: usize = 256;

type Written = oneshot::Sender<io::Result<()>>;

/// Writes lines from a thread of its own: a slow reader must not hold up anything but its lanes.
#[derive(Clone, Debug)]
pub(crate) struct Stdout {
    lines: mpsc::Sender<(Vec<u8>, Written)>,
    /// Set when the reader of standard output went away: the worker then ends quietly.
    closed: Arc<AtomicBool>,
}

impl Stdout {
    /// Starts the writer.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start() -> io::Result<Self> {
        Self::over(|line| output::line(line))
    }

    fn over(mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (lines, mut queue) = mpsc::channel::<(Vec<u8>, Written)>(QUEUE);
        thread::Builder::new()
            .name("kafkaesk-stdout".into())
            .spawn(move || {
                while let Some((line, written)) = queue.blocking_recv() {
                    let _ = written.send(write(&line));
                }
            })?;
        Ok(Self {
            lines,
            closed: Arc::default(),
        })
    }

    /// Whether the reader of standard output went away.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Writes one line; answers when it is written.
    pub(crate) async fn handle(&self, line: Vec<u8>) -> Answer {
        let (written, wait) = oneshot::channel();
        if self.lines.send((line, written)).await.is_err() {
            return Answer::Abort(Some("the writer of standard output is gone".into()));
        }
        match wait.await {
            Ok(Ok(())) => Answer::Done,
            Ok(Err(error)) if output::is_closed(&error) => {
                self.closed.store(true, Ordering::Relaxed);
                Answer::Abort(None)
            }
            Ok(Err(error)) => Answer::Retry {
                after: None,
                reason: format!("writing to standard output failed: {error}"),
            },
            Err(_) => Answer::Abort(Some("the writer of standard output is gone".into())),
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
        let stdout = Stdout::over(move |_| answers.next().unwrap()).unwrap();
        assert_eq!(stdout.handle(b"1".to_vec()).await, Answer::Done);
        assert!(matches!(
            stdout.handle(b"2".to_vec()).await,
            Answer::Abort(_)
        ));
        assert!(stdout.is_closed());
        assert!(matches!(
            stdout.handle(b"3".to_vec()).await,
            Answer::Retry { .. }
        ));
    }
}
