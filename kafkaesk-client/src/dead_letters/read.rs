//! Reads a group's topic of dead letters to its end, twice: first the markers, then the letters, each with its
//! settlement. Joins no group and keeps no letter.
//!
//! Next: `redrive`, which settles some.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
    vec,
};

use kafkaesk_core::{NextOffset, Record, TopicName};

use super::{DeadLetters, Filter, Letter, letter::Kind, settlements::Settlements};
use crate::{
    ClientError,
    consumer::{Batch, Consumer, ConsumerEvent, ConsumerSpec},
};

/// After so many tries of a record that cannot be read, reading ends.
const TRIES: u32 = 3;

/// What was settled, and how far the topic reached, at one moment.
#[derive(Debug)]
pub struct Snapshot {
    settled: Settlements,
    /// Where each partition ended.
    ends: BTreeMap<i32, NextOffset>,
}

/// The letters of a snapshot, one after the other.
#[derive(Debug)]
pub struct Letters<'a> {
    snapshot: &'a Snapshot,
    scan: Scan,
    /// What of the last batch was not handed out yet.
    batch: vec::IntoIter<Record>,
}

impl DeadLetters {
    /// The letters that are settled now, and the end of the topic; `None` if it does not exist. Reads committed records
    /// only. Keeps runs of offsets, a million at most.
    ///
    /// # Errors
    /// [`ClientError::LogTimeout`] where nothing comes for `connect-timeout`, [`ClientError::Unreadable`],
    /// [`ClientError::Unauthorized`], and others of [`ClientError`].
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, ClientError> {
        if !self.exists().await? {
            return Ok(None);
        }
        let mut scan = Scan::start(self).await?;
        let mut settled = Settlements::default();
        let mut ends = BTreeMap::new();
        while let Some(batch) = scan.next().await? {
            let partition = batch.source.partition;
            for record in &batch.records {
                let Kind::Marker(marker) = Kind::of(record) else {
                    continue;
                };
                // A marker settles what stands before it.
                if marker.offset < record.offset
                    && !settled.add(partition, marker.offset, marker.by)
                {
                    return Err(ClientError::Kafka {
                        action: format!("reading what is settled in {}", self.topic),
                        source: format!(
                            "more than {} runs of dead letters are settled one by one; wait until `dead-letter-retention` removes some, or settle their neighbours as well",
                            super::settlements::MOST
                        )
                        .into(),
                    });
                }
            }
            ends.insert(partition, batch.next);
        }
        Ok(Some(Snapshot { settled, ends }))
    }

    /// Begins to read the letters of a snapshot: each partition's in their order, partitions in any. Of the topic, some
    /// 4 MiB are read ahead.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub async fn letters<'a>(&self, snapshot: &'a Snapshot) -> Result<Letters<'a>, ClientError> {
        Ok(Letters {
            snapshot,
            scan: Scan::start(self).await?,
            batch: Vec::new().into_iter(),
        })
    }

    /// Whether a letter is one of these.
    pub fn takes(&self, filter: &Filter, letter: &Letter) -> bool {
        filter.takes(letter, &self.connection.settings().topic_prefix)
    }
}

impl Letters<'_> {
    /// The next letter, settled ones included; `None` after the last one of the snapshot. Cancel safe.
    ///
    /// # Errors
    /// As [`DeadLetters::snapshot`]; nothing comes after an error.
    pub async fn next(&mut self) -> Result<Option<Letter>, ClientError> {
        loop {
            for record in self.batch.by_ref() {
                let partition = record.partition();
                let end = self.snapshot.ends.get(&partition);
                if end.is_none_or(|end| record.offset.next() > *end) {
                    continue;
                }
                if let Kind::Letter(origin) = Kind::of(&record) {
                    return Ok(Some(Letter {
                        settled: self.snapshot.settled.get(partition, record.offset),
                        origin,
                        record,
                    }));
                }
            }
            match self.scan.next().await? {
                Some(batch) => self.batch = batch.records.into_iter(),
                None => return Ok(None),
            }
        }
    }
}

/// One reading of the topic to the end that it has at the start.
#[derive(Debug)]
struct Scan {
    topic: TopicName,
    consumer: Consumer,
    /// The partitions whose end was not reached yet; `None` before they are known.
    waiting: Option<BTreeSet<i32>>,
    /// How long nothing may come.
    timeout: Duration,
}

impl Scan {
    async fn start(letters: &DeadLetters) -> Result<Self, ClientError> {
        let spec = ConsumerSpec::of_topic(letters.topic.clone())?;
        Ok(Self {
            topic: letters.topic.clone(),
            consumer: letters.connection.broker().consume(spec).await?,
            waiting: None,
            timeout: letters.connection.settings().connect_timeout,
        })
    }

    /// The next records, or `None` once every partition was read to its end. Cancel safe.
    async fn next(&mut self) -> Result<Option<Batch>, ClientError> {
        while self.waiting.as_ref().is_none_or(|left| !left.is_empty()) {
            let event = tokio::time::timeout(self.timeout, self.consumer.next()).await;
            let event = event.map_err(|_| ClientError::LogTimeout {
                topic: self.topic.clone(),
                waited: self.timeout,
                reason: match &self.waiting {
                    Some(left) => format!("nothing more came of partition(s) {left:?}"),
                    None => "nothing came".to_owned(),
                },
            })?;
            match event {
                // Partitions that appear later do not belong to the snapshot.
                Some(ConsumerEvent::Assigned(sources)) => {
                    let partitions = sources.iter().map(|source| source.partition);
                    self.waiting.get_or_insert_with(|| partitions.collect());
                }
                Some(ConsumerEvent::Records(batch)) => {
                    let partition = batch.source.partition;
                    if self
                        .waiting
                        .as_ref()
                        .is_some_and(|left| left.contains(&partition))
                    {
                        return Ok(Some(batch));
                    }
                }
                Some(ConsumerEvent::End(source)) => {
                    if let Some(left) = &mut self.waiting {
                        left.remove(&source.partition);
                    }
                }
                Some(ConsumerEvent::Stalled(stalled)) if stalled.tries >= TRIES => {
                    return Err(ClientError::Unreadable {
                        topic: self.topic.clone(),
                        partition: stalled.source.partition,
                        offset: stalled.offset,
                        reason: stalled.reason,
                        help: stalled.help,
                    });
                }
                Some(ConsumerEvent::Lost(_)) => {
                    return Err(ClientError::Kafka {
                        action: format!("reading {}", self.topic),
                        source: "the topic was deleted meanwhile".into(),
                    });
                }
                Some(ConsumerEvent::Warning(text)) => tracing::warn!("{text}"),
                Some(ConsumerEvent::Failed(error)) => return Err(error),
                Some(_) => {}
                None => return Err(ClientError::Closed),
            }
        }
        Ok(None)
    }
}
