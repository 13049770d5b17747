//! What every law starts with: a connection with a prefix of its own, and short ways to send and to read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use kafkaesk_client::{
    ClientError, Connection, Receipt, Settings,
    broker::{Outgoing, SendError, TopicSpec},
    consumer::{Commits, Consumer, ConsumerEvent, ConsumerSpec, Start},
    core::{
        Headers, NextOffset, Offset, Pattern, Record, Source, StreamId, TopicName, TopicPrefix,
    },
    schema::LogRecord,
    testing,
};

/// How long anything may take before its law counts as broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// One broker, seen through one connection.
#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) connection: Connection,
}

impl Fixture {
    pub(super) fn memory() -> Self {
        let mut settings = Settings::new("memory");
        settings.topic_prefix = TopicPrefix::new("law.").unwrap();
        Self {
            connection: Connection::in_memory(settings),
        }
    }

    pub(super) async fn kafka() -> Self {
        let settings = testing::kafka().await.settings();
        Self {
            connection: Connection::open(&settings).await.unwrap(),
        }
    }

    pub(super) fn prefix(&self) -> &str {
        self.connection.settings().topic_prefix.as_str()
    }

    pub(super) fn topic(&self, stream: &str) -> TopicName {
        let stream = StreamId::new(stream).unwrap();
        let prefix = &self.connection.settings().topic_prefix;
        prefix.topic(&stream).unwrap()
    }

    /// A group's name that no other law has.
    pub(super) fn group(&self) -> String {
        format!("{}group", self.prefix())
    }

    pub(super) async fn try_create(
        &self,
        topic: TopicName,
        partitions: u32,
    ) -> Result<bool, ClientError> {
        let spec = TopicSpec {
            topic,
            partitions,
            replication_factor: 1,
            config: BTreeMap::new(),
        };
        self.connection.broker().create_topic(&spec).await
    }

    pub(super) async fn create(&self, stream: &str, partitions: u32) -> TopicName {
        let topic = self.topic(stream);
        assert!(self.try_create(topic.clone(), partitions).await.unwrap());
        topic
    }

    /// A log's records from an offset on, and where the next reading starts.
    pub(super) async fn log(
        &self,
        topic: &TopicName,
        from: i64,
        until: Option<Offset>,
    ) -> (Vec<LogRecord>, Option<NextOffset>) {
        let records = Arc::new(Mutex::new(Vec::new()));
        let taker = records.clone();
        let sink = Box::new(move |record| {
            taker.lock().unwrap().push(record);
            Ok(())
        });
        let broker = self.connection.broker();
        let next = broker
            .read_log(topic, NextOffset(from), until, sink)
            .await
            .unwrap();
        let records = std::mem::take(&mut *records.lock().unwrap());
        (records, next)
    }

    pub(super) async fn send(&self, record: Outgoing) -> Result<Receipt, ClientError> {
        match self.connection.broker().send(record) {
            Ok(delivery) => delivery.await,
            Err(SendError::Refused(error)) => Err(error),
            Err(SendError::Full(_)) => panic!("a law never fills the queue"),
        }
    }

    /// Sends values without key to one partition.
    pub(super) async fn fill(
        &self,
        topic: &TopicName,
        partition: i32,
        values: impl IntoIterator<Item = i32>,
    ) {
        for value in values {
            let mut record = outgoing(topic, None, &value.to_string());
            record.partition = Some(partition);
            self.send(record).await.unwrap();
        }
    }

    pub(super) async fn consume(&self, group: Option<&str>, pattern: &str, start: Start) -> Tap {
        let spec = ConsumerSpec {
            group: group.map(str::to_owned),
            pattern: Pattern::new(pattern).unwrap(),
            start,
            drain: Duration::from_secs(5),
            kafka_settings: BTreeMap::new(),
        };
        Tap {
            consumer: self.connection.broker().consume(spec).await.unwrap(),
            read: HashMap::new(),
        }
    }
}

pub(super) fn outgoing(topic: &TopicName, key: Option<&str>, value: &str) -> Outgoing {
    Outgoing {
        topic: topic.clone(),
        partition: None,
        key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Headers::new(),
        timestamp: None,
        batch: Default::default(),
    }
}

pub(super) fn value(record: &Record) -> i32 {
    std::str::from_utf8(record.value())
        .unwrap()
        .parse()
        .unwrap()
}

/// A consumer that remembers how far it read, and answers revokes with that.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) consumer: Consumer,
    /// Where each partition goes on.
    read: HashMap<Arc<Source>, NextOffset>,
}

impl Tap {
    /// The next event but warnings; revokes are answered with what was read.
    pub(super) async fn next(&mut self) -> Option<Seen> {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.consumer.next())
                .await
                .expect("the consumer had nothing to say");
            return Some(match event? {
                ConsumerEvent::Assigned(sources) => Seen::Assigned(sources),
                ConsumerEvent::Records(records) => {
                    for record in &records {
                        self.read
                            .insert(record.source.clone(), record.offset.next());
                    }
                    Seen::Records(records)
                }
                ConsumerEvent::Revoked(sources, ack) => {
                    ack.release(self.taken(&sources));
                    Seen::Gone
                }
                ConsumerEvent::Lost(sources) => {
                    self.taken(&sources);
                    Seen::Gone
                }
                ConsumerEvent::End(source) => Seen::End(source),
                ConsumerEvent::Warning(_) => continue,
                other => panic!("unexpected {other:?}"),
            });
        }
    }

    /// Reads until so many records came, and returns them.
    pub(super) async fn records(&mut self, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        while records.len() < count {
            if let Seen::Records(more) = self.next().await.expect("the stream ended") {
                records.extend(more);
            }
        }
        assert_eq!(records.len(), count, "more than expected: {records:?}");
        records
    }

    /// Waits for the first assignment.
    pub(super) async fn assigned(&mut self) -> Vec<Arc<Source>> {
        match self.next().await {
            Some(Seen::Assigned(sources)) => sources,
            other => panic!("expected an assignment, got {other:?}"),
        }
    }

    /// Whatever arrives within this time.
    pub(super) async fn quiet(&mut self, time: Duration) -> Vec<Record> {
        let mut records = Vec::new();
        let end = tokio::time::Instant::now() + time;
        while let Ok(Some(seen)) = tokio::time::timeout_at(end, self.next()).await {
            if let Seen::Records(more) = seen {
                records.extend(more);
            }
        }
        records
    }

    /// Leaves, committing all that was read.
    pub(super) async fn close(mut self) {
        let commits = self.read.drain().collect();
        self.consumer.control().close(commits).await.unwrap();
        while let Some(event) = self.consumer.next().await {
            drop(event);
        }
    }

    /// Leaves without a commit.
    pub(super) async fn abandon(mut self) {
        self.read.clear();
        self.close().await;
    }

    fn taken(&mut self, sources: &[Arc<Source>]) -> Commits {
        let take = |source| self.read.remove_entry(source);
        sources.iter().filter_map(take).collect()
    }
}

/// An event as laws see it.
#[derive(Debug)]
pub(super) enum Seen {
    Assigned(Vec<Arc<Source>>),
    Records(Vec<Record>),
    Gone,
    End(Arc<Source>),
}
