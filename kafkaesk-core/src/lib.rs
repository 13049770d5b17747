//! The kafkaesk contract in types: checked values from text and bytes. No I/O, no async, no C code.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod answer;
pub mod completions;
pub mod dead_letter;
pub mod envelope;
pub mod headers;
pub mod json;
pub mod line;
pub mod names;
pub mod occurrences;
pub mod offset;
pub mod partitioner;
pub mod pattern;
pub mod percent;
pub mod place;
pub mod record;
pub mod schema_id;
pub mod span;
pub mod stream_properties;
pub mod timestamp;

pub use answer::{Answer, AnswerError};
pub use completions::Completions;
pub use dead_letter::{DeadLetter, DeadLetterError, Reason, SettledBy, Settlement};
pub use envelope::{Envelope, EnvelopeError, EnvelopePrefix};
pub use headers::Headers;
pub use json::JsonError;
pub use line::{Line, LineError};
pub use names::{NameError, SchemaName, StreamId, TopicName, TopicPrefix};
pub use occurrences::Occurrences;
pub use offset::{NextOffset, Offset};
pub use pattern::{Pattern, PatternError};
pub use place::{PlaceError, RecordPlace};
pub use record::{Record, Source, Unreadable};
pub use schema_id::{SchemaId, SchemaIdError};
pub use stream_properties::{DeclaredProperties, Keys, PartitionGrowth, StreamProperties};

/// Errors show only the first 300 bytes of a foreign text.
fn brief(text: &str) -> std::borrow::Cow<'_, str> {
    const SHOWN: usize = 300;
    if text.len() <= SHOWN {
        return text.into();
    }
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let end = (0..=SHOWN).rev().find(is_boundary).unwrap_or(0);
    format!("{}…", &text[..end]).into()
}
