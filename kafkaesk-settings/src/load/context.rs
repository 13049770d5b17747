//! Follows references: `{ file = … }` and `{ env = …, default = … }` become their text. Reads at most 1 MiB of a file.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Origin, SettingsError,
    error::hint,
    value::{Data, Table, Value},
};
use crate::read_file;

/// The largest file that a reference may name.
const MAX_FILE: u64 = 1024 * 1024;

/// The surroundings that a configuration is read in.
#[derive(Debug)]
pub(super) struct Context {
    /// The environment's variables.
    pub(super) variables: BTreeMap<String, OsString>,
    /// What paths in variables and flags are relative to.
    pub(super) directory: PathBuf,
    /// References in `security.*`, `sasl.*` and `ssl.*` are not followed.
    pub(super) unread_security: bool,
}

/// A value on its way to being typed: with the name that messages call it.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) context: Arc<Context>,
    /// With the tables around it: `subscriptions.handler.timeout`.
    pub(super) key: String,
    pub(super) value: Value,
}

impl Field {
    pub(super) fn new(context: &Arc<Context>, key: impl Into<String>, value: Value) -> Self {
        Self {
            context: context.clone(),
            key: key.into(),
            value,
        }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> SettingsError {
        SettingsError::Value {
            key: self.key.clone(),
            origin: self.value.origin.clone(),
            problem: problem.into(),
        }
    }

    /// The value behind a reference; any other value as it is.
    pub(super) fn resolved(mut self) -> Result<Self, SettingsError> {
        if !self.value.is_reference() {
            return Ok(self);
        }
        let Data::Table(table) = &self.value.data else {
            return Ok(self);
        };
        let (data, reference) = self.follow(table)?;
        self.value.data = data;
        self.value.reference = Some(reference);
        Ok(self)
    }

    fn follow(&self, table: &Table) -> Result<(Data, String), SettingsError> {
        let name = |key: &str| match table.get(key).map(|value| &value.data) {
            Some(Data::Text(text)) => Ok(text.as_str()),
            _ => Err(self.error(format!("`{key}` must be text"))),
        };
        let known: &[&str] = if table.contains_key("env") {
            &["env", "default"]
        } else {
            &["file"]
        };
        if let Some((key, value)) = table.iter().find(|(key, _)| !known.contains(&&***key)) {
            return Err(SettingsError::UnknownKey {
                key: format!("{}.{key}", self.key),
                origin: value.origin.clone(),
                hint: hint(key, known.iter().copied()),
            });
        }
        if table.contains_key("file") {
            let path = self.context.path(&self.value.origin, name("file")?);
            let text = read_text(&path, MAX_FILE)
                .map_err(|reason| self.error(format!("cannot read the file {path:?}: {reason}")))?;
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            return Ok((Data::Untyped(text), format!("file {}", path.display())));
        }
        let variable = name("env")?;
        let reference = format!("variable {variable}");
        match (self.context.variable(variable)?, table.get("default")) {
            (Some(text), _) => Ok((Data::Untyped(text.to_owned()), reference)),
            (None, Some(default)) => {
                // Typed by the setting, as the variable would be.
                let data = match &default.data {
                    Data::Text(text) => Data::Untyped(text.clone()),
                    other => other.clone(),
                };
                Ok((data, reference))
            }
            (None, None) => Err(self.error(format!(
                "the environment variable {variable} is not set; set it, or give a `default` beside `env`"
            ))),
        }
    }
}

impl Context {
    /// A variable's text, if it is set.
    pub(super) fn variable(&self, name: &str) -> Result<Option<&str>, SettingsError> {
        let Some(value) = self.variables.get(name) else {
            return Ok(None);
        };
        value
            .to_str()
            .map(Some)
            .ok_or_else(|| SettingsError::NotUtf8 {
                variable: name.to_owned(),
            })
    }

    /// A path as named in some place: relative to the file that names it, or to the working directory.
    pub(super) fn path(&self, origin: &Origin, path: &str) -> PathBuf {
        self.base(origin).join(path)
    }

    pub(super) fn base<'a>(&'a self, origin: &'a Origin) -> &'a Path {
        match origin {
            Origin::File { path, .. } => path.parent().unwrap_or(&self.directory),
            _ => &self.directory,
        }
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
