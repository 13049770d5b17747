//! Whether handlers are polled in place or as tasks: their measured time in, a mode out.
//!
//! In place costs no task, but a handler that computes or blocks there holds up its whole instance. So an instance
//! starts in place, and once its handlers hold the thread for more than [`SLOW`] on average they run as tasks, on as many
//! threads as the runtime has free, until they are below [`QUICK`] again. A handler that blocks for long still takes a
//! thread of the runtime's, the instance's own among them: it belongs on `spawn_blocking`.

use std::time::{Duration, Instant};

/// From here on a task is cheaper than the wait.
pub(crate) const SLOW: Duration = Duration::from_micros(50);
/// Below this the task is dearer than the wait.
const QUICK: Duration = Duration::from_micros(25);
/// Over how many messages it is averaged, so that the clock is not asked for each.
const WINDOW: u32 = 16;
/// Over how many tasks.
const TASKS: u32 = 64;

/// An instance's mode.
#[derive(Debug)]
pub(crate) struct Pace {
    tasks: bool,
    started: Instant,
    /// Messages since `started`.
    count: u32,
    /// No window was measured yet: the first message is one of its own, it might take for ever.
    first: bool,
    /// First polls of tasks.
    polled: u32,
    held: Duration,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            tasks: false,
            started: Instant::now(),
            count: 0,
            first: true,
            polled: 0,
            held: Duration::ZERO,
        }
    }

    /// Whether the next message runs as a task.
    pub(crate) fn tasks(&self) -> bool {
        self.tasks
    }

    /// Messages follow one another from here on.
    pub(crate) fn begin(&mut self) {
        self.count = 0;
        if !self.tasks {
            self.started = Instant::now();
        }
    }

    /// A message was handled in place.
    pub(crate) fn handled(&mut self) {
        self.count += 1;
        if self.count < WINDOW && !self.first {
            return;
        }
        self.first = false;
        let now = Instant::now();
        self.tasks = now - self.started > SLOW * self.count;
        self.started = now;
        self.count = 0;
    }

    /// A task's first poll held its thread for this long.
    pub(crate) fn polled(&mut self, held: Duration) {
        self.polled += 1;
        self.held += held;
        if self.polled == TASKS {
            self.tasks = self.held > QUICK * TASKS;
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
        let mut pace = Pace::new();
        pace.begin();
        std::thread::sleep(SLOW * 2);
        pace.handled();
        assert!(pace.tasks());
    }

    #[test]
    fn quick_tasks_bring_it_back_in_place() {
        let mut pace = Pace::new();
        pace.begin();
        std::thread::sleep(SLOW * 2);
        pace.handled();
        for _ in 0..TASKS {
            assert!(pace.tasks());
            pace.polled(Duration::from_micros(1));
        }
        assert!(!pace.tasks());
    }
}
