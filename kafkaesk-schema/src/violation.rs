//! Violations. Input: jsonschema's errors. Output: a bounded list of messages.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use thiserror::Error;

use crate::json::{Malformed, Node, brief};

/// The most violations that are listed for one event.
pub const MAX_VIOLATIONS: usize = 100;
/// A value in a message is cut after this many bytes.
pub(crate) const VALUE_LIMIT: usize = 120;
/// A message is cut after this many bytes.
const MESSAGE_LIMIT: usize = 500;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer into the data.
    pub pointer: String,
    /// JSON pointer of the rule in the schema; empty for the whole schema.
    pub rule: String,
    /// What is wrong, in words; at most some 500 bytes, values cut.
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            pointer,
            rule,
            message,
        } = self;
        write!(f, "{pointer}: {message}   (rule {rule})")
    }
}

/// Why data does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidData {
    /// Not JSON, a duplicate key, or nested too deeply.
    #[error("the data is malformed at byte {at}: {message}")]
    Malformed {
        /// What is wrong.
        message: String,
        /// Byte offset into the data.
        at: usize,
    },
    /// Well-formed, but invalid; at most [`MAX_VIOLATIONS`], the first in schema order. If the list is incomplete, the
    /// last entry is a note that says so.
    #[error("the data breaks {} rule(s) of its schema", .0.len())]
    Violations(Vec<Violation>),
    /// Neither valid nor invalid: the validation needs more steps than its budget
    /// ([`budget`](crate::validate::budget)). If a schema leads twice to each value inside a value, the work doubles
    /// with each level.
    #[error(
        "the schema has too many ways to judge this data: it takes more than {steps} steps; let it lead to each value inside a value once, or nest the data less"
    )]
    TooManyWays {
        /// How many steps were allowed.
        steps: u64,
    },
}

impl From<Malformed> for InvalidData {
    fn from(Malformed { message, at }: Malformed) -> Self {
        Self::Malformed { message, at }
    }
}

impl Violation {
    /// The note in place of violations that were not listed.
    pub(crate) fn note_of_more() -> Self {
        Self {
            pointer: String::new(),
            rule: String::new(),
            message: "the data breaks the schema, and not every rule that it breaks is listed: the schema has too many ways to refuse it".to_owned(),
        }
    }

    pub(crate) fn new(error: &ValidationError<'_>, data: &Node<'_>) -> Self {
        let pointer = error.instance_path().as_str().to_owned();
        let mut message = match (error.kind(), data.at(&pointer)) {
            (ValidationErrorKind::AdditionalItems { limit }, Some(Node::Array(items))) => {
                let more = items.len().saturating_sub(*limit);
                format!("{more} more item(s) than the {limit} that are allowed")
            }
            (_, Some(node)) => error.masked_with(brief(node, VALUE_LIMIT)).to_string(),
            (_, None) => error.to_string(),
        };
        crate::bounded(&mut message, MESSAGE_LIMIT);
        Self {
            pointer,
            rule: error.schema_path().as_str().to_owned(),
            message,
        }
    }
}
