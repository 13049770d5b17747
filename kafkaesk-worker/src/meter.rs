//! Meter: counts of one subscription, as plain integers of its own task. `partitions` counts messages; this counts the rest.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, SystemTime},
};

use kafkaesk_client::meter::{Histogram, SIZES};
use kafkaesk_core::{DeadLetter, Reason, Record, Source, TopicName};

use crate::{
    delivery::Delivery,
    snapshot::{
        AttemptEnd, Rebalance, RebalanceEvent, Rebalanced, RecentError, RecentLetter,
        SubscriptionSnapshot, TopicMeter,
    },
};

/// The most pairs of topic and schema whose refusals are counted one by one.
const REFUSED: usize = 1_000;
/// The most characters that are kept of an error.
const ERROR: usize = 500;

/// A topic's place in [`Meter`].
pub(crate) type TopicIndex = usize;

/// Counts of one subscription.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    topics: Vec<(TopicName, TopicMeter)>,
    index: HashMap<TopicName, TopicIndex>,
    dead_letters: BTreeMap<&'static str, (Reason, u64)>,
    recent_letters: VecDeque<RecentLetter>,
    refused: BTreeMap<(TopicName, String), u64>,
    rebalanced: Rebalanced,
    rebalances: VecDeque<Rebalance>,
    errors: VecDeque<RecentError>,
    pub(crate) commits: u64,
    busy: Duration,
}

impl Meter {
    /// The place of a partition's topic: asked once, when the partition is assigned.
    pub(crate) fn topic(&mut self, source: &Source) -> TopicIndex {
        if let Some(known) = self.index.get(&source.topic) {
            return *known;
        }
        let meter = TopicMeter {
            stream: source.stream.clone(),
            elapsed: Histogram::of_times(),
            lead: Histogram::of_times(),
            batches: Histogram::new(SIZES),
        };
        self.topics.push((source.topic.clone(), meter));
        self.index
            .insert(source.topic.clone(), self.topics.len() - 1);
        self.topics.len() - 1
    }

    /// Records of one partition were read, at this time in milliseconds since the Unix epoch.
    pub(crate) fn read(&mut self, topic: TopicIndex, records: &[Record], now: i64) {
        let Some((_, meter)) = self.topics.get_mut(topic) else {
            return;
        };
        meter.batches.observe(records.len() as f64);
        let (mut first, mut last, mut sum, mut count) = (i64::MAX, i64::MIN, 0_i64, 0_u64);
        for at in records.iter().filter_map(|record| record.timestamp) {
            first = first.min(at);
            last = last.max(at);
            sum = sum.wrapping_add(now - at);
            count += 1;
        }
        if count > 0 {
            let seconds = |millis: i64| millis.max(0) as f64 / 1000.0;
            meter.lead.observe_span(
                seconds(now - last),
                seconds(now - first),
                seconds(sum),
                count,
            );
        }
    }

    /// Attempts at messages of one topic ended, and took this long together.
    pub(crate) fn attempts(&mut self, topic: TopicIndex, count: u32, elapsed: Duration) {
        self.busy += elapsed;
        if count > 0
            && let Some((_, meter)) = self.topics.get_mut(topic)
        {
            let mean = elapsed.as_secs_f64() / f64::from(count);
            meter.elapsed.observe_many(mean, u64::from(count));
        }
    }

    /// The brokers have the dead letter of a message.
    pub(crate) fn dead_letter(&mut self, record: &Record, letter: &DeadLetter) {
        let count = self.dead_letters.entry(letter.reason.as_str());
        count.or_insert((letter.reason, 0)).1 += 1;
        self.recent_letters
            .truncate(SubscriptionSnapshot::LETTERS - 1);
        self.recent_letters.push_front(RecentLetter {
            at: SystemTime::now(),
            source: record.source.clone(),
            offset: record.offset.0,
            reason: letter.reason,
            attempts: letter.attempts,
            error: cut(&letter.error),
        });
    }

    /// A message does not fit its handler or its schema.
    pub(crate) fn refused(&mut self, delivery: &Delivery) {
        let topic = delivery.record().source.topic.clone();
        let schema = delivery.schema().unwrap_or_default().to_owned();
        let mut key = (topic, schema);
        if self.refused.len() >= REFUSED && !self.refused.contains_key(&key) {
            key.1 = String::new();
        }
        *self.refused.entry(key).or_default() += 1;
    }

    /// An attempt ended with an error, which was cut already.
    pub(crate) fn failed(&mut self, end: AttemptEnd, error: &str, delivery: &Delivery) {
        let now = SystemTime::now();
        let source = delivery.record().source.clone();
        let offset = delivery.record().offset.0;
        let known = self
            .errors
            .iter()
            .position(|known| known.end == end && known.error == error);
        let recent = match known.and_then(|at| self.errors.remove(at)) {
            Some(known) => RecentError {
                source,
                offset,
                last: now,
                count: known.count + 1,
                ..known
            },
            None => RecentError {
                error: error.to_owned(),
                end,
                source,
                offset,
                first: now,
                last: now,
                count: 1,
            },
        };
        self.errors.push_front(recent);
        self.errors.truncate(SubscriptionSnapshot::RECENT);
    }

    /// Partitions came or went; so many are left.
    pub(crate) fn rebalanced(&mut self, event: RebalanceEvent, partitions: usize, left: usize) {
        let count = match event {
            RebalanceEvent::Assigned => &mut self.rebalanced.assigned,
            RebalanceEvent::Revoked => &mut self.rebalanced.revoked,
            RebalanceEvent::Lost => &mut self.rebalanced.lost,
        };
        *count += partitions as u64;
        self.rebalances.push_front(Rebalance {
            at: SystemTime::now(),
            event,
            partitions,
            left,
        });
        self.rebalances.truncate(SubscriptionSnapshot::RECENT);
    }

    /// Whether a partition was ever assigned.
    pub(crate) fn had_partition(&self) -> bool {
        self.rebalanced.assigned > 0
    }

    /// Writes the counts into a snapshot.
    pub(crate) fn fill(&self, snapshot: &mut SubscriptionSnapshot) {
        snapshot.topics.clone_from(&self.topics);
        snapshot.dead_letters = self.dead_letters.values().copied().collect();
        snapshot.recent_letters = self.recent_letters.iter().cloned().collect();
        let refused = self.refused.iter();
        snapshot.refused = refused
            .map(|((topic, schema), count)| (topic.clone(), schema.clone(), *count))
            .collect();
        snapshot.rebalanced = self.rebalanced;
        snapshot.rebalances = self.rebalances.iter().cloned().collect();
        snapshot.errors = self.errors.iter().cloned().collect();
        snapshot.commits = self.commits;
        snapshot.busy = self.busy;
    }
}

/// The first part of an error.
pub(crate) fn cut(error: &str) -> String {
    match error.char_indices().nth(ERROR) {
        Some((end, _)) => format!("{}…", &error[..end]),
        None => error.to_owned(),
    }
}
