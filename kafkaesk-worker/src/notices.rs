//! Notices: thins repeated log lines of one subscription. The 1st, 2nd, 4th, 8th … failure of a kind is a warning with
//! its count; the others are only counted. So the log is small even if everything fails.

use std::time::Duration;

use kafkaesk_core::Occurrences;
use tokio::time::Instant;

/// After this long without a failure of a kind, its count starts again. Longer than the longest backoff, so that a
/// message that keeps failing is one streak.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

/// One kind of failure.
#[derive(Debug, Default)]
pub(crate) struct Streak {
    count: Occurrences,
    last: Option<Instant>,
    /// Over all streaks.
    total: u64,
}

impl Streak {
    /// Counts one occurrence. Returns the count in this streak if it is to be logged.
    pub(crate) fn occurred(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now - last >= QUIET) {
            self.count = Occurrences::default();
        }
        self.last = Some(now);
        self.total += 1;
        self.count.count()
    }

    /// How often in the whole run.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

/// The kinds of one subscription.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    /// Attempts that ended with an error, a panic or a mismatch that is held.
    pub(crate) failed: Streak,
    /// Attempts that failed as the last of their message, which was given up then.
    pub(crate) last: u64,
    /// Attempts whose handler asked for another one, without an error.
    pub(crate) asked: Streak,
    /// Rejected messages that `on-reject` holds.
    pub(crate) held: Streak,
    /// Records passed over since they hold no event, without the blank ones.
    pub(crate) no_event: Streak,
    /// Null and empty values passed over: not worth a line.
    pub(crate) blank: u64,
    /// Delays that were cut to the bound.
    pub(crate) cut: Streak,
    /// Messages that became dead letters.
    pub(crate) dead: Streak,
    /// Dead letters that could not be written.
    pub(crate) not_written: Streak,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_logged_at_powers_of_two_and_from_one_again_when_it_was_quiet() {
        let (mut streak, mut now) = (Streak::default(), Instant::now());
        let logged = (0..100).filter_map(|_| streak.occurred(now)).count();
        assert_eq!(logged, 7);
        now += QUIET - Duration::from_millis(1);
        assert_eq!(streak.occurred(now), None);
        now += QUIET;
        assert_eq!(streak.occurred(now), Some(1));
        assert_eq!(streak.total(), 102);
    }
}
