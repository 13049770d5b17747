//! Section: a table of the configuration that a program reads into a type of its own.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::de::DeserializeOwned;

use super::{Origin, SettingsError, effective::shown, kafka, node::Node};

/// A table of the configuration, such as one of `[[subscriptions]]`.
///
/// ```
/// use kafkaesk_settings::{Loader, Whole};
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Subscription {
///     pattern: String,
///     concurrency: Option<Whole<u32, 1, 1000>>,
/// }
///
/// let folder = tempfile::tempdir()?;
/// let toml = "[[subscriptions]]\npattern = 'orders.*'\nconcurrency = 0\n";
/// std::fs::write(folder.path().join("kafkaesk.toml"), toml)?;
/// let loaded = Loader::new().directory(folder.path()).load()?;
/// let error = loaded.subscriptions[0].read::<Subscription>().err().unwrap();
/// assert_eq!(
///     error.to_string(),
///     "kafkaesk.toml:3: `subscriptions[0].concurrency`: the number 0 is not a whole number from 1 to 1000"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Section {
    pub(super) node: Node,
}

impl Section {
    pub(super) fn new(node: Node) -> Result<Self, SettingsError> {
        match node.value.as_dict() {
            Some(_) => Ok(Self { node }),
            None => Err(node.expected("a table")),
        }
    }

    /// Its name in messages: `subscriptions[0]`.
    pub fn name(&self) -> &str {
        &self.node.key
    }

    /// Where the table begins.
    pub fn origin(&self) -> Origin {
        self.node.origin()
    }

    /// The base folder of relative paths and programs in this table: the folder of its file.
    pub fn directory(&self) -> PathBuf {
        self.node.folder().to_owned()
    }

    /// Whether the table has this key.
    pub fn has(&self, key: &str) -> bool {
        self.node.member(key).is_some()
    }

    /// The text of a key; `None` if the key is absent or has another value. References are not followed.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.node.value.as_dict()?.get(key)?.as_str()
    }

    /// Reads the table as a `T`. Follows a reference only if `T` reads its key. A `T` that denies unknown fields
    /// refuses unknown keys.
    ///
    /// # Errors
    /// [`SettingsError`] names the key and its place.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        self.node.clone().read()
    }

    /// A table inside this one.
    ///
    /// # Errors
    /// [`SettingsError::Value`] for any other type, or if the key is absent.
    pub fn table(&self, key: &str) -> Result<Section, SettingsError> {
        let table = self.node.member(key).map(Section::new);
        table.unwrap_or_else(|| Err(self.node.missing(key)))
    }

    /// librdkafka properties of a consumer, checked by name, role and value: those of the table itself, then those of
    /// its `consumer` table, which win. `None` if the key is absent.
    ///
    /// # Errors
    /// [`SettingsError::Property`] names the property and the remedy. A property for producers only is refused, in any
    /// table.
    pub fn consumer_settings(
        &self,
        key: &str,
    ) -> Result<Option<BTreeMap<String, String>>, SettingsError> {
        self.node.member(key).map(kafka::read_consumer).transpose()
    }

    /// A key's value for display, without secrets, as in [`Effective::value`](super::Effective::value). Empty if the
    /// key is absent.
    pub fn shown(&self, key: &str) -> String {
        self.node
            .member(key)
            .as_ref()
            .map(shown)
            .unwrap_or_default()
    }

    /// An error about this key, with its place, for checks that a type cannot make.
    pub fn error(&self, key: &str, problem: impl Into<String>) -> SettingsError {
        SettingsError::Value {
            key: self.node.key_of(key),
            origin: self
                .node
                .member(key)
                .as_ref()
                .unwrap_or(&self.node)
                .origin(),
            problem: problem.into(),
        }
    }
}

/// Shows no value: it may be a secret.
impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Section({} at {})", self.name(), self.origin())
    }
}
