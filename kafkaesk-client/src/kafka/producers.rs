//! Producers: one for each size of batch that the topics of a connection need, almost always one in all. One that failed for
//! good is replaced.
//!
//! librdkafka gives all topics of a producer one `batch.size`, and brokers refuse a batch that is larger than its topic
//! takes, with all records in it. So a topic that takes less gets a producer with smaller batches. All of them share one
//! bound on what is queued.
//!
//! Next: `producer` queues the record.

use std::{
    array,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};

use super::{
    context::Shared,
    delivery::News,
    producer::{Producer, Room, Unsent},
};
use crate::{
    ClientError, Delivery, Settings,
    broker::{BatchLimit, Outgoing, SendError, TopicListener},
    meter::{Published, Tally},
};

/// A producer is replaced this long after it was made, at the earliest: what ends each new one at once, such as a right that
/// is missing, must not make a thousand of them a second.
const REPLACED_AFTER: Duration = Duration::from_secs(1);

/// A connection's producers, each made by the first record that needs it.
pub(super) struct Producers {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    room: Room,
    news: News,
    by_limit: [RwLock<Option<Arc<Producer>>>; BatchLimit::COUNT],
    /// Held while a producer is made, so that there is one of each.
    starting: Mutex<()>,
}

impl Producers {
    pub(super) fn new(settings: Arc<Settings>, shared: Arc<Shared>) -> Self {
        let room = Room::new(&settings);
        let seen = room.clone();
        // One connection has one of these, so this is the first.
        let _ = shared.queued.set(Box::new(move || seen.taken()));
        Self {
            room,
            settings,
            shared,
            news: News::default(),
            by_limit: array::from_fn(|_| RwLock::new(None)),
            starting: Mutex::new(()),
        }
    }

    /// Makes the usual producer, if there is none.
    pub(super) fn prepare(&self) -> Result<(), ClientError> {
        self.get(BatchLimit::default()).map(drop)
    }

    /// The producer for topics with this limit.
    fn get(&self, limit: BatchLimit) -> Result<Arc<Producer>, ClientError> {
        let slot = &self.by_limit[limit.index()];
        if let Some(producer) = &*slot.read() {
            return Ok(producer.clone());
        }
        let _starting = self.starting.lock();
        if let Some(producer) = &*slot.read() {
            return Ok(producer.clone());
        }
        let made = Arc::new(Producer::new(
            &self.settings,
            self.shared.clone(),
            self.room.clone(),
            limit,
            self.news.clone(),
        )?);
        *slot.write() = Some(made.clone());
        Ok(made)
    }

    /// Queues a record without waiting.
    #[allow(
        clippy::result_large_err,
        reason = "a full queue gives the record back, unboxed on the hot path"
    )]
    pub(super) fn send(
        &self,
        record: Outgoing,
        tally: Option<Tally<'_>>,
    ) -> Result<Delivery, SendError> {
        let Some(room) = self.room.now(&record) else {
            return Err(SendError::Full(record));
        };
        let slot = self.by_limit[record.batch.index()].read();
        let sent = match &*slot {
            Some(producer) => producer.send(room, &record, tally),
            None => {
                drop(slot);
                let producer = self.get(record.batch).map_err(SendError::Refused)?;
                producer.send(room, &record, tally)
            }
        };
        match sent {
            Ok(delivery) => Ok(delivery),
            Err(Unsent::Refused(error)) => Err(SendError::Refused(error)),
            // The waiting path replaces the producer.
            Err(Unsent::Failed(..)) => Err(SendError::Full(record)),
        }
    }

    /// Queues a record when there is room for it and a producer that works, for `delivery-timeout` at most. Those who wait
    /// for room are served in their order, and keep the room that they got: given back, it would go round among them.
    pub(super) async fn queue(
        &self,
        record: Outgoing,
        tally: Option<Tally<'_>>,
    ) -> Result<Delivery, ClientError> {
        let deadline = Instant::now() + self.settings.delivery_timeout;
        let room = self.room.soon(&record);
        let Ok(room) = tokio::time::timeout_at(deadline.into(), room).await else {
            return Err(ClientError::QueueFull {
                topic: record.topic,
                reason: match self.shared.reason() {
                    Some(reason) => format!(
                        "the local queue had no room within `delivery-timeout`; last error: {reason}"
                    ),
                    None => "the local queue had no room within `delivery-timeout`".to_owned(),
                },
            });
        };
        let mut room = room?;
        loop {
            let producer = self.get(record.batch)?;
            let reason = match producer.send(room, &record, tally) {
                Ok(delivery) => return Ok(delivery),
                Err(Unsent::Refused(error)) => return Err(error),
                Err(Unsent::Failed(kept, reason)) => {
                    room = kept;
                    reason
                }
            };
            let Some(at) = self.replace(record.batch, &producer, &reason) else {
                continue;
            };
            drop(producer);
            if at > deadline {
                return Err(ClientError::NotDelivered {
                    topic: record.topic,
                    reason: format!(
                        "the producer failed, and `delivery-timeout` is over before a new one is made: {reason}"
                    ),
                });
            }
            tokio::time::sleep_until(at.into()).await;
        }
    }

    /// Takes a failed producer away, so that the next record makes a new one; or says when that may be done.
    fn replace(&self, limit: BatchLimit, failed: &Arc<Producer>, reason: &str) -> Option<Instant> {
        let slot = &self.by_limit[limit.index()];
        let mut current = slot.write();
        if !current.as_ref().is_some_and(|it| Arc::ptr_eq(it, failed)) {
            return None;
        }
        let at = failed.made + REPLACED_AFTER;
        if at > Instant::now() {
            return Some(at);
        }
        *current = None;
        drop(current);
        let unanswered = failed.retire();
        tracing::warn!(
            reason,
            unanswered,
            "the producer failed and is replaced; of the records that it held, those that were never sent end with an error, and nobody knows of those that were"
        );
        None
    }

    /// Shows what waits for an answer.
    pub(super) fn show(&self, published: &mut Published) {
        let made = self.made();
        published.queue_records = made.iter().map(|one| one.unanswered()).sum();
        published.queue_bytes = self.room.taken() as u64;
    }

    /// Those that were made.
    pub(super) fn made(&self) -> Vec<Arc<Producer>> {
        self.by_limit
            .iter()
            .filter_map(|slot| slot.read().clone())
            .collect()
    }

    /// Sets who hears what records tell of their topics; the first one stays.
    pub(super) fn listen(&self, listener: TopicListener) {
        let _ = self.news.set(listener);
    }

    /// A flush of all, for a thread that may block.
    pub(super) fn flusher(
        &self,
    ) -> impl FnOnce(Duration) -> Result<(), ClientError> + Send + use<> {
        let made = self.made();
        let flushes: Vec<_> = made.iter().map(|one| one.flusher()).collect();
        move |timeout| {
            let started = Instant::now();
            let mut result = Ok(());
            for flush in flushes {
                result = result.and(flush(timeout.saturating_sub(started.elapsed())));
            }
            result
        }
    }
}

impl std::fmt::Debug for Producers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.made()).finish()
    }
}
