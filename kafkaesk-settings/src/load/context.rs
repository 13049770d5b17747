//! The surroundings of a configuration: the environment's variables and the working directory.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::SettingsError;
use crate::read_file;

/// The surroundings in which a configuration is read.
#[derive(Debug)]
pub(super) struct Context {
    /// The environment's variables.
    pub(super) variables: BTreeMap<String, OsString>,
    /// The folder at which relative paths in variables and flags start.
    pub(super) directory: PathBuf,
    /// References in `security.*`, `sasl.*` and `ssl.*` are not followed.
    pub(super) unread_security: bool,
}

impl Context {
    /// A variable's text, if the variable is set.
    pub(super) fn variable(&self, name: &str) -> Result<Option<&str>, SettingsError> {
        let not_utf8 = || SettingsError::NotUtf8 {
            variable: name.to_owned(),
        };
        self.variables
            .get(name)
            .map(|value| value.to_str().ok_or_else(not_utf8))
            .transpose()
    }
}

/// Reads a text file of at most `limit` bytes.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    let bytes = read_file(path, limit).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        format!(
            "it is not UTF-8 at byte {}",
            error.utf8_error().valid_up_to()
        )
    })
}
