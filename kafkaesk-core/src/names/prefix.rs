//! Topic prefixes: from stream ids and schema names to topics, and back.

use super::{
    characters::{NameError, check_characters, check_length, text_name},
    schema::SchemaName,
    stream::StreamId,
    topic::{BINDINGS_TOPIC, SCHEMA_TOPIC_MARK, TopicName, is_reserved_topic, reserved_word},
};

text_name! {
    /// What stands before every topic of one installation. May be empty.
    TopicPrefix
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
    /// [`RESERVED_WORDS`](super::RESERVED_WORDS).
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
