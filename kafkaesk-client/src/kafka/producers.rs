//! Producers: one for each size of batch that the topics of a connection need, almost always one in all.
//!
//! librdkafka gives all topics of a producer one `batch.size`, and brokers refuse a batch that is larger than its topic
//! takes, with all records in it. So a topic that takes less gets a producer with smaller batches. All of them share one
//! bound on what is queued.
//!
//! Next: `producer` queues the record.

use std::{
    array,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    context::Shared,
    delivery::News,
    producer::{Producer, Room},
};
use crate::{
    ClientError, Settings,
    broker::{BatchLimit, TopicListener},
};

/// A connection's producers, each made by the first record that needs it.
pub(super) struct Producers {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    room: Room,
    news: News,
    by_limit: [OnceLock<Producer>; BatchLimit::COUNT],
    /// Held while a producer is made, so that there is one of each.
    starting: Mutex<()>,
}

impl Producers {
    pub(super) fn new(settings: Arc<Settings>, shared: Arc<Shared>) -> Self {
        Self {
            room: Room::new(&settings),
            settings,
            shared,
            news: News::default(),
            by_limit: array::from_fn(|_| OnceLock::new()),
            starting: Mutex::new(()),
        }
    }

    /// The producer for topics with this limit.
    pub(super) fn get(&self, limit: BatchLimit) -> Result<&Producer, ClientError> {
        let slot = &self.by_limit[limit.index()];
        if let Some(producer) = slot.get() {
            return Ok(producer);
        }
        let _starting = self.starting.lock();
        if let Some(producer) = slot.get() {
            return Ok(producer);
        }
        let made = Producer::new(
            &self.settings,
            self.shared.clone(),
            self.room.clone(),
            limit,
            self.news.clone(),
        )?;
        Ok(slot.get_or_init(|| made))
    }

    /// Those that were made.
    pub(super) fn made(&self) -> impl Iterator<Item = &Producer> {
        self.by_limit.iter().filter_map(OnceLock::get)
    }

    /// Sets who hears what records tell of their topics; the first one stays.
    pub(super) fn listen(&self, listener: TopicListener) {
        let _ = self.news.set(listener);
    }

    /// A flush of all, for a thread that may block.
    pub(super) fn flusher(
        &self,
    ) -> impl FnOnce(Duration) -> Result<(), ClientError> + Send + 'static {
        let flushes: Vec<_> = self.made().map(Producer::flusher).collect();
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
