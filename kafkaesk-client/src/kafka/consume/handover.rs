//! Hands the pieces of a batch over, in order: records to the reader of the stream, failures to the consumer's thread.
//! Notices records that come a second time, and partitions that stand still.
//!
//! Next: `outbox`, then the events of `client/consumer.rs`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kafkaesk_core::{NextOffset, Offset, Record, RecordPlace, Source};

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

/// What a consumer's thread knows and hands over to.
pub(super) struct Handover<'a> {
    pub(super) places: &'a mut Places,
    pub(super) outbox: &'a mut Outbox,
    pub(super) resets: &'a Resets,
    /// Records to pass over, until their partition's first piece has come.
    pub(super) skip: &'a mut Vec<RecordPlace>,
}

impl Handover<'_> {
    /// Hands over the pieces of one batch; gives back its failures.
    pub(super) fn pieces(&mut self, pieces: Vec<Piece>) -> Vec<Failure> {
        let mut failures = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Records(source, records) => self.records(&source, records),
                Piece::Failure(failure) => {
                    self.failure(&failure);
                    failures.push(failure);
                }
            }
        }
        failures
    }

    /// Hands over what a partition brought. What came after an unreadable record of its partition is dropped: it is
    /// read again.
    fn records(&mut self, source: &Arc<Source>, mut records: Vec<Record>) {
        let Some(place) = self.places.of(source) else {
            return;
        };
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return;
        };
        if place.rests() {
            return;
        }
        let next = last.offset.next();
        if let Some(wanted) = place.next
            && first.offset.0 < wanted
            && !self.resets.explains(source)
        {
            self.outbox.push(ConsumerEvent::Warning(format!(
                "{source}: offset {wanted} was wanted, but the log was truncated to offset {}: what was read from there \
                 on is no longer in Kafka, and the records that have these offsets now are read",
                first.offset
            )));
        }
        if let Some(stall) = place.stall.take() {
            tracing::info!(
                partition = %source,
                offset = %first.offset,
                after = ?Duration::from_secs(stall.said.since.elapsed().as_secs()),
                "the partition moves again"
            );
        }
        place.next = Some(next.0);
        let begins = !std::mem::replace(&mut place.begun, true);
        if begins
            && skips(self.skip, self.outbox, source, first.offset, || {
                described(first)
            })
        {
            records.remove(0);
        }
        self.outbox.push(ConsumerEvent::Records(Batch::new(
            source.clone(),
            records,
            next,
        )));
    }

    /// Marks a partition whose next record cannot be read, and says so, once for each try.
    fn failure(&mut self, failure: &Failure) {
        let Meaning::Unreadable(help) = meaning(failure.code) else {
            return;
        };
        let Some(place) = self.places.get_mut(&failure.topic, failure.partition) else {
            return;
        };
        if place.rests() {
            return;
        }
        let now = Instant::now();
        // A batch may begin before the wanted record; the error then names the batch's first offset.
        let offset = Offset(place.next.unwrap_or(failure.offset).max(failure.offset));
        let begins = !std::mem::replace(&mut place.begun, true);
        let source = place.source.clone();
        if begins
            && skips(self.skip, self.outbox, &source, offset, || {
                failure.words.clone()
            })
        {
            let next = offset.next();
            place.next = Some(next.0);
            // It rests until its position is after the record.
            place.stall = Some(Stall {
                said: Stalled {
                    source: source.clone(),
                    offset: Offset(next.0),
                    reason: failure.words.clone(),
                    help: help.to_owned(),
                    since: now,
                    tries: 0,
                },
                said_at: now,
                again_at: Some(now),
            });
            let batch = Batch::new(source, Vec::new(), next);
            self.outbox.push(ConsumerEvent::Records(batch));
            return;
        }
        let before = place
            .stall
            .take()
            .filter(|stall| stall.said.offset == offset);
        let tries = before
            .as_ref()
            .map_or(1, |stall| stall.said.tries.saturating_add(1));
        let said = Stalled {
            source,
            offset,
            reason: format!("{} ({:?})", failure.words, failure.code),
            help: help.to_owned(),
            since: before.map_or(now, |stall| stall.said.since),
            tries,
        };
        let wait = TRIES[(tries as usize - 1).min(TRIES.len() - 1)];
        place.stall = Some(Stall {
            said: said.clone(),
            said_at: now,
            again_at: Some(now + wait),
        });
        self.outbox.push(ConsumerEvent::Stalled(said));
    }
}

/// Decides, at the partition's first piece, about the record that the user wants to pass over. Returns whether the
/// piece is that record.
fn skips(
    skip: &mut Vec<RecordPlace>,
    outbox: &mut Outbox,
    source: &Source,
    at: Offset,
    what: impl FnOnce() -> String,
) -> bool {
    let wanted = skip
        .iter()
        .position(|place| place.stream == source.stream && place.partition == source.partition)
        .map(|index| skip.remove(index));
    let Some(wanted) = wanted else {
        return false;
    };
    let found = wanted.offset == at;
    outbox.push(ConsumerEvent::Warning(if found {
        format!(
            "{source}@{at} is passed over as asked for, and is never handled: {}",
            what()
        )
    } else {
        format!("{wanted} is not passed over: the next record of the group there is @{at}")
    }));
    found
}

fn described(record: &Record) -> String {
    let key = record.key.as_ref().map_or("no key".to_owned(), |key| {
        let text: String = String::from_utf8_lossy(key).chars().take(100).collect();
        format!("key {text:?}")
    });
    format!("{key}, {} bytes", record.size())
}

/// The partitions whose unreadable record is tried again now. A try without a record or an error is reported as well:
/// after some errors librdkafka does not try.
pub(super) fn retried(places: &mut Places, outbox: &mut Outbox, now: Instant) -> Vec<Arc<Source>> {
    let last = TRIES[TRIES.len() - 1];
    let mut due = Vec::new();
    for place in places.iter_mut() {
        let Some(stall) = &mut place.stall else {
            continue;
        };
        match stall.again_at {
            Some(at) if at <= now => {
                stall.again_at = None;
                if !place.paused {
                    due.push(place.source.clone());
                }
            }
            None if !place.paused && now >= stall.said_at + last => {
                stall.said_at = now;
                stall.said.tries = stall.said.tries.saturating_add(1);
                outbox.push(ConsumerEvent::Stalled(stall.said.clone()));
            }
            _ => {}
        }
    }
    due
}

/// Reports a reset. Its offset becomes the partition's position once all records fetched before it are handed over.
pub(super) fn reset(places: &mut Places, outbox: &mut Outbox, settled: Settled) {
    // If the partition was revoked meanwhile, the loss is still reported.
    places.reset(&settled.topic, settled.partition, settled.taken);
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

#[cfg(test)]
mod tests {
    use kafkaesk_core::{Headers, StreamId, TopicName};
    use rdkafka::error::RDKafkaErrorCode;
    use tokio::sync::mpsc;

    use super::*;
    use crate::consumer::Events;

    /// One partition of a consumer, without Kafka.
    struct Partition {
        places: Places,
        outbox: Outbox,
        resets: Resets,
        skip: Vec<RecordPlace>,
        source: Arc<Source>,
        events: mpsc::Receiver<Events>,
    }

    impl Partition {
        fn new() -> Self {
            let (sender, events) = mpsc::channel(100);
            let source = Arc::new(Source {
                topic: TopicName::new("shop.a").unwrap(),
                stream: StreamId::new("a").unwrap(),
                partition: 0,
            });
            let mut places = Places::default();
            places.insert(source.clone());
            Self {
                places,
                outbox: Outbox::new(sender),
                resets: Resets::default(),
                skip: Vec::new(),
                source,
                events,
            }
        }

        fn bring(&mut self, pieces: Vec<Piece>) -> Vec<ConsumerEvent> {
            Handover {
                places: &mut self.places,
                outbox: &mut self.outbox,
                resets: &self.resets,
                skip: &mut self.skip,
            }
            .pieces(pieces);
            assert!(self.outbox.flush());
            std::iter::from_fn(|| self.events.try_recv().ok())
                .flatten()
                .collect()
        }

        fn records(&self, offsets: std::ops::Range<i64>) -> Piece {
            let record = |offset| Record {
                source: self.source.clone(),
                offset: Offset(offset),
                timestamp: None,
                key: None,
                headers: Headers::new(),
                value: None,
                unreadable: None,
            };
            Piece::Records(self.source.clone(), offsets.map(record).collect())
        }

        fn place(&mut self) -> &mut Place {
            self.places.get_mut("shop.a", 0).unwrap()
        }
    }

    fn failure(offset: i64) -> Piece {
        Piece::Failure(Failure {
            topic: "shop.a".to_owned(),
            partition: 0,
            offset,
            code: RDKafkaErrorCode::BadCompression,
            words: "no".to_owned(),
        })
    }

    fn offsets(events: &[ConsumerEvent]) -> Vec<i64> {
        let of = |event: &ConsumerEvent| match event {
            ConsumerEvent::Records(batch) => batch.records.iter().map(|r| r.offset.0).collect(),
            _ => Vec::new(),
        };
        events.iter().flat_map(of).collect()
    }

    #[test]
    fn a_step_back_that_nobody_explained_is_said() {
        let mut it = Partition::new();
        let pieces = vec![it.records(5..8), it.records(10..12)];
        let events = it.bring(pieces);
        assert_eq!(events.len(), 2, "a gap is not a step back: {events:?}");
        let pieces = vec![it.records(6..9)];
        let events = it.bring(pieces);
        let [ConsumerEvent::Warning(text), ConsumerEvent::Records(_)] = &events[..] else {
            panic!("{events:?}");
        };
        for part in ["shop.a[0]", "offset 12 ", "offset 6"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_follows_an_unreadable_record_waits_for_it_and_others_come_again() {
        let mut it = Partition::new();
        let pieces = vec![it.records(0..3), failure(3), it.records(4..6), failure(3)];
        let events = it.bring(pieces);
        assert_eq!(offsets(&events), [0, 1, 2]);
        let stalls = |events: &[ConsumerEvent]| {
            let is_stall = |event: &&ConsumerEvent| matches!(event, ConsumerEvent::Stalled(_));
            events.iter().filter(is_stall).count()
        };
        assert_eq!(stalls(&events), 1, "{events:?}");
        assert_eq!(it.place().next, Some(3), "the record is not passed over");
        let now = Instant::now();
        let retried = |it: &mut Partition, at| retried(&mut it.places, &mut it.outbox, at).len();
        assert_eq!(retried(&mut it, now), 0);
        assert_eq!(retried(&mut it, now + TRIES[0]), 1);
        assert_eq!(retried(&mut it, now + TRIES[2] + TRIES[0]), 0);
        assert_eq!(stalls(&it.bring(Vec::new())), 1, "a try without an answer");
        let events = it.bring(vec![failure(3)]);
        let Some(ConsumerEvent::Stalled(stalled)) = events.first() else {
            panic!("{events:?}");
        };
        assert_eq!((stalled.tries, stalled.offset), (3, Offset(3)));
        assert_eq!(retried(&mut it, now + TRIES[1]), 0);
        assert_eq!(retried(&mut it, now + TRIES[1] + TRIES[2]), 1);
        let pieces = vec![it.records(3..6)];
        assert_eq!(offsets(&it.bring(pieces)), [3, 4, 5]);
        assert!(it.place().stall.is_none());
    }

    #[test]
    fn a_position_never_passes_an_unreadable_record() {
        let mut it = Partition::new();
        let pieces = vec![it.records(0..3), failure(3)];
        it.bring(pieces);
        let place = it.places.get_mut("shop.a", 0).unwrap();
        position(place, &mut it.outbox, 4);
        assert_eq!(place.next, Some(3));
    }

    #[test]
    fn an_unreadable_record_is_passed_over_where_it_is_asked_for() {
        let mut it = Partition::new();
        it.skip = vec!["a[0]@3".parse().unwrap()];
        it.place().next = Some(3);
        let events = it.bring(vec![failure(1)]);
        let [ConsumerEvent::Warning(text), ConsumerEvent::Records(batch)] = &events[..] else {
            panic!("{events:?}");
        };
        assert!(text.contains("shop.a[0]@3 is passed over"), "{text}");
        assert_eq!(batch.next, NextOffset(4));
        assert!(it.skip.is_empty());
    }
}
