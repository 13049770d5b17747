//! Parses a TOML file into values with their lines. Types nothing, merges nothing.

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
    SettingsError::Syntax {
        file: file.shown.to_string(),
        line,
        column: before.chars().count() + 1,
        message: error.message().replace('\n', ", "),
        excerpt: excerpt(text, line, start, before.chars().count()),
    }
}

/// The line's key with a marker under the column, or nothing. Values may be secrets, so none is shown.
fn excerpt(text: &str, line: usize, start: usize, column: usize) -> String {
    let key = match within_value(&text[..start]) {
        true => None,
        false => key_of(text[start..].lines().next().unwrap_or_default()),
    };
    let Some(key) = key else {
        return String::new();
    };
    let gutter = line.to_string();
    let blank = " ".repeat(gutter.len());
    let shown = format!("{key}= …");
    // A column within the value is marked at its start.
    let column = column.min(shown.chars().count() - 1);
    let indent: String = shown
        .chars()
        .take(column)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    format!("\n{blank} |\n{gutter} | {shown}\n{blank} | {indent}^")
}

/// What stands before the `=` of a line with a key and a value: `sasl.password `. A line of some other form, such as one
/// of a PEM file that lost its quotes, has none.
fn key_of(line: &str) -> Option<&str> {
    /// No key of ours is near this; base64 may look like a key.
    const LONGEST: usize = 100;
    let (key, value) = line.split_once('=')?;
    let value = value.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_. \t\"'".contains(c);
    let is_key = key.len() <= LONGEST && !key.trim().is_empty() && key.chars().all(plain);
    (is_key && !value.is_empty() && !value.starts_with('=')).then_some(key)
}

/// Whether this text ends within a string of several lines, or within brackets.
fn within_value(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = text;
    // Brackets count in values alone: those of a table's name stand before any `=`.
    let mut value = false;
    while let Some(c) = rest.chars().next() {
        let quotes = ["\"\"\"", "'''", "\"", "'"];
        if let Some(quote) = quotes.into_iter().find(|quote| rest.starts_with(quote)) {
            let Some(end) = end_of_string(&rest[quote.len()..], quote) else {
                return quote.len() == 3;
            };
            rest = &rest[quote.len() + end..];
            continue;
        }
        match c {
            '#' => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '=' => value = true,
            '[' | '{' if value => depth += 1,
            ']' | '}' if value => depth = depth.saturating_sub(1),
            '\n' if depth == 0 => value = false,
            _ => {}
        }
        rest = &rest[c.len_utf8()..];
    }
    depth > 0
}

/// Where a string's content and its closing quote end.
fn end_of_string(content: &str, quote: &str) -> Option<usize> {
    let escapes = quote.starts_with('"');
    let mut at = 0;
    while at < content.len() {
        let rest = &content[at..];
        if rest.starts_with(quote) {
            // A string of several lines may end with two more quotes of its own.
            let mut end = at + quote.len();
            while quote.len() == 3 && end < at + 5 && content[end..].starts_with(&quote[..1]) {
                end += 1;
            }
            return Some(end);
        }
        if quote.len() == 1 && rest.starts_with('\n') {
            return None;
        }
        let mut characters = rest.chars();
        let mut length = characters.next().map_or(1, char::len_utf8);
        if escapes && rest.starts_with('\\') {
            length += characters.next().map_or(0, char::len_utf8);
        }
        at += length;
    }
    None
}
