//! Reading without a group: every partition that matches, nothing committed, nothing left behind.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    thread,
    time::Duration,
};

use kafkaesk_core::{Source, TopicName};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
};
use tokio::sync::mpsc::Sender;

use super::{
    Setup, matching,
    outbox::Outbox,
    records::{Sources, cut},
    start::offsets,
};
use crate::{
    ClientError,
    consumer::{BATCH_RECORDS, ConsumerEvent, Start},
    kafka::{
        config::{Role, client_config},
        context::Context,
        errors::{Doing, client_error, code_error},
        log::{BEGINNING, is_passing},
        native::{Batch, Queue, Reading},
    },
};

/// How long an idle thread waits for records before it looks at everything else.
const IDLE_MS: i32 = 20;
/// How long it waits for events while the reader has no room.
const FULL: Duration = Duration::from_millis(2);

/// The thread's state. The order of the fields is the order of their end: messages and partitions before the client.
struct Reader {
    batch: Batch,
    readings: Vec<Reading>,
    queue: Queue,
    consumer: BaseConsumer<Context>,
    setup: Setup,
    sources: Sources,
    /// The ends seen at start that were not reached yet.
    ends: HashMap<(String, i32), i64>,
    outbox: Outbox,
    told: BTreeSet<String>,
    told_waiting: bool,
}

/// Creates the client, looks at the ends, and lets the thread go. The first event is `Assigned`, empty if nothing
/// matches yet.
pub(super) fn start(mut setup: Setup, sender: Sender<ConsumerEvent>) -> Result<(), ClientError> {
    let consumer: BaseConsumer<Context> = client_config(&setup.settings, Role::Reader)
        .create_with_context(Context(setup.shared.clone()))
        .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
    setup.shared.log_in(consumer.client(), &setup.settings)?;
    let queue = Queue::new(&consumer)
        .ok_or_else(|| crate::kafka::errors::other("starting a reader", "no queue".into()))?;
    let found = matching(
        &setup.discovery.current(),
        &setup.settings.topic_prefix,
        &setup.spec.pattern,
    );
    let timeout = setup.settings.connect_timeout;
    let doing = Doing::cluster("asking for the ends of what matches");
    let ends = offsets(&consumer, Start::Latest, &found, timeout)
        .map_err(|e| setup.lookup.explain(e, doing))?
        .to_topic_map();
    let starts = match setup.spec.start {
        Start::Earliest => HashMap::new(),
        Start::Latest => ends.clone(),
        back @ Start::Back(_) => offsets(&consumer, back, &found, timeout)
            .map_err(|e| setup.lookup.explain(e, doing))?
            .to_topic_map(),
    };
    let mut reader = Reader {
        batch: Batch::new(BATCH_RECORDS),
        readings: Vec::new(),
        queue,
        consumer,
        setup,
        sources: Sources::default(),
        ends: ends
            .into_iter()
            .filter_map(|(key, end)| match end {
                Offset::Offset(end) => Some((key, end)),
                _ => None,
            })
            .collect(),
        outbox: Outbox::new(sender),
        told: BTreeSet::new(),
        told_waiting: false,
    };
    reader.assign(&found, &starts, true)?;
    thread::Builder::new()
        .name("kafkaesk-reader".into())
        .spawn(move || reader.run())
        .map_err(|e| crate::kafka::errors::other("starting a thread", Box::new(e)))?;
    Ok(())
}

impl Reader {
    fn run(mut self) {
        loop {
            if let Some(close) = self.setup.mailbox.take_close() {
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
            let found = matching(
                &cluster,
                &self.setup.settings.topic_prefix,
                &self.setup.spec.pattern,
            );
            // What appears later is read from its beginning.
            self.assign(&found, &HashMap::new(), false)?;
        }
        self.serve_mailbox();
        let room = self.outbox.flush();
        // No group: nothing but events comes out.
        let _ = self.consumer.poll(if room { Duration::ZERO } else { FULL });
        if !room {
            return Ok(());
        }
        if self.batch.fill(&self.queue, 0, BATCH_RECORDS) == 0
            && self.batch.fill(&self.queue, IDLE_MS, 1) == 0
        {
            return Ok(());
        }
        self.hand_over()
    }

    /// The batch's records, and the ends that they reach.
    fn hand_over(&mut self) -> Result<(), ClientError> {
        let Self {
            batch,
            sources,
            outbox,
            ends,
            ..
        } = self;
        // An end of file stands in its place among the records, so that `End` does too.
        let out = std::cell::RefCell::new((outbox, ends));
        let mut failures = Vec::new();
        cut(
            batch.iter(),
            |topic, partition| sources.get(topic, partition).cloned(),
            |message| match message.error() {
                Some(RDKafkaErrorCode::PartitionEOF) => {
                    if let Some(source) = sources.get(message.topic(), message.partition()) {
                        let (outbox, ends) = &mut *out.borrow_mut();
                        reached(ends, outbox, source, i64::MAX);
                    }
                }
                Some(code) => failures.push((code, message.topic().to_owned())),
                None => {}
            },
            |source, records| {
                let (outbox, ends) = &mut *out.borrow_mut();
                let next = records.last().map_or(0, |record| record.offset.next().0);
                outbox.push(ConsumerEvent::Records(records));
                reached(ends, outbox, source, next);
            },
        );
        self.batch.clear();
        self.outbox.flush();
        for (code, topic) in failures {
            if is_passing(code) {
                continue;
            }
            let action = format!("reading {topic}");
            let error = code_error(code, Doing::topic(&action, "Read", &topic));
            let exact = !self.setup.spec.pattern.as_str().contains(['*', '?', '[']);
            if exact {
                return Err(error);
            }
            if self.told.insert(topic) {
                self.outbox.push(ConsumerEvent::Warning(error.to_string()));
            }
        }
        Ok(())
    }

    /// Starts every partition that is not being read yet.
    fn assign(
        &mut self,
        found: &HashMap<String, u32>,
        starts: &HashMap<(String, i32), Offset>,
        first: bool,
    ) -> Result<(), ClientError> {
        if found.is_empty() && !self.told_waiting {
            self.told_waiting = true;
            self.outbox.push(ConsumerEvent::Warning(format!(
                "no stream matches {:?} yet (topic prefix {:?}); waiting for one",
                self.setup.spec.pattern.as_str(),
                self.setup.settings.topic_prefix.as_str(),
            )));
        }
        let mut assigned = Vec::new();
        for (topic, partitions) in found {
            for partition in 0..*partitions as i32 {
                if self.sources.get(topic, partition).is_some() {
                    continue;
                }
                let (Ok(name), Some(stream)) = (
                    TopicName::new(topic),
                    self.setup.settings.topic_prefix.stream_of(topic),
                ) else {
                    continue;
                };
                let offset = match starts.get(&(topic.clone(), partition)) {
                    Some(Offset::Offset(offset)) => *offset,
                    _ => BEGINNING,
                };
                let action = format!("reading {topic}[{partition}]");
                let reading = Reading::start(&self.consumer, &self.queue, topic, partition, offset)
                    .map_err(|code| {
                        client_error(
                            rdkafka::error::KafkaError::MessageConsumption(code),
                            Doing::topic(&action, "Read", topic),
                        )
                    })?;
                self.readings.push(reading);
                let source = Arc::new(Source {
                    topic: name,
                    stream,
                    partition,
                });
                self.sources.insert(source.clone());
                assigned.push(source);
            }
        }
        if first || !assigned.is_empty() {
            self.outbox.push(ConsumerEvent::Assigned(assigned));
        }
        Ok(())
    }

    fn serve_mailbox(&mut self) {
        // Nothing is committed without a group.
        drop(self.setup.mailbox.take_commits());
        for (source, paused) in self.setup.mailbox.take_pauses() {
            if !self.sources.holds(&source) {
                continue;
            }
            let mut partition = TopicPartitionList::new();
            partition.add_partition(source.topic.as_str(), source.partition);
            let done = if paused {
                self.consumer.pause(&partition)
            } else {
                self.consumer.resume(&partition)
            };
            if let Err(error) = done {
                tracing::warn!(%source, %error, paused, "pausing or resuming failed");
            }
        }
    }

    /// Tells why, and ends when the reader has heard it.
    fn fail(mut self, error: ClientError) {
        self.outbox.push(ConsumerEvent::Failed(error));
        while !self.outbox.flush() {
            if let Some(close) = self.setup.mailbox.take_close() {
                let _ = close.committed.send(Ok(()));
                return;
            }
            thread::sleep(FULL);
        }
    }
}

/// Tells once that a partition was read to the end seen at start.
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
