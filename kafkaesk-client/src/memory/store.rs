//! Topics in memory: appends records, gives each an offset, and reads them back by offset. Pure: no clock, no groups, no waiting.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kafkaesk_core::{
    Headers, Offset, TopicName,
    names::{collide, is_reserved_topic},
    partitioner::partition_for_key,
};

use super::broker::receipt;
use crate::{ClientError, Receipt, broker::TopicSpec};

/// A record larger than this (key, value and headers together) is refused, as librdkafka's `message.max.bytes` does.
pub(super) const MAX_RECORD_BYTES: usize = 1_000_000;

/// The bound on the bytes of all records: a broker that is never emptied must not take all memory.
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

/// One partition's log. An offset without a record is a gap, as Kafka has for the marks of transactions, for aborted
/// records and for what compaction took.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    slots: Vec<Option<Stored>>,
    /// The first offset; everything before was deleted.
    first: usize,
}

impl Log {
    /// The first offset that there is.
    pub(super) fn first(&self) -> i64 {
        self.first as i64
    }

    /// The offset that the next record will get.
    pub(super) fn end(&self) -> i64 {
        self.slots.len() as i64
    }

    /// The records from this sequence number on, with their offsets. Looks at those alone.
    pub(super) fn since(&self, sequence: u64) -> impl Iterator<Item = (i64, &Stored)> {
        let later = self.slots.iter().rev();
        let later = later.take_while(|slot| slot.as_ref().is_none_or(|s| s.sequence >= sequence));
        self.records_from((self.slots.len() - later.count()) as i64)
    }

    /// The records from an offset on, with their offsets.
    pub(super) fn records_from(&self, from: i64) -> impl Iterator<Item = (i64, &Stored)> {
        let from = usize::try_from(from).unwrap_or(0).max(self.first);
        self.slots
            .iter()
            .enumerate()
            .skip(from)
            .filter_map(|(offset, slot)| Some((offset as i64, slot.as_ref()?)))
    }
}

#[derive(Debug)]
pub(super) struct Topic {
    /// Differs from that of every other topic of this broker, deleted ones included.
    pub(super) id: u64,
    pub(super) partitions: Vec<Log>,
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
    created: u64,
}

impl Store {
    /// `false` if it is there already; it is then left as it is.
    pub(super) fn create(&mut self, spec: &TopicSpec) -> Result<bool, ClientError> {
        let name = spec.topic.as_str();
        if self.topics.contains_key(name) {
            return Ok(false);
        }
        self.check(spec)?;
        self.created += 1;
        self.topics.insert(
            name.to_owned(),
            Topic {
                id: self.created,
                partitions: vec![Log::default(); spec.partitions as usize],
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

    /// The largest record of a topic. For a log the topic's own setting counts, as on a real broker.
    fn limit(&self, topic: &TopicName) -> usize {
        let config = self.topics.get(topic.as_str()).map(|topic| &topic.config);
        let own = config.and_then(|config| config.get("max.message.bytes")?.parse().ok());
        match own {
            Some(own) if is_reserved_topic(topic.as_str()) => own,
            _ => MAX_RECORD_BYTES,
        }
    }

    /// Whether these records can all be appended, one after the other.
    fn admit(&self, records: &[(TopicName, Option<i32>, Stored)]) -> Result<(), ClientError> {
        let mut total = self.bytes;
        for (topic, partition, record) in records {
            self.admit_one(topic, *partition, record, total)?;
            total += record.bytes();
        }
        Ok(())
    }

    /// Appends all of these, or none.
    pub(super) fn append_all(
        &mut self,
        records: Vec<(TopicName, Option<i32>, Stored)>,
    ) -> Result<Vec<Receipt>, ClientError> {
        self.admit(&records)?;
        let mut receipts = Vec::with_capacity(records.len());
        for (topic, partition, record) in records {
            let place = self.append(&topic, partition, record)?;
            receipts.push(receipt(topic, place));
        }
        Ok(receipts)
    }

    /// Whether a record can be appended where all records together have `total` bytes.
    fn admit_one(
        &self,
        topic: &TopicName,
        partition: Option<i32>,
        record: &Stored,
        total: usize,
    ) -> Result<(), ClientError> {
        let size = record.bytes();
        let limit = self.limit(topic);
        if size > limit {
            return Err(ClientError::TooLarge {
                topic: topic.clone(),
                bytes: record.value.as_ref().map_or(0, Bytes::len),
                reason: format!("a record may have {limit} bytes"),
            });
        }
        if total + size > MAX_TOTAL_BYTES {
            return Err(not_delivered(
                topic,
                format!("the broker in memory holds {MAX_TOTAL_BYTES} bytes at most and is full"),
            ));
        }
        let Some(found) = self.topics.get(topic.as_str()) else {
            return Err(not_delivered(topic, "unknown topic or partition".into()));
        };
        match partition {
            Some(fixed) if usize::try_from(fixed).is_ok_and(|p| p < found.partitions.len()) => {
                Ok(())
            }
            Some(fixed) => Err(not_delivered(topic, format!("unknown partition {fixed}"))),
            None => Ok(()),
        }
    }

    /// Appends, choosing the partition by key where none is fixed.
    pub(super) fn append(
        &mut self,
        topic: &TopicName,
        partition: Option<i32>,
        mut record: Stored,
    ) -> Result<(i32, Offset), ClientError> {
        self.admit_one(topic, partition, &record, self.bytes)?;
        let size = record.bytes();
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
        log.slots.push(Some(record));
        Ok((partition, Offset(log.end() - 1)))
    }

    /// Deletes a topic; whether it was there.
    pub(super) fn delete(&mut self, topic: &str) -> bool {
        let Some(deleted) = self.topics.remove(topic) else {
            return false;
        };
        let records = deleted
            .partitions
            .iter()
            .flat_map(|log| log.records_from(0));
        self.bytes -= records.map(|(_, record)| record.bytes()).sum::<usize>();
        true
    }

    /// Adds partitions until there are so many.
    pub(super) fn grow(&mut self, topic: &str, partitions: u32) {
        if let Some(found) = self.topics.get_mut(topic) {
            let wanted = found.partitions.len().max(partitions as usize);
            found.partitions.resize(wanted, Log::default());
        }
    }

    /// Deletes the records before an offset, as retention does.
    pub(super) fn delete_before(&mut self, topic: &str, partition: i32, offset: i64) {
        let mut freed = 0;
        if let Some(log) = self.log_mut(topic, partition) {
            let first = usize::try_from(offset).unwrap_or(0).min(log.slots.len());
            for slot in &mut log.slots[..first] {
                freed += slot.take().map_or(0, |record| record.bytes());
            }
            log.first = log.first.max(first);
        }
        self.bytes -= freed;
    }

    /// Takes offsets without records.
    pub(super) fn skip(&mut self, topic: &str, partition: i32, count: usize) {
        if let Some(log) = self.log_mut(topic, partition) {
            let wanted = log.slots.len() + count;
            log.slots.resize(wanted, None);
        }
    }

    /// One partition's log; `None` for what is not there.
    pub(super) fn log(&self, topic: &str, partition: i32) -> Option<&Log> {
        let partition = usize::try_from(partition).ok()?;
        self.topics.get(topic)?.partitions.get(partition)
    }

    fn log_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Log> {
        let partition = usize::try_from(partition).ok()?;
        self.topics.get_mut(topic)?.partitions.get_mut(partition)
    }

    /// The records from `from` on, with their offsets; none for what is not there.
    pub(super) fn tail(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
    ) -> impl Iterator<Item = (i64, &Stored)> {
        self.log(topic, partition)
            .into_iter()
            .flat_map(move |log| log.records_from(from))
    }

    /// The offset that the next record will get.
    pub(super) fn end(&self, topic: &str, partition: i32) -> i64 {
        self.log(topic, partition).map_or(0, Log::end)
    }

    /// The first offset whose record is at least as young as `timestamp`; the end if there is none.
    pub(super) fn offset_at(&self, topic: &str, partition: i32, timestamp: i64) -> i64 {
        self.tail(topic, partition, 0)
            .find(|(_, record)| record.timestamp >= timestamp)
            .map_or_else(|| self.end(topic, partition), |(offset, _)| offset)
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
            .filter_map(|log| log.slots.iter().flatten().last())
            .max_by_key(|record| record.sequence)
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
