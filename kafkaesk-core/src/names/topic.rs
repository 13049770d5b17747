//! Whole topic names, and which of them are reserved.

use super::characters::{NameError, check_characters, check_length, text_name};

/// What a schema topic's name has between prefix and schema name.
pub const SCHEMA_TOPIC_MARK: &str = "__schema__";
/// What a group's topic of dead letters has between prefix and group.
pub const DEAD_TOPIC_MARK: &str = "__dead__";
/// What a group's topic of redriven messages has between prefix and group.
pub const RETRY_TOPIC_MARK: &str = "__retry__";
/// Words that make a topic reserved at any place of its name. `__connect__` is reserved for a later version: reserving
/// it later would break existing streams.
pub const RESERVED_WORDS: [&str; 4] = [
    SCHEMA_TOPIC_MARK,
    DEAD_TOPIC_MARK,
    RETRY_TOPIC_MARK,
    "__connect__",
];
/// The topic, after the prefix, that binds streams to schema names.
pub const BINDINGS_TOPIC: &str = "__streams__";

text_name! {
    /// A topic's whole name as Kafka sees it.
    TopicName
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

/// Whether a topic is kafkaesk's own bookkeeping whatever the prefix: never matched, never published to.
pub fn is_reserved_topic(topic: &str) -> bool {
    reserved_word(topic).is_some() || topic.ends_with(BINDINGS_TOPIC)
}

pub(super) fn reserved_word(name: &str) -> Option<&'static str> {
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
