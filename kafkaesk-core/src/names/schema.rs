//! Schema names: a schema id without its version.

use super::{
    characters::{NameError, check_characters, check_length, text_name},
    topic::SCHEMA_TOPIC_MARK,
};

text_name! {
    /// A schema's name, without a version: Kafka's topic characters.
    SchemaName
}

impl SchemaName {
    /// Checks a schema name.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, has a character that a topic cannot have, or more than the 239 bytes for which a
    /// topic has room.
    pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
        let name = name.as_ref();
        check_schema_name(name)?;
        Ok(Self(name.into()))
    }
}

/// Checks a schema name without allocating.
pub(crate) fn check_schema_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty {
            what: "schema name",
            name: String::new(),
        });
    }
    check_characters("schema name", name)?;
    // Its topic has the mark before it, and perhaps a prefix.
    check_length(SCHEMA_TOPIC_MARK, name)
}
