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

use std::time::Duration;

use tokio::time::Instant;

use crate::{notices::Streak, retry::RetryPolicy};

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
    /// A command paused it.
    commanded: bool,
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
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Begun> {
        if self.until.is_some() {
            return None;
        }
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
        std::mem::take(&mut self.logged)
    }

    /// A wait that is over by now ends.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.until = self.until.filter(|until| *until > now);
    }

    /// When one message is tried again.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// How many pauses there were.
    pub(crate) fn total(&self) -> u64 {
        self.pauses.total()
    }

    /// Pauses or resumes the subscription by a command.
    pub(crate) fn command(&mut self, paused: bool) {
        self.commanded = paused;
    }

    /// How many of these handlers may run.
    pub(crate) fn room(&self, concurrency: usize) -> usize {
        if self.commanded {
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
        let begun = pause.begin(now).unwrap();
        assert_eq!(pause.room(32), 0);
        pause.wake(now + begun.wait);
        assert_eq!(pause.room(32), 1);
        assert!(pause.end());
        assert_eq!((pause.room(32), pause.end()), (32, false));
    }

    #[test]
    fn a_pause_grows_with_each_try_and_not_with_each_message() {
        let (mut pause, mut now) = (Pause::default(), Instant::now());
        let first = pause.begin(now).unwrap().wait;
        assert_eq!(pause.begin(now), None);
        let mut last = first;
        for _ in 0..20 {
            now += last;
            pause.wake(now);
            last = pause.begin(now).unwrap().wait;
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
                let begun = pause.begin(now).unwrap();
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
