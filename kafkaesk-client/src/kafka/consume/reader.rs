//! Reads without a group: every partition that matches. Commits nothing and leaves no group in Kafka.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use kafkaesk_core::{Source, TopicName};
use rdkafka::{
    Offset,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
};
use tokio::sync::mpsc::Sender;

use super::{
    ahead::Ahead,
    handover::{self, Handover},
    outbox::Outbox,
    pauses,
    places::Places,
    records::{Failure, Piece, cut},
    resets::Resets,
    setup::Setup,
    start::offsets,
};
use crate::{
    ClientError,
    broker::Cluster,
    consumer::{BATCH_RECORDS, ConsumerEvent, Events, Start, created_again},
    kafka::{
        config::{Role, client_config},
        context::{Context, delegate_client_context},
        errors::{Operation, client_error, code_error},
        librdkafka_log::{Meaning, meaning},
        log::BEGINNING,
        native::{Batch, Queue, Reading},
    },
};

/// How long an idle thread waits for records before it looks at everything else.
const IDLE_MS: i32 = 20;
/// How long it waits for events while the reader has no room.
const FULL: Duration = Duration::from_millis(2);

/// How often partitions that stand still are looked at.
const STALLS: Duration = Duration::from_secs(1);

/// A reader's context: librdkafka's resets are kept for the reader's thread.
struct Listening {
    context: Context,
    resets: Arc<Resets>,
}

impl Listening {
    fn log_line(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.resets.log(&self.context, level, facility, message);
    }
}

delegate_client_context!(Listening);

impl ConsumerContext for Listening {}

/// The thread's state. The order of the fields is the order of their end: messages and partitions before the client.
struct Reader {
    batch: Batch,
    readings: HashMap<(String, i32), Reading>,
    queue: Queue,
    consumer: BaseConsumer<Listening>,
    setup: Setup,
    places: Places,
    /// The ids of the topics when they were last looked at.
    ids: HashMap<String, String>,
    created_again: BTreeSet<String>,
    stalls_at: Instant,
    ahead: Ahead,
    /// The ends seen at start that were not reached yet.
    ends: HashMap<(String, i32), i64>,
    outbox: Outbox,
    reported: BTreeSet<String>,
    reported_waiting: bool,
}

/// Creates the client, looks at the ends, and lets the thread go. The first event is `Assigned`, empty if nothing
/// matches yet.
pub(super) fn start(mut setup: Setup, sender: Sender<Events>) -> Result<(), ClientError> {
    let listening = Listening {
        context: Context(setup.shared.clone()),
        resets: Arc::new(Resets::default()),
    };
    let consumer: BaseConsumer<Listening> = client_config(&setup.settings, Role::Reader)
        .create_with_context(listening)
        .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
    setup.shared.log_in(consumer.client(), &setup.settings)?;
    let queue = Queue::new(&consumer)
        .ok_or_else(|| crate::kafka::errors::other("starting a reader", "no queue".into()))?;
    let cluster = setup.discovery.current();
    let found = setup.topics(&cluster);
    let timeout = setup.settings.connect_timeout;
    let doing = Operation::cluster("asking for the ends of what matches");
    let ends = offsets(&consumer, Start::Latest, &found, timeout)
        .map_err(|e| setup.lookup.explain(e, doing))?
        .to_topic_map();
    let starts = match (setup.spec.first_offset(), setup.spec.start) {
        (Some(from), _) => ends
            .keys()
            .map(|partition| (partition.clone(), Offset::Offset(from.0)))
            .collect(),
        (None, Start::Earliest) => HashMap::new(),
        (None, Start::Latest) => ends.clone(),
        (None, back @ Start::Back(_)) => offsets(&consumer, back, &found, timeout)
            .map_err(|e| setup.lookup.explain(e, doing))?
            .to_topic_map(),
    };
    let mut reader = Reader {
        batch: Batch::new(BATCH_RECORDS),
        readings: HashMap::new(),
        queue,
        consumer,
        setup,
        places: Places::default(),
        ids: HashMap::new(),
        created_again: BTreeSet::new(),
        stalls_at: Instant::now(),
        ahead: Ahead::new(),
        ends: ends
            .into_iter()
            .filter_map(|(key, end)| match end {
                Offset::Offset(end) => Some((key, end)),
                _ => None,
            })
            .collect(),
        outbox: Outbox::new(sender),
        reported: BTreeSet::new(),
        reported_waiting: false,
    };
    reader.compare_ids(&cluster, &found);
    reader.assign(&found, &starts, true)?;
    reader.setup.requests.pulse.set_joined(true);
    thread::Builder::new()
        .name("kafkaesk-reader".into())
        .spawn(move || reader.run())
        .map_err(|e| crate::kafka::errors::other("starting a thread", Box::new(e)))?;
    Ok(())
}

impl Reader {
    fn run(mut self) {
        loop {
            if let Some(close) = self.setup.requests.take_close() {
                drop(self);
                let _ = close.committed.send(Ok(()));
                return;
            }
            if self.outbox.is_closed() {
                return;
            }
            if let Err(error) = self.turn() {
                return self.fail(error);
            }
        }
    }

    fn turn(&mut self) -> Result<(), ClientError> {
        if let Some(cluster) = self.setup.discovery.news() {
            let found = self.setup.topics(&cluster);
            self.compare_ids(&cluster, &found);
            // What appears later is read from its beginning.
            self.assign(&found, &HashMap::new(), false)?;
        }
        self.serve_requests();
        self.tend();
        let room = self.outbox.flush();
        self.ahead
            .restrain(&self.consumer, &self.queue, &mut self.places, &self.outbox);
        // No group: nothing but events comes out.
        let _ = self.consumer.poll(if room { Duration::ZERO } else { FULL });
        if !room {
            return Ok(());
        }
        if self.batch.fill(&self.queue, 0, self.ahead.most()) == 0
            && self.batch.fill(&self.queue, IDLE_MS, 1) == 0
        {
            return Ok(());
        }
        self.hand_over()
    }

    /// The batch's records, and the ends that they reach.
    fn hand_over(&mut self) -> Result<(), ClientError> {
        let places = &self.places;
        let limit = self.setup.settings.max_message_bytes;
        let (pieces, sizes) = cut(self.batch.iter(), limit, |topic, partition| {
            places.source(topic, partition)
        });
        self.batch.clear();
        self.ahead.learn(sizes);
        let mut failures = Vec::new();
        for piece in pieces {
            // An end of file stands in its place among the records, so that `End` does too.
            let (source, next) = match &piece {
                Piece::Records(source, records) => (
                    Some(source.clone()),
                    records.last().map_or(0, |record| record.offset.next().0),
                ),
                Piece::Failure(failure) => (
                    (meaning(failure.code) == Meaning::End)
                        .then(|| self.places.source(&failure.topic, failure.partition))
                        .flatten(),
                    i64::MAX,
                ),
            };
            let mut handover = Handover {
                places: &mut self.places,
                outbox: &mut self.outbox,
                resets: &self.consumer.context().resets,
                // Nothing is committed, so nothing is passed over.
                skip: &mut Vec::new(),
            };
            failures.extend(handover.pieces(vec![piece]));
            if let Some(source) = source {
                reached(&mut self.ends, &mut self.outbox, &source, next);
            }
        }
        self.outbox.flush();
        failures.iter().try_for_each(|failure| self.failed(failure))
    }

    /// What an error in a record's place means: an error ends the stream.
    fn failed(&mut self, failure: &Failure) -> Result<(), ClientError> {
        match meaning(failure.code) {
            Meaning::End => Ok(()),
            Meaning::Passing => {
                tracing::debug!(?failure, "reading a partition");
                Ok(())
            }
            Meaning::Denied => {
                let action = format!("reading {}", failure.topic);
                let doing = Operation::topic(&action, "Read", &failure.topic);
                let error = code_error(failure.code, doing);
                if !self.setup.spec.wanted().contains(['*', '?', '[']) {
                    return Err(error);
                }
                if self.reported.insert(failure.topic.clone()) {
                    self.outbox.push(ConsumerEvent::Warning(error.to_string()));
                }
                Ok(())
            }
            Meaning::Unreadable(_) => {
                self.rest(failure);
                Ok(())
            }
        }
    }

    /// Fetches nothing of a partition that stands still until its next try, from where it stands.
    fn rest(&self, failure: &Failure) {
        if let Some(place) = self.places.get(&failure.topic, failure.partition) {
            let next = place.next.unwrap_or(failure.offset);
            pauses::hold(&self.consumer, &place.source, next);
        }
    }

    /// Periodic work: reported resets, the next try of unreadable records.
    fn tend(&mut self) {
        let resets = self.consumer.context().resets.clone();
        for settled in resets.settled(&self.setup.lookup) {
            handover::reset(&mut self.places, &mut self.outbox, settled);
        }
        let now = Instant::now();
        self.setup.requests.pulse.beat(now);
        if now < self.stalls_at {
            return;
        }
        self.stalls_at = now + STALLS;
        let due = handover::retried(&mut self.places, &mut self.outbox, now);
        if !self.ahead.is_stopped() {
            pauses::resume(&self.consumer, &due);
        }
    }

    /// Stops reading topics that were deleted and created again since the last look; they are assigned as new ones.
    fn compare_ids(&mut self, cluster: &Cluster, found: &HashMap<String, u32>) {
        for name in found.keys() {
            let Some(id) = cluster.topics.get(name).and_then(|topic| topic.id.clone()) else {
                continue;
            };
            let known = self.ids.insert(name.clone(), id.clone());
            if known.is_none_or(|known| known == id) {
                continue;
            }
            self.created_again.insert(name.clone());
            let gone = self.places.of_topic(name);
            self.outbox.forget(&gone);
            for source in &gone {
                let key = (name.clone(), source.partition);
                self.places.remove(name, source.partition);
                self.readings.remove(&key);
                self.ends.remove(&key);
            }
            self.outbox
                .push(ConsumerEvent::Warning(created_again(name)));
            self.outbox.push(ConsumerEvent::Lost(gone));
        }
    }

    /// Starts every partition that is not being read yet.
    fn assign(
        &mut self,
        found: &HashMap<String, u32>,
        starts: &HashMap<(String, i32), Offset>,
        first: bool,
    ) -> Result<(), ClientError> {
        if found.is_empty() && !self.reported_waiting {
            self.reported_waiting = true;
            self.outbox.push(ConsumerEvent::Warning(format!(
                "no stream matches {:?} yet (topic prefix {:?}); waiting for one",
                self.setup.spec.wanted(),
                self.setup.settings.topic_prefix.as_str(),
            )));
        }
        let mut assigned = Vec::new();
        for (topic, partitions) in found {
            for partition in 0..*partitions as i32 {
                let is_read = self.places.get(topic, partition).is_some();
                if is_read || !self.setup.spec.takes_partition(partition) {
                    continue;
                }
                let prefix = &self.setup.settings.topic_prefix;
                let (Ok(name), Some(stream)) =
                    (TopicName::new(topic), prefix.consumed_stream(topic))
                else {
                    continue;
                };
                let offset = match starts.get(&(topic.clone(), partition)) {
                    Some(Offset::Offset(offset)) => *offset,
                    // The client may have cached the beginning of a deleted topic.
                    _ if self.created_again.contains(topic) => 0,
                    _ => BEGINNING,
                };
                let action = format!("reading {topic}[{partition}]");
                let reading = Reading::start(&self.consumer, &self.queue, topic, partition, offset)
                    .map_err(|code| {
                        client_error(
                            rdkafka::error::KafkaError::MessageConsumption(code),
                            Operation::topic(&action, "Read", topic),
                        )
                    })?;
                self.readings.insert((topic.clone(), partition), reading);
                let source = Arc::new(Source {
                    topic: name,
                    stream,
                    partition,
                });
                self.places.insert(source.clone());
                assigned.push(source);
            }
        }
        if first || !assigned.is_empty() {
            self.outbox.push(ConsumerEvent::Assigned(assigned));
        }
        Ok(())
    }

    fn serve_requests(&mut self) {
        // Nothing is committed without a group.
        drop(self.setup.requests.take_commits());
        let asked = self.setup.requests.take_pauses();
        // Its partitions have ends: librdkafka takes one for a record that was read.
        let seek = true;
        let stopped = self.ahead.is_stopped();
        pauses::apply(&self.consumer, &mut self.places, asked, stopped, seek);
    }

    /// Sends the reason to the reader and ends when it is delivered.
    fn fail(mut self, error: ClientError) {
        self.outbox.push(ConsumerEvent::Failed(error));
        while !self.outbox.flush() {
            if let Some(close) = self.setup.requests.take_close() {
                let _ = close.committed.send(Ok(()));
                return;
            }
            self.setup.requests.pulse.beat(Instant::now());
            thread::sleep(FULL);
        }
    }
}

/// Reports once that a partition was read to the end seen at start.
fn reached(
    ends: &mut HashMap<(String, i32), i64>,
    outbox: &mut Outbox,
    source: &Arc<Source>,
    next: i64,
) {
    let key = (source.topic.as_str().to_owned(), source.partition);
    if ends.get(&key).is_some_and(|end| next >= *end) {
        ends.remove(&key);
        outbox.push(ConsumerEvent::End(source.clone()));
    }
}
