//! Reads a JSON object from a variable or flag into values with that one origin. Refuses duplicate keys, which
//! serde_json's own maps take silently.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{
    Origin, SettingsError,
    value::{Data, Table, Value},
};

/// Reads a JSON object. Errors give line and column, and no excerpt: settings hold secrets.
pub(super) fn parse_object(key: &str, text: &str, origin: &Origin) -> Result<Table, SettingsError> {
    let refused = |problem: String| SettingsError::Json {
        key: key.to_owned(),
        origin: origin.clone(),
        problem,
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Node(origin)
        .deserialize(&mut json)
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| refused(error.to_string()))?;
    match value.data {
        Data::Table(table) => Ok(table),
        _ => Err(refused(format!(
            "it is {}; write an object, such as {{\"linger.ms\": 5}}",
            kind(&value.data)
        ))),
    }
}

fn kind(data: &Data) -> &'static str {
    match data {
        Data::Text(_) | Data::Untyped(_) => "text",
        Data::List(_) => "an array",
        Data::Table(_) => "an object",
        _ => "a single value",
    }
}

struct Node<'a>(&'a Origin);

impl Node<'_> {
    fn value<E>(&self, data: Data) -> Result<Value, E> {
        Ok(Value::new(data, self.0.clone()))
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        self.value(Data::Boolean(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        self.value(Data::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        self.value(match i64::try_from(number) {
            Ok(number) => Data::Integer(number),
            Err(_) => Data::Other {
                kind: "too large number",
                text: number.to_string(),
            },
        })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        self.value(Data::Other {
            kind: "fraction",
            text: number.to_string(),
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        self.value(Data::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        self.value(Data::Other {
            kind: "value",
            text: "null".to_owned(),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Node(self.0))? {
            list.push(item);
        }
        self.value(Data::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut table = Table::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(Node(self.0))?;
            if table.contains_key(&key) {
                return Err(A::Error::custom(format_args!("`{key}` stands there twice")));
            }
            table.insert(key, value);
        }
        self.value(Data::Table(table))
    }
}
