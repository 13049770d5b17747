//! Retries: how often a message is tried, and how long its lane waits before the next attempt. Pure but for the jitter.

use std::{num::NonZeroU32, time::Duration};

use crate::policy::MAX_ATTEMPTS;

pub use kafkaesk_core::answer::MAX_DELAY as MAX_AFTER;

/// The first wait of a backoff.
pub const FIRST: Duration = Duration::from_millis(100);
/// The longest wait of a backoff.
pub const LONGEST: Duration = Duration::from_secs(30);

/// When a failed message is tried again, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// The wait after the first attempt; it doubles with each further one.
    pub(crate) first: Duration,
    /// The longest wait.
    pub(crate) longest: Duration,
    /// The longest delay that a handler may ask for.
    pub(crate) max_after: Duration,
    /// How many failed attempts a message has; `None`: as many as it needs.
    pub(crate) attempts: Option<NonZeroU32>,
    /// In tests: how often a message is tried that would otherwise be held for ever.
    pub(crate) held: Option<NonZeroU32>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first: FIRST,
            longest: LONGEST,
            max_after: MAX_AFTER,
            attempts: NonZeroU32::new(MAX_ATTEMPTS),
            held: None,
        }
    }
}

impl RetryPolicy {
    /// For tests: no waits, and a limit on the tries of held messages.
    pub(crate) fn immediate(self, held: NonZeroU32) -> Self {
        Self {
            first: Duration::ZERO,
            longest: Duration::ZERO,
            max_after: Duration::ZERO,
            held: Some(held),
            ..self
        }
    }

    /// How long all attempts take, about: the waits between them, without the attempts themselves.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let waits = self.attempts?.get() - 1;
        let growing = (1..=waits.min(17)).map(|attempt| self.full(attempt));
        let rest = self.full(u32::MAX).saturating_mul(waits.saturating_sub(17));
        Some(growing.sum::<Duration>().saturating_add(rest).mul_f64(0.9))
    }

    /// The wait after this attempt (from 1), before jitter.
    fn full(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }

    /// The wait after this attempt (from 1): doubling from `first` to `longest`, less up to a fifth of it, so that lanes
    /// that failed together are not tried again together. A delay that the handler asks for is taken as it is, up to
    /// `max_after`.
    pub(crate) fn wait(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        if let Some(after) = asked {
            return after.min(self.max_after);
        }
        self.full(attempt).mul_f64(1.0 - 0.2 * fastrand::f64())
    }

    /// Whether this many failed attempts are all that a message has.
    pub(crate) fn is_last(&self, failed: u32) -> bool {
        self.attempts.is_some_and(|most| failed >= most.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_grows_and_is_capped_at_thirty_seconds() {
        let policy = RetryPolicy::default();
        let mut lower = Duration::ZERO;
        for attempt in 1..=9 {
            let bound = FIRST * (1 << (attempt - 1));
            let waited = policy.wait(attempt, None);
            assert!(
                waited <= bound && waited >= bound.mul_f64(0.8),
                "{attempt}: {waited:?}"
            );
            assert!(waited > lower);
            lower = waited;
        }
        for attempt in [10, 11, 100, u32::MAX] {
            assert!(policy.wait(attempt, None) <= LONGEST);
            assert!(policy.wait(attempt, None) >= LONGEST.mul_f64(0.8));
        }
    }

    #[test]
    fn a_delay_that_a_handler_asks_for_is_bounded() {
        let policy = RetryPolicy::default();
        let day = Duration::from_secs(86_400);
        assert_eq!(policy.wait(1, Some(day)), MAX_AFTER);
        assert_eq!(policy.wait(7, Some(Duration::ZERO)), Duration::ZERO);
    }

    #[test]
    fn attempts_are_bounded_where_a_policy_bounds_them() {
        let of = |attempts| RetryPolicy {
            attempts: NonZeroU32::new(attempts),
            ..RetryPolicy::default()
        };
        assert!(!of(0).is_last(u32::MAX) && of(0).duration().is_none());
        assert!(!of(3).is_last(2) && of(3).is_last(3) && of(3).is_last(4));
        let immediate = of(3).immediate(NonZeroU32::MIN);
        assert_eq!(immediate.wait(2, Some(LONGEST)), Duration::ZERO);
    }

    #[test]
    fn the_default_attempts_take_about_five_minutes() {
        let minutes = RetryPolicy::default().duration().unwrap().as_secs_f64() / 60.0;
        assert!((4.5..6.0).contains(&minutes), "{minutes}");
        let all = (1..20).map(|attempt| RetryPolicy::default().wait(attempt, None));
        let waited = all.sum::<Duration>().as_secs_f64() / 60.0;
        assert!((waited - minutes).abs() < 1.0, "{waited}");
    }
}
