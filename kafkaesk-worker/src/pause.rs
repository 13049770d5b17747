//! Pause: decides how many handlers of a subscription may run now. A subscription pauses by a command, or because a
//! dependency of its handlers is misconfigured or unreachable, such as a wrong URL. Pure but for the jitter of the
//! wait.
//!
//! During a pause no handler starts. After the wait of a pause of the second kind one message is tried. If it fails the
//! same way, the pause goes on with a longer wait; otherwise the subscription goes on.
//!
//! A pause is logged at its 1st, 2nd, 4th, 8th … try, and once more when it ends. If every second try fails (for
//! example because one of two addresses is dead), pauses follow one another closely. Then only the 1st, 2nd, 4th …
//! pause and long pauses are logged.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::{
    meter::cut,
    notices::Streak,
    retry::RetryPolicy,
    snapshot::{PauseState, PausedBy},
};

/// A pause with this many tries is logged, however many pauses there were before it.
const LASTING: u32 = 8;

/// An instance's pause.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    /// How many tries in a row failed; 0 between pauses.
    streak: u32,
    /// When one message is tried again; `None` once that time has come.
    until: Option<Instant>,
    /// Pauses that followed one another closely.
    pauses: Streak,
    /// This pause is to be logged from its first try on.
    loud: bool,
    /// The log says that the subscription is paused.
    logged: bool,
    /// Why the last try failed, and when the first one did.
    unavailable: Option<(String, SystemTime)>,
    /// A command paused it.
    commanded: Option<Commanded>,
}

/// A pause by a command.
#[derive(Debug)]
struct Commanded {
    reason: String,
    since: SystemTime,
    until: Option<Instant>,
}

/// A pause that began or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    /// How long everything waits.
    pub(crate) wait: Duration,
    /// How many tries in a row failed, if that is to be logged.
    pub(crate) log: Option<u32>,
}

impl Pause {
    /// An attempt found a dependency misconfigured or unreachable. `None` if the subscription is paused already:
    /// attempts that ran at the same time count once.
    pub(crate) fn begin(&mut self, now: Instant, why: &str) -> Option<Begun> {
        if self.until.is_some() {
            return None;
        }
        let since = self.unavailable.take().map(|(_, since)| since);
        self.unavailable = Some((cut(why), since.unwrap_or_else(SystemTime::now)));
        if self.streak == 0 {
            self.loud = self.pauses.occurred(now).is_some();
        }
        self.streak = self.streak.saturating_add(1);
        let wait = RetryPolicy::default().wait(self.streak, None);
        self.until = Some(now + wait);
        let log = self.streak.is_power_of_two() && (self.loud || self.streak >= LASTING);
        self.logged |= log;
        Some(Begun {
            wait,
            log: log.then_some(self.streak),
        })
    }

    /// An attempt ended in another way: the subscription goes on. Returns whether the pause was logged.
    pub(crate) fn end(&mut self) -> bool {
        self.until = None;
        self.streak = 0;
        self.unavailable = None;
        std::mem::take(&mut self.logged)
    }

    /// A wait that is over by now ends. Returns whether a pause by a command ended.
    pub(crate) fn wake(&mut self, now: Instant) -> bool {
        self.until = self.until.filter(|until| *until > now);
        let over = |commanded: &Commanded| commanded.until.is_some_and(|until| until <= now);
        let ends = self.commanded.as_ref().is_some_and(over);
        if ends {
            self.commanded = None;
        }
        ends
    }

    /// When [`Self::wake`] has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        let commanded = self
            .commanded
            .as_ref()
            .and_then(|commanded| commanded.until);
        commanded.into_iter().chain(self.until).min()
    }

    /// When one message is tried again.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// How many pauses there were.
    pub(crate) fn total(&self) -> u64 {
        self.pauses.total()
    }

    /// Pauses the subscription by a command.
    pub(crate) fn command(&mut self, reason: String, until: Option<Instant>) {
        self.commanded = Some(Commanded {
            reason,
            since: SystemTime::now(),
            until,
        });
    }

    /// Ends a pause by a command.
    pub(crate) fn resume(&mut self) {
        self.commanded = None;
    }

    /// Why no handler starts, or only one at a time.
    pub(crate) fn state(&self, now: Instant) -> Option<PauseState> {
        let wall = |at: Instant| SystemTime::now() + at.saturating_duration_since(now);
        if let Some(commanded) = &self.commanded {
            return Some(PauseState {
                by: PausedBy::Operator,
                reason: commanded.reason.clone(),
                since: commanded.since,
                until: commanded.until.map(wall),
            });
        }
        let (reason, since) = self.unavailable.as_ref()?;
        Some(PauseState {
            by: PausedBy::Unavailable,
            reason: reason.clone(),
            since: *since,
            until: self.until.map(wall),
        })
    }

    /// How many of these handlers may run.
    pub(crate) fn room(&self, concurrency: usize) -> usize {
        if self.commanded.is_some() {
            return 0;
        }
        match (self.until, self.streak) {
            (Some(_), _) => 0,
            (None, 0) => concurrency,
            (None, _) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs_during_a_pause_and_one_message_ends_it() {
        let (mut pause, now) = (Pause::default(), Instant::now());
        assert_eq!(pause.room(32), 32);
        let begun = pause.begin(now, "no route").unwrap();
        assert_eq!(pause.room(32), 0);
        pause.wake(now + begun.wait);
        assert_eq!(pause.room(32), 1);
        assert!(pause.end());
        assert_eq!((pause.room(32), pause.end()), (32, false));
    }

    #[test]
    fn a_pause_grows_with_each_try_and_not_with_each_message() {
        let (mut pause, mut now) = (Pause::default(), Instant::now());
        let first = pause.begin(now, "no route").unwrap().wait;
        assert_eq!(pause.begin(now, "no route"), None);
        let mut last = first;
        for _ in 0..20 {
            now += last;
            pause.wake(now);
            last = pause.begin(now, "no route").unwrap().wait;
        }
        assert!(
            last > first * 100 && last <= crate::retry::LONGEST,
            "{last:?}"
        );
    }

    /// How many lines `pauses` pauses of `tries` tries each write, beginnings and ends.
    fn lines(pauses: u32, tries: u32) -> usize {
        let (mut pause, mut now, mut lines) = (Pause::default(), Instant::now(), 0);
        for _ in 0..pauses {
            for _ in 0..tries {
                let begun = pause.begin(now, "no route").unwrap();
                lines += usize::from(begun.log.is_some());
                now += begun.wait;
                pause.wake(now);
            }
            lines += usize::from(pause.end());
        }
        lines
    }

    #[test]
    fn the_log_of_pauses_is_bounded_whether_they_last_or_follow_one_another() {
        assert_eq!(lines(1, 1_000), 10 + 1);
        assert_eq!(lines(1_000, 1), 2 * 10);
        // What is logged as paused is logged as going on, and a pause that lasts is always logged.
        assert_eq!(lines(3, 8), 5 + 5 + 2);
    }
}
