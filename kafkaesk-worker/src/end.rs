//! The end of a run: when it was asked for in, until when each of its steps may go on out.
//!
//! The steps follow one another and share one deadline, or each would have a patience of its own and a run would end
//! long after `shutdown-timeout`. Handlers get most of it. The last fifth, four seconds at most, is kept for what comes
//! behind them, so that a handler that never ends costs no commit of the others.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

/// What is kept for the steps behind the handlers, at most.
const RESERVE: Duration = Duration::from_secs(4);
/// The whole end takes this long, whatever `shutdown-timeout` says, before commits are given up.
const LEAST: Duration = Duration::from_secs(1);

/// Until when each step of an end may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// What runs is finished.
    pub(crate) handlers: Instant,
    /// The last commits, and the groups are left.
    pub(crate) leaving: Instant,
    /// What handlers published without waiting for its receipt.
    pub(crate) flushing: Instant,
    /// The application's hooks.
    pub(crate) hooks: Instant,
}

impl Deadlines {
    fn from(now: Instant, patience: Duration) -> Self {
        let all = patience.max(LEAST);
        let reserve = (all / 5).min(RESERVE);
        let hooks = now + all;
        Self {
            handlers: now + patience.saturating_sub(reserve),
            leaving: hooks - reserve / 2,
            flushing: hooks - reserve / 4,
            hooks,
        }
    }
}

/// Whether a run is to end. Its clones are one.
#[derive(Clone, Debug)]
pub(crate) struct End {
    patience: Duration,
    asked: Arc<watch::Sender<Option<Deadlines>>>,
}

impl End {
    /// An end that takes this long, at most (a second at least).
    pub(crate) fn within(patience: Duration) -> Self {
        Self {
            patience,
            asked: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Everything ends. The first call starts the clock, others get its times.
    pub(crate) fn begin(&self) -> Deadlines {
        let deadlines = Deadlines::from(Instant::now(), self.patience);
        self.asked
            .send_if_modified(|asked| asked.is_none() && asked.replace(deadlines).is_none());
        self.asked.borrow().unwrap_or(deadlines)
    }

    /// Sees it begin.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Deadlines>> {
        self.asked.subscribe()
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
    fn the_steps_of_an_end_share_its_patience() {
        let now = Instant::now();
        for millis in [0, 1, 200, 1_000, 6_000, 25_000, 600_000] {
            let patience = Duration::from_millis(millis);
            let deadlines = Deadlines::from(now, patience);
            assert_eq!(deadlines.hooks, now + patience.max(LEAST), "{patience:?}");
            let steps = [
                deadlines.handlers,
                deadlines.leaving,
                deadlines.flushing,
                deadlines.hooks,
            ];
            assert!(steps.is_sorted(), "{patience:?}: {deadlines:?}");
            assert!(deadlines.hooks - deadlines.leaving >= LEAST / 10);
        }
        let deadlines = Deadlines::from(now, Duration::from_secs(25));
        assert_eq!(deadlines.handlers, now + Duration::from_secs(21));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_begins_once() {
        let end = End::within(Duration::from_secs(25));
        let first = end.begin();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(end.clone().begin(), first);
    }
}
