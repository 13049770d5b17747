//! Types values: text stays text, `"7d"` becomes a span, `3` a number within its range. Text from
//! variables, flags and references is typed by the setting; text in a file is text.

use std::{collections::BTreeMap, ops::RangeInclusive, path::PathBuf, time::Duration};

use kafkaesk_core::span::{format_span, parse_span};

use super::{
    Origin, SettingsError,
    context::Field,
    value::{Data, Value},
};

impl Field {
    pub(super) fn text(self) -> Result<String, SettingsError> {
        let field = self.resolved()?;
        match &field.value.data {
            Data::Text(text) | Data::Untyped(text) => Ok(text.clone()),
            _ => Err(field.expected("text in quotes")),
        }
    }

    pub(super) fn integer(self, range: RangeInclusive<i64>) -> Result<i64, SettingsError> {
        let field = self.resolved()?;
        let number = match &field.value.data {
            Data::Integer(number) => Some(*number),
            Data::Untyped(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                field.expected(&format!(
                    "a whole number from {} to {}",
                    range.start(),
                    range.end()
                ))
            })
    }

    pub(super) fn boolean(self) -> Result<bool, SettingsError> {
        let field = self.resolved()?;
        match &field.value.data {
            Data::Boolean(value) => Ok(*value),
            Data::Untyped(text) => match text.trim() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(field.expected("true or false")),
            },
            _ => Err(field.expected("true or false")),
        }
    }

    pub(super) fn span(self, range: RangeInclusive<Duration>) -> Result<Duration, SettingsError> {
        let field = self.resolved()?;
        let span = match &field.value.data {
            Data::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            Data::Text(text) | Data::Untyped(text) => parse_span(text.trim()).ok(),
            _ => None,
        };
        span.filter(|span| range.contains(span)).ok_or_else(|| {
            field.expected(&format!(
                "a span of time from {} to {}, as seconds or with a unit, such as \"90s\"",
                format_span(*range.start()),
                format_span(*range.end())
            ))
        })
    }

    pub(super) fn choice(self, choices: &[&'static str]) -> Result<&'static str, SettingsError> {
        let field = self.resolved()?;
        let chosen = match &field.value.data {
            Data::Text(text) | Data::Untyped(text) => choices.iter().find(|choice| *choice == text),
            _ => None,
        };
        chosen
            .copied()
            .ok_or_else(|| field.expected(&format!("one of {}", choices.join(", "))))
    }

    /// A list of texts; one text is taken for a comma-separated list where `commas` says so.
    pub(super) fn items(self, commas: bool) -> Result<Vec<Field>, SettingsError> {
        let field = self.resolved()?;
        match &field.value.data {
            Data::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(at, item)| Field {
                    context: field.context.clone(),
                    key: format!("{}[{at}]", field.key),
                    value: item.clone(),
                })
                .collect()),
            Data::Text(text) | Data::Untyped(text) if commas => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Field {
                    context: field.context.clone(),
                    key: field.key.clone(),
                    value: Value {
                        data: Data::Untyped(item.to_owned()),
                        ..field.value.clone()
                    },
                })
                .collect()),
            _ if field.key.ends_with(".exec") => {
                Err(field
                    .expected("a list; write each word in quotes: [\"python3\", \"audit.py\"]"))
            }
            _ => Err(field.expected("a list; write [ ] around it")),
        }
    }

    /// Texts by name, such as headers; numbers and booleans are taken as they are written.
    pub(super) fn text_map(self) -> Result<BTreeMap<String, String>, SettingsError> {
        let Data::Table(table) = &self.value.data else {
            return Err(self.expected("a table of texts"));
        };
        table
            .iter()
            .map(|(name, value)| {
                let key = format!("{}.{name}", self.key);
                let text = Field::new(&self.context, key, value.clone()).scalar_text()?;
                Ok((name.clone(), text))
            })
            .collect()
    }

    /// Texts by dotted name, such as a topic's settings: quoted names and nested tables alike.
    pub(super) fn dotted_map(self) -> Result<BTreeMap<String, String>, SettingsError> {
        let Data::Table(table) = &self.value.data else {
            return Err(self.expected("a table"));
        };
        let mut texts = BTreeMap::new();
        for (name, value) in table {
            let field = Field::new(&self.context, format!("{}.{name}", self.key), value.clone());
            if matches!(value.data, Data::Table(_)) && !value.is_reference() {
                for (inner, text) in field.dotted_map()? {
                    texts.insert(format!("{name}.{inner}"), text);
                }
            } else {
                texts.insert(name.clone(), field.scalar_text()?);
            }
        }
        Ok(texts)
    }

    /// Any single value as text.
    pub(super) fn scalar_text(self) -> Result<String, SettingsError> {
        let field = self.resolved()?;
        match &field.value.data {
            Data::Text(text) | Data::Untyped(text) => Ok(text.clone()),
            Data::Integer(number) => Ok(number.to_string()),
            Data::Boolean(value) => Ok(value.to_string()),
            Data::Other {
                kind: "fraction",
                text,
            } => Ok(text.clone()),
            _ => Err(field.expected("text, a number, true or false")),
        }
    }

    pub(super) fn path(self) -> Result<PathBuf, SettingsError> {
        let context = self.context.clone();
        let origin: Origin = self.value.origin.clone();
        let path = self.text()?;
        Ok(context.path(&origin, &path))
    }

    pub(super) fn expected(&self, expected: &str) -> SettingsError {
        self.error(format!("{} is not {expected}", self.describe()))
    }

    /// Names the value's kind and, where no secret can stand, the value.
    fn describe(&self) -> String {
        let may_be_secret = self.key.contains("kafka-settings")
            || [".http", ".exec", ".headers", ".env"]
                .iter()
                .any(|key| self.key.contains(&format!(".handler{key}")));
        if may_be_secret && self.value.reference.is_none() {
            self.value.kind().to_owned()
        } else {
            self.value.describe()
        }
    }
}
