//! Schema document. Input: bytes. Output: checked JSON with its identity.
//!
//! Never compiles anything: see [`crate::Validator`].

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::{
    canonical::Canonical,
    compare,
    json::{Node, parse},
};

/// How deep a document may nest, counting its own object: serde_json's limit, the same everywhere.
pub const MAX_DOCUMENT_LEVELS: usize = 127;

/// The largest document, in bytes: its topic must have room for it, and compiling takes some 40 times as much memory.
pub const MAX_DOCUMENT_BYTES: usize = 8_000_000;

/// Why a document is not a schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A name, a version or a path of an event type that is not usable.
    #[error("the schema document is not usable: {0}")]
    Malformed(String),
    /// No UTF-8, no JSON, a duplicate key, a number that no double holds, or nested deeper than
    /// [`MAX_DOCUMENT_LEVELS`].
    #[error("the schema document is malformed at byte {at}: {message}")]
    Json {
        /// What is wrong.
        message: String,
        /// Byte offset into the document.
        at: usize,
    },
    /// Longer than [`MAX_DOCUMENT_BYTES`].
    #[error("the schema document has {bytes} bytes, and at most {MAX_DOCUMENT_BYTES} are taken")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// JSON, but neither an object nor a boolean.
    #[error("a schema document is a JSON object or a boolean; this one is {found}")]
    NoSchema {
        /// What it is: "an array", …
        found: &'static str,
    },
    /// `$schema` names a dialect that is not known.
    #[error("{pointer}: $schema {dialect} is not known; {hint}")]
    UnknownDialect {
        /// JSON pointer of the `$schema`.
        pointer: String,
        /// What stands there.
        dialect: String,
        /// What to write instead.
        hint: String,
    },
    /// The document has no `$schema` and is invalid as 2020-12, but valid in another draft.
    #[error(
        "{error}; without $schema the document is read as draft 2020-12, but it is valid in draft {draft}: add \"$schema\": \"{uri}\" to its outermost object"
    )]
    OtherDraft {
        /// What is wrong in 2020-12.
        error: Box<DocumentError>,
        /// The draft in which nothing is.
        draft: &'static str,
        /// Its `$schema`.
        uri: &'static str,
    },
    /// The document breaks its dialect's meta-schema.
    #[error("{}: the document is not a valid schema: {message}", at_pointer(.pointer))]
    Invalid {
        /// JSON pointer into the document.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// A reference without a target in the document: nothing is ever fetched.
    #[error(
        "{pointer}: {reference:?} leads to nothing inside the document; nothing is fetched, so copy its target into $defs"
    )]
    Reference {
        /// JSON pointer of the reference.
        pointer: String,
        /// What stands there.
        reference: String,
    },
    /// A reference into a member that identity leaves out: two different schemas would be the same.
    #[error(
        "{pointer}: {reference:?} leads into an annotation, such as default or examples, which does not count as part of a schema; copy its target into $defs"
    )]
    Stripped {
        /// JSON pointer of the reference.
        pointer: String,
        /// What stands there.
        reference: String,
    },
    /// A schema inside the document with another dialect than the document's.
    #[error(
        "{pointer}: a schema inside a document has the dialect of the document; leave out $schema here, or write this schema in that dialect"
    )]
    OtherDialect {
        /// JSON pointer of the `$schema`.
        pointer: String,
    },
    /// Two schemas of one document have the same name, so a reference to it is ambiguous.
    #[error("{pointer}: another schema of this document is already called {name:?}")]
    Twice {
        /// JSON pointer of the second one's `$id` or anchor.
        pointer: String,
        /// The name.
        name: String,
    },
    /// A schema that applies itself to the same value for ever, or over too many steps.
    #[error(
        "{}: {reason}; the schema would never finish with one value", at_pointer(.pointer)
    )]
    Endless {
        /// JSON pointer of a schema on the way.
        pointer: String,
        /// What is wrong.
        reason: String,
    },
    /// A regular expression that is outside the contract's dialect, or too large.
    #[error(
        "{pointer}: the regular expression {pattern:?} is not usable: {message}; it should be ECMA-262 without look-around and back-references, since matching takes linear time and bounded memory"
    )]
    Pattern {
        /// JSON pointer of the expression.
        pointer: String,
        /// The expression.
        pattern: String,
        /// What is wrong.
        message: String,
    },
}

impl DocumentError {
    /// Whether a regular expression is refused for its look-around, which [`portable`](crate::portable::portable) may rewrite.
    pub fn is_look_around(&self) -> bool {
        match self {
            Self::Pattern { message, .. } => message.starts_with("it has look-around"),
            Self::OtherDraft { error, .. } => error.is_look_around(),
            _ => false,
        }
    }

    pub(crate) fn pattern(pointer: String, pattern: &str, message: String) -> Self {
        let mut pattern = pattern.to_owned();
        crate::bounded(&mut pattern, 120);
        Self::Pattern {
            pointer,
            pattern,
            message,
        }
    }
}

fn at_pointer(pointer: &str) -> &str {
    if pointer.is_empty() {
        "at the root"
    } else {
        pointer
    }
}

/// A schema document as it was written, known to be JSON (object or boolean, no duplicate keys).
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Document {
    bytes: Bytes,
    /// Identity and difference are both read from it.
    canonical: Arc<Canonical>,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({})", String::from_utf8_lossy(&self.bytes))
    }
}

impl Document {
    /// Reads a document: UTF-8 JSON, an object or a boolean, without duplicate keys, at most [`MAX_DOCUMENT_LEVELS`]
    /// deep. Does not compile it: a document in a log defines its version even if this library cannot compile it.
    ///
    /// # Errors
    /// [`DocumentError::TooLarge`], [`DocumentError::Json`], [`DocumentError::NoSchema`].
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, DocumentError> {
        let bytes = bytes.into();
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLarge { bytes: bytes.len() });
        }
        let node = parse(&bytes, MAX_DOCUMENT_LEVELS).map_err(|malformed| DocumentError::Json {
            message: malformed.message,
            at: malformed.at,
        })?;
        let found = match &node {
            Node::Object(_) | Node::Bool(_) => None,
            Node::Null => Some("null"),
            Node::Number(_) => Some("a number"),
            Node::String(_) => Some("a string"),
            Node::Array(_) => Some("an array"),
        };
        if let Some(found) = found {
            return Err(DocumentError::NoSchema { found });
        }
        let canonical = Arc::new(Canonical::of_schema(&node));
        drop(node);
        Ok(Self { bytes, canonical })
    }

    /// The document as it was written.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The canonical form: RFC 8785, annotations stripped, an integer beyond ±2^53 with its digits.
    pub fn canonical(&self) -> String {
        self.canonical.to_text()
    }

    /// SHA-256 over [`Self::canonical`], as lower-case hex.
    pub fn identity(&self) -> String {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(self.canonical())
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                for digit in [byte >> 4, byte & 15] {
                    hex.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
                }
                hex
            })
    }

    /// Whether both have the same canonical form, which ignores annotations and formatting.
    pub fn same_as(&self, other: &Document) -> bool {
        self.canonical == other.canonical
    }

    /// What differs, one line for each JSON pointer (`- /a/b: 1`, `+ /a/b: 2`): `-` is this
    /// document, `+` the other. At most 50 lines, then how many more. Empty when [`Self::same_as`].
    pub fn diff(&self, other: &Document) -> String {
        compare::difference(&self.canonical, &other.canonical)
    }
}
