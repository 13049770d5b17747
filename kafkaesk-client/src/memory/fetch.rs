//! What one consumer reads: its partitions and positions in, batches of records out. Never waits.

use std::sync::Arc;

use kafkaesk_core::{Offset, Record, Source, StreamId, TopicName, TopicPrefix};

use super::store::{Store, Stored, TopicPartition};
use crate::consumer::{BATCH_BYTES, BATCH_RECORDS};

/// One partition that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) source: Arc<Source>,
    /// The offset to read next.
    pub(super) position: i64,
    /// Batches do not cross this offset, so that the end can be told where it is.
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

    /// The next records of one partition that is not paused; `None` when all are read to the end.
    pub(super) fn batch(
        &mut self,
        store: &Store,
        paused: impl Fn(&TopicPartition) -> bool,
    ) -> Option<Vec<Record>> {
        for step in 0..self.readings.len() {
            let index = (self.turn + step) % self.readings.len();
            if paused(&key(&self.readings[index].source)) {
                continue;
            }
            let batch = self.readings[index].take(store);
            if !batch.is_empty() {
                self.turn = index + 1;
                return Some(batch);
            }
        }
        None
    }
}

impl Reading {
    fn take(&mut self, store: &Store) -> Vec<Record> {
        let mut bytes = 0;
        let stop = self.stop.unwrap_or(i64::MAX);
        let mut batch = Vec::new();
        for stored in store.tail(
            self.source.topic.as_str(),
            self.source.partition,
            self.position,
        ) {
            bytes += stored.bytes();
            let full = batch.len() == BATCH_RECORDS || bytes > BATCH_BYTES;
            if self.position == stop || (full && !batch.is_empty()) {
                break;
            }
            batch.push(record(&self.source, self.position, stored));
            self.position += 1;
        }
        batch
    }
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
    }
}

/// A partition as records name it; `None` for a topic that carries no stream of this prefix.
pub(super) fn source(prefix: &TopicPrefix, (topic, partition): &TopicPartition) -> Option<Source> {
    let stream: StreamId = prefix.stream_of(topic)?;
    Some(Source {
        topic: TopicName::new(topic).ok()?,
        stream,
        partition: *partition,
    })
}
