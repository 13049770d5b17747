//! Whether a whole subscription waits: attempts that found what their handler needs wrong or away in, how many
//! handlers may run now out. Pure but for the jitter of the wait.
//!
//! A pause is for what no message is to blame for, such as a wrong URL. While it lasts nothing runs; when its wait is
//! over one message is tried, and either the pause goes on, longer, or everything does.

use std::time::Duration;

use tokio::time::Instant;

use crate::retry;

/// An instance's pause.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    /// How many tries in a row found it so; 0 while there is no pause.
    streak: u32,
    /// When one message is tried again; `None` once that time has come.
    until: Option<Instant>,
}

impl Pause {
    /// An attempt found what it needs wrong or away. Gives how long everything waits, or `None` if it does already:
    /// attempts that ran side by side are one finding.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Duration> {
        if self.until.is_some() {
            return None;
        }
        self.streak = self.streak.saturating_add(1);
        let wait = retry::wait(self.streak, None);
        self.until = Some(now + wait);
        Some(wait)
    }

    /// An attempt ended in another way: everything goes on. Whether there was a pause.
    pub(crate) fn end(&mut self) -> bool {
        self.until = None;
        std::mem::take(&mut self.streak) > 0
    }

    /// A wait that is over by now ends.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.until = self.until.filter(|until| *until > now);
    }

    /// When one message is tried again.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// How many handlers may run, of these.
    pub(crate) fn room(&self, concurrency: usize) -> usize {
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
        let wait = pause.begin(now).unwrap();
        assert_eq!(pause.room(32), 0);
        pause.wake(now + wait);
        assert_eq!(pause.room(32), 1);
        assert!(pause.end());
        assert_eq!((pause.room(32), pause.end()), (32, false));
    }

    #[test]
    fn a_pause_grows_with_each_try_and_not_with_each_message() {
        let (mut pause, mut now) = (Pause::default(), Instant::now());
        let first = pause.begin(now).unwrap();
        assert_eq!(pause.begin(now), None);
        let mut last = first;
        for _ in 0..20 {
            now += last;
            pause.wake(now);
            last = pause.begin(now).unwrap();
        }
        assert!(last > first * 100 && last <= retry::LONGEST, "{last:?}");
    }
}
