//! Ctrl-C and SIGTERM: the first asks for a clean end, the second ends the process at once, children included.

use std::{future::pending, io};

use tokio::sync::watch;
use tracing::info;

use crate::handlers::exec;

/// Whether a clean end was asked for, for everyone who ends by it.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Resolves at the first signal, at once if it came before. Cancel safe.
    pub(crate) async fn asked(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            // Nobody listens to signals any more.
            pending().await
        }
    }
}

/// Listens from now on, in a task of its own: what a command waits for must not hide a signal. After the first one a
/// second exits with 130 (Ctrl-C) or 143 (SIGTERM).
///
/// # Errors
/// The signals cannot be listened to.
pub(crate) fn shutdown() -> io::Result<Shutdown> {
    let mut signals = Signals::listen()?;
    let (ask, asked) = watch::channel(false);
    tokio::spawn(async move {
        let (name, _) = signals.next().await;
        info!("{name}: finishing what is in flight; a second signal ends at once");
        ask.send_replace(true);
        let (_, status) = signals.next().await;
        exec::kill_all();
        std::process::exit(status);
    });
    Ok(Shutdown(asked))
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Its name, and the exit status of a process that it ends.
    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.interrupt.recv() => ("Ctrl-C", 130),
            _ = self.terminate.recv() => ("SIGTERM", 143),
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> (&'static str, i32) {
        let _ = tokio::signal::ctrl_c().await;
        ("Ctrl-C", 130)
    }
}
