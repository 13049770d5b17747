//! A setting's value before it is typed, with the place it came from. What TOML, JSON, the environment and flags
//! have in common.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

/// Where a value came from, as users know the place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file's line.
    File {
        /// Absolute, so that relative paths in the file can be found.
        path: Arc<Path>,
        /// As messages show it: relative to the working directory where that is shorter.
        shown: Arc<str>,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Environment(Arc<str>),
    /// A command-line flag, such as `--kafka-servers`.
    Flag(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { shown, line, .. } => write!(f, "{shown}:{line}"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A table's members by name, each with the place of its key.
pub(super) type Table = BTreeMap<String, Value>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) data: Data,
    pub(super) origin: Origin,
    /// What a reference led to: `file /run/secrets/kafka`, `variable X`. Such a value is never shown.
    pub(super) reference: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// Text that says it is text.
    Text(String),
    /// Text whose type the setting decides: from a variable, a flag or a reference.
    Untyped(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Value>),
    Table(Table),
    /// A TOML date, a fraction, a null: nothing of ours takes these but librdkafka's fractions, as written.
    Other {
        kind: &'static str,
        text: String,
    },
}

impl Value {
    pub(super) fn new(data: Data, origin: Origin) -> Self {
        Self {
            data,
            origin,
            reference: None,
        }
    }

    /// Names the kind and, unless it is or may hold a secret, the value.
    pub(super) fn describe(&self) -> String {
        if self.reference.is_some() {
            return format!(
                "the value of {}",
                self.reference.as_deref().unwrap_or_default()
            );
        }
        match &self.data {
            Data::Text(text) | Data::Untyped(text) => {
                format!("{:?}", crate::redact::without_user_info(text))
            }
            Data::Integer(number) => format!("the number {number}"),
            Data::Boolean(value) => format!("`{value}`"),
            Data::List(_) | Data::Table(_) => self.kind().to_owned(),
            Data::Other { kind, text } => format!("the {kind} {text}"),
        }
    }

    /// Names the kind alone.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Text(_) | Data::Untyped(_) => "a text",
            Data::Integer(_) => "a number",
            Data::Boolean(_) => "true or false",
            Data::List(_) => "a list",
            Data::Table(_) => "a table",
            Data::Other { kind, .. } => kind,
        }
    }

    /// Takes over what the table around it was read from.
    pub(super) fn inherit(&mut self, reference: Option<&String>) {
        if self.reference.is_none() {
            self.reference = reference.cloned();
        }
    }

    /// Whether this table is `{ file = … }` or `{ env = …, default = … }`, or was meant to be: following it refuses
    /// further keys. A table under `env` is not a reference: it is what a handler adds to the environment.
    pub(super) fn is_reference(&self) -> bool {
        let Data::Table(table) = &self.data else {
            return false;
        };
        let names_a_variable = table
            .get("env")
            .is_some_and(|name| !matches!(name.data, Data::Table(_)));
        table.contains_key("file") || names_a_variable
    }
}
