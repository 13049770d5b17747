//! Types the members of one table of the configuration, one by one. A member that nobody asked for is an error that names
//! the file, the line and the nearest known key.

use std::{collections::BTreeMap, ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use super::{
    Origin, SettingsError,
    context::{Context, Field},
    effective,
    error::hint,
    kafka,
    value::{Data, Table},
};
use crate::nearest::nearest;

/// One table, such as a `[[subscriptions]]`, read by asking for each key once and then calling [`Self::finish`].
///
/// Every getter takes its key out: asking twice gives `None`. An absent key is `None`, a value of another type or
/// outside its range an error that says where it stands.
#[derive(Debug)]
pub struct Section {
    context: Arc<Context>,
    /// What messages put before a key: `subscriptions`.
    name: String,
    /// Where the table begins.
    origin: Origin,
    /// What nobody has asked for yet.
    rest: Table,
    /// What was asked for, and where it stands if it does.
    asked: BTreeMap<&'static str, Option<Origin>>,
}

impl Section {
    pub(super) fn new(field: Field) -> Result<Self, SettingsError> {
        let Data::Table(rest) = field.value.data else {
            return Err(field.expected("a table"));
        };
        Ok(Self {
            context: field.context,
            name: field.key,
            origin: field.value.origin,
            rest,
            asked: BTreeMap::new(),
        })
    }

    /// What messages call this table: `subscriptions[0]`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the table begins.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether a key that nobody has asked for yet is there.
    pub fn has(&self, key: &str) -> bool {
        self.rest.contains_key(key)
    }

    /// Whether a value that nobody has asked for yet is a text.
    pub fn is_text(&self, key: &str) -> bool {
        let value = self.rest.get(key).map(|value| &value.data);
        matches!(value, Some(Data::Text(_) | Data::Untyped(_)))
    }

    /// How a value that nobody has asked for yet may be shown, the items of a list with spaces between them, without
    /// what is or may be a secret, as in [`Effective::value`](super::Effective::value). Empty if the key is absent.
    pub fn shown(&self, key: &str) -> String {
        let name = format!("{}.{key}", self.name);
        let shown = |value| effective::shown(&self.context, &name, value);
        self.rest.get(key).map(shown).unwrap_or_default()
    }

    /// Text.
    ///
    /// # Errors
    /// [`SettingsError::Value`] for any other type.
    pub fn text(&mut self, key: &'static str) -> Result<Option<String>, SettingsError> {
        self.take(key).map(Field::text).transpose()
    }

    /// Text that must be there.
    ///
    /// # Errors
    /// [`SettingsError::Value`] for any other type, or when it is absent.
    pub fn required_text(&mut self, key: &'static str) -> Result<String, SettingsError> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// A whole number within a range, its ends included.
    ///
    /// # Errors
    /// [`SettingsError::Value`] names the range.
    pub fn integer(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, SettingsError> {
        self.take(key).map(|field| field.integer(range)).transpose()
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// [`SettingsError::Value`] for any other type.
    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, SettingsError> {
        self.take(key).map(Field::boolean).transpose()
    }

    /// A span of time within a range: whole seconds, or text such as `"90s"`, `"7d"`.
    ///
    /// # Errors
    /// [`SettingsError::Value`] names the range.
    pub fn span(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Result<Option<Duration>, SettingsError> {
        self.take(key).map(|field| field.span(range)).transpose()
    }

    /// One of a few words.
    ///
    /// # Errors
    /// [`SettingsError::Value`] names them.
    pub fn choice(
        &mut self,
        key: &'static str,
        choices: &[&'static str],
    ) -> Result<Option<&'static str>, SettingsError> {
        self.take(key)
            .map(|field| field.choice(choices))
            .transpose()
    }

    /// A list of texts.
    ///
    /// # Errors
    /// [`SettingsError::Value`] for any other type.
    pub fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, SettingsError> {
        let Some(field) = self.take(key) else {
            return Ok(None);
        };
        let texts: Result<_, _> = field.items(false)?.into_iter().map(Field::text).collect();
        texts.map(Some)
    }

    /// Texts by name, such as headers.
    ///
    /// # Errors
    /// [`SettingsError::Value`] for any other type.
    pub fn text_map(
        &mut self,
        key: &'static str,
    ) -> Result<Option<BTreeMap<String, String>>, SettingsError> {
        self.take(key).map(Field::text_map).transpose()
    }

    /// Texts by dotted name, such as a topic's settings: quoted names and nested tables alike.
    ///
    /// # Errors
    /// [`SettingsError::Value`] for any other type.
    pub fn dotted_map(
        &mut self,
        key: &'static str,
    ) -> Result<Option<BTreeMap<String, String>>, SettingsError> {
        self.take(key).map(Field::dotted_map).transpose()
    }

    /// A path, relative to the file that names it.
    ///
    /// # Errors
    /// [`SettingsError::Value`] for any other type.
    pub fn path(&mut self, key: &'static str) -> Result<Option<PathBuf>, SettingsError> {
        self.take(key).map(Field::path).transpose()
    }

    /// A table inside this one.
    ///
    /// # Errors
    /// [`SettingsError::Value`] for any other type.
    pub fn table(&mut self, key: &'static str) -> Result<Option<Section>, SettingsError> {
        self.take(key).map(Section::new).transpose()
    }

    /// librdkafka properties of a consumer, checked by name, role and value: those of the table itself, then those of
    /// its `consumer` table, which win.
    ///
    /// # Errors
    /// [`SettingsError::Property`] names the property and the remedy; one of producers only is refused, in whatever
    /// table it stands.
    pub fn consumer_settings(
        &mut self,
        key: &'static str,
    ) -> Result<Option<BTreeMap<String, String>>, SettingsError> {
        self.take(key).map(kafka::read_consumer).transpose()
    }

    /// An error about this key, with its place: for what a getter cannot check.
    pub fn error(&self, key: &str, problem: impl Into<String>) -> SettingsError {
        let stands = self.asked.get(key).cloned().flatten();
        SettingsError::Value {
            key: format!("{}.{key}", self.name),
            origin: stands.unwrap_or_else(|| self.origin.clone()),
            problem: problem.into(),
        }
    }

    /// The error for a key that must be there and is not: perhaps it is misspelt.
    pub fn missing(&self, key: &str) -> SettingsError {
        let misspelt = self
            .rest
            .iter()
            .find(|(other, _)| nearest(other, [key]).is_some());
        match misspelt {
            Some((other, value)) => SettingsError::UnknownKey {
                hint: hint(other, [key]),
                key: format!("{}.{other}", self.name),
                origin: value.origin.clone(),
            },
            None => self.error(key, "it is missing, and there is no default"),
        }
    }

    /// Where this table's relative paths and programs are found: the folder of the file that holds it.
    pub fn directory(&self) -> PathBuf {
        self.context.base(&self.origin).to_owned()
    }

    /// Nothing may be left that nobody asked for.
    ///
    /// # Errors
    /// [`SettingsError::UnknownKey`] for the first such key in the file, with the nearest one that was asked for.
    pub fn finish(self) -> Result<(), SettingsError> {
        let line = |origin: &Origin| match origin {
            Origin::File { line, .. } => *line,
            _ => 0,
        };
        let first = self
            .rest
            .into_iter()
            .min_by_key(|(_, value)| line(&value.origin));
        match first {
            None => Ok(()),
            Some((key, value)) => Err(SettingsError::UnknownKey {
                hint: hint(&key, self.asked.keys().copied()),
                key: format!("{}.{key}", self.name),
                origin: value.origin,
            }),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Field> {
        let value = self.rest.remove(key);
        self.asked
            .entry(key)
            .or_insert_with(|| value.as_ref().map(|value| value.origin.clone()));
        value.map(|value| Field::new(&self.context, format!("{}.{key}", self.name), value))
    }
}
