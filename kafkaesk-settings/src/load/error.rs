//! Errors of the configuration. Each names the key, its place (file and line, variable or flag) and the remedy, and shows
//! no secret.

use std::path::PathBuf;

use thiserror::Error;

use super::Origin;
use crate::PropertyError;

/// Why the settings could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// `--config` or `KAFKAESK_CONFIG` names a file that cannot be read.
    #[error("{origin}: cannot read the configuration {path:?}: {reason}")]
    Unreadable {
        /// The flag, variable or search that named it.
        origin: String,
        /// The file.
        path: PathBuf,
        /// The system's word.
        reason: String,
    },
    /// Not TOML.
    #[error("{file}:{line}:{column}: this is not TOML: {message}{excerpt}")]
    Syntax {
        /// As shown.
        file: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What the parser expected.
        message: String,
        /// The line's key, and a marker below it, on separate lines. May be empty. Shows no value: it may be a secret.
        excerpt: String,
    },
    /// Not a JSON object, where a variable or flag must be one.
    #[error("{origin}: `{key}` is not a JSON object: {problem}")]
    Json {
        /// The setting.
        key: String,
        /// The variable or flag.
        origin: Origin,
        /// The problem with its line and column.
        problem: String,
    },
    /// A variable that counts holds no text.
    #[error("environment {variable}: its value is not UTF-8")]
    NotUtf8 {
        /// Its name.
        variable: String,
    },
    /// An unknown key.
    #[error("{origin}: unknown key `{key}`{hint}")]
    UnknownKey {
        /// With the tables around it.
        key: String,
        /// Its place.
        origin: Origin,
        /// `; did you mean …?`, or the known keys.
        hint: String,
    },
    /// A value that the key cannot take.
    #[error("{origin}: `{key}`: {problem}")]
    Value {
        /// With the tables around it.
        key: String,
        /// Its place.
        origin: Origin,
        /// The problem and the remedy.
        problem: String,
    },
    /// A librdkafka property that is unknown, refused or misplaced.
    #[error("{origin}: {problem}")]
    Property {
        /// Its place.
        origin: Origin,
        /// Names the property and the remedy.
        problem: PropertyError,
    },
    /// `sasl.oauthbearer.*` does not fit together.
    #[error("{origin}: {problem}")]
    Oidc {
        /// Where the mechanism was set.
        origin: Origin,
        /// Names the property and the remedy.
        problem: crate::OidcError,
    },
    /// The chosen profile is not in the file.
    #[error("{origin}: there is no `[profile.{name}]` in {file}{hint}")]
    NoProfile {
        /// The chosen profile.
        name: String,
        /// The flag or variable that chose it.
        origin: Origin,
        /// The configuration file, or a text for "no file".
        file: String,
        /// The profiles of the file.
        hint: String,
    },
}

impl SettingsError {
    /// Whether a command-line flag caused the error, which is then a usage error.
    pub fn is_flag(&self) -> bool {
        match self {
            Self::Json { origin, .. }
            | Self::UnknownKey { origin, .. }
            | Self::Value { origin, .. }
            | Self::Property { origin, .. }
            | Self::Oidc { origin, .. }
            | Self::NoProfile { origin, .. } => origin.is_flag(),
            Self::Unreadable { .. } | Self::Syntax { .. } | Self::NotUtf8 { .. } => false,
        }
    }
}

/// `; did you mean …?`, else the known names when they are few, else nothing.
pub(super) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = crate::nearest::nearest(name, known.clone()) {
        return format!("; did you mean `{near}`?");
    }
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return String::new();
    }
    format!("; known are {}", names.join(", "))
}
