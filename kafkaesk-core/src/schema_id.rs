//! Schema names and ids (`Name:version`): text in, checked values out.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

use crate::{
    brief,
    names::{NameError, SCHEMA_TOPIC_MARK, check_characters, check_length},
};

/// The highest version: a Java `int`, so that every language can hold it.
pub const MAX_VERSION: u32 = 2_147_483_647;

/// Why a text is no schema name or id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SchemaIdError {
    /// The name's characters.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No `:` between name and version.
    #[error("schema id {0:?} has no version; write it as `Name:1`")]
    NoVersion(String),
    /// The version is no positive decimal without leading zeros.
    #[error(
        "schema id {id:?} has version {version:?}; a version is a whole number from 1 to 2147483647 without leading zeros, as in `Name:1`"
    )]
    Version {
        /// The whole text.
        id: String,
        /// What stands behind the colon.
        version: String,
    },
}

/// A schema's name, without a version: Kafka's topic characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaName(Arc<str>);

impl SchemaName {
    /// Checks a schema name.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, has a character that a topic cannot have, or more than the 239 bytes for which a
    /// topic has room.
    pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
        let name = name.as_ref();
        check_name(name)?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A schema id: `Name:version`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId {
    name: SchemaName,
    version: u32,
}

impl SchemaId {
    /// An id from its parts.
    ///
    /// # Errors
    /// [`SchemaIdError::Version`] for a version outside 1..=[`MAX_VERSION`].
    pub fn new(name: SchemaName, version: u32) -> Result<Self, SchemaIdError> {
        if version == 0 || version > MAX_VERSION {
            return Err(SchemaIdError::Version {
                id: format!("{name}:{version}"),
                version: version.to_string(),
            });
        }
        Ok(Self { name, version })
    }

    /// The name.
    pub fn name(&self) -> &SchemaName {
        &self.name
    }

    /// The version, from 1 to [`MAX_VERSION`].
    pub fn version(&self) -> u32 {
        self.version
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.version)
    }
}

/// Reads a version: a positive ASCII decimal without leading zeros or sign, at most [`MAX_VERSION`].
pub fn parse_version(text: &str) -> Option<u32> {
    if text.is_empty() || text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|version| *version <= MAX_VERSION)
}

/// Splits and checks a schema id without allocating.
///
/// # Errors
/// [`SchemaIdError`] says what is wrong.
pub fn check(id: &str) -> Result<(&str, u32), SchemaIdError> {
    let (name, version) = id
        .rsplit_once(':')
        .ok_or_else(|| SchemaIdError::NoVersion(brief(id).into_owned()))?;
    check_name(name)?;
    let version = parse_version(version).ok_or_else(|| SchemaIdError::Version {
        id: brief(id).into_owned(),
        version: brief(version).into_owned(),
    })?;
    Ok((name, version))
}

fn check_name(name: &str) -> Result<(), NameError> {
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

impl FromStr for SchemaId {
    type Err = SchemaIdError;

    fn from_str(id: &str) -> Result<Self, SchemaIdError> {
        let (name, version) = check(id)?;
        Ok(Self {
            name: SchemaName(name.into()),
            version,
        })
    }
}
