//! Topics in memory: records in, offsets out, records back by offset. Pure: no clock, no groups, no waiting.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kafkaesk_core::{Headers, Offset, TopicName, names::collide, partitioner::partition_for_key};

use crate::{ClientError, broker::TopicSpec};

/// A record larger than this (key, value and headers together) is refused, as librdkafka's `message.max.bytes` does.
pub(super) const MAX_RECORD_BYTES: usize = 1_000_000;

/// How many bytes all records together may have; a broker that nobody empties must not take all memory.
pub(super) const MAX_TOTAL_BYTES: usize = 512 * 1024 * 1024;

/// One partition of one topic.
pub(super) type TopicPartition = (String, i32);

/// One record as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Counts all records of the broker, so that "newest" has one meaning.
    pub(super) sequence: u64,
    pub(super) timestamp: i64,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Headers,
}

impl Stored {
    pub(super) fn bytes(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + self.headers.bytes()
    }
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) partitions: Vec<Vec<Stored>>,
    pub(super) replication_factor: u16,
    pub(super) config: BTreeMap<String, String>,
    /// Where the next record without a key goes.
    next: usize,
}

/// All topics.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) topics: BTreeMap<String, Topic>,
    appended: u64,
    bytes: usize,
}

impl Store {
    /// `false` if it is there already; it is then left as it is.
    pub(super) fn create(&mut self, spec: &TopicSpec) -> Result<bool, ClientError> {
        let name = spec.topic.as_str();
        if self.topics.contains_key(name) {
            return Ok(false);
        }
        self.check(spec)?;
        self.topics.insert(
            name.to_owned(),
            Topic {
                partitions: vec![Vec::new(); spec.partitions as usize],
                replication_factor: spec.replication_factor,
                config: spec.config.clone(),
                next: 0,
            },
        );
        Ok(true)
    }

    /// Whether an absent topic could be created so.
    pub(super) fn check(&self, spec: &TopicSpec) -> Result<(), ClientError> {
        let name = spec.topic.as_str();
        if let Some(existing) = self.topics.keys().find(|other| collide(other, name)) {
            return Err(ClientError::Collision {
                topic: spec.topic.clone(),
                existing: existing.clone(),
            });
        }
        if spec.partitions == 0 {
            return Err(refused(name, "the number of partitions must be at least 1"));
        }
        if spec.replication_factor != 1 {
            return Err(refused(
                name,
                &format!(
                    "replication factor {} where there is one broker; ask for 1",
                    spec.replication_factor
                ),
            ));
        }
        Ok(())
    }

    /// Appends, choosing the partition by key where none is fixed.
    pub(super) fn append(
        &mut self,
        topic: &TopicName,
        partition: Option<i32>,
        mut record: Stored,
    ) -> Result<(i32, Offset), ClientError> {
        let size = record.bytes();
        if size > MAX_RECORD_BYTES {
            return Err(ClientError::TooLarge {
                topic: topic.clone(),
                bytes: record.value.as_ref().map_or(0, Bytes::len),
                reason: format!("a record may have {MAX_RECORD_BYTES} bytes"),
            });
        }
        if self.bytes + size > MAX_TOTAL_BYTES {
            return Err(not_delivered(
                topic,
                format!("the broker in memory holds {MAX_TOTAL_BYTES} bytes at most and is full"),
            ));
        }
        let Some(target) = self.topics.get_mut(topic.as_str()) else {
            return Err(not_delivered(topic, "unknown topic or partition".into()));
        };
        let partition = match (partition, &record.key) {
            (Some(fixed), _) => fixed,
            (None, Some(key)) => partition_for_key(key, target.partitions.len() as u32),
            (None, None) => {
                let next = target.next % target.partitions.len();
                target.next = next + 1;
                next as i32
            }
        };
        let Some(log) = usize::try_from(partition)
            .ok()
            .and_then(|index| target.partitions.get_mut(index))
        else {
            return Err(not_delivered(
                topic,
                format!("unknown partition {partition}"),
            ));
        };
        record.sequence = self.appended;
        self.appended += 1;
        self.bytes += size;
        log.push(record);
        Ok((partition, Offset(log.len() as i64 - 1)))
    }

    /// The records from `from` on; empty for what is not there.
    pub(super) fn tail(&self, topic: &str, partition: i32, from: i64) -> &[Stored] {
        let from = usize::try_from(from).unwrap_or(0);
        self.log(topic, partition).get(from..).unwrap_or_default()
    }

    /// The offset that the next record will get.
    pub(super) fn end(&self, topic: &str, partition: i32) -> i64 {
        self.log(topic, partition).len() as i64
    }

    /// The first offset whose record is at least as young as `timestamp`; the end if there is none.
    pub(super) fn offset_at(&self, topic: &str, partition: i32, timestamp: i64) -> i64 {
        let log = self.log(topic, partition);
        log.iter()
            .position(|record| record.timestamp >= timestamp)
            .unwrap_or(log.len()) as i64
    }

    /// All partitions of the topics that `wanted` takes.
    pub(super) fn partitions(&self, wanted: impl Fn(&str) -> bool) -> BTreeSet<TopicPartition> {
        self.topics
            .iter()
            .filter(|(name, _)| wanted(name))
            .flat_map(|(name, topic)| {
                (0..topic.partitions.len() as i32).map(move |partition| (name.clone(), partition))
            })
            .collect()
    }

    /// The newest record of a topic.
    pub(super) fn newest(&self, topic: &str) -> Option<&Stored> {
        self.topics
            .get(topic)?
            .partitions
            .iter()
            .filter_map(|log| log.last())
            .max_by_key(|record| record.sequence)
    }

    fn log(&self, topic: &str, partition: i32) -> &[Stored] {
        self.topics
            .get(topic)
            .and_then(|found| found.partitions.get(usize::try_from(partition).ok()?))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

fn not_delivered(topic: &TopicName, reason: String) -> ClientError {
    ClientError::NotDelivered {
        topic: topic.clone(),
        reason,
    }
}

fn refused(topic: &str, reason: &str) -> ClientError {
    ClientError::Kafka {
        action: format!("creating topic {topic}"),
        source: reason.into(),
    }
}
