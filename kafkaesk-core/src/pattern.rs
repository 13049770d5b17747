//! Patterns over stream ids with Python's `fnmatch.fnmatchcase` meaning.

use thiserror::Error;

/// Why a pattern was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing at all.
    #[error("the pattern is empty; write a stream id or a pattern such as `content.*`")]
    Empty,
}

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Compiles.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self(pattern.to_owned()))
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a stream id matches.
    pub fn matches(&self, stream: &str) -> bool {
        self.0 == stream
    }

    /// Whether some stream id matches both.
    pub fn overlaps(&self, other: &Pattern) -> bool {
        self == other
    }
}
