//! JSON Schema documents: derive, validate, compare and identify them, and replay the schema log. Knows no Kafka.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

extern crate self as kafkaesk_schema;

pub mod bindings;
mod budget;
pub mod bundle;
mod canonical;
mod compare;
mod compile;
pub mod document;
mod draft;
pub mod event;
mod expression;
mod file_name;
mod json;
mod keywords;
pub mod log;
pub mod portable;
mod references;
mod represent;
mod stack;
mod steps;
mod uri;
pub mod validate;
mod violation;

pub use bindings::{Binding, Bindings};
pub use document::{Document, DocumentError};
pub use event::{DecodeError, Event, EventSchema, Events};
pub use file_name::{FileNameError, schema_id_of_file};
pub use log::{LogRecord, SchemaLog};
pub use validate::Validator;
pub use violation::{InvalidData, MAX_VIOLATIONS, Violation};

#[cfg(feature = "macros")]
pub use kafkaesk_macros::{Event, Events};

/// What the derives' expansions name; not for hand-written code.
#[doc(hidden)]
pub mod private;

/// Cuts a text for a message after `limit` bytes.
fn bounded(text: &mut String, limit: usize) {
    if text.len() > limit {
        let mut end = limit;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}
