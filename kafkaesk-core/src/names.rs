//! Names: text in, checked names out. Knows Kafka's limits and the reserved names; asks no broker.

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::{brief, schema_id::SchemaName};

/// Kafka's limit on a topic name, in bytes (`org.apache.kafka.common.internals.Topic`).
pub const MAX_TOPIC_BYTES: usize = 249;
/// What a schema topic's name has between prefix and schema name.
pub const SCHEMA_TOPIC_MARK: &str = "__schema__";
/// Words that make a topic reserved wherever they stand in its name. Only the first is in use. The others are kept for the
/// topics of later versions (`__dead__<group>`, `__retry__<group>`, `__connect__<name>`): a word that is reserved later would
/// take streams away from their users.
pub const RESERVED_WORDS: [&str; 4] = [SCHEMA_TOPIC_MARK, "__dead__", "__retry__", "__connect__"];
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
        "stream id {name:?} is reserved: ids that begin with `__`, contain `__schema__`, `__dead__`, `__retry__` or `__connect__`, or end in `__streams__` are kafkaesk's own; choose another"
    )]
    Reserved {
        /// The refused text.
        name: String,
    },
    /// A prefix that would make every topic behind it reserved.
    #[error(
        "topic prefix {prefix:?} contains `{word}`, which marks kafkaesk's own topics; choose another"
    )]
    ReservedPrefix {
        /// The reserved word.
        word: &'static str,
        /// The refused text.
        prefix: String,
    },
    /// Prefix and stream id are allowed, but together they read as one of ours.
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

fn check_topic(name: &str) -> Result<(), NameError> {
    if name.is_empty() || name == "." || name == ".." {
        return Err(NameError::Empty {
            what: "topic",
            name: name.to_owned(),
        });
    }
    check_characters("topic", name)?;
    check_length("", name)
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

/// Whether a topic is kafkaesk's own bookkeeping whatever the prefix: never matched, never published to.
pub fn is_reserved_topic(topic: &str) -> bool {
    reserved_word(topic).is_some() || topic.ends_with(BINDINGS_TOPIC)
}

fn reserved_word(name: &str) -> Option<&'static str> {
    RESERVED_WORDS.into_iter().find(|word| name.contains(word))
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
    /// Checks a stream id: Kafka's characters, at most 249 of them, not reserved. With the prefix its length is checked again,
    /// by [`TopicPrefix::topic`].
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
        check_length("", id)?;
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

impl std::str::FromStr for TopicPrefix {
    type Err = NameError;

    fn from_str(prefix: &str) -> Result<Self, NameError> {
        Self::new(prefix)
    }
}

impl TopicPrefix {
    /// Checks a prefix's characters. The empty prefix is allowed (and begins every other: see the contract).
    ///
    /// # Errors
    /// [`NameError::Character`], [`NameError::TooLong`], and [`NameError::ReservedPrefix`] for one that contains one of
    /// [`RESERVED_WORDS`].
    pub fn new(prefix: impl AsRef<str>) -> Result<Self, NameError> {
        let prefix = prefix.as_ref();
        check_characters("topic prefix", prefix)?;
        check_length("", prefix)?;
        if let Some(word) = reserved_word(prefix) {
            return Err(NameError::ReservedPrefix {
                word,
                prefix: prefix.to_owned(),
            });
        }
        Ok(Self(prefix.into()))
    }

    /// The topic that carries a stream.
    ///
    /// # Errors
    /// [`NameError`] when prefix and id together are no name that Kafka takes, or a reserved one.
    pub fn topic(&self, stream: &StreamId) -> Result<TopicName, NameError> {
        let topic = TopicName::new(format!("{self}{stream}"))?;
        if is_reserved_topic(topic.as_str()) {
            return Err(NameError::ReservedTopic {
                topic: topic.to_string(),
            });
        }
        Ok(topic)
    }

    /// Whether one of two prefixes begins the other, so that the one's patterns could reach the other's streams.
    pub fn is_ambiguous_with(&self, other: &TopicPrefix) -> bool {
        self != other
            && (self.as_str().starts_with(other.as_str())
                || other.as_str().starts_with(self.as_str()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_never_reserved_by_the_seam_of_prefix_and_id() {
        let prefix = TopicPrefix::new("shop_").unwrap();
        for word in RESERVED_WORDS {
            let stream = StreamId::new(format!("{}x", &word[1..])).unwrap();
            assert!(matches!(
                prefix.topic(&stream),
                Err(NameError::ReservedTopic { .. })
            ));
            let error = TopicPrefix::new(format!("a{word}b")).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn the_length_is_counted_with_the_prefix() {
        let stream = StreamId::new("s".repeat(249)).unwrap();
        assert!(TopicPrefix::default().topic(&stream).is_ok());
        let error = TopicPrefix::new("a").unwrap().topic(&stream).unwrap_err();
        assert!(matches!(error, NameError::TooLong { bytes: 250, .. }));
    }

    #[test]
    fn a_topic_leads_back_to_its_stream_and_to_no_other_prefix() {
        let shop = TopicPrefix::new("shop.").unwrap();
        let stream = StreamId::new("orders.placed").unwrap();
        let topic = shop.topic(&stream).unwrap();
        assert_eq!(shop.stream_of(topic.as_str()), Some(stream));
        assert_eq!(shop.stream_of("shop.__schema__Order"), None);
        assert_eq!(shop.stream_of("shop.__streams__"), None);
        assert_eq!(shop.stream_of("other.orders"), None);
        for topic in [
            "shop.__streams__",
            "shop.__dead__billing",
            "shop.__retry__billing",
            "shop.__connect__orders",
        ] {
            assert_eq!(TopicPrefix::default().stream_of(topic), None);
        }
        assert_eq!(
            shop.schema_of("shop.__schema__Order").unwrap().as_str(),
            "Order"
        );
        assert_eq!(shop.schema_of("__schema__Order"), None);
    }

    #[test]
    fn names_that_differ_only_in_dot_and_underscore_collide() {
        assert!(collide("a.b_c", "a_b.c"));
        assert!(!collide("a.b", "a.b"));
        assert!(!collide("a.b", "a-b"));
    }

    #[test]
    fn prefixes_are_ambiguous_when_one_begins_the_other() {
        let prefix = |p: &str| TopicPrefix::new(p).unwrap();
        assert!(prefix("").is_ambiguous_with(&prefix("shop.")));
        assert!(prefix("shop").is_ambiguous_with(&prefix("shopping.")));
        assert!(!prefix("shop.").is_ambiguous_with(&prefix("shopping.")));
        assert!(!prefix("shop.").is_ambiguous_with(&prefix("shop.")));
    }
}
