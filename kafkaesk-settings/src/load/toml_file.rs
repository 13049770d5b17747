//! Input: a TOML text. Output: its values, and a figment layer that knows their lines.

use std::{collections::BTreeMap, path::Path};

use figment::{
    Metadata,
    value::{Dict, Empty, Tag, Value},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{SettingsError, syntax::syntax_error};

/// Parses a configuration file. `shown` is its name in messages.
pub(super) fn parse(
    path: &Path,
    shown: &str,
    text: &str,
) -> Result<(Metadata, Dict), SettingsError> {
    let table = DeTable::parse(text).map_err(|error| syntax_error(shown, text, &error))?;
    let mut lines = Lines {
        starts: text.match_indices('\n').map(|(at, _)| at + 1).collect(),
        lines: BTreeMap::new(),
    };
    let table = lines.table(&mut Vec::new(), table.into_inner());
    let (shown, lines) = (shown.to_owned(), std::sync::Arc::new(lines.lines));
    let place = move |keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        // A value without its own line, such as one from JSON, has the line of the surrounding value.
        let line = (0..=keys.len())
            .rev()
            .find_map(|end| lines.get(&keys[..end]));
        format!("{shown}:{}", line.unwrap_or(&1))
    };
    let layer = Metadata::from("file", path).interpolater(move |_, keys| place(keys));
    Ok((layer, table))
}

/// Turns byte offsets into lines.
struct Lines {
    /// The offset of the start of each line, without the first.
    starts: Vec<usize>,
    /// The line of each value, by its keys.
    lines: BTreeMap<Vec<String>, usize>,
}

impl Lines {
    fn set(&mut self, path: &[String], at: usize) {
        let line = self.starts.partition_point(|start| *start <= at) + 1;
        self.lines.insert(path.to_owned(), line);
    }

    fn table(&mut self, path: &mut Vec<String>, table: DeTable<'_>) -> Dict {
        let mut members = Dict::new();
        for (key, value) in table {
            let at = key.span().start;
            let key = key.into_inner().into_owned();
            path.push(key.clone());
            self.set(path, at);
            members.insert(key, self.value(path, value));
            path.pop();
        }
        members
    }

    fn value(&mut self, path: &mut Vec<String>, value: Spanned<DeValue<'_>>) -> Value {
        match value.into_inner() {
            DeValue::String(text) => (&*text).into(),
            DeValue::Boolean(value) => value.into(),
            DeValue::Integer(number) => {
                let of = (number.as_str(), number.radix());
                let number = i64::from_str_radix(of.0, of.1).map(Value::from);
                let larger = || i128::from_str_radix(of.0, of.1).map(Value::from);
                number
                    .or_else(|_| larger())
                    .unwrap_or_else(|_| f64::INFINITY.into())
            }
            DeValue::Float(number) => number.as_str().parse().unwrap_or(f64::NAN).into(),
            DeValue::Datetime(_) => Value::Empty(Tag::Default, Empty::Unit),
            DeValue::Array(items) => {
                let mut list = Vec::new();
                for (at, item) in items.into_iter().enumerate() {
                    path.push(at.to_string());
                    self.set(path, item.span().start);
                    list.push(self.value(path, item));
                    path.pop();
                }
                list.into()
            }
            DeValue::Table(table) => self.table(path, table).into(),
        }
    }
}
