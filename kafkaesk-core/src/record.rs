//! Record: the unchanged bytes of one Kafka record and its source. Cheap to clone.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Headers, Offset, StreamId, TopicName};

/// Where records come from; shared by all records of one assigned partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The whole topic name.
    pub topic: TopicName,
    /// The topic without the prefix.
    pub stream: StreamId,
    /// The partition's number.
    pub partition: i32,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// One consumed record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Topic, stream and partition.
    pub source: Arc<Source>,
    /// Its offset in the partition.
    pub offset: Offset,
    /// Milliseconds since the Unix epoch, if the broker has one.
    pub timestamp: Option<i64>,
    /// The key's bytes; `None` for a null key.
    pub key: Option<Bytes>,
    /// The headers in their order.
    pub headers: Headers,
    /// The value's bytes; `None` for a null value (which is not an envelope).
    pub value: Option<Bytes>,
    /// The part of the record that is in Kafka but was not read; `None` if the record is whole. A worker treats an
    /// incomplete record as one that does not fit its handler.
    pub unreadable: Option<Box<Unreadable>>,
}

/// The part of a record in Kafka that was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// It has headers that cannot be read; [`Record::headers`] is empty.
    Headers,
    /// The record is larger than the consumer's bound. [`Record::value`] and [`Record::headers`] are empty; the key is
    /// `None` if the key alone is too large.
    TooLarge {
        /// The bytes of key and value, and of the headers where they were counted.
        bytes: usize,
        /// The bound: the setting `max-message-bytes`.
        limit: usize,
    },
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Headers => f.write_str(
                "headers unreadable: they are damaged, or more than the 100,000 that the Kafka client reads",
            ),
            Self::TooLarge { bytes, limit } => write!(
                f,
                "too large: the record has at least {bytes} bytes, and the setting `max-message-bytes` allows {limit}"
            ),
        }
    }
}

impl Record {
    /// The whole topic name.
    pub fn topic(&self) -> &str {
        self.source.topic.as_str()
    }

    /// The stream id.
    pub fn stream(&self) -> &str {
        self.source.stream.as_str()
    }

    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.source.partition
    }

    /// Its offset in the partition.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The key's bytes; `None` for a null key.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// The headers in their order.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Milliseconds since the Unix epoch, if the broker has one.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// The bytes of key, value and headers. Every bound on records uses this measure.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + self.headers.bytes()
    }

    /// The value's bytes, empty for a null value.
    pub fn value(&self) -> &[u8] {
        self.value.as_deref().unwrap_or_default()
    }
}
