//! Retries: how often a message is tried, and how long its lane waits before the next attempt. Pure but for the jitter.

use std::{num::NonZeroU32, time::Duration};

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
    /// How many attempts a message has; `None`: as many as it needs.
    pub(crate) attempts: Option<NonZeroU32>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first: FIRST,
            longest: LONGEST,
            max_after: MAX_AFTER,
            attempts: None,
        }
    }
}

impl RetryPolicy {
    /// This many attempts, without waiting.
    #[cfg(feature = "memory")]
    pub(crate) fn immediate(attempts: NonZeroU32) -> Self {
        Self {
            first: Duration::ZERO,
            longest: Duration::ZERO,
            max_after: Duration::ZERO,
            attempts: Some(attempts),
        }
    }

    /// The wait after this attempt (from 1): doubling from `first` to `longest`, less up to a fifth of it, so that lanes
    /// that failed together are not tried again together. A delay that the handler asks for is taken as it is, up to
    /// `max_after`.
    pub(crate) fn wait(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        if let Some(after) = asked {
            return after.min(self.max_after);
        }
        let doublings = attempt.saturating_sub(1).min(16);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        full.mul_f64(1.0 - 0.2 * fastrand::f64())
    }

    /// Whether this attempt (from 1) is the last one.
    pub(crate) fn is_last(&self, attempt: u32) -> bool {
        self.attempts.is_some_and(|most| attempt >= most.get())
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
        assert!(!RetryPolicy::default().is_last(u32::MAX));
        let three = RetryPolicy::immediate(NonZeroU32::new(3).unwrap());
        assert!(!three.is_last(2) && three.is_last(3) && three.is_last(4));
        assert_eq!(three.wait(2, Some(LONGEST)), Duration::ZERO);
    }
}
