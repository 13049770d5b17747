//! Topics: counts each publish of a connection from its first step to the brokers' answer. No publish waits for a lock here,
//! but the few whose times are measured and those that end with an error.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use kafkaesk_core::{Offset, SchemaId, StreamId, TopicName};
use parking_lot::{Mutex, RwLock};

use super::{
    Histogram,
    partitions::Partitions,
    published::{PublishEnd, Published, PublishedElsewhere, PublishedTopic},
};
use crate::{
    ClientError,
    trace::{Span, SpanEnd},
};

/// The most topics that are counted one by one.
const TOPICS: usize = 10_000;
/// The most pairs of topic and schema whose refusals are counted one by one.
const REFUSED: usize = 1_000;
/// One of so many publishes to a topic is measured.
const MEASURED: u64 = 16;
/// The error of a record that was accepted for sending and then failed.
const FAILED: &str = "failed";

/// The meters of all topics of a connection. A topic keeps its meter for the connection's life, whatever becomes of caches
/// and producers.
#[derive(Debug)]
pub(crate) struct TopicMeters {
    topics: RwLock<HashMap<TopicName, Arc<TopicMeter>>>,
    /// Of the topics beyond the bound.
    others: Arc<TopicMeter>,
    refused: Mutex<BTreeMap<(TopicName, String), u64>>,
}

/// What is counted of one topic.
#[derive(Debug)]
pub(crate) struct TopicMeter {
    /// `None` for the one of all topics beyond the bound.
    name: Option<(TopicName, StreamId)>,
    begun: AtomicU64,
    called: [AtomicU64; PublishEnd::ALL.len()],
    failed: AtomicU64,
    partitions: Partitions,
    called_time: Mutex<Histogram>,
    delivery_time: Mutex<Histogram>,
}

impl Default for TopicMeters {
    fn default() -> Self {
        Self {
            topics: RwLock::default(),
            others: Arc::new(TopicMeter::new(None)),
            refused: Mutex::default(),
        }
    }
}

impl TopicMeters {
    /// A topic's meter. To be asked for once, and kept.
    pub(crate) fn of(&self, topic: &TopicName, stream: &StreamId) -> Arc<TopicMeter> {
        if let Some(known) = self.topics.read().get(topic) {
            return known.clone();
        }
        let mut topics = self.topics.write();
        if topics.len() >= TOPICS && !topics.contains_key(topic) {
            return self.others.clone();
        }
        let new = || Arc::new(TopicMeter::new(Some((topic.clone(), stream.clone()))));
        topics.entry(topic.clone()).or_insert_with(new).clone()
    }

    /// The meter of what has no topic.
    pub(crate) fn others(&self) -> Arc<TopicMeter> {
        self.others.clone()
    }

    /// Counts a publish that ended before it was accepted. `schema`: its event's.
    pub(crate) fn ended(
        &self,
        meter: &TopicMeter,
        schema: Option<&SchemaId>,
        error: &ClientError,
    ) -> PublishEnd {
        let end = PublishEnd::of(error);
        meter.count(end);
        if let (PublishEnd::Schema, Some(schema), Some((topic, _))) = (end, schema, &meter.name) {
            let mut refused = self.refused.lock();
            let mut key = (topic.clone(), schema.to_string());
            if refused.len() >= REFUSED && !refused.contains_key(&key) {
                key.1.clear();
            }
            *refused.entry(key).or_default() += 1;
        }
        end
    }

    pub(crate) fn shown(&self) -> Published {
        let meters: Vec<_> = self.topics.read().values().cloned().collect();
        let refused = self.refused.lock().clone();
        let mut topics: Vec<_> = meters.iter().filter_map(|meter| meter.shown()).collect();
        topics.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
        for ((topic, schema), count) in refused {
            if let Ok(at) = topics.binary_search_by(|shown| shown.topic.cmp(&topic)) {
                topics[at].refused.push((schema, count));
            }
        }
        Published {
            topics,
            others: self.others.shown_elsewhere(),
            ..Published::default()
        }
    }
}

impl TopicMeter {
    fn new(name: Option<(TopicName, StreamId)>) -> Self {
        Self {
            name,
            begun: AtomicU64::new(0),
            called: Default::default(),
            failed: AtomicU64::new(0),
            partitions: Partitions::default(),
            called_time: Mutex::new(Histogram::of_times()),
            delivery_time: Mutex::new(Histogram::of_times()),
        }
    }

    /// A publish takes its first step now.
    pub(crate) fn begin(&self) -> Begun {
        self.begin_at(Instant::now)
    }

    /// The same, of one whose first step was at that time.
    pub(crate) fn begin_at(&self, at: impl FnOnce() -> Instant) -> Begun {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        Begun(number.is_multiple_of(MEASURED).then(|| Measured {
            at: at(),
            // The first one stands for itself, each further one for those before it as well.
            stands_for: if number == 0 { 1 } else { MEASURED },
        }))
    }

    fn count(&self, end: PublishEnd) {
        self.called[end as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn called(&self) -> [u64; PublishEnd::ALL.len()] {
        std::array::from_fn(|end| self.called[end].load(Ordering::Relaxed))
    }

    /// `None` for the meter of all topics beyond the bound.
    fn shown(&self) -> Option<PublishedTopic> {
        let (topic, stream) = self.name.clone()?;
        Some(PublishedTopic {
            topic,
            stream,
            called: self.called(),
            called_time: self.called_time.lock().clone(),
            schemas: Vec::new(),
            partitions: self.partitions.shown(),
            failed: self.failed.load(Ordering::Relaxed),
            delivery_time: self.delivery_time.lock().clone(),
            refused: Vec::new(),
        })
    }

    fn shown_elsewhere(&self) -> PublishedElsewhere {
        let partitions = self.partitions.shown();
        PublishedElsewhere {
            called: self.called(),
            delivered: partitions.iter().map(|it| it.delivered).sum(),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// A publish that took its first step; whether its times are measured is decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun(Option<Measured>);

/// A time, and for how many publishes it stands.
#[derive(Clone, Copy, Debug)]
struct Measured {
    at: Instant,
    stands_for: u64,
}

impl Measured {
    fn observe(self, times: &Mutex<Histogram>, until: Instant) {
        let span = until.saturating_duration_since(self.at).as_secs_f64();
        times.lock().observe_many(span, self.stands_for);
    }
}

/// A publish on its way to a producer.
#[derive(Clone, Copy, Debug)]
pub struct Tally<'a> {
    meter: &'a Arc<TopicMeter>,
    begun: Begun,
    span: Option<&'a Arc<dyn Span>>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(meter: &'a Arc<TopicMeter>, begun: Begun) -> Self {
        Self {
            meter,
            begun,
            span: None,
        }
    }

    /// Ends this span as well, with the answer.
    pub(crate) fn in_span(self, span: Option<&'a Arc<dyn Span>>) -> Self {
        Self { span, ..self }
    }

    /// The producer gets the record now.
    pub(crate) fn hand_over(self) -> Handed<'a> {
        Handed {
            tally: self,
            at: self.begun.0.map(|_| Instant::now()),
        }
    }
}

/// A publish at its hand-over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed<'a> {
    tally: Tally<'a>,
    at: Option<Instant>,
}

impl Handed<'_> {
    /// What goes with the record.
    pub(crate) fn flight(self) -> Flight {
        let handed = |begun: Measured| {
            Some(Measured {
                at: self.at?,
                ..begun
            })
        };
        Flight {
            meter: self.tally.meter.clone(),
            handed: self.tally.begun.0.and_then(handed),
            span: self.tally.span.cloned(),
        }
    }

    /// The producer took the record.
    pub(crate) fn accepted(self) {
        let Tally { meter, begun, .. } = self.tally;
        meter.count(PublishEnd::Accepted);
        if let (Some(begun), Some(at)) = (begun.0, self.at) {
            begun.observe(&meter.called_time, at);
        }
    }
}

/// A publish that waits for the brokers' answer. Goes with its record.
#[derive(Debug)]
pub(crate) struct Flight {
    meter: Arc<TopicMeter>,
    handed: Option<Measured>,
    span: Option<Arc<dyn Span>>,
}

impl Flight {
    /// The brokers have the record.
    pub(crate) fn delivered(self, partition: i32, offset: Option<Offset>) {
        self.meter.partitions.delivered(partition, offset);
        if let Some(handed) = self.handed {
            handed.observe(&self.meter.delivery_time, Instant::now());
        }
        if let Some(span) = self.span {
            span.end(&SpanEnd::written(partition, offset));
        }
    }

    /// They do not have it, or nobody knows.
    pub(crate) fn failed(self) {
        self.meter.failed.fetch_add(1, Ordering::Relaxed);
        if let Some(span) = self.span {
            span.end(&SpanEnd::failed(FAILED));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn meter_of(meters: &TopicMeters, stream: &str) -> Arc<TopicMeter> {
        let topic = TopicName::new(format!("shop.{stream}")).unwrap();
        meters.of(&topic, &StreamId::new(stream).unwrap())
    }

    fn publish(meter: &Arc<TopicMeter>, offset: i64) {
        let handed = Tally::new(meter, meter.begin()).hand_over();
        handed.accepted();
        handed.flight().delivered(0, Some(Offset(offset)));
    }

    #[test]
    fn topics_beyond_the_bound_are_counted_together_and_those_within_it_go_on() {
        let meters = TopicMeters::default();
        for n in 0..TOPICS + 5 {
            publish(&meter_of(&meters, &format!("s{n}")), 0);
        }
        publish(&meter_of(&meters, "s7"), 1);
        let shown = meters.shown();
        assert_eq!(shown.topics.len(), TOPICS);
        assert!(shown.topics.is_sorted_by(|a, b| a.topic < b.topic));
        let seventh = shown.topics.iter().find(|it| it.stream.as_str() == "s7");
        assert_eq!(seventh.unwrap().partitions[0].delivered, 2);
        assert_eq!((shown.others.called[0], shown.others.delivered), (5, 5));
    }

    #[test]
    fn refusals_beyond_the_bound_are_counted_without_their_schema() {
        let meters = TopicMeters::default();
        let (first, second) = (meter_of(&meters, "a"), meter_of(&meters, "b"));
        let error = || ClientError::Malformed {
            stream: StreamId::new("a").unwrap(),
            message: String::new(),
        };
        let refuse = |meter: &TopicMeter, version: usize| {
            let schema = format!("S:{version}").parse().unwrap();
            meters.ended(meter, Some(&schema), &error());
        };
        (1..=REFUSED).for_each(|version| refuse(&first, version));
        for version in [1, REFUSED + 1, REFUSED + 2] {
            refuse(&first, version);
            refuse(&second, version);
        }
        let shown = meters.shown().topics;
        assert_eq!(shown[0].refused.len(), REFUSED + 1);
        assert_eq!(
            shown[0].refused[..2],
            [(String::new(), 2), ("S:1".into(), 2)]
        );
        assert_eq!(shown[1].refused, [(String::new(), 3)]);
        for topic in shown {
            let refused: u64 = topic.refused.iter().map(|(_, count)| count).sum();
            assert_eq!(topic.called[PublishEnd::Schema as usize], refused);
        }
    }

    #[test]
    fn concurrent_publishes_are_all_counted_and_the_times_stand_for_no_more_of_them() {
        let meters = TopicMeters::default();
        let meter = meter_of(&meters, "a");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_003).for_each(|n| publish(&meter, n)));
            }
        });
        let shown = &meters.shown().topics[0];
        assert_eq!(shown.called[PublishEnd::Accepted as usize], 4 * 1_003);
        assert_eq!(shown.partitions[0].delivered, 4 * 1_003);
        // The first one, and each sixteenth after it: 1 + 250 times 16.
        assert_eq!(shown.called_time.count(), 4_001);
        assert_eq!(shown.delivery_time.count(), 4_001);
    }

    #[test]
    fn a_record_that_failed_has_no_delivery_time() {
        let meters = TopicMeters::default();
        let meter = meter_of(&meters, "a");
        let handed = Tally::new(&meter, meter.begin()).hand_over();
        handed.accepted();
        handed.flight().failed();
        let shown = &meters.shown().topics[0];
        assert_eq!((shown.called[0], shown.failed), (1, 1));
        assert_eq!(
            (shown.called_time.count(), shown.delivery_time.count()),
            (1, 0)
        );
        assert!(shown.partitions.is_empty());
    }
}
