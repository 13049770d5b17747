//! Stream ids: a topic's name without the prefix.

use super::{
    characters::{NameError, check_characters, check_length, text_name},
    topic::is_reserved_topic,
};

text_name! {
    /// A stream's name as users see it: the topic without the prefix.
    StreamId
}

impl StreamId {
    /// Checks a stream id: Kafka's characters, at most 249 of them, not reserved. With the prefix its length is checked again,
    /// by [`TopicPrefix::topic`](crate::TopicPrefix::topic).
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

    /// The name under which the topics of a group are read, although it is reserved.
    pub(super) fn of_group_topic(rest: &str) -> Self {
        Self(rest.into())
    }
}
