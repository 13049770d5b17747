//! Names: text in, checked names out. Knows Kafka's limits and the reserved names; asks no broker.

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::schema_id::SchemaName;

/// Kafka's limit on a topic name, in bytes (`org.apache.kafka.common.internals.Topic`).
pub const MAX_TOPIC_BYTES: usize = 249;
/// What a schema topic's name has between prefix and schema name.
pub const SCHEMA_TOPIC_MARK: &str = "__schema__";
/// The topic, behind the prefix, that binds streams to schema names.
pub const BINDINGS_TOPIC: &str = "__streams__";

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
    /// A stream id that is ours or Kafka's own.
    #[error(
        "stream id {name:?} is reserved: ids that begin with `__`, contain `__schema__` or end in `__streams__` are kafkaesk's own; choose another"
    )]
    Reserved {
        /// The refused text.
        name: String,
    },
}

pub(crate) fn check_characters(what: &'static str, name: &str) -> Result<(), NameError> {
    for (at, character) in name.char_indices() {
        if !(character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')) {
            return Err(NameError::Character {
                what,
                name: name.to_owned(),
                character,
                at,
            });
        }
    }
    Ok(())
}

fn check_topic(name: &str) -> Result<(), NameError> {
    if name.is_empty() || name == "." || name == ".." {
        return Err(NameError::Empty {
            what: "topic",
            name: name.to_owned(),
        });
    }
    check_characters("topic", name)?;
    if name.len() > MAX_TOPIC_BYTES {
        return Err(NameError::TooLong {
            topic: name.to_owned(),
            bytes: name.len(),
        });
    }
    Ok(())
}

/// Whether a topic is kafkaesk's own bookkeeping whatever the prefix: never matched, never published to.
pub fn is_reserved_topic(topic: &str) -> bool {
    topic.contains(SCHEMA_TOPIC_MARK) || topic.ends_with(BINDINGS_TOPIC)
}

/// Whether Kafka refuses to hold both names: they differ, but only in `.` and `_`.
pub fn collide(a: &str, b: &str) -> bool {
    a != b
        && a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .all(|(x, y)| x == y || (matches!(x, b'.' | b'_') && matches!(y, b'.' | b'_')))
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

text_name! {
    /// A stream's name as users see it: the topic without the prefix.
    StreamId
}
text_name! {
    /// A topic's whole name as Kafka sees it.
    TopicName
}
text_name! {
    /// What stands before every topic of one installation. May be empty.
    TopicPrefix
}

impl StreamId {
    /// Checks a stream id: Kafka's characters, not reserved. Its length is checked with the prefix, by [`TopicPrefix::topic`].
    ///
    /// # Errors
    /// [`NameError`] says what is wrong and where.
    pub fn new(id: impl AsRef<str>) -> Result<Self, NameError> {
        let id = id.as_ref();
        if id.is_empty() {
            return Err(NameError::Empty {
                what: "stream id",
                name: String::new(),
            });
        }
        check_characters("stream id", id)?;
        if id.starts_with("__") || is_reserved_topic(id) {
            return Err(NameError::Reserved {
                name: id.to_owned(),
            });
        }
        Ok(Self(id.into()))
    }
}

impl TopicName {
    /// Checks a whole topic name against Kafka's rules.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong and where.
    pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
        check_topic(name.as_ref())?;
        Ok(Self(name.as_ref().into()))
    }
}

impl Default for TopicPrefix {
    fn default() -> Self {
        Self("".into())
    }
}

impl TopicPrefix {
    /// Checks a prefix's characters. The empty prefix is allowed (and begins every other: see the contract).
    ///
    /// # Errors
    /// [`NameError::Character`].
    pub fn new(prefix: impl AsRef<str>) -> Result<Self, NameError> {
        check_characters("topic prefix", prefix.as_ref())?;
        Ok(Self(prefix.as_ref().into()))
    }

    /// The topic that carries a stream.
    ///
    /// # Errors
    /// [`NameError`] when prefix and id together are no name that Kafka takes.
    pub fn topic(&self, stream: &StreamId) -> Result<TopicName, NameError> {
        TopicName::new(format!("{self}{stream}"))
    }

    /// The topic that holds a schema's versions.
    ///
    /// # Errors
    /// [`NameError::TooLong`].
    pub fn schema_topic(&self, schema: &SchemaName) -> Result<TopicName, NameError> {
        TopicName::new(format!("{self}{SCHEMA_TOPIC_MARK}{schema}"))
    }

    /// The topic that binds streams to schema names.
    ///
    /// # Errors
    /// [`NameError::TooLong`].
    pub fn bindings_topic(&self) -> Result<TopicName, NameError> {
        TopicName::new(format!("{self}{BINDINGS_TOPIC}"))
    }

    /// The stream that a topic carries; `None` for a topic of another prefix and for reserved topics.
    pub fn stream_of(&self, topic: &str) -> Option<StreamId> {
        if is_reserved_topic(topic) {
            return None;
        }
        StreamId::new(topic.strip_prefix(self.as_str())?).ok()
    }

    /// The schema whose versions a topic holds; `None` for any other topic.
    pub fn schema_of(&self, topic: &str) -> Option<SchemaName> {
        SchemaName::new(
            topic
                .strip_prefix(self.as_str())?
                .strip_prefix(SCHEMA_TOPIC_MARK)?,
        )
        .ok()
    }
}
