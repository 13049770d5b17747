//! Topic prefixes: from stream ids and schema names to topics, and back.

use super::{
    characters::{NameError, check_characters, check_length, text_name},
    schema::SchemaName,
    stream::StreamId,
    topic::{
        BINDINGS_TOPIC, DEAD_TOPIC_MARK, RETRY_TOPIC_MARK, SCHEMA_TOPIC_MARK, TopicName,
        is_reserved_topic, reserved_word,
    },
};

text_name! {
    /// The start of every topic's name in one installation. May be empty.
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
    /// [`NameError`] when prefix and id together are not a name that Kafka takes, or are a reserved one.
    pub fn topic(&self, stream: &StreamId) -> Result<TopicName, NameError> {
        let topic = TopicName::new(format!("{self}{stream}"))?;
        if is_reserved_topic(topic.as_str()) {
            return Err(NameError::ReservedTopic {
                topic: topic.to_string(),
            });
        }
        Ok(topic)
    }

    /// Whether one prefix begins with the other, so that patterns with the shorter one match streams of the other.
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

    /// The topic with a consumer group's dead letters. `group` is the group's whole name, as sent to Kafka.
    ///
    /// # Errors
    /// [`NameError`] for a group that is empty or whose name does not fit into a topic's: Kafka takes any text for a group.
    pub fn dead_topic(&self, group: &str) -> Result<TopicName, NameError> {
        self.group_topic(DEAD_TOPIC_MARK, group)
    }

    /// The topic from which a consumer group reads redriven messages. `group` is the group's whole name, as sent to Kafka.
    ///
    /// # Errors
    /// As [`Self::dead_topic`].
    pub fn retry_topic(&self, group: &str) -> Result<TopicName, NameError> {
        self.group_topic(RETRY_TOPIC_MARK, group)
    }

    fn group_topic(&self, mark: &str, group: &str) -> Result<TopicName, NameError> {
        if group.is_empty() {
            return Err(NameError::Empty {
                what: "group",
                name: String::new(),
            });
        }
        check_characters("group", group)?;
        TopicName::new(format!("{self}{mark}{group}"))
    }

    /// The stream of a topic that is read: as [`Self::stream_of`]. For a group's topic of dead letters and its retry
    /// topic it is the name without the prefix, which no pattern matches and no program can publish to.
    pub fn consumed_stream(&self, topic: &str) -> Option<StreamId> {
        let rest = topic.strip_prefix(self.as_str())?;
        match rest.starts_with(RETRY_TOPIC_MARK) || rest.starts_with(DEAD_TOPIC_MARK) {
            true => Some(StreamId::of_group_topic(rest)),
            false => self.stream_of(topic),
        }
    }

    /// The group whose dead letters a topic keeps, as sent to Kafka; `None` for every other topic.
    pub fn dead_group<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let rest = topic.strip_prefix(self.as_str())?;
        let group = rest.strip_prefix(DEAD_TOPIC_MARK)?;
        (!group.is_empty()).then_some(group)
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
