//! The serde deserializer of a [`Node`]. An error names the key and its place, and shows no secret.
//!
//! figment's own deserializer quotes values in its errors, and types a variable's text before the setting is known.
//! Each method here names the expected value in a user's words.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        self, Expected, IntoDeserializer, Unexpected, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};

use figment::value::{Num, Value};

use super::{SettingsError, node::Node};

impl Node {
    /// This value as a `T`.
    pub(super) fn read<'de, T: Deserialize<'de>>(self) -> Result<T, SettingsError> {
        let place = self.with(Value::from(false));
        T::deserialize(self).map_err(|problem| problem.at(&place))
    }

    /// The text whose type the setting decides.
    fn untyped(&self) -> Option<&str> {
        let text = self.value.as_str().filter(|_| self.is_untyped());
        text.map(str::trim)
    }

    /// Adds the place of this value to a problem.
    fn placed<T>(&self, read: Result<T, Problem>) -> Result<T, Problem> {
        read.map_err(|problem| problem.at(self).into())
    }
}

/// A problem with a value, before its place is known.
#[derive(Debug)]
pub(super) enum Problem {
    Said(String),
    /// The expected value in words; the node adds the found one.
    Expected(String),
    UnknownKey(String, &'static [&'static str]),
    Missing(&'static str),
    Placed(Box<SettingsError>),
}

impl Problem {
    pub(super) fn at(self, node: &Node) -> SettingsError {
        match self {
            Self::Said(problem) => node.error(problem),
            Self::Expected(expected) => node.expected(&expected),
            Self::UnknownKey(name, known) => node.unknown_key(&name, known),
            Self::Missing(name) => node.missing(name),
            Self::Placed(error) => *error,
        }
    }
}

/// For serde alone: a user reads the [`SettingsError`].
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Problem {}

impl From<SettingsError> for Problem {
    fn from(error: SettingsError) -> Self {
        Self::Placed(error.into())
    }
}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::Said(problem.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Expected(format!("one of {}", expected.join(", ")))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownKey(name.to_owned(), known)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::Missing(name)
    }
}

impl IntoDeserializer<'_, Problem> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let node = self.resolved()?;
        let visited = match &node.value {
            Value::String(_, text) => visitor.visit_str(text),
            Value::Bool(_, value) => visitor.visit_bool(*value),
            Value::Num(_, Num::I64(number)) => visitor.visit_i64(*number),
            Value::Num(_, Num::F64(number)) => visitor.visit_f64(*number),
            Value::Num(..) => visitor.visit_str(&node.number()),
            Value::Dict(..) => visitor.visit_map(MapDeserializer::new(node.members().into_iter())),
            Value::Array(..) => {
                visitor.visit_seq(SeqDeserializer::new(node.elements().into_iter()))
            }
            Value::Char(..) | Value::Empty(..) => visitor.visit_unit(),
        };
        node.placed(visited)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let node = self.resolved()?;
        match node.untyped().and_then(|text| text.parse().ok()) {
            Some(number) => node.placed(visitor.visit_i64(number)),
            None => node.deserialize_any(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let node = self.resolved()?;
        match (&node.value, node.untyped()) {
            (Value::Bool(_, value), _) => visitor.visit_bool(*value),
            (_, Some("true" | "1")) => visitor.visit_bool(true),
            (_, Some("false" | "0")) => visitor.visit_bool(false),
            _ => Err(node.expected("true or false").into()),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let node = self.resolved()?;
        match &node.value {
            Value::String(_, text) => node.placed(visitor.visit_str(text)),
            _ => Err(node.expected("text in quotes").into()),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let node = self.resolved()?;
        node.placed(match &node.value {
            Value::String(_, text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(de::Error::unknown_variant("", words)),
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_seq(SeqDeserializer::new(self.items(false)?.into_iter()))
    }

    /// A table of texts by name. It is never a reference.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Dict(..) => visitor.visit_map(MapDeserializer::new(self.members().into_iter())),
            _ => Err(self.expected("a table of texts").into()),
        }
    }

    /// A table with known keys. It is never a reference.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.value {
            Value::Dict(..) => {
                let members = MapDeserializer::new(self.members().into_iter());
                self.placed(visitor.visit_map(members))
            }
            _ => Err(self.expected("a table").into()),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf
        unit unit_struct newtype_struct tuple tuple_struct identifier
    }
}
