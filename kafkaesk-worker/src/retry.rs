//! How long a lane waits before it tries a message again. Pure but for the jitter.

use std::time::Duration;

pub use kafkaesk_core::answer::MAX_DELAY as MAX_AFTER;

/// The first wait.
pub const FIRST: Duration = Duration::from_millis(100);
/// The longest wait of the backoff.
pub const LONGEST: Duration = Duration::from_secs(30);

/// The wait after this attempt (from 1): doubling from [`FIRST`] to [`LONGEST`], less up to a fifth of it, so that
/// lanes which failed together are not tried again together. A delay that the handler asks for stands as it is, up to
/// [`MAX_AFTER`].
pub(crate) fn wait(attempt: u32, asked: Option<Duration>) -> Duration {
    if let Some(after) = asked {
        return after.min(MAX_AFTER);
    }
    let doublings = attempt.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    full.mul_f64(1.0 - 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_grows_and_is_capped_at_thirty_seconds() {
        let mut lower = Duration::ZERO;
        for attempt in 1..=9 {
            let bound = FIRST * (1 << (attempt - 1));
            let waited = wait(attempt, None);
            assert!(
                waited <= bound && waited >= bound.mul_f64(0.8),
                "{attempt}: {waited:?}"
            );
            assert!(waited > lower);
            lower = waited;
        }
        for attempt in [10, 11, 100, u32::MAX] {
            assert!(wait(attempt, None) <= LONGEST);
            assert!(wait(attempt, None) >= LONGEST.mul_f64(0.8));
        }
    }

    #[test]
    fn a_handlers_own_wish_is_bounded() {
        let day = Duration::from_secs(86_400);
        assert_eq!(wait(1, Some(day)), MAX_AFTER);
        assert_eq!(wait(7, Some(Duration::ZERO)), Duration::ZERO);
    }
}
