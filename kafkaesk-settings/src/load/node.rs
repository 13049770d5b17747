//! Node: a value of the configuration, before it has a type, with its key and its place. Follows references.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use figment::{
    Metadata,
    value::{Dict, Empty, Num, Value},
};

use super::{
    Origin, SettingsError,
    context::{Context, read_text},
    error::hint,
};
use crate::without_user_info;

/// The largest file that a reference may name, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// A value that has no type yet.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) context: Arc<Context>,
    /// figment's metadata of its layer, which knows the places.
    pub(super) layer: Arc<Metadata>,
    /// Its keys in the layer.
    pub(super) path: Vec<String>,
    /// Its name in messages: `subscriptions[0].handler.timeout`.
    pub(super) key: String,
    pub(super) value: Value,
    /// The source that a reference names: `file /run/secrets/kafka`, `variable X`. Its value is never shown.
    pub(super) reference: Option<String>,
}

impl Node {
    /// A layer's root.
    pub(super) fn root(context: &Arc<Context>, layer: Metadata, table: Dict) -> Self {
        Self {
            context: context.clone(),
            layer: Arc::new(layer),
            path: Vec::new(),
            key: String::new(),
            value: table.into(),
            reference: None,
        }
    }

    /// Another value in the same place.
    pub(super) fn with(&self, value: Value) -> Self {
        Self {
            context: self.context.clone(),
            layer: self.layer.clone(),
            path: self.path.clone(),
            key: self.key.clone(),
            value,
            reference: self.reference.clone(),
        }
    }

    fn inner(&self, step: String, key: String, value: &Value) -> Self {
        let mut inner = self.with(value.clone());
        inner.path.push(step);
        Self { key, ..inner }
    }

    /// A table's members; none for any other value.
    pub(super) fn members(&self) -> Vec<(String, Node)> {
        let member = |(name, value): (&String, &Value)| {
            let key = self.key_of(name);
            (name.clone(), self.inner(name.clone(), key, value))
        };
        let table = self.value.as_dict().into_iter().flatten();
        table.map(member).collect()
    }

    pub(super) fn member(&self, name: &str) -> Option<Node> {
        let value = self.value.as_dict()?.get(name)?;
        Some(self.inner(name.to_owned(), self.key_of(name), value))
    }

    pub(super) fn key_of(&self, name: &str) -> String {
        match &*self.key {
            "" => name.to_owned(),
            around => format!("{around}.{name}"),
        }
    }

    /// The values in a table and in the tables inside it, by dotted name. A quoted dotted name and nested tables give
    /// the same name.
    pub(super) fn leaves(&self) -> Vec<(String, Node)> {
        let mut leaves = Vec::new();
        for (name, member) in self.members() {
            if member.value.as_dict().is_none() || member.is_reference() {
                leaves.push((name, member));
                continue;
            }
            let inner = member.leaves().into_iter();
            leaves.extend(inner.map(|(inner, leaf)| (format!("{name}.{inner}"), leaf)));
        }
        leaves
    }

    /// A list's items; none for any other value.
    pub(super) fn elements(&self) -> Vec<Node> {
        let list = self.value.as_array().into_iter().flatten().enumerate();
        list.map(|(at, item)| self.inner(at.to_string(), format!("{}[{at}]", self.key), item))
            .collect()
    }

    /// The items of a list, or of a reference to one. With `commas`, a text is a comma-separated list.
    pub(super) fn items(self, commas: bool) -> Result<Vec<Node>, SettingsError> {
        let node = self.resolved()?;
        match &node.value {
            Value::Array(..) => Ok(node.elements()),
            Value::String(_, text) if commas => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| node.with(item.into()))
                .collect()),
            _ if node.key.ends_with(".exec") => {
                Err(node.expected("a list; write each word in quotes: [\"python3\", \"audit.py\"]"))
            }
            Value::Dict(..) if ["streams", "subscriptions"].contains(&node.key.as_str()) => {
                let expected = format!("a list; write [[{}]] for each of its tables", node.key);
                Err(node.expected(&expected))
            }
            _ => Err(node.expected("a list; write [ ] around it")),
        }
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::in_layer(&self.layer, &self.path)
    }

    /// A path in this value. It starts at the folder of the file that holds the value, else at the working directory.
    pub(super) fn path_to(&self, path: &str) -> PathBuf {
        self.folder().join(path)
    }

    pub(super) fn folder(&self) -> &Path {
        let source = self.layer.source.as_ref();
        let file = source.and_then(|source| source.file_path());
        file.and_then(Path::parent)
            .unwrap_or(&self.context.directory)
    }

    /// Whether the setting decides the type of this text: it is from a variable, a flag or a reference.
    pub(super) fn is_untyped(&self) -> bool {
        self.reference.is_some() || self.layer.source.is_none()
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> SettingsError {
        SettingsError::Value {
            key: self.key.clone(),
            origin: self.origin(),
            problem: problem.into(),
        }
    }

    pub(super) fn expected(&self, expected: &str) -> SettingsError {
        self.error(format!("{} is not {expected}", self.description()))
    }

    /// The error for a member of this table that is not among the known ones.
    pub(super) fn unknown_key(&self, name: &str, known: &[&str]) -> SettingsError {
        SettingsError::UnknownKey {
            key: self.key_of(name),
            origin: self.member(name).as_ref().unwrap_or(self).origin(),
            hint: hint(name, known.iter().copied()),
        }
    }

    /// The error for a missing member.
    pub(super) fn missing(&self, name: &str) -> SettingsError {
        SettingsError::Value {
            key: self.key_of(name),
            origin: self.origin(),
            problem: "it is missing, and there is no default".to_owned(),
        }
    }

    /// Names the value, or only its kind if it may be a secret.
    pub(super) fn description(&self) -> String {
        if let Some(reference) = &self.reference {
            return format!("the value of {reference}");
        }
        let may_be_secret = self.key.contains("kafka-settings")
            || [".http", ".exec", ".headers", ".env"]
                .iter()
                .any(|key| self.key.contains(&format!(".handler{key}")));
        let (kind, shown) = match &self.value {
            Value::String(_, text) => ("a text", format!("{:?}", without_user_info(text))),
            Value::Bool(_, value) => ("true or false", format!("`{value}`")),
            Value::Num(_, Num::F64(number)) => ("fraction", format!("the fraction {number}")),
            Value::Num(..) => ("a number", format!("the number {}", self.number())),
            Value::Array(..) => ("a list", "a list".to_owned()),
            Value::Dict(..) if self.is_reference() => ("a reference", "a reference".to_owned()),
            Value::Dict(..) => ("a table", "a table".to_owned()),
            Value::Empty(_, Empty::None) => ("null", "null".to_owned()),
            Value::Empty(..) | Value::Char(..) => ("a date", "a date".to_owned()),
        };
        if may_be_secret {
            kind.to_owned()
        } else {
            shown
        }
    }

    /// A number as text.
    pub(super) fn number(&self) -> String {
        let whole = self.value.to_i128().map(|number| number.to_string());
        whole.unwrap_or_else(|| self.value.to_f64().unwrap_or_default().to_string())
    }

    /// Whether this table is, or was meant as, a reference: `{ file = … }` or `{ env = …, default = … }`. Following it
    /// refuses further keys. A table under `env` is not a reference, but a handler's additions to the environment.
    pub(super) fn is_reference(&self) -> bool {
        self.value.as_dict().is_some_and(|table| {
            table.contains_key("file")
                || table
                    .get("env")
                    .is_some_and(|name| name.as_dict().is_none())
        })
    }

    /// The value behind a reference; any other value as it is.
    pub(super) fn resolved(self) -> Result<Self, SettingsError> {
        if !self.is_reference() {
            return Ok(self);
        }
        let (value, reference) = self.follow()?;
        Ok(Self {
            value,
            reference: Some(reference),
            ..self
        })
    }

    fn follow(&self) -> Result<(Value, String), SettingsError> {
        let table = self.value.as_dict();
        let member = |name: &str| table.and_then(|table| table.get(name));
        let text = |name: &str| {
            let text = member(name).and_then(Value::as_str);
            text.ok_or_else(|| self.error(format!("`{name}` must be text")))
        };
        let known: &[&str] = match member("env") {
            Some(_) => &["env", "default"],
            None => &["file"],
        };
        for (name, _) in self.members() {
            if !known.contains(&&*name) {
                return Err(self.unknown_key(&name, known));
            }
        }
        if member("file").is_some() {
            let path = self.path_to(text("file")?);
            let text = read_text(&path, MAX_FILE)
                .map_err(|reason| self.error(format!("cannot read the file {path:?}: {reason}")))?;
            let text = text.trim_end_matches(['\r', '\n']);
            return Ok((text.into(), format!("file {}", path.display())));
        }
        let variable = text("env")?;
        let value = match (self.context.variable(variable)?, member("default")) {
            (Some(text), _) => text.into(),
            (None, Some(default)) => default.clone(),
            (None, None) => {
                return Err(self.error(format!(
                    "the environment variable {variable} is not set; set it, or give a `default` beside `env`"
                )));
            }
        };
        Ok((value, format!("variable {variable}")))
    }
}
