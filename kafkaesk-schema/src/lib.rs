//! JSON Schema documents for kafkaesk: derive, validate, compare, identify; and the schema log as a pure replay.
//!
//! Useful alone: nothing here knows Kafka.

#![forbid(unsafe_code)]

extern crate self as kafkaesk_schema;

pub mod bindings;
pub mod document;
pub mod event;
pub mod log;
pub mod validate;

pub use bindings::{Binding, Bindings};
pub use document::{Document, DocumentError};
pub use event::{DecodeError, Event, EventSchema, Events};
pub use log::{LogRecord, SchemaLog};
pub use validate::{InvalidData, Validator, Violation};

#[cfg(feature = "macros")]
pub use kafkaesk_macros::{Event, Events};

/// What the derives' expansions name; not for hand-written code.
#[doc(hidden)]
pub mod private {
    pub use kafkaesk_core as core;
    pub use schemars;
    pub use serde;
    pub use serde_json;
}
