//! Hands the pieces of a batch over, in order: records to the reader of the stream, failures to the consumer's thread.
//! Notices records that come a second time, and partitions that stand still.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kafkaesk_core::{NextOffset, Offset, Source};

use super::{
    super::librdkafka_log::{Meaning, meaning},
    outbox::Outbox,
    places::{Place, Places, Stall},
    records::{Failure, Piece},
    resets::{Resets, Settled},
};
use crate::consumer::{Batch, ConsumerEvent, Stalled};

/// After how long an unreadable record is tried again, by the number of tries; the last one from then on.
const TRIES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// Hands over what a partition brought. What came after an unreadable record of its partition is dropped: it is read
/// again.
pub(super) fn records(
    places: &mut Places,
    outbox: &mut Outbox,
    resets: &Resets,
    source: &Arc<Source>,
    records: Vec<kafkaesk_core::Record>,
) {
    let Some(place) = places.of(source) else {
        return;
    };
    if rests(place) {
        return;
    }
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return;
    };
    if let Some(next) = place.next
        && first.offset.0 < next
        && !resets.explains(source)
    {
        outbox.push(ConsumerEvent::Warning(format!(
            "{source}: offset {} was wanted, but the log was truncated to offset {}: what was read from there on is no \
             longer in Kafka, and the records that have these offsets now are read",
            next, first.offset
        )));
    }
    if let Some(stall) = place.stall.take() {
        tracing::info!(
            partition = %source,
            offset = %first.offset,
            after = ?Duration::from_secs(stall.since.elapsed().as_secs()),
            "the partition moves again"
        );
    }
    let next = last.offset.next();
    place.next = Some(next.0);
    outbox.push(ConsumerEvent::Records(Batch::new(
        source.clone(),
        records,
        next,
    )));
}

/// Whether the partition waits for its next try.
fn rests(place: &Place) -> bool {
    place.stall.is_some_and(|stall| stall.again_at.is_some())
}

/// Marks a partition whose next record cannot be read. `Some` says so, once for each try.
pub(super) fn stall(places: &mut Places, failure: &Failure) -> Option<Stalled> {
    let Meaning::Unreadable(help) = meaning(failure.code) else {
        return None;
    };
    let place = places.get_mut(&failure.topic, failure.partition)?;
    if rests(place) {
        return None;
    }
    let now = Instant::now();
    // A batch may begin before the record that is wanted, and says its own begin.
    let offset = place.next.unwrap_or(failure.offset).max(failure.offset);
    let before = place.stall.filter(|stall| stall.offset == offset);
    let tries = before.map_or(1, |stall| stall.tries.saturating_add(1));
    let wait = TRIES[(tries as usize - 1).min(TRIES.len() - 1)];
    let stall = Stall {
        offset,
        since: before.map_or(now, |stall| stall.since),
        tries,
        again_at: Some(now + wait),
    };
    place.stall = Some(stall);
    Some(Stalled {
        source: place.source.clone(),
        offset: Offset(offset),
        reason: format!("{} ({:?})", failure.words, failure.code),
        help: help.to_owned(),
        since: stall.since,
        tries,
    })
}

/// The partitions whose unreadable record is tried again now.
pub(super) fn retried(places: &mut Places, now: Instant) -> Vec<Arc<Source>> {
    let mut due = Vec::new();
    for place in places.iter_mut() {
        if let Some(stall) = &mut place.stall
            && stall.again_at.is_some_and(|at| at <= now)
        {
            stall.again_at = None;
            if !place.paused {
                due.push(place.source.clone());
            }
        }
    }
    due
}

/// Tells of a reset. Its offset is the partition's position once everything fetched before has been handed over.
pub(super) fn reset(places: &mut Places, outbox: &mut Outbox, settled: Settled) {
    let Some(place) = places.get_mut(&settled.topic, settled.partition) else {
        // Revoked meanwhile. What is lost is lost all the same.
        outbox.push(ConsumerEvent::Warning(settled.warning));
        return;
    };
    place.reset_to = settled.taken;
    outbox.push(ConsumerEvent::Warning(settled.warning));
}

/// The partition's position is `next`, with no record before it that was not handed over.
pub(super) fn position(place: &mut Place, outbox: &mut Outbox, next: i64) {
    if place.stall.is_some() || place.next.is_some_and(|known| next <= known) {
        return;
    }
    place.next = Some(next);
    outbox.push(ConsumerEvent::Records(Batch::new(
        place.source.clone(),
        Vec::new(),
        NextOffset(next),
    )));
}

/// Hands over the pieces of one batch; gives back its failures.
pub(super) fn pieces(
    places: &mut Places,
    outbox: &mut Outbox,
    resets: &Resets,
    pieces: Vec<Piece>,
) -> Vec<Failure> {
    let mut failures = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Records(source, run) => records(places, outbox, resets, &source, run),
            Piece::Failure(failure) => {
                if let Some(stalled) = stall(places, &failure) {
                    outbox.push(ConsumerEvent::Stalled(stalled));
                }
                failures.push(failure);
            }
        }
    }
    failures
}
