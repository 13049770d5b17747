//! Envelope. Input: a record's value. Output: schema id and data, without a copy. Also writes one.

mod prefix;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use thiserror::Error;

pub use prefix::EnvelopePrefix;

use crate::{
    SchemaId, SchemaIdError,
    json::{JsonError, Object},
    schema_id,
};

/// Why a value is not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The record has a null value.
    #[error("no envelope: the value is null")]
    Null,
    /// No JSON object.
    #[error("no envelope: {0}")]
    Json(#[from] JsonError),
    /// `schema` or `data` is not there.
    #[error("no envelope: the JSON object has no member `{member}`")]
    Missing {
        /// Which of the two.
        member: &'static str,
    },
    /// `schema` is not a string.
    #[error("no envelope: /schema is {found} at byte {at}, not a string such as \"Name:1\"")]
    NotAString {
        /// What it is.
        found: &'static str,
        /// Where the value begins.
        at: usize,
    },
    /// `schema` is a string, but not a schema id.
    #[error("no envelope: /schema at byte {at}: {reason}")]
    SchemaId {
        /// What is wrong with it.
        reason: SchemaIdError,
        /// Where the string begins.
        at: usize,
    },
}

impl EnvelopeError {
    /// The contract's word for this refusal (contract/README.md).
    pub fn class(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Json(e) => e.class(),
            Self::Missing { .. } => "missing-member",
            Self::NotAString { .. } => "wrong-type",
            Self::SchemaId { .. } => "schema-id",
        }
    }

    /// Whether the value is null or only white space: normal on compacted topics, and not a mistake.
    pub fn is_blank(&self) -> bool {
        matches!(self, Self::Null | Self::Json(JsonError::Empty))
    }

    /// The byte offset of the mistake; `None` for a null value and a missing member.
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::Null | Self::Missing { .. } => None,
            Self::Json(e) => Some(e.at()),
            Self::NotAString { at, .. } | Self::SchemaId { at, .. } => Some(*at),
        }
    }
}

/// An envelope's two members, borrowed from the record's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The schema id as written, unescaped: well formed.
    pub schema: Cow<'a, str>,
    /// The data's bytes: exactly one JSON value, as the producer wrote it.
    pub data: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads the whole value in one pass, without building a tree.
    ///
    /// ```
    /// use kafkaesk_core::Envelope;
    /// let envelope = Envelope::read(br#"{"schema":"Order:1", "data":{"id": 1.0}}"#)?;
    /// assert_eq!(envelope.schema, "Order:1");
    /// assert_eq!(envelope.data, br#"{"id": 1.0}"#);
    /// # Ok::<(), kafkaesk_core::EnvelopeError>(())
    /// ```
    ///
    /// # Errors
    /// [`EnvelopeError`] says what and where: the first thing wrong in byte order, missing members last.
    pub fn read(value: &'a [u8]) -> Result<Self, EnvelopeError> {
        let mut object = Object::open(value)?;
        let (mut schema, mut data) = (None, None);
        while let Some(member) = object.next()? {
            match &*member.name {
                "schema" => {
                    let at = member.value_at;
                    let id = member.string()?.ok_or(EnvelopeError::NotAString {
                        found: member.kind(),
                        at,
                    })?;
                    schema_id::check(&id)
                        .map_err(|reason| EnvelopeError::SchemaId { reason, at })?;
                    schema = Some(id);
                }
                "data" => data = Some(member.value.as_bytes()),
                _ => {}
            }
        }
        Ok(Self {
            schema: schema.ok_or(EnvelopeError::Missing { member: "schema" })?,
            data: data.ok_or(EnvelopeError::Missing { member: "data" })?,
        })
    }

    /// Reads a record's value, which may be null.
    ///
    /// # Errors
    /// [`EnvelopeError::Null`], and as [`Self::read`].
    pub fn of(value: Option<&'a [u8]>) -> Result<Self, EnvelopeError> {
        Self::read(value.ok_or(EnvelopeError::Null)?)
    }

    /// The schema's name and version, without allocating.
    ///
    /// # Errors
    /// [`SchemaIdError`], never for an envelope that was read.
    pub fn name_and_version(&self) -> Result<(&str, u32), SchemaIdError> {
        schema_id::check(&self.schema)
    }

    /// The schema id as a value of its own.
    ///
    /// # Errors
    /// [`SchemaIdError`], never for an envelope that was read.
    pub fn schema_id(&self) -> Result<SchemaId, SchemaIdError> {
        self.schema.parse()
    }

    /// Writes an envelope around data that is one JSON value. The result depends only on the two arguments, and
    /// contains `data` unchanged.
    pub fn write(schema: &SchemaId, data: &[u8]) -> Vec<u8> {
        let prefix = EnvelopePrefix::new(schema);
        let mut value = Vec::with_capacity(prefix.as_bytes().len() + data.len() + 1);
        value.extend_from_slice(prefix.as_bytes());
        value.extend_from_slice(data);
        value.push(b'}');
        value
    }
}
