//! jsonschema adapters: present the borrowed tree to jsonschema, and count the work of each access.

use std::borrow::Cow;

use jsonschema::{
    JsonType, ValidationError,
    json::{
        Array, Json, JsonNumber, Node as JsonNode, NodeIdentity, Object as JsonObject, cmp, unique,
    },
};
use serde_json::Value;

use crate::{
    budget,
    json::{Member, Node, Number, Object},
};

/// Marks the representation; never constructed.
#[derive(Debug)]
pub(crate) enum Borrowed {}

impl Json for Borrowed {
    type Node<'a> = &'a Node<'a>;
    type PreparedKey = Box<str>;
    // A look-up compares lengths first, so a pass over the members pays only for small objects.
    const KEYS_PER_LOOKUP: usize = 2;
    type StringBuffer = Node<'static>;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(
        buffer: &mut Node<'static>,
        string: &str,
        f: impl FnOnce(<Self as Json>::Node<'_>) -> T,
    ) -> T {
        *buffer = Node::String(Cow::Owned(string.to_owned()));
        f(buffer)
    }
}

impl<'a> JsonNode<'a, Borrowed> for &'a Node<'a> {
    type Object = &'a Object<'a>;
    type Array = &'a [Node<'a>];
    type Number = Number<'a>;

    fn as_object(&self) -> Option<&'a Object<'a>> {
        match *self {
            Node::Object(object) => budget::enter(object.members().len()).then_some(object),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<&'a [Node<'a>]> {
        match *self {
            Node::Array(items) => budget::enter(items.len()).then_some(items),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match *self {
            Node::String(text) => {
                budget::read(text.len());
                Some(Cow::Borrowed(text))
            }
            _ => None,
        }
    }

    fn as_number(&self) -> Option<Number<'a>> {
        match *self {
            Node::Number(number) => Some(*number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match *self {
            Node::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(*self, Node::Null)
    }

    fn is_number(&self) -> bool {
        matches!(*self, Node::Number(_))
    }

    fn is_string(&self) -> bool {
        matches!(*self, Node::String(_))
    }

    fn json_type(&self) -> JsonType {
        match *self {
            Node::Null => JsonType::Null,
            Node::Bool(_) => JsonType::Boolean,
            Node::Number(_) => JsonType::Number,
            Node::String(_) => JsonType::String,
            Node::Array(_) => JsonType::Array,
            Node::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        equal(self, expected)
    }

    /// An excerpt for each error. jsonschema only reports it and does not compare it (the code above and below decides
    /// equality and uniqueness). So a thousand violations do not copy a large event a thousand times.
    fn to_value(&self) -> Cow<'a, Value> {
        if !budget::error() {
            return Cow::Owned(uncertain());
        }
        Cow::Owned(match *self {
            Node::String(text) if text.len() > crate::violation::VALUE_LIMIT => {
                let mut text = text.to_string();
                crate::bounded(&mut text, crate::violation::VALUE_LIMIT);
                Value::String(text)
            }
            Node::Array(_) => Value::Array(Vec::new()),
            Node::Object(_) => Value::Object(serde_json::Map::new()),
            scalar => value_of(scalar),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(
            std::ptr::from_ref::<Node<'a>>(self) as usize
        ))
    }

    fn container_identity(&self) -> Option<NodeIdentity> {
        match *self {
            Node::Array(_) | Node::Object(_) => {
                budget::remember();
                self.identity()
            }
            _ => None,
        }
    }
}

/// Placeholder for an error after the end of the budget. It is recognizable: no real excerpt is a non-empty array.
fn uncertain() -> Value {
    Value::Array(vec![Value::Null])
}

/// Whether an error was made before the budget was used up.
pub(crate) fn is_certain(error: &ValidationError<'_>) -> bool {
    **error.instance() != uncertain()
}

fn equal(node: &Node<'_>, expected: &Value) -> bool {
    match (node, expected) {
        (Node::Null, Value::Null) => true,
        (Node::Bool(a), Value::Bool(b)) => a == b,
        (Node::String(a), Value::String(b)) => a == b,
        (Node::Number(a), Value::Number(b)) => cmp::equal_numbers(a, b),
        (Node::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Node::Object(a), Value::Object(b)) => {
            a.members().len() == b.len()
                && a.members()
                    .iter()
                    .all(|member| b.get(&*member.key).is_some_and(|b| equal(&member.value, b)))
        }
        _ => false,
    }
}

pub(crate) fn value_of(node: &Node<'_>) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Bool(value) => Value::Bool(*value),
        Node::Number(number) => Value::Number(number.to_serde()),
        Node::String(text) => Value::String(text.to_string()),
        Node::Array(items) => items.iter().map(value_of).collect(),
        Node::Object(object) => object
            .members()
            .iter()
            .map(|member| (member.key.to_string(), value_of(&member.value)))
            .collect(),
    }
}

impl<'a> JsonObject<'a, Borrowed> for &'a Object<'a> {
    type Node = &'a Node<'a>;
    type MemberName = Name<'a>;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        Object::members(self).len()
    }

    fn get(&self, key: &Box<str>) -> Option<&'a Node<'a>> {
        Object::get(self, key)
    }

    fn members(&self) -> Members<'a> {
        Members(Object::members(self).iter())
    }
}

/// A member's name. Every reading by a rule counts, since each of many `patternProperties` reads each name. Once the
/// budget is used up, the name is empty.
#[derive(Debug)]
pub(crate) struct Name<'a>(&'a str);

impl AsRef<str> for Name<'_> {
    fn as_ref(&self) -> &str {
        if budget::name(self.0.len()) {
            self.0
        } else {
            ""
        }
    }
}

impl<'a> From<Name<'a>> for Cow<'a, str> {
    fn from(name: Name<'a>) -> Self {
        Cow::Borrowed(name.0)
    }
}

#[derive(Debug)]
pub(crate) struct Members<'a>(std::slice::Iter<'a, Member<'a>>);

impl<'a> Iterator for Members<'a> {
    type Item = (Name<'a>, &'a Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let member = self.0.next().filter(|_| budget::is_left())?;
        Some((Name(&member.key), &member.value))
    }
}

impl<'a> Array<'a, Borrowed> for &'a [Node<'a>] {
    type Node = &'a Node<'a>;
    type ElementsIter = Elements<'a>;

    fn len(&self) -> usize {
        <[Node<'a>]>::len(self)
    }

    fn elements(&self) -> Elements<'a> {
        Elements(self.iter())
    }

    fn is_unique(&self) -> bool {
        if !budget::enter(self.iter().map(Node::values).sum()) {
            return true;
        }
        let values: Vec<Value> = self.iter().map(value_of).collect();
        unique::is_unique(&values)
    }
}

#[derive(Debug)]
pub(crate) struct Elements<'a>(std::slice::Iter<'a, Node<'a>>);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a Node<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().filter(|_| budget::is_left())
    }
}

impl JsonNumber for Number<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.u64()
    }

    fn as_i64(&self) -> Option<i64> {
        self.i64()
    }

    fn as_f64(&self) -> Option<f64> {
        Some(self.f64())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.text())
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(self.to_serde())
    }

    fn is_integer(&self) -> bool {
        self.is_written_as_integer() || self.f64().fract() == 0.0
    }

    fn is_written_as_integer(&self) -> bool {
        Number::is_written_as_integer(self)
    }
}
