//! Dispatch: decides whether handlers run in place or as tasks of their own, from how long they held the thread.
//!
//! A handler in place costs no task, but blocks the whole instance while it computes. So an instance starts in place.
//! When its handlers hold the thread for more than [`SLOW`] on average, they run as tasks on the runtime's free
//! threads, until the average is below [`QUICK`] again. A handler that blocks for long still takes a thread of the
//! runtime, perhaps the instance's own: it belongs on `spawn_blocking`.

use std::time::{Duration, Instant};

/// A handler that holds the thread for longer than this is cheaper as a task.
pub(crate) const SLOW: Duration = Duration::from_micros(50);
/// A handler that holds the thread for less than this is cheaper in place.
const QUICK: Duration = Duration::from_micros(25);
/// The number of messages for one measurement, so that not every message reads the clock.
const SAMPLE: u32 = 16;
/// Over how many tasks.
const TASKS: u32 = 64;

/// How the next handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DispatchMode {
    /// On the instance's own task, to its first wait.
    Inline,
    /// As a task of its own.
    Spawned,
}

/// Messages that were handled in place, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    /// How many of them ended there, each message of a batch counted.
    pub(crate) ended: u32,
    /// How long all of them took.
    pub(crate) elapsed: Duration,
}

/// Measures the handlers of an instance and chooses their mode.
#[derive(Debug)]
pub(crate) struct Dispatch {
    mode: DispatchMode,
    started: Instant,
    /// Messages since `started`.
    count: u32,
    /// Of these, messages whose attempt ended in place.
    ended: u32,
    /// Nothing is measured yet: the first message is measured alone, since it may take very long.
    first: bool,
    /// First polls of tasks.
    polled: u32,
    held: Duration,
}

impl Dispatch {
    pub(crate) fn new() -> Self {
        Self {
            mode: DispatchMode::Inline,
            started: Instant::now(),
            count: 0,
            ended: 0,
            first: true,
            polled: 0,
            held: Duration::ZERO,
        }
    }

    pub(crate) fn mode(&self) -> DispatchMode {
        self.mode
    }

    fn choose(&mut self, spawned: bool) {
        self.mode = match spawned {
            true => DispatchMode::Spawned,
            false => DispatchMode::Inline,
        };
    }

    /// Messages follow one another from here on.
    pub(crate) fn begin(&mut self) {
        self.count = 0;
        self.ended = 0;
        if self.mode == DispatchMode::Inline {
            self.started = Instant::now();
        }
    }

    /// A message was handled in place: to its end, or to its first wait. Returns what was measured, after [`SAMPLE`] of them.
    /// A batch of `messages` counts as one, and is measured alone.
    pub(crate) fn handled(&mut self, ended: bool, messages: u32) -> Option<Measured> {
        self.count += 1;
        self.ended += if ended { messages } else { 0 };
        if self.count < SAMPLE && messages == 1 && !self.first {
            return None;
        }
        self.first = false;
        let count = self.count;
        let measured = self.measure()?;
        self.choose(measured.elapsed > SLOW * count);
        Some(measured)
    }

    /// What was measured since the last time, if anything: no message follows for now, or one of another partition. Too little to
    /// choose by.
    pub(crate) fn measure(&mut self) -> Option<Measured> {
        if self.count == 0 {
            return None;
        }
        let now = Instant::now();
        let measured = Measured {
            ended: self.ended,
            elapsed: now - self.started,
        };
        self.started = now;
        self.count = 0;
        self.ended = 0;
        Some(measured)
    }

    /// A task's first poll held its thread for this long.
    pub(crate) fn polled(&mut self, held: Duration) {
        self.polled += 1;
        self.held += held;
        if self.polled == TASKS {
            self.choose(self.held > QUICK * TASKS);
            self.polled = 0;
            self.held = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_that_holds_the_thread_is_given_tasks_at_once() {
        let mut dispatch = Dispatch::new();
        dispatch.begin();
        std::thread::sleep(SLOW * 2);
        dispatch.handled(true, 1);
        assert_eq!(dispatch.mode(), DispatchMode::Spawned);
    }

    #[test]
    fn quick_tasks_bring_it_back_in_place() {
        let mut dispatch = Dispatch::new();
        dispatch.begin();
        std::thread::sleep(SLOW * 2);
        dispatch.handled(true, 1);
        for _ in 0..TASKS {
            assert_eq!(dispatch.mode(), DispatchMode::Spawned);
            dispatch.polled(Duration::from_micros(1));
        }
        assert_eq!(dispatch.mode(), DispatchMode::Inline);
    }
}
