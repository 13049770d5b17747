//! Standard output, written by its own thread. A stalled reader delays only the callers that wait for their lines.

use std::{io, thread, time::Duration};

use tokio::sync::{mpsc, oneshot};

use crate::{output, signals::Shutdown};

/// How many texts wait for the thread, at most; more wait in their callers.
const QUEUE: usize = 256;
/// How long a shutdown waits for a reader that stalls.
const GRACE: Duration = Duration::from_secs(1);

type Written = oneshot::Sender<io::Result<()>>;

/// Writes whole lines, one text at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Writer(mpsc::Sender<(Vec<u8>, Written)>);

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start() -> io::Result<Self> {
        Self::over(output::write_line)
    }

    pub(crate) fn over(
        mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (texts, mut queue) = mpsc::channel::<(Vec<u8>, Written)>(QUEUE);
        thread::Builder::new()
            .name("kafkaesk-stdout".into())
            .spawn(move || {
                while let Some((text, written)) = queue.blocking_recv() {
                    let _ = written.send(write(&text));
                }
            })?;
        Ok(Self(texts))
    }

    /// Writes a text and a line end; resolves when it is written and flushed.
    ///
    /// # Errors
    /// As writing fails; [`output::is_closed`] tells a reader that went away.
    pub(crate) async fn write(&self, text: Vec<u8>) -> io::Result<()> {
        let gone = || io::Error::other("the writer of standard output is gone");
        let (written, wait) = oneshot::channel();
        self.0.send((text, written)).await.map_err(|_| gone())?;
        wait.await.map_err(|_| gone())?
    }

    /// As [`Self::write`]; from the first signal on it waits for 1 s at most. `false`: it was not written by then.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) async fn write_unless(
        &self,
        text: Vec<u8>,
        shutdown: &mut Shutdown,
    ) -> io::Result<bool> {
        tokio::select! {
            biased;
            written = self.write(text) => written.map(|()| true),
            () = async { shutdown.asked().await; tokio::time::sleep(GRACE).await } => Ok(false),
        }
    }
}
