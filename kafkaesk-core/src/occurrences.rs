//! Occurrences: counts events of one kind, and selects the 1st, 2nd, 4th, 8th, … for the log.

/// How often something happened.
///
/// A log that repeats a line for each occurrence fills a disk; one that logs only the first hides how bad it is.
///
/// ```
/// let mut refused = kafkaesk_core::Occurrences::default();
/// let logged: Vec<u64> = (0..10).filter_map(|_| refused.count()).collect();
/// assert_eq!(logged, [1, 2, 4, 8]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occurrences(u64);

impl Occurrences {
    /// Counts one more. Returns the count when it should be logged: when it is a power of two.
    pub fn count(&mut self) -> Option<u64> {
        self.0 = self.0.saturating_add(1);
        self.0.is_power_of_two().then_some(self.0)
    }

    /// How many were counted.
    pub fn total(self) -> u64 {
        self.0
    }
}
