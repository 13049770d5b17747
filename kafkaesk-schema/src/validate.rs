//! Validation: a document compiled once; data bytes in, every violation out.

use crate::{
    Document, DocumentError, InvalidData, Violation, compile::compile, json::parse,
    represent::Borrowed, violation::MAX_VIOLATIONS,
};

/// How deep data may nest: the envelope around it is the first of the contract's 127 levels.
pub const MAX_DATA_LEVELS: usize = 126;

/// A compiled schema. Cheap to share (`Arc` it), safe to use from many threads.
pub struct Validator {
    compiled: jsonschema::Validator<Borrowed>,
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
            compiled: compile(document)?,
        })
    }

    /// Checks the bytes of one JSON value: UTF-8, no duplicate keys, at most [`MAX_DATA_LEVELS`]
    /// deep, no number beyond a double, and every rule of the schema.
    ///
    /// # Errors
    /// [`InvalidData`] lists the violations, at most [`MAX_VIOLATIONS`].
    pub fn validate(&self, data: &[u8]) -> Result<(), InvalidData> {
        let node = parse(data, MAX_DATA_LEVELS)?;
        if self.compiled.is_valid(&node) {
            return Ok(());
        }
        let violations: Vec<Violation> = self
            .compiled
            .iter_errors(&node)
            .take(MAX_VIOLATIONS)
            .map(|error| Violation::new(&error, &node))
            .collect();
        Err(InvalidData::Violations(violations))
    }
}
