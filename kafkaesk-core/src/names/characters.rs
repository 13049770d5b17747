//! Kafka's rules for the characters and the length of a name, and why a name is refused.

use thiserror::Error;

use crate::brief;

/// Kafka's limit on a topic name, in bytes (`org.apache.kafka.common.internals.Topic`).
pub const MAX_TOPIC_BYTES: usize = 249;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing at all, or Kafka's `.` and `..`.
    #[error(
        "{what} {name:?} is empty or a name that Kafka refuses; use letters, digits, `.`, `_`, `-`"
    )]
    Empty {
        /// Which name: "stream id", "topic", …
        what: &'static str,
        /// The refused text.
        name: String,
    },
    /// A character outside Kafka's `[a-zA-Z0-9._-]`.
    #[error(
        "{what} {name:?} has {character:?} at byte {at}; Kafka allows only letters, digits, `.`, `_`, `-`"
    )]
    Character {
        /// Which name.
        what: &'static str,
        /// The refused text.
        name: String,
        /// The first character that is not allowed.
        character: char,
        /// Its byte offset.
        at: usize,
    },
    /// Longer than Kafka allows, counted with the prefix in place.
    #[error("topic {topic:?} has {bytes} bytes; Kafka allows 249, prefix included")]
    TooLong {
        /// The whole topic name.
        topic: String,
        /// Its length.
        bytes: usize,
    },
    /// A stream id that is reserved for kafkaesk or Kafka.
    #[error(
        "stream id {name:?} is reserved: ids that begin with `__`, contain `__schema__`, `__dead__`, `__retry__` or `__connect__`, or end in `__streams__` are kafkaesk's own; choose another"
    )]
    Reserved {
        /// The refused text.
        name: String,
    },
    /// A prefix that would make every topic with it reserved.
    #[error(
        "topic prefix {prefix:?} contains `{word}`, which marks kafkaesk's own topics; choose another"
    )]
    ReservedPrefix {
        /// The reserved word.
        word: &'static str,
        /// The refused text.
        prefix: String,
    },
    /// Prefix and stream id are allowed, but together they are a reserved topic.
    #[error(
        "topic {topic:?} is reserved: with the prefix in place it contains `__schema__`, `__dead__`, `__retry__` or `__connect__`, or ends in `__streams__`; choose another stream id"
    )]
    ReservedTopic {
        /// The whole topic name.
        topic: String,
    },
}

/// Whether Kafka allows a character in a topic's name.
pub(crate) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

pub(crate) fn check_characters(what: &'static str, name: &str) -> Result<(), NameError> {
    for (at, character) in name.char_indices() {
        if !is_name_character(character) {
            return Err(NameError::Character {
                what,
                name: brief(name).into_owned(),
                character,
                at,
            });
        }
    }
    Ok(())
}

/// Whether a topic's name with this much before it is short enough.
pub(crate) fn check_length(before: &str, name: &str) -> Result<(), NameError> {
    let bytes = before.len() + name.len();
    if bytes > MAX_TOPIC_BYTES {
        return Err(NameError::TooLong {
            topic: format!("{before}{}", brief(name)),
            bytes,
        });
    }
    Ok(())
}

/// Defines a name: a checked text that is cheap to clone. The type's own `new` checks it.
macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(super) use text_name;
