//! JSON tree: a value that may be changed and written again. Members keep their order, numbers their digits.

use super::{Node, write_string};

/// One JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// A number, `true`, `false` or `null`, as it is written.
    Scalar(String),
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    pub(crate) fn of(node: &Node<'_>) -> Self {
        match node {
            Node::Null => Self::Scalar("null".to_owned()),
            Node::Bool(value) => Self::Scalar(value.to_string()),
            Node::Number(number) => Self::Scalar(number.text().to_owned()),
            Node::String(text) => Self::Text(text.to_string()),
            Node::Array(items) => Self::Array(items.iter().map(Self::of).collect()),
            Node::Object(object) => {
                let members = object.members().iter();
                Self::Object(
                    members
                        .map(|member| (member.key.to_string(), Self::of(&member.value)))
                        .collect(),
                )
            }
        }
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn object<const N: usize>(members: [(&str, Tree); N]) -> Self {
        let members = members.into_iter();
        Self::Object(
            members
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }

    /// A member of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        let Self::Object(members) = self else {
            return None;
        };
        let member = members.iter().find(|(name, _)| name == key);
        member.map(|(_, value)| value)
    }

    /// A member of an object that is a text.
    pub(crate) fn get_text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Sets a member of an object, at its end if it is new.
    pub(crate) fn set(&mut self, key: &str, value: Tree) {
        if let Self::Object(members) = self {
            match members.iter_mut().find(|(name, _)| name == key) {
                Some((_, old)) => *old = value,
                None => members.push((key.to_owned(), value)),
            }
        }
    }

    /// Takes a member out of an object.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Tree> {
        let Self::Object(members) = self else {
            return None;
        };
        let at = members.iter().position(|(name, _)| name == key)?;
        Some(members.remove(at).1)
    }

    /// As text, indented by two spaces, with a line break at its end.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out.push('\n');
        out
    }

    /// On one line.
    pub(crate) fn to_line(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::Text(text) => {
                let mut out = String::new();
                write_string(&mut out, text);
                out
            }
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(Self::to_line).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Object(members) => {
                let member = |(key, value): &(String, Tree)| {
                    format!("{}: {}", Self::text(key).to_line(), value.to_line())
                };
                let members: Vec<String> = members.iter().map(member).collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    fn write(&self, out: &mut String, level: usize) {
        match self {
            Self::Scalar(text) => out.push_str(text),
            Self::Text(text) => write_string(out, text),
            Self::Array(items) if items.is_empty() => out.push_str("[]"),
            Self::Object(members) if members.is_empty() => out.push_str("{}"),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    line(out, at, level + 1);
                    item.write(out, level + 1);
                }
                line(out, 0, level);
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    line(out, at, level + 1);
                    write_string(out, key);
                    out.push_str(": ");
                    value.write(out, level + 1);
                }
                line(out, 0, level);
                out.push('}');
            }
        }
    }
}

/// Begins a line for the item at a place.
fn line(out: &mut String, at: usize, level: usize) {
    if at > 0 {
        out.push(',');
    }
    out.push('\n');
    for _ in 0..level {
        out.push_str("  ");
    }
}
