//! Validation: a document compiled once; data bytes in, every violation out.

use crate::{
    Document, DocumentError, InvalidData, Violation,
    compile::{Compiled, compile},
    json::{Node, parse_measured},
    stack,
    violation::MAX_VIOLATIONS,
};

/// How deep data may nest: the envelope around it is the first of the contract's 127 levels.
pub const MAX_DATA_LEVELS: usize = 126;

/// A compiled schema. Cheap to share (`Arc` it), safe to use from many threads.
pub struct Validator {
    compiled: Compiled,
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validator").finish_non_exhaustive()
    }
}

impl Validator {
    /// Compiles. Fetches nothing; `$ref` inside the document only; `format` is an annotation;
    /// regular expressions run in linear time.
    ///
    /// # Errors
    /// [`DocumentError`] with the JSON pointer of what is wrong.
    pub fn new(document: &Document) -> Result<Self, DocumentError> {
        Ok(Self {
            compiled: stack::run(usize::MAX, || compile(document))?,
        })
    }

    /// Checks the bytes of one JSON value: UTF-8, no duplicate keys, at most [`MAX_DATA_LEVELS`]
    /// deep, no number beyond a double, and every rule of the schema.
    ///
    /// # Errors
    /// [`InvalidData`] lists the violations, at most [`MAX_VIOLATIONS`].
    pub fn validate(&self, data: &[u8]) -> Result<(), InvalidData> {
        let (node, levels) = parse_measured(data, MAX_DATA_LEVELS)?;
        let steps = (levels + 1) * (self.compiled.steps + 1);
        stack::run(steps, || self.check(&node))
    }

    fn check(&self, node: &Node<'_>) -> Result<(), InvalidData> {
        let validator = &self.compiled.validator;
        if validator.is_valid(node) {
            return Ok(());
        }
        let violations: Vec<Violation> = validator
            .iter_errors(node)
            .take(MAX_VIOLATIONS)
            .map(|error| Violation::new(&error, node))
            .collect();
        Err(InvalidData::Violations(violations))
    }
}
