//! Ctrl-C, SIGTERM and SIGHUP: the first asks for a clean end, the second ends the process at once, children included.

#[cfg(unix)]
use std::time::{Duration, Instant};
use std::{future::pending, io, sync::OnceLock, thread};

#[cfg(unix)]
use signal_hook::iterator::{SignalsInfo, exfiltrator::WithOrigin};
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
            // No task listens to signals any more.
            pending().await
        }
    }

    /// Whether the first signal came.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Runs a future to its end, unless a signal comes before that: then `None`, and the future is dropped.
    pub(crate) async fn unless<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.asked() => None,
            done = future => Some(done),
        }
    }
}

/// Listens from the first call on. The signals have a thread of their own: neither what a command waits for nor busy
/// threads of the runtime hide one. After the first signal a second exits with 130 (Ctrl-C), 143 (SIGTERM) or 129
/// (SIGHUP).
///
/// # Errors
/// The signals cannot be listened to.
pub(crate) fn shutdown() -> io::Result<Shutdown> {
    static LISTENING: OnceLock<Shutdown> = OnceLock::new();
    if let Some(shutdown) = LISTENING.get() {
        return Ok(shutdown.clone());
    }
    let mut signals = Signals::listen()?;
    let (ask, asked) = watch::channel(false);
    thread::Builder::new()
        .name("kafkaesk-signals".into())
        .spawn(move || {
            let (name, _) = signals.next();
            ask.send_replace(true);
            info!("{name}: finishing what is in flight; a second signal ends at once");
            let (_, status) = signals.next_apart();
            exec::kill_all();
            exit_now(status);
        })?;
    Ok(LISTENING.get_or_init(|| Shutdown(asked)).clone())
}

/// A signal that follows an equal one of the same sender so soon is its copy: `timeout` of coreutils sends its signal to the
/// process and then to the process group.
#[cfg(unix)]
const COPY: Duration = Duration::from_millis(100);

/// Each delivery counts: by default signal-hook gives two of a kind once, if they come before its iterator looks.
#[cfg(unix)]
struct Signals {
    all: SignalsInfo<WithOrigin>,
    /// The last one: its number and its sender, and when it came.
    last: Option<(Sent, Instant)>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let mut wanted = vec![SIGINT, SIGTERM];
        if !is_ignored(SIGHUP) {
            wanted.push(SIGHUP);
        }
        let all = SignalsInfo::new(wanted)?;
        Ok(Self { all, last: None })
    }

    /// Waits for one that is not a copy of the last.
    fn next_apart(&mut self) -> (&'static str, i32) {
        loop {
            let former = self.last;
            let next = self.next();
            let is_copy = former.zip(self.last).is_some_and(|(former, last)| {
                former.0.is_like(last.0) && last.1.duration_since(former.1) < COPY
            });
            if !is_copy {
                return next;
            }
        }
    }

    /// Waits for one: its name, and the exit status of a process that it ends.
    fn next(&mut self) -> (&'static str, i32) {
        use signal_hook::consts::{SIGHUP, SIGINT};
        let signal = self.all.forever().next();
        let sent = signal.map(|it| Sent {
            signal: it.signal,
            by: it.process.map(|process| process.pid),
        });
        self.last = sent.map(|sent| (sent, Instant::now()));
        match sent.map(|sent| sent.signal) {
            Some(SIGINT) => ("Ctrl-C", 130),
            Some(SIGHUP) => ("SIGHUP", 129),
            _ => ("SIGTERM", 143),
        }
    }
}

/// A signal as it was sent.
#[cfg(unix)]
#[derive(Clone, Copy, Debug)]
struct Sent {
    signal: i32,
    /// The process that sent it; `None` where the system does not say so.
    by: Option<i32>,
}

#[cfg(unix)]
impl Sent {
    /// Whether it may be a copy of the other one. What the terminal sends counts each time.
    fn is_like(self, other: Self) -> bool {
        self.by.is_some_and(|by| by != 0) && (self.signal, self.by) == (other.signal, other.by)
    }
}

/// Whether this process was started with the signal ignored, as `nohup` does with SIGHUP. Known only on Linux.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// Ends the process immediately: no destructor, no lock, no wait.
#[cfg(unix)]
fn exit_now(status: i32) -> ! {
    signal_hook::low_level::exit(status)
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    fn next_apart(&mut self) -> (&'static str, i32) {
        self.next()
    }

    fn next(&mut self) -> (&'static str, i32) {
        let waited = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .and_then(|runtime| runtime.block_on(tokio::signal::ctrl_c()));
        match waited {
            Ok(()) => ("Ctrl-C", 130),
            Err(_) => loop {
                thread::park();
            },
        }
    }
}

#[cfg(not(unix))]
fn exit_now(status: i32) -> ! {
    std::process::exit(status)
}

#[cfg(all(test, unix))]
mod tests {
    use signal_hook::consts::SIGUSR1;

    use super::*;

    #[test]
    fn only_an_equal_signal_of_the_same_process_may_be_a_copy() {
        let sent = |signal, by| Sent { signal, by };
        assert!(sent(15, Some(7)).is_like(sent(15, Some(7))));
        for (one, other) in [
            (sent(15, Some(7)), sent(15, Some(8))),
            (sent(15, Some(7)), sent(2, Some(7))),
            (sent(2, Some(0)), sent(2, Some(0))),
            (sent(15, None), sent(15, None)),
        ] {
            assert!(!one.is_like(other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn two_signals_of_a_kind_count_twice_however_fast_they_follow() {
        let mut signals = SignalsInfo::<WithOrigin>::new([SIGUSR1]).unwrap();
        for _ in 0..2 {
            signal_hook::low_level::raise(SIGUSR1).unwrap();
        }
        let taken: Vec<i32> = signals.pending().map(|signal| signal.signal).collect();
        assert_eq!(taken, [SIGUSR1, SIGUSR1]);
    }
}
