//! Remembered: the highest of the wishes of the last quarter of an hour, so that a number falls slowly. Pure.

use std::{collections::VecDeque, time::Duration};

/// Over how long the highest wish counts.
pub(super) const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// Wishes with the age of each, oldest first.
#[derive(Debug, Default)]
pub(super) struct Remembered(VecDeque<(Duration, u32)>);

impl Remembered {
    /// Time passes.
    pub(super) fn pass(&mut self, elapsed: Duration) {
        for (age, _) in &mut self.0 {
            *age += elapsed;
        }
        while self.0.front().is_some_and(|(age, _)| *age > REMEMBERED) {
            self.0.pop_front();
        }
    }

    pub(super) fn add(&mut self, wish: u32) {
        self.0.push_back((Duration::ZERO, wish));
    }

    /// The last wish.
    pub(super) fn last(&self) -> Option<u32> {
        self.0.back().map(|(_, wish)| *wish)
    }

    /// The highest one.
    pub(super) fn highest(&self) -> Option<u32> {
        self.0.iter().map(|(_, wish)| *wish).max()
    }
}
