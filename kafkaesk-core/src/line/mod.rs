//! The JSON line: writes a record as the one line that every tool exchanges; reads a line as an event to publish.
//!
//! `tail`, the `stdout` and `exec` handlers write it, `publish --ndjson` reads it. The data's bytes are never
//! re-serialized.

mod field;
mod read;
#[cfg(test)]
mod tests;
mod write;

use bytes::Bytes;
use thiserror::Error;

use crate::{
    Headers, NameError, SchemaId, SchemaIdError, StreamId,
    headers::ReservedHeader,
    json::{JsonError, MemberError},
};

pub use write::{Delivery, write};

/// The bound on the headers of one line, in bytes. Each value counts with its name: one long name may have many values.
pub const MAX_HEADERS_BYTES: usize = 16 << 20;

/// An event or tombstone to publish, as a line describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Where to.
    pub stream: StreamId,
    /// The key's bytes; `None` for a null key.
    pub key: Option<Bytes>,
    /// The user's headers.
    pub headers: Headers,
    /// The event's own identity.
    pub id: Option<String>,
    /// Milliseconds since 1970; only with [`Timestamps::Keep`].
    pub timestamp: Option<i64>,
    /// The event, or that there is none.
    pub content: Content<'a>,
}

/// What a line's record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// An event.
    Event {
        /// What the data is checked against.
        schema: SchemaId,
        /// The data's bytes: one JSON value, as it stands in the line.
        data: &'a [u8],
    },
    /// A null value, which deletes its key on a compacted topic. Such a line has a key.
    Tombstone,
}

/// What reading a line does with its `timestamp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timestamps {
    /// Ignores it: the record gets the time at which it is published.
    #[default]
    Ignore,
    /// Reads it: the record keeps its time.
    Keep,
}

/// Why a line cannot be published. Offsets count bytes from the line's begin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LineError {
    /// Its JSON or its members.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The line shows a record whose value was not an envelope.
    #[error(
        "member `{member}` at byte {at}: the line shows a record that is not an event, which cannot be published{}",
        tombstone_hint(*.is_null)
    )]
    NotAnEvent {
        /// `value` or `error`.
        member: &'static str,
        /// Its opening quote.
        at: usize,
        /// Whether it is `"value":null`, which may have been meant as a tombstone.
        is_null: bool,
    },
    /// A member of an event beside `tombstone`, or the other way round.
    #[error(
        "/{member} at byte {at}: a line has either `schema` and `data`, or `\"tombstone\":true`"
    )]
    Misplaced {
        /// The second of the two.
        member: &'static str,
        /// Where its value begins.
        at: usize,
    },
    /// `stream` is not a stream id.
    #[error("/stream at byte {at}: {reason}")]
    Stream {
        /// What is wrong with it.
        reason: NameError,
        /// Where the value begins.
        at: usize,
    },
    /// `schema` is not a schema id.
    #[error("/schema at byte {at}: {reason}")]
    Schema {
        /// What is wrong with it.
        reason: SchemaIdError,
        /// Where the value begins.
        at: usize,
    },
    /// A header that users may not give.
    #[error("/headers at byte {at}: {reason}")]
    Header {
        /// Which.
        reason: ReservedHeader,
        /// The name's opening quote.
        at: usize,
    },
    /// The headers of one line take more than [`MAX_HEADERS_BYTES`].
    #[error(
        "/headers at byte {at}: the headers take more than {MAX_HEADERS_BYTES} bytes; no record is as large"
    )]
    HeadersTooLarge {
        /// The value that is too much.
        at: usize,
    },
    /// Not base64.
    #[error("{pointer} at byte {at} is not base64 (standard alphabet, with padding)")]
    Base64 {
        /// JSON pointer of the string.
        pointer: String,
        /// Where it begins.
        at: usize,
    },
    /// No time.
    #[error("/timestamp at byte {at}: {text:?} is not a time such as \"2026-11-24T10:00:00.123Z\"")]
    Timestamp {
        /// What stands there.
        text: String,
        /// Where it begins.
        at: usize,
    },
}

fn tombstone_hint(is_null: bool) -> &'static str {
    if is_null {
        "; to publish a tombstone, which deletes its key on a compacted topic, write `\"tombstone\":true` in place of `value` and `error`"
    } else {
        ""
    }
}

impl From<JsonError> for LineError {
    fn from(e: JsonError) -> Self {
        Self::Member(e.into())
    }
}

impl LineError {
    /// The contract's word for this refusal (contract/README.md).
    pub fn class(&self) -> &'static str {
        match self {
            Self::Member(e) => e.class(),
            Self::NotAnEvent { .. } => "not-an-event",
            Self::Misplaced { .. } => "misplaced-member",
            Self::Stream { .. } => "stream",
            Self::Schema { .. } => "schema-id",
            Self::Header { .. } => "reserved-header",
            Self::HeadersTooLarge { .. } => "too-large",
            Self::Base64 { .. } => "base64",
            Self::Timestamp { .. } => "timestamp",
        }
    }

    /// The byte offset of the mistake; `None` for a missing member.
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::Member(e) => e.at(),
            Self::NotAnEvent { at, .. }
            | Self::Misplaced { at, .. }
            | Self::Stream { at, .. }
            | Self::Schema { at, .. }
            | Self::Header { at, .. }
            | Self::HeadersTooLarge { at }
            | Self::Base64 { at, .. }
            | Self::Timestamp { at, .. } => Some(*at),
        }
    }
}
