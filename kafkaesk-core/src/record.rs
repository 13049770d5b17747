//! A record as it was read: where it came from and its untouched bytes. Cheap to clone.

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
    /// The value's bytes; `None` for a null value (which is no envelope).
    pub value: Option<Bytes>,
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

    /// How many bytes it takes: key, value and headers. Every bound on records counts these.
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
