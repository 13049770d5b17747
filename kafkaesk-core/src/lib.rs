//! The kafkaesk contract in types: no I/O, no async, no C code.
//!
//! What every other crate (and every other language, by `contract/`) agrees on:
//! how streams, topics, schemas and groups are named, what a record's value looks
//! like, which headers are ours, and the JSON line that tools exchange.

#![forbid(unsafe_code)]

pub mod answer;
pub mod envelope;
pub mod headers;
pub mod json;
pub mod line;
pub mod names;
pub mod offset;
pub mod partitioner;
pub mod pattern;
pub mod percent;
pub mod record;
pub mod schema_id;
pub mod span;
pub mod timestamp;

pub use answer::{Answer, AnswerError};
pub use envelope::{Envelope, EnvelopeError, EnvelopePrefix};
pub use headers::Headers;
pub use json::JsonError;
pub use line::{Line, LineError};
pub use names::{NameError, StreamId, TopicName, TopicPrefix};
pub use offset::{NextOffset, Offset};
pub use pattern::{Pattern, PatternError};
pub use record::{Record, Source};
pub use schema_id::{SchemaId, SchemaIdError, SchemaName};
