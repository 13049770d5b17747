//! A TOML file's text in, values with their lines out. Types nothing, merges nothing.

use std::{path::Path, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Origin, SettingsError,
    value::{Data, Table, Value},
};

/// A configuration file, parsed.
#[derive(Debug)]
pub(super) struct TomlFile {
    pub(super) root: Table,
    /// As messages show it.
    pub(super) shown: Arc<str>,
    /// Absolute.
    pub(super) path: Arc<Path>,
}

impl TomlFile {
    pub(super) fn parse(path: &Path, shown: &str, text: &str) -> Result<Self, SettingsError> {
        let file = Lines {
            path: path.into(),
            shown: shown.into(),
            starts: line_starts(text),
        };
        let table = DeTable::parse(text).map_err(|error| syntax_error(&file, text, &error))?;
        Ok(Self {
            root: file.table(table.into_inner()),
            shown: file.shown,
            path: file.path,
        })
    }
}

/// Turns byte offsets into places.
struct Lines {
    path: Arc<Path>,
    shown: Arc<str>,
    /// The byte at which each line begins.
    starts: Vec<usize>,
}

impl Lines {
    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).max(1)
    }

    fn origin(&self, at: usize) -> Origin {
        Origin::File {
            path: self.path.clone(),
            shown: self.shown.clone(),
            line: self.line(at),
        }
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        table
            .into_iter()
            .map(|(key, value)| {
                let origin = self.origin(key.span().start);
                let value = Value::new(self.data(value), origin);
                (key.into_inner().into_owned(), value)
            })
            .collect()
    }

    fn data(&self, value: Spanned<DeValue<'_>>) -> Data {
        match value.into_inner() {
            DeValue::String(text) => Data::Text(text.into_owned()),
            DeValue::Boolean(value) => Data::Boolean(value),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Data::Integer(number),
                    Err(_) => Data::Other {
                        kind: "too large number",
                        text: number.as_str().to_owned(),
                    },
                }
            }
            DeValue::Float(number) => Data::Other {
                kind: "fraction",
                text: number.as_str().to_owned(),
            },
            DeValue::Datetime(date) => Data::Other {
                kind: "date",
                text: date.to_string(),
            },
            DeValue::Array(items) => {
                let item = |item: Spanned<DeValue<'_>>| {
                    let origin = self.origin(item.span().start);
                    Value::new(self.data(item), origin)
                };
                Data::List(items.into_iter().map(item).collect())
            }
            DeValue::Table(table) => Data::Table(self.table(table)),
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect()
}

fn syntax_error(file: &Lines, text: &str, error: &toml::de::Error) -> SettingsError {
    let at = error
        .span()
        .map_or(text.len(), |span| span.start)
        .min(text.len());
    let line = file.line(at);
    let start = file.starts.get(line - 1).copied().unwrap_or(0);
    let before = text.get(start..at).unwrap_or_default();
    let content = text.get(start..).unwrap_or_default();
    let content = content.lines().next().unwrap_or_default();
    SettingsError::Syntax {
        file: file.shown.to_string(),
        line,
        column: before.chars().count() + 1,
        message: error.message().replace('\n', ", "),
        excerpt: excerpt(line, before, content),
    }
}

/// The line with a marker under the column. A line that may hold a secret is not shown.
fn excerpt(line: usize, before: &str, content: &str) -> String {
    let lower = content.to_ascii_lowercase();
    let secret = ["password", "secret", "token", "pem", "passphrase", "://"]
        .iter()
        .any(|word| lower.contains(word));
    if secret {
        return String::new();
    }
    let gutter = line.to_string();
    let blank = " ".repeat(gutter.len());
    let indent: String = before
        .chars()
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    format!("\n{blank} |\n{gutter} | {content}\n{blank} | {indent}^")
}
