//! Pauses: tells librdkafka which partitions to fetch, as the consumer's user asked, and holds partitions that stand still.

use std::{sync::Arc, time::Duration};

use kafkaesk_core::Source;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaResult,
};

use super::places::Places;
use crate::repeats;

/// Pauses and resumes partitions as the user asked. A partition that stands still is left alone: the end of the
/// standstill resumes it.
///
/// `stopped`: nothing is fetched now, since too much waits (`ahead`). Then each partition stays as it is.
///
/// `seek`: puts a partition back to its next record before it is resumed. A consumer that gets the ends of partitions needs
/// it: librdkafka takes an end for a record that was read, and would go on after it.
pub(super) fn apply<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    places: &mut Places,
    asked: Vec<(Arc<Source>, bool)>,
    stopped: bool,
    seek: bool,
) {
    for (source, paused) in asked {
        let Some(place) = places.of(&source) else {
            continue;
        };
        place.paused = paused;
        if stopped || place.rests() {
            continue;
        }
        let done = if paused {
            consumer.pause(&one(&source))
        } else {
            let next = place.next.filter(|_| seek);
            next.map_or(Ok(()), |next| self::seek(consumer, &source, next))
                .and_then(|()| consumer.resume(&one(&source)))
        };
        if let Err(error) = done
            && let Some(count) = repeats::said("pause", &source)
        {
            tracing::warn!(%source, %error, paused, count, "pausing or resuming failed");
        }
    }
}

/// Pauses a partition whose next record cannot be read, and puts its position back to `next`: librdkafka takes an error that
/// was popped for a record that was read, and would go on after it at the next rebalance or pause.
pub(super) fn hold<C: ConsumerContext>(consumer: &BaseConsumer<C>, source: &Source, next: i64) {
    let done = consumer
        .pause(&one(source))
        .and_then(|()| seek(consumer, source, next));
    if let Err(error) = done
        && let Some(count) = repeats::said("hold", source)
    {
        tracing::warn!(partition = %source, %error, count, "a partition that stands still cannot be put back to its offset");
    }
}

/// Resumes partitions whose next record is tried again.
pub(super) fn resume<C: ConsumerContext>(consumer: &BaseConsumer<C>, sources: &[Arc<Source>]) {
    for source in sources {
        if let Err(error) = consumer.resume(&one(source))
            && let Some(count) = repeats::said("resume", source)
        {
            tracing::warn!(partition = %source, %error, count, "resuming failed");
        }
    }
}

/// Reads a partition from this offset on. Never blocks.
pub(super) fn seek<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    source: &Source,
    next: i64,
) -> KafkaResult<()> {
    consumer.seek(
        source.topic.as_str(),
        source.partition,
        Offset::Offset(next),
        Duration::ZERO,
    )
}

fn one(source: &Source) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(source.topic.as_str(), source.partition);
    list
}
