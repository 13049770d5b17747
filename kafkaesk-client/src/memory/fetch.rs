//! Takes batches of records from one consumer's partitions, from its positions on. Never waits.

use std::{collections::BTreeMap, sync::Arc};

use kafkaesk_core::{
    NextOffset, Offset, Record, RecordPlace, Source, StreamId, TopicName, TopicPrefix,
};

use super::store::{Store, Stored, TopicPartition};
use crate::consumer::{BATCH_BYTES, BATCH_RECORDS, Batch, ConsumerEvent, out_of_range};

/// One partition that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) source: Arc<Source>,
    /// The offset to read next.
    pub(super) position: i64,
    /// Batches do not cross this offset, so that the end is reported where it is.
    pub(super) stop: Option<i64>,
}

/// All partitions that a consumer reads, taken in turns.
#[derive(Debug, Default)]
pub(super) struct Fetch {
    pub(super) readings: Vec<Reading>,
    /// Whose turn it is.
    turn: usize,
}

impl Fetch {
    /// Stops reading these; returns their sources.
    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) -> Vec<Arc<Source>> {
        let gone = |source: &Source| {
            partitions
                .iter()
                .any(|(topic, p)| source.topic.as_str() == topic && source.partition == *p)
        };
        self.readings
            .extract_if(.., |reading| gone(&reading.source))
            .map(|reading| reading.source)
            .collect()
    }

    /// The next records of one partition that is not paused, or a warning that its position is not in its log; `None`
    /// when all are read to the end.
    pub(super) fn next(
        &mut self,
        store: &Store,
        paused: impl Fn(&TopicPartition) -> bool,
    ) -> Option<ConsumerEvent> {
        for step in 0..self.readings.len() {
            let index = (self.turn + step) % self.readings.len();
            let reading = &mut self.readings[index];
            if paused(&key(&reading.source)) {
                continue;
            }
            if let Some(warning) = reading.reset(store) {
                return Some(ConsumerEvent::Warning(warning));
            }
            let before = reading.position;
            let records = reading.take(store);
            if reading.position != before {
                let batch = Batch::new(
                    reading.source.clone(),
                    records,
                    NextOffset(reading.position),
                );
                self.turn = index + 1;
                return Some(ConsumerEvent::Records(batch));
            }
        }
        None
    }
}

impl Reading {
    /// Puts a position that is not in the log to the log's beginning, as Kafka's consumers do; says so.
    fn reset(&mut self, store: &Store) -> Option<String> {
        let log = store.log(self.source.topic.as_str(), self.source.partition)?;
        let (first, end) = (log.first(), log.end());
        if (first..=end).contains(&self.position) {
            return None;
        }
        let wanted = std::mem::replace(&mut self.position, first);
        let place = self.source.to_string();
        Some(out_of_range(&place, wanted, (first, end), first))
    }

    /// Passes over the next record, if it is one of these.
    pub(super) fn pass_over(
        &mut self,
        skip: &mut Vec<RecordPlace>,
        store: &Store,
    ) -> Vec<ConsumerEvent> {
        let source = &self.source;
        let wanted = skip
            .iter()
            .position(|place| place.stream == source.stream && place.partition == source.partition)
            .map(|index| skip.remove(index));
        let (topic, partition) = (source.topic.as_str(), source.partition);
        let next = store.tail(topic, partition, self.position).next();
        match (wanted, next) {
            (Some(wanted), Some((offset, _))) if wanted.offset.0 == offset => {
                self.position = offset + 1;
                let next = NextOffset(self.position);
                let said =
                    format!("{source}@{offset} is passed over as asked for, and is never handled");
                let batch = Batch::new(source.clone(), Vec::new(), next);
                vec![ConsumerEvent::Warning(said), ConsumerEvent::Records(batch)]
            }
            (Some(wanted), _) => vec![ConsumerEvent::Warning(format!(
                "{wanted} is not passed over: the next record of the group there is @{}",
                next.map_or(self.position, |(offset, _)| offset)
            ))],
            (None, _) => Vec::new(),
        }
    }

    fn take(&mut self, store: &Store) -> Vec<Record> {
        let mut bytes = 0;
        let (topic, partition) = (self.source.topic.as_str(), self.source.partition);
        let stop = self.stop.unwrap_or(i64::MAX);
        let mut batch = Vec::new();
        for (offset, stored) in store.tail(topic, partition, self.position) {
            bytes += stored.bytes();
            let full = batch.len() == BATCH_RECORDS || bytes > BATCH_BYTES;
            if offset >= stop || (full && !batch.is_empty()) {
                self.position = offset.min(stop);
                return batch;
            }
            batch.push(record(&self.source, offset, stored));
            self.position = offset + 1;
        }
        // Behind the last record may stand offsets without records.
        self.position = self.position.max(store.end(topic, partition).min(stop));
        batch
    }
}

/// A topic that was deleted and created again since `ids` was last compared with the store, if there is one.
pub(super) fn created_again(
    ids: &mut BTreeMap<String, u64>,
    store: &Store,
    wanted: impl Fn(&str) -> bool,
) -> Option<String> {
    for (name, topic) in &store.topics {
        if !wanted(name) {
            continue;
        }
        let known = ids.insert(name.clone(), topic.id);
        if known.is_some_and(|known| known != topic.id) {
            return Some(name.clone());
        }
    }
    None
}

/// A partition as the store and the groups name it.
pub(super) fn key(source: &Source) -> TopicPartition {
    (source.topic.as_str().to_owned(), source.partition)
}

/// A stored record as a consumer sees it.
pub(super) fn record(source: &Arc<Source>, offset: i64, stored: &Stored) -> Record {
    Record {
        source: source.clone(),
        offset: Offset(offset),
        timestamp: Some(stored.timestamp),
        key: stored.key.clone(),
        headers: stored.headers.clone(),
        value: stored.value.clone(),
        unreadable: None,
    }
}

/// A partition as records name it; `None` for a topic that carries no stream of this prefix.
pub(super) fn source(prefix: &TopicPrefix, (topic, partition): &TopicPartition) -> Option<Source> {
    let stream: StreamId = prefix.consumed_stream(topic)?;
    Some(Source {
        topic: TopicName::new(topic).ok()?,
        stream,
        partition: *partition,
    })
}
