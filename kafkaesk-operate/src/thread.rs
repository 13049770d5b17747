//! Thread: one of our own, with a runtime of its own, so that it answers while handlers block the application's.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The thread. Dropping it ends what runs there, without waiting for it.
#[derive(Debug)]
pub(crate) struct Thread {
    /// Where to spawn.
    pub(crate) handle: Handle,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Thread {
    /// Starts it.
    ///
    /// # Errors
    /// The operating system gives no thread, or no files for a runtime.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new().name(name.into()).spawn(move || {
            // Either way it ends: by a word, or since nobody is left to say one.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
            let _ = end.send(());
        })?;
        Ok(Self {
            handle,
            stop,
            ended,
        })
    }

    /// Ends what runs there, and waits for it.
    pub(crate) async fn end(self) {
        let _ = self.stop.send(());
        let _ = self.ended.await;
    }
}
