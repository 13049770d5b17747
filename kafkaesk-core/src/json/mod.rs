//! Strict JSON: the lexer under every reader of JSON text, and a walk over one object's members.
//!
//! serde_json decodes data. This module only locates it, so that every refusal has a byte offset, and the bound on
//! nesting also holds for members that are not decoded.

mod depth;
mod lexer;
mod member;
mod object;
mod string;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use depth::depth_within;
pub use lexer::{Bracket, Lexer, Quoted, Token};
pub use member::MemberError;
pub(crate) use member::pointer_token;
pub(crate) use object::items;
pub use object::{Member, Object};

/// The deepest nesting of arrays and objects in an envelope or a line, which is itself the first level.
pub const MAX_DEPTH: usize = 127;
/// The deepest nesting of an event's data, which stands one level inside its envelope.
pub const MAX_DATA_DEPTH: usize = MAX_DEPTH - 1;

/// Why bytes are not a JSON object that the contract allows. Offsets count bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonError {
    /// No bytes, or white space only.
    #[error("the text is empty; a JSON object was expected")]
    Empty,
    /// A byte order mark stands before the text.
    #[error("the text begins with a byte order mark; write it without")]
    Bom,
    /// Not UTF-8.
    #[error("the text is not UTF-8 at byte {at}")]
    Utf8 {
        /// The first byte that belongs to no character.
        at: usize,
    },
    /// Something else than an object.
    #[error("the text is {found}, not a JSON object, at byte {at}")]
    NotAnObject {
        /// The first byte that is not white space.
        at: usize,
        /// What seems to stand there.
        found: &'static str,
    },
    /// Not JSON.
    #[error("malformed JSON at byte {at}: {expected} was expected")]
    Syntax {
        /// The first byte that no JSON text can have here; the length when the text breaks off.
        at: usize,
        /// What could have stood there.
        expected: &'static str,
    },
    /// Nested too deeply.
    #[error("nested more than {MAX_DEPTH} levels deep at byte {at}")]
    TooDeep {
        /// The bracket that opens the level beyond the bound.
        at: usize,
    },
    /// Something follows the object.
    #[error("something follows the JSON object at byte {at}")]
    Trailing {
        /// The first byte that is not white space.
        at: usize,
    },
    /// A member name twice in the outermost object.
    #[error("member {name:?} stands twice, the second time at byte {at}")]
    Duplicate {
        /// The name, unescaped.
        name: String,
        /// The second name's opening quote.
        at: usize,
    },
}

impl JsonError {
    /// The contract's word for this refusal (contract/README.md).
    pub fn class(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Bom => "bom",
            Self::Utf8 { .. } => "utf-8",
            Self::NotAnObject { .. } => "not-an-object",
            Self::Syntax { .. } => "syntax",
            Self::TooDeep { .. } => "too-deep",
            Self::Trailing { .. } => "trailing",
            Self::Duplicate { .. } => "duplicate-member",
        }
    }

    /// The same refusal, with its offset moved by `by` bytes.
    pub(crate) fn shifted(mut self, by: usize) -> Self {
        match &mut self {
            Self::Empty | Self::Bom => {}
            Self::Utf8 { at }
            | Self::NotAnObject { at, .. }
            | Self::Syntax { at, .. }
            | Self::TooDeep { at }
            | Self::Trailing { at }
            | Self::Duplicate { at, .. } => *at += by,
        }
        self
    }

    /// The byte offset of what is wrong.
    pub fn at(&self) -> usize {
        match *self {
            Self::Empty | Self::Bom => 0,
            Self::Utf8 { at }
            | Self::NotAnObject { at, .. }
            | Self::Syntax { at, .. }
            | Self::TooDeep { at }
            | Self::Trailing { at }
            | Self::Duplicate { at, .. } => at,
        }
    }
}

/// What kind of value begins with a byte, for error texts.
pub(crate) fn kind(first: Option<u8>) -> &'static str {
    match first {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "no JSON",
    }
}
