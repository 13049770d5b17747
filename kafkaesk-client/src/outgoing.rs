//! Outgoing: a record on its way to a broker, and how large the batches of its topic may get.

use bytes::Bytes;
use kafkaesk_core::{Headers, TopicName};

/// A record on its way out. Owned, so that it can wait for room.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The topic.
    pub topic: TopicName,
    /// A fixed partition, or by key.
    pub partition: Option<i32>,
    /// The key's bytes.
    pub key: Option<Bytes>,
    /// The envelope; `None` for a null value, a tombstone.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
    /// Milliseconds since the Unix epoch; now if absent.
    pub timestamp: Option<i64>,
    /// How large the batches of its topic may get.
    pub batch: BatchLimit,
}

/// How large a batch of records of one topic may get: the producer's `batch.size`, halved this often. A topic that takes
/// less than the default batch gets smaller ones, since brokers refuse a batch whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchLimit(u8);

impl BatchLimit {
    /// How many limits there are: the smallest is 1/16,384 of the default, some 60 bytes, so that each record goes alone.
    pub(crate) const COUNT: usize = 15;

    /// The largest limit that a topic with this `max.message.bytes` takes.
    pub(crate) fn fitting(batch_bytes: usize, max_message_bytes: usize) -> Self {
        let mut limit = Self::default();
        while limit.of(batch_bytes) > max_message_bytes && limit.index() + 1 < Self::COUNT {
            limit = limit.halved();
        }
        limit
    }

    /// Half of it; the smallest stays.
    pub(crate) fn halved(self) -> Self {
        Self((self.0 + 1).min(Self::COUNT as u8 - 1))
    }

    /// Its place among all limits.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// In bytes, for a producer with this `batch.size`.
    pub(crate) fn of(self, batch_bytes: usize) -> usize {
        (batch_bytes >> self.0).max(1)
    }
}

/// How many bytes a record takes in a queue: key, value and headers.
pub(crate) fn size_of(record: &Outgoing) -> usize {
    record.value_len() + record.key.as_ref().map_or(0, Bytes::len) + record.headers.bytes()
}

impl Outgoing {
    /// How many bytes the value has; 0 for a null one.
    pub(crate) fn value_len(&self) -> usize {
        self.value.as_ref().map_or(0, Bytes::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_fits_its_topic_and_is_no_smaller_than_it_must_be() {
        for batch in [1, 1000, 1_000_000, 100_000_000] {
            for topic in [1, 61, 2000, 999_999, 1_000_000, 1_048_588, 200_000_000] {
                let limit = BatchLimit::fitting(batch, topic);
                let smallest = limit.index() + 1 == BatchLimit::COUNT;
                assert!(limit.of(batch) <= topic || smallest, "{batch} {topic}");
                assert!(limit.index() == 0 || limit.of(batch) * 2 + 1 > topic);
            }
        }
        let mut limit = BatchLimit::default();
        for _ in 0..100 {
            limit = limit.halved();
        }
        assert_eq!(limit.index() + 1, BatchLimit::COUNT);
        assert!(limit.of(1) >= 1);
    }
}
