//! Failures: counts a subscription's failed attempts and compares them with its `failure-limit`. Pure: no clock.
//!
//! Attempts from before the first failure count as successes, so that one failure at the start is not a share of 100 %.

use std::collections::VecDeque;

use crate::policy::FailureLimit;

/// The last attempts of one subscription.
#[derive(Debug)]
pub(crate) struct Failures {
    limit: Option<FailureLimit>,
    /// Whether each of the last attempts failed, from the first failure on.
    last: VecDeque<bool>,
    /// How many of them failed.
    failed: u32,
    /// How many failed in a row.
    streak: u32,
    exceeded: bool,
}

impl Failures {
    /// Without a limit nothing is ever exceeded.
    pub(crate) fn new(limit: Option<FailureLimit>) -> Self {
        Self {
            limit,
            last: VecDeque::new(),
            failed: 0,
            streak: 0,
            exceeded: false,
        }
    }

    /// An attempt succeeded: the limit is no longer exceeded, and counting starts again.
    pub(crate) fn succeeded(&mut self) {
        // The way of almost every message.
        if self.failed == 0 {
            return;
        }
        self.streak = 0;
        if self.exceeded {
            self.exceeded = false;
            self.failed = 0;
            self.last.clear();
            return;
        }
        self.push(false);
    }

    /// An attempt failed.
    pub(crate) fn failed(&mut self) {
        let Some(limit) = self.limit else { return };
        self.streak = self.streak.saturating_add(1);
        self.push(true);
        self.exceeded |= self.streak > limit.streak
            || f64::from(self.failed) > limit.share * f64::from(limit.of);
    }

    /// Whether more failed than may.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// How many failed, for a person.
    pub(crate) fn describe(&self) -> String {
        let Some(limit) = self.limit else {
            return String::new();
        };
        format!(
            "{} of the last {} attempts failed, {} in a row, which is more than `failure-limit` allows (share {}, of {}, streak {}): until one succeeds, no attempt counts and nothing is given up",
            self.failed, limit.of, self.streak, limit.share, limit.of, limit.streak
        )
    }

    fn push(&mut self, failed: bool) {
        let Some(limit) = self.limit else { return };
        if self.last.len() >= limit.of as usize && self.last.pop_front() == Some(true) {
            self.failed -= 1;
        }
        self.last.push_back(failed);
        self.failed += u32::from(failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(limit: FailureLimit, attempts: impl IntoIterator<Item = bool>) -> Failures {
        let mut failures = Failures::new(Some(limit));
        for failed in attempts {
            match failed {
                true => failures.failed(),
                false => failures.succeeded(),
            }
        }
        failures
    }

    /// Whether the limit is exceeded after some of these.
    fn ever(limit: FailureLimit, attempts: &[bool]) -> bool {
        let firsts = (1..=attempts.len()).map(|end| attempts[..end].iter().copied());
        firsts
            .into_iter()
            .any(|first| after(limit, first).exceeded())
    }

    #[test]
    fn more_failures_in_a_row_than_the_streak_exceed_it_and_as_many_do_not() {
        let limit = FailureLimit::default();
        assert!(!after(limit, [true; 20]).exceeded());
        assert!(after(limit, [true; 21]).exceeded());
        let interrupted = [[true; 20].as_slice(), &[false], &[true; 20]].concat();
        assert!(!after(limit, interrupted).exceeded());
    }

    #[test]
    fn a_larger_share_than_the_limits_exceeds_it_within_its_window() {
        let limit = FailureLimit::new(0.5, 10, 1000);
        let of = |fails: fn(u32) -> bool| (0..300).map(fails).collect::<Vec<_>>();
        assert!(!ever(limit, &of(|i| i % 2 == 0)));
        assert!(ever(limit, &of(|i| i % 3 != 0)));
        // What left the window does not count.
        assert!(!ever(limit, &of(|i| i % 100 < 5)));
    }

    #[test]
    fn one_success_ends_it_and_counting_starts_again() {
        let limit = FailureLimit::default();
        let mut failures = after(limit, [true; 50]);
        assert!(failures.exceeded());
        failures.succeeded();
        assert!(!failures.exceeded());
        for _ in 0..20 {
            failures.failed();
        }
        assert!(!failures.exceeded());
    }

    #[test]
    fn without_a_limit_nothing_is_exceeded_and_nothing_is_kept() {
        let mut failures = Failures::new(None);
        for _ in 0..100_000 {
            failures.failed();
        }
        assert!(!failures.exceeded() && failures.last.is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded_by_the_window() {
        let failures = after(
            FailureLimit::new(1.0, 10, 1000),
            (0..1000).map(|i| i % 2 == 0),
        );
        assert!(failures.last.len() <= 10);
    }
}
