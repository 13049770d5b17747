//! Pulse: when a consumer's thread last turned its loop, and whether its member has joined its group. Written by the thread,
//! read by its user without a lock.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// What the thread shows of itself.
#[derive(Debug)]
pub(super) struct Pulse {
    begun: Instant,
    /// Until when the thread's silence means nothing, in milliseconds since `begun`.
    heard_until: AtomicU64,
    is_joined: AtomicBool,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            heard_until: AtomicU64::new(0),
            is_joined: AtomicBool::new(false),
        }
    }
}

impl Pulse {
    /// The thread runs.
    pub(super) fn beat(&self, now: Instant) {
        self.heard_until.store(self.millis(now), Ordering::Relaxed);
    }

    /// The thread waits for its user, until then at most; it beats again after that.
    pub(super) fn expect_silence(&self, until: Instant) {
        self.beat(until);
    }

    /// The thread has ended; what ended it stands in its stream of events.
    pub(super) fn end(&self) {
        self.heard_until.store(u64::MAX, Ordering::Relaxed);
        self.set_joined(false);
    }

    pub(super) fn set_joined(&self, joined: bool) {
        self.is_joined.store(joined, Ordering::Relaxed);
    }

    pub(super) fn is_joined(&self) -> bool {
        self.is_joined.load(Ordering::Relaxed)
    }

    /// How long the thread has been silent without a reason.
    pub(super) fn silent_for(&self, now: Instant) -> Duration {
        let heard_until = self.heard_until.load(Ordering::Relaxed);
        Duration::from_millis(self.millis(now).saturating_sub(heard_until))
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.begun).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn silence_counts_from_the_last_turn() {
        let pulse = Pulse::default();
        let begun = pulse.begun;
        assert_eq!(pulse.silent_for(begun + seconds(3)), seconds(3));
        pulse.beat(begun + seconds(5));
        assert_eq!(pulse.silent_for(begun + seconds(5)), Duration::ZERO);
        assert_eq!(pulse.silent_for(begun + seconds(45)), seconds(40));
    }

    #[test]
    fn silence_that_is_expected_counts_from_its_end_and_a_turn_ends_it_early() {
        let pulse = Pulse::default();
        let begun = pulse.begun;
        pulse.expect_silence(begun + seconds(30));
        assert_eq!(pulse.silent_for(begun + seconds(29)), Duration::ZERO);
        assert_eq!(pulse.silent_for(begun + seconds(32)), seconds(2));
        pulse.beat(begun + seconds(10));
        assert_eq!(pulse.silent_for(begun + seconds(29)), seconds(19));
    }

    #[test]
    fn a_thread_that_has_ended_is_neither_silent_nor_joined() {
        let pulse = Pulse::default();
        pulse.set_joined(true);
        pulse.end();
        assert_eq!(pulse.silent_for(pulse.begun + seconds(900)), Duration::ZERO);
        assert!(!pulse.is_joined());
    }
}
