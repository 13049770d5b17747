//! Patterns: matches stream ids with the meaning of Python's `fnmatch.fnmatchcase`. Knows no broker.

mod glob;
mod overlap;
#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::{
    StreamId, TopicPrefix,
    names::{is_name_character, is_reserved_topic},
};
use glob::Glob;

pub use glob::fnmatch;

/// The largest pattern, in bytes: a stream id has up to 249, and the pattern may have a set for each.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// Why a pattern was refused: it can never match a stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing at all.
    #[error("the pattern is empty; write a stream id or a pattern such as `content.*`")]
    Empty,
    /// Longer than [`MAX_PATTERN_BYTES`].
    #[error("the pattern has {bytes} bytes, and at most {MAX_PATTERN_BYTES} are taken")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A `[` without its `]`, which fnmatch treats as a plain character.
    #[error(
        "pattern {pattern:?} has `[` at byte {at} without a `]` and matches no stream; close it"
    )]
    Unclosed {
        /// The refused text.
        pattern: String,
        /// The bracket's byte offset.
        at: usize,
    },
    /// A character that no stream id can have.
    #[error(
        "pattern {pattern:?} has {character:?} at byte {at} and matches no stream; stream ids have letters, digits, `.`, `_`, `-`, and patterns `*`, `?`, `[seq]`, `[!seq]`"
    )]
    Character {
        /// The refused text.
        pattern: String,
        /// The first such character.
        character: char,
        /// Its byte offset.
        at: usize,
    },
    /// An empty set, or only names that are reserved.
    #[error(
        "pattern {0:?} matches no stream: it has an empty set, or takes only reserved names, which begin with `__`, contain `__schema__`, `__dead__`, `__retry__` or `__connect__`, or end in `__streams__`"
    )]
    MatchesNothing(String),
}

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    glob: Glob,
}

impl Pattern {
    /// Compiles. A plain stream id is a pattern that matches itself.
    ///
    /// # Errors
    /// [`PatternError`] for a pattern that can match no stream.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        if pattern.is_empty() {
            return Err(PatternError::Empty);
        }
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong {
                bytes: pattern.len(),
            });
        }
        let glob = Glob::new(pattern);
        if let Some((at, character)) = glob.first_literal(|c| !is_name_character(c)) {
            let pattern = pattern.to_owned();
            return Err(match character {
                '[' => PatternError::Unclosed { pattern, at },
                _ => PatternError::Character {
                    pattern,
                    character,
                    at,
                },
            });
        }
        if !overlap::share_a_stream(&glob, &Glob::new("*")) {
            return Err(PatternError::MatchesNothing(pattern.to_owned()));
        }
        Ok(Self {
            text: pattern.to_owned(),
            glob,
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a stream id matches. Reserved names never do, whatever the pattern.
    ///
    /// ```
    /// # use kafkaesk_core::Pattern;
    /// let pattern = Pattern::new("content.*")?;
    /// assert!(pattern.matches("content.edited.Resource"));
    /// assert!(!pattern.matches("contents"));
    /// assert!(!Pattern::new("*")?.matches("__schema__Content"));
    /// # Ok::<(), kafkaesk_core::PatternError>(())
    /// ```
    pub fn matches(&self, stream: &str) -> bool {
        let stream_like =
            !stream.is_empty() && !stream.starts_with("__") && !is_reserved_topic(stream);
        stream_like && self.glob.matches(stream)
    }

    /// Whether a topic with this prefix carries a stream that the pattern matches. Topics of other prefixes and reserved
    /// topics never match.
    pub fn matches_topic(&self, prefix: &TopicPrefix, topic: &str) -> bool {
        prefix
            .stream_of(topic)
            .is_some_and(|stream| self.matches(stream.as_str()))
    }

    /// The one stream that a pattern without wildcards names.
    pub fn literal(&self) -> Option<StreamId> {
        StreamId::new(self.glob.literal()?).ok()
    }

    /// Whether some stream id matches both: exact, with the reserved names left out.
    pub fn overlaps(&self, other: &Pattern) -> bool {
        overlap::share_a_stream(&self.glob, &other.glob)
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, PatternError> {
        Self::new(pattern)
    }
}
