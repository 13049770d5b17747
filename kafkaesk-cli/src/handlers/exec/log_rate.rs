//! Log rate: how much of a child's standard error goes to the log. Input: the size of each line. Output: whether it is
//! logged, and how many were not.

use std::time::Duration;

use tokio::time::Instant;

/// How many lines of one child are logged in a [`WINDOW`].
pub(super) const LINES: u32 = 1_000;
/// How many bytes of one child are logged in a [`WINDOW`]. More than the longest line has.
pub(super) const BYTES: usize = 1024 * 1024;
/// The time over which lines are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// What one child logged lately.
#[derive(Debug, Default)]
pub(super) struct LogRate {
    /// When the window ends.
    until: Option<Instant>,
    lines: u32,
    bytes: usize,
    left_out: u64,
}

impl LogRate {
    /// Whether a line of this size is logged. One that is not is counted.
    pub(super) fn takes(&mut self, bytes: usize, now: Instant) -> bool {
        if self.until.is_none_or(|until| until <= now) {
            self.until = Some(now + WINDOW);
            (self.lines, self.bytes) = (0, 0);
        }
        // A line that follows one left out is left out as well: what is logged is whole up to one place.
        let takes =
            self.left_out == 0 && self.lines < LINES && bytes <= BYTES.saturating_sub(self.bytes);
        if takes {
            self.lines += 1;
            self.bytes += bytes;
        } else {
            self.left_out += 1;
        }
        takes
    }

    /// When the lines left out have to be reported, if there are any.
    pub(super) fn due(&self) -> Option<Instant> {
        self.until.filter(|_| self.left_out > 0)
    }

    /// How many lines were left out in a window that is over; counts from 0 again.
    pub(super) fn left_out(&mut self, now: Instant) -> u64 {
        match self.due() {
            Some(due) if due <= now => self.end(),
            _ => 0,
        }
    }

    /// How many lines were left out since the last report; counts from 0 again.
    pub(super) fn end(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_logs_up_to_its_bounds_and_counts_the_rest() {
        let begun = Instant::now();
        let mut rate = LogRate::default();
        for window in 0..3 {
            let now = begun + WINDOW * window;
            let logged = (0..LINES * 3).filter(|_| rate.takes(10, now)).count();
            assert_eq!(logged, LINES as usize);
            assert_eq!(rate.left_out(now), 0, "the window is not over");
            assert_eq!(rate.due(), Some(now + WINDOW));
            assert_eq!(rate.left_out(now + WINDOW), u64::from(LINES) * 2);
            assert_eq!(rate.due(), None);
        }
        let now = begun + WINDOW * 10;
        let line = BYTES / 4;
        let logged = (0..100).filter(|_| rate.takes(line, now)).count();
        assert_eq!(logged, 4);
        assert_eq!(rate.end(), 96);
    }

    #[test]
    fn the_longest_line_is_logged() {
        let longest = super::super::child::MAX_LOG_LINE;
        assert!(LogRate::default().takes(longest, Instant::now()));
    }

    #[test]
    fn no_line_is_logged_behind_one_that_was_left_out_and_is_not_reported() {
        let now = Instant::now();
        let mut rate = LogRate::default();
        assert!(rate.takes(BYTES - 1, now));
        assert!(!rate.takes(2, now));
        assert!(!rate.takes(1, now));
        assert!(!rate.takes(1, now + WINDOW));
        assert_eq!(rate.left_out(now + WINDOW * 2), 3);
        assert!(rate.takes(1, now + WINDOW * 2));
    }
}
