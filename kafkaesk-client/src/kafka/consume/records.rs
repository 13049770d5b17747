//! Batches of librdkafka's messages in, records out: copied into one buffer for each run, so that nothing of
//! librdkafka's outlives the batch.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use kafkaesk_core::{Offset, Record, Source};

use super::super::native::Message;
use crate::consumer::{BATCH_BYTES, BATCH_RECORDS};

/// The sources of the partitions that are ours.
#[derive(Debug, Default)]
pub(super) struct Sources(HashMap<String, HashMap<i32, Arc<Source>>>);

impl Sources {
    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&Arc<Source>> {
        self.0.get(topic)?.get(&partition)
    }

    pub(super) fn insert(&mut self, source: Arc<Source>) {
        self.0
            .entry(source.topic.as_str().to_owned())
            .or_default()
            .insert(source.partition, source);
    }

    pub(super) fn remove(&mut self, topic: &str, partition: i32) -> Option<Arc<Source>> {
        self.0.get_mut(topic)?.remove(&partition)
    }

    /// Whether this very assignment is still ours.
    pub(super) fn holds(&self, source: &Arc<Source>) -> bool {
        self.get(source.topic.as_str(), source.partition)
            .is_some_and(|held| Arc::ptr_eq(held, source))
    }
}

/// A run of records of one partition.
pub(super) struct Run<'a> {
    source: Arc<Source>,
    messages: Vec<Message<'a>>,
    bytes: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            messages: Vec::new(),
            bytes: 0,
        }
    }

    /// Whether a message still goes into this event.
    pub(super) fn has_room_for(&self, message: Message<'_>) -> bool {
        self.messages.is_empty()
            || (self.messages.len() < BATCH_RECORDS && self.bytes + size(message) <= BATCH_BYTES)
    }

    pub(super) fn push(&mut self, message: Message<'a>) {
        self.bytes += size(message);
        self.messages.push(message);
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The records, in one buffer.
    pub(super) fn into_records(self) -> Vec<Record> {
        let mut buffer = Vec::with_capacity(self.bytes);
        for message in &self.messages {
            buffer.extend_from_slice(message.key().unwrap_or_default());
            buffer.extend_from_slice(message.payload().unwrap_or_default());
        }
        let buffer = Bytes::from(buffer);
        let mut at = 0;
        let mut take = |part: Option<&[u8]>| {
            let part = part?;
            let slice = buffer.slice(at..at + part.len());
            at += part.len();
            Some(slice)
        };
        self.messages
            .iter()
            .map(|message| Record {
                source: self.source.clone(),
                offset: Offset(message.offset()),
                timestamp: message.timestamp(),
                key: take(message.key()),
                value: take(message.payload()),
                headers: message.headers(),
            })
            .collect()
    }
}

fn size(message: Message<'_>) -> usize {
    message.key().map_or(0, <[u8]>::len) + message.payload().map_or(0, <[u8]>::len)
}

/// Cuts a batch into runs. `found` says whose a partition is (`None`: not ours any more, dropped); `failed` takes what
/// is no record; `ready` takes each event's records.
pub(super) fn cut<'a>(
    messages: impl Iterator<Item = Message<'a>>,
    mut found: impl FnMut(&str, i32) -> Option<Arc<Source>>,
    mut failed: impl FnMut(Message<'a>),
    mut ready: impl FnMut(&Arc<Source>, Vec<Record>),
) {
    let mut run: Option<(usize, Run<'a>)> = None;
    let mut emit = |run: Option<(usize, Run<'a>)>| {
        if let Some((_, run)) = run {
            let source = run.source().clone();
            ready(&source, run.into_records());
        }
    };
    for message in messages {
        if message.error().is_some() {
            emit(run.take());
            failed(message);
            continue;
        }
        let fits = run.as_ref().is_some_and(|(topic, run)| {
            *topic == message.topic_key()
                && run.source().partition == message.partition()
                && run.has_room_for(message)
        });
        if !fits {
            emit(run.take());
            let Some(source) = found(message.topic(), message.partition()) else {
                continue;
            };
            run = Some((message.topic_key(), Run::new(source)));
        }
        if let Some((_, run)) = &mut run {
            run.push(message);
        }
    }
    emit(run.take());
}
