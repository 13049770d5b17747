//! Canonical form: RFC 8785 with one exception. A document's identity is computed from it.
//!
//! The exception: an integer beyond ±2^53 keeps its digits, since its double equals that of its neighbours. Annotations
//! are removed only in schema positions, never inside values.

use crate::{
    json::{Node, Number, write_string},
    keywords::{self, SchemaPosition},
};

/// A JSON value in canonical form: members sorted, numbers and strings as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Canonical {
    /// Its text.
    Scalar(String),
    Array(Vec<Canonical>),
    /// Sorted by the keys' UTF-16 code units.
    Object(Vec<(String, Canonical)>),
}

impl Canonical {
    /// Of a schema: annotations stripped.
    pub(crate) fn of_schema(node: &Node<'_>) -> Self {
        Self::of(node, SchemaPosition::Schema)
    }

    fn of(node: &Node<'_>, holds: SchemaPosition) -> Self {
        match node {
            Node::Null => Self::Scalar("null".to_owned()),
            Node::Bool(value) => Self::Scalar(value.to_string()),
            Node::Number(number) => Self::Scalar(number_text(number)),
            Node::String(text) => {
                let mut out = String::with_capacity(text.len() + 2);
                write_string(&mut out, text);
                Self::Scalar(out)
            }
            Node::Array(items) => Self::Array(
                items
                    .iter()
                    .map(|item| Self::of(item, holds.in_item()))
                    .collect(),
            ),
            Node::Object(object) => {
                let mut members: Vec<(String, Canonical)> = object
                    .members()
                    .iter()
                    .filter(|member| !holds.is_schema() || !keywords::is_annotation(&member.key))
                    .map(|member| {
                        let canonical = Self::of(&member.value, holds.in_member(&member.key));
                        (member.key.to_string(), canonical)
                    })
                    .collect();
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                Self::Object(members)
            }
        }
    }

    /// The canonical text.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Scalar(text) => out.push_str(text),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_string(out, key);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// 2^53: up to here every integer is a double of its own.
const EXACT: u64 = 1 << 53;

fn number_text(number: &Number<'_>) -> String {
    let digits = number.text();
    if number.is_written_as_integer() {
        let exact = match (number.u64(), number.i64()) {
            (Some(value), _) => value <= EXACT,
            (None, Some(value)) => value.unsigned_abs() <= EXACT,
            (None, None) => false,
        };
        return if exact && digits == "-0" { "0" } else { digits }.to_owned();
    }
    double_text(number.f64())
}

/// A double in the form of ECMAScript's `Number::toString`, as RFC 8785 requires.
fn double_text(value: f64) -> String {
    ryu_js::Buffer::new().format_finite(value).to_owned()
}

#[cfg(test)]
mod tests;
