//! Schema ids (`Name:version`): checks and splits them.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{
    brief,
    names::{NameError, SchemaName, check_schema_name},
};

/// The highest version: a Java `int`, so that every language can hold it.
pub const MAX_VERSION: u32 = 2_147_483_647;

/// Why a text is not a schema id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SchemaIdError {
    /// The name's characters.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No `:` between name and version.
    #[error("schema id {0:?} has no version; write it as `Name:1`")]
    NoVersion(String),
    /// The version is not a positive decimal without leading zeros.
    #[error(
        "schema id {id:?} has version {version:?}; a version is a whole number from 1 to 2147483647 without leading zeros, as in `Name:1`"
    )]
    Version {
        /// The whole text.
        id: String,
        /// The text after the colon.
        version: String,
    },
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
    check_schema_name(name)?;
    let version = parse_version(version).ok_or_else(|| SchemaIdError::Version {
        id: brief(id).into_owned(),
        version: brief(version).into_owned(),
    })?;
    Ok((name, version))
}

impl FromStr for SchemaId {
    type Err = SchemaIdError;

    fn from_str(id: &str) -> Result<Self, SchemaIdError> {
        let (name, version) = check(id)?;
        Ok(Self {
            name: SchemaName::new(name)?,
            version,
        })
    }
}
