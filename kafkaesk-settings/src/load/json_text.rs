//! Input: the text of a JSON object from a variable, flag or file. Output: its values. Refuses duplicate keys;
//! serde_json's own maps would keep the last one.

use std::fmt;

use figment::value::{Dict, Empty, Tag, Value};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{SettingsError, node::Node};

/// Reads a JSON object. Errors give line and column, and no excerpt: settings hold secrets.
pub(super) fn parse_object(node: &Node, text: &str) -> Result<Dict, SettingsError> {
    let refused = |problem: String| SettingsError::Json {
        key: node.key.clone(),
        origin: node.origin(),
        problem,
    };
    let Unique(value) = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
    let kind = match value {
        Value::Dict(_, table) => return Ok(table),
        Value::String(..) => "text",
        Value::Array(..) => "an array",
        _ => "a single value",
    };
    Err(refused(format!(
        "it is {kind}; write an object, such as {{\"linger.ms\": 5}}"
    )))
}

/// A JSON value without duplicate keys.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Unique)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or_else(|_| number.into(), Value::from))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Empty(Tag::Default, Empty::None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut table = Dict::new();
        while let Some((key, Unique(value))) = members.next_entry::<String, _>()? {
            if table.contains_key(&key) {
                return Err(A::Error::custom(format_args!("`{key}` stands there twice")));
            }
            table.insert(key, value);
        }
        Ok(table.into())
    }
}
