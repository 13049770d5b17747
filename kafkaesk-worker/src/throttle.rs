//! Throttle: bounds how many messages an instance starts per second. Pure; asks no clock.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

/// The largest burst, as a part of a second, after a time of fewer starts.
const BURST: f64 = 0.1;

/// What may be started now.
#[derive(Debug)]
pub(crate) struct Throttle {
    per_second: f64,
    /// How many may be started; below 1 none.
    tokens: f64,
    at: Instant,
}

impl Throttle {
    pub(crate) fn new(per_second: NonZeroU32, now: Instant) -> Self {
        Self {
            per_second: f64::from(per_second.get()),
            tokens: 1.0,
            at: now,
        }
    }

    /// How many may start per second.
    pub(crate) fn per_second(&self) -> u32 {
        self.per_second as u32
    }

    /// What the time since the last call allows.
    pub(crate) fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let most = (self.per_second * BURST).max(1.0);
        self.tokens = (self.tokens + passed * self.per_second).min(most);
        self.at = now;
    }

    /// Whether one may start.
    pub(crate) fn has_room(&self) -> bool {
        self.tokens >= 1.0
    }

    /// So many start together: at least one. For those beyond what is allowed now, the next one waits.
    pub(crate) fn started(&mut self, messages: u32) {
        self.tokens -= f64::from(messages);
    }

    /// When the next one may start; `None` if now.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.has_room() {
            return None;
        }
        let wait = (1.0 - self.tokens) / self.per_second;
        Some(self.at + Duration::from_secs_f64(wait) + Duration::from_micros(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many start within this time, each as soon as it may.
    fn started(per_second: u32, time: Duration) -> u32 {
        let start = Instant::now();
        let mut now = start;
        let mut throttle = Throttle::new(NonZeroU32::new(per_second).unwrap(), now);
        let mut count = 0;
        while now <= start + time {
            throttle.refill(now);
            while throttle.has_room() {
                throttle.started(1);
                count += 1;
            }
            now = throttle.next().unwrap();
        }
        count
    }

    #[test]
    fn as_many_start_per_second_as_are_allowed() {
        for per_second in [1, 7, 100, 5000] {
            let count = started(per_second, Duration::from_secs(10));
            let most = per_second * 10 + 1;
            assert!(
                count <= most && count >= most - most / 50 - 1,
                "{per_second}: {count}"
            );
        }
    }

    #[test]
    fn a_pause_is_followed_by_a_tenth_of_a_second_at_once_at_most() {
        let now = Instant::now();
        let mut throttle = Throttle::new(NonZeroU32::new(100).unwrap(), now);
        throttle.refill(now + Duration::from_secs(3600));
        let mut count = 0;
        while throttle.has_room() {
            throttle.started(1);
            count += 1;
        }
        assert_eq!(count, 10);
    }
}
