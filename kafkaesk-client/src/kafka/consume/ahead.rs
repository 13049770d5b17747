//! Fetch-ahead: bounds the records that are fetched before the reader takes them. librdkafka counts the values in its
//! queue; this file counts keys and headers, since any producer decides how large they are.

use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
};

use super::{outbox::Outbox, pauses::seek, places::Places, records::Sizes};
use crate::{
    consumer::{BATCH_BYTES, BATCH_RECORDS},
    kafka::native::Queue,
    repeats,
};

/// Bytes of keys and headers that wait in librdkafka's queue before fetching stops until the reader has taken everything.
const WAITING: usize = 32 * 1024 * 1024;
/// The approximate size of one popped batch: it is copied whole before the reader has room for it.
const POPPED: usize = 2 * BATCH_BYTES;
/// Records of the first popping, before any size is known.
const FIRST: usize = 16;

/// How far fetching may go ahead.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Bytes of keys and headers of a record, by the last batch.
    uncounted: usize,
    /// At most this many records are popped next.
    most: usize,
    /// Nothing is fetched for now.
    stopped: bool,
}

impl Ahead {
    pub(super) fn new() -> Self {
        Self {
            uncounted: 0,
            most: FIRST,
            stopped: false,
        }
    }

    /// At most this many records are popped next.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Whether fetching is stopped, even if the user resumed it.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Learns from a batch.
    pub(super) fn learn(&mut self, sizes: Sizes) {
        let Some(records) = std::num::NonZeroUsize::new(sizes.records) else {
            return;
        };
        self.uncounted = sizes.uncounted / records;
        let size = (sizes.bytes / records).max(1);
        self.most = (POPPED / size).clamp(1, (self.most * 2).min(BATCH_RECORDS));
    }

    /// Stops fetching if too much waits, and resumes when the reader has taken everything. A stop drops librdkafka's
    /// queue, whose records are fetched again.
    pub(super) fn restrain<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        queue: &Queue,
        places: &mut Places,
        outbox: &Outbox,
    ) {
        if self.stopped {
            if outbox.is_drained() {
                self.stopped = false;
                self.resume(consumer, places);
            }
            return;
        }
        if self.uncounted.saturating_mul(queue.len()) <= WAITING {
            return;
        }
        self.stopped = true;
        tracing::debug!(
            waiting = queue.len(),
            key_and_headers = self.uncounted,
            "fetching stops until the reader has taken what waits"
        );
        let mut all = TopicPartitionList::new();
        for place in places.iter_mut().filter(|place| place.is_fetched()) {
            all.add_partition(place.source.topic.as_str(), place.source.partition);
        }
        if let Err(error) = consumer.pause(&all)
            && let Some(count) = repeats::said("stop", "fetching")
        {
            tracing::warn!(%error, count, "fetching cannot be stopped");
        }
    }

    fn resume<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, places: &mut Places) {
        let mut all = TopicPartitionList::new();
        for place in places.iter_mut().filter(|place| place.is_fetched()) {
            let (topic, partition) = (place.source.topic.as_str(), place.source.partition);
            all.add_partition(topic, partition);
            // librdkafka takes the end of a partition for a record that was read, and would go on after it.
            if let Some(next) = place.next
                && let Err(error) = seek(consumer, &place.source, next)
                && let Some(count) = repeats::said("seek", &place.source)
            {
                tracing::warn!(partition = %place.source, %error, count, "seeking failed");
            }
        }
        if let Err(error) = consumer.resume(&all)
            && let Some(count) = repeats::said("go on", "fetching")
        {
            tracing::warn!(%error, count, "fetching cannot go on");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(records: usize, bytes: usize) -> Sizes {
        Sizes {
            records,
            bytes: records * bytes,
            uncounted: 0,
        }
    }

    #[test]
    fn what_is_popped_together_is_bounded_in_bytes_and_records() {
        let mut ahead = Ahead::new();
        assert_eq!(ahead.most(), FIRST);
        for _ in 0..10 {
            ahead.learn(sizes(10, 300));
        }
        assert_eq!(ahead.most(), BATCH_RECORDS);
        ahead.learn(sizes(512, 100_000));
        assert!(ahead.most() * 100_000 <= POPPED, "{ahead:?}");
        ahead.learn(sizes(1, 100_000_000));
        assert_eq!(ahead.most(), 1);
    }
}
