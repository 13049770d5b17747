//! Input: JSON text. Output: a tree that borrows from it; numbers keep their digits, duplicate keys are refused.
//!
//! serde_json's `Value` loses duplicate keys, and digits too (unless with `arbitrary_precision`, which is forbidden
//! here). Building it costs more than the validation itself. Never writes JSON.

mod number;
mod parse;
mod text;
mod tree;

use std::borrow::Cow;

pub(crate) use number::Number;
pub(crate) use parse::{Malformed, parse, parse_measured};
pub(crate) use text::{brief, write_string};
pub(crate) use tree::Tree;

/// One JSON value.
#[derive(Debug, Default)]
pub(crate) enum Node<'a> {
    #[default]
    Null,
    Bool(bool),
    Number(Number<'a>),
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Object<'a>),
}

/// A member of an object, in the order of the text.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) value: Node<'a>,
}

/// An object without duplicate keys.
#[derive(Debug, Default)]
pub(crate) struct Object<'a> {
    members: Vec<Member<'a>>,
    /// Positions in `members`, sorted by key; empty while a linear search is as fast.
    by_key: Vec<u32>,
}

/// Up to this many members a linear search beats the index.
const LINEAR: usize = 16;

impl<'a> Object<'a> {
    /// An object of these members. `Err`: the position and key of a member whose key came before.
    fn new(members: Vec<Member<'a>>) -> Result<Self, (usize, String)> {
        if members.len() <= LINEAR {
            for (at, member) in members.iter().enumerate() {
                if members[..at]
                    .iter()
                    .any(|earlier| earlier.key == member.key)
                {
                    return Err((at, member.key.to_string()));
                }
            }
            return Ok(Self {
                members,
                by_key: Vec::new(),
            });
        }
        // A position beyond u32 would need a text of more than 8 GiB; Kafka's limit is 2 GiB.
        let mut by_key: Vec<u32> = (0..members.len() as u32).collect();
        by_key.sort_by(|a, b| members[*a as usize].key.cmp(&members[*b as usize].key));
        for pair in by_key.windows(2) {
            let (first, second) = (pair[0] as usize, pair[1] as usize);
            if members[first].key == members[second].key {
                return Err((second, members[second].key.to_string()));
            }
        }
        Ok(Self { members, by_key })
    }

    pub(crate) fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node<'a>> {
        if self.by_key.is_empty() {
            return self
                .members
                .iter()
                .find(|member| member.key == key)
                .map(|member| &member.value);
        }
        self.by_key
            .binary_search_by(|at| self.members[*at as usize].key.as_ref().cmp(key))
            .ok()
            .map(|found| &self.members[self.by_key[found] as usize].value)
    }
}

impl<'a> Node<'a> {
    /// The value that a JSON pointer names.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Node<'a>> {
        let mut node = self;
        for segment in pointer.split('/').skip(1) {
            node = match node {
                Node::Array(items) => items.get(segment.parse::<usize>().ok()?)?,
                Node::Object(object) if segment.contains('~') => {
                    object.get(&segment.replace("~1", "/").replace("~0", "~"))?
                }
                Node::Object(object) => object.get(segment)?,
                _ => return None,
            };
        }
        Some(node)
    }

    /// How many values it is and holds.
    pub(crate) fn values(&self) -> usize {
        1 + match self {
            Node::Array(items) => items.iter().map(Node::values).sum(),
            Node::Object(object) => object
                .members
                .iter()
                .map(|member| member.value.values())
                .sum(),
            _ => 0,
        }
    }

    /// The length of the longest JSON pointer into it, in bytes, without escapes.
    pub(crate) fn longest_pointer(&self) -> usize {
        match self {
            Node::Array(items) => {
                let index = 1 + items.len().to_string().len();
                let inside = items.iter().map(|item| index + item.longest_pointer());
                inside.max().unwrap_or(0)
            }
            Node::Object(object) => {
                let inside = object.members.iter();
                let inside =
                    inside.map(|member| 1 + member.key.len() + member.value.longest_pointer());
                inside.max().unwrap_or(0)
            }
            _ => 0,
        }
    }
}

/// Appends one segment to a JSON pointer.
pub(crate) fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for character in segment.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
