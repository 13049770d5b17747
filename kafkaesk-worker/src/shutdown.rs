//! Shutdown: computes the deadline of each step of the end, from the moment of the request.
//!
//! The steps share one deadline: with a timeout for each step, a run would end long after `shutdown-timeout`. Handlers
//! get most of the time. The last fifth, four seconds at most, is reserved for the steps after them, so that a handler
//! that never ends does not prevent the commits of the others.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::Instant};

/// The longest time that is kept for the steps after the handlers.
const RESERVE: Duration = Duration::from_secs(4);
/// The shortest time for the whole end, whatever `shutdown-timeout` says.
const LEAST: Duration = Duration::from_secs(1);

/// The deadline of each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShutdownDeadlines {
    /// When it began.
    pub(crate) begun: SystemTime,
    /// Running handlers are finished.
    pub(crate) handlers: Instant,
    /// Deadline of the last commits and of leaving the groups.
    pub(crate) leaving: Instant,
    /// Deadline of the flush: records that handlers published without awaiting the receipt.
    pub(crate) flushing: Instant,
    /// The application's hooks have run.
    pub(crate) hooks: Instant,
}

impl ShutdownDeadlines {
    /// Of an end that begins now and takes so long.
    pub(crate) fn from(now: Instant, timeout: Duration) -> Self {
        let all = timeout.max(LEAST);
        let reserve = (all / 5).min(RESERVE);
        let hooks = now + all;
        Self {
            begun: SystemTime::now(),
            handlers: now + timeout.saturating_sub(reserve),
            leaving: hooks - reserve / 2,
            flushing: hooks - reserve / 4,
            hooks,
        }
    }

    /// The sooner of both, step by step.
    pub(crate) fn sooner(self, other: Self) -> Self {
        Self {
            begun: self.begun.min(other.begun),
            handlers: self.handlers.min(other.handlers),
            leaving: self.leaving.min(other.leaving),
            flushing: self.flushing.min(other.flushing),
            hooks: self.hooks.min(other.hooks),
        }
    }
}

/// The shutdown of a run. Its clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    timeout: Duration,
    begun: Arc<watch::Sender<Option<ShutdownDeadlines>>>,
}

impl Shutdown {
    /// A shutdown that takes at most this long; a second if that is longer.
    pub(crate) fn within(timeout: Duration) -> Self {
        Self {
            timeout,
            begun: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Begins the shutdown. The first call sets the deadlines, further calls return them.
    pub(crate) fn begin(&self) -> ShutdownDeadlines {
        let deadlines = ShutdownDeadlines::from(Instant::now(), self.timeout);
        self.begun
            .send_if_modified(|asked| asked.is_none() && asked.replace(deadlines).is_none());
        self.begun.borrow().unwrap_or(deadlines)
    }

    /// When it began, if it did.
    pub(crate) fn begun(&self) -> Option<SystemTime> {
        self.begun.borrow().map(|deadlines| deadlines.begun)
    }

    /// Changes when the shutdown begins.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<ShutdownDeadlines>> {
        self.begun.subscribe()
    }
}

/// What is left until then.
pub(crate) fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_an_end_share_its_timeout() {
        let now = Instant::now();
        for millis in [0, 1, 200, 1_000, 6_000, 25_000, 600_000] {
            let timeout = Duration::from_millis(millis);
            let deadlines = ShutdownDeadlines::from(now, timeout);
            assert_eq!(deadlines.hooks, now + timeout.max(LEAST), "{timeout:?}");
            let steps = [
                deadlines.handlers,
                deadlines.leaving,
                deadlines.flushing,
                deadlines.hooks,
            ];
            assert!(steps.is_sorted(), "{timeout:?}: {deadlines:?}");
            assert!(deadlines.hooks - deadlines.leaving >= LEAST / 10);
        }
        let deadlines = ShutdownDeadlines::from(now, Duration::from_secs(25));
        assert_eq!(deadlines.handlers, now + Duration::from_secs(21));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_begins_once() {
        let end = Shutdown::within(Duration::from_secs(25));
        let first = end.begin();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(end.clone().begin(), first);
    }
}
