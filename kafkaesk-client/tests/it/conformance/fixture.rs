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
    memory::MemoryBroker,
    schema::LogRecord,
    testing,
};
use rdkafka::{
    ClientConfig, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    producer::{BaseProducer, BaseRecord, Producer as _},
};

/// How long anything may take before its law counts as broken.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// One broker, seen through one connection.
#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) connection: Connection,
    /// The broker in memory, if it is that one.
    memory: Option<MemoryBroker>,
}

impl Fixture {
    pub(super) fn memory() -> Self {
        let mut settings = Settings::new("memory");
        settings.topic_prefix = TopicPrefix::new("law.").unwrap();
        let broker = MemoryBroker::with_prefix(settings.topic_prefix.clone());
        Self {
            connection: Connection::with_broker(settings, Arc::new(broker.clone())),
            memory: Some(broker),
        }
    }

    pub(super) async fn kafka() -> Self {
        let settings = testing::kafka().await.settings();
        Self {
            connection: Connection::open(&settings).await.unwrap(),
            memory: None,
        }
    }

    pub(super) fn prefix(&self) -> &str {
        self.connection.settings().topic_prefix.as_str()
    }

    pub(super) fn source(&self, stream: &str, partition: i32) -> Source {
        Source {
            topic: self.topic(stream),
            stream: StreamId::new(stream).unwrap(),
            partition,
        }
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

    /// The servers of the Kafka behind it, for a client that is not ours.
    fn config(&self) -> ClientConfig {
        let servers = self.connection.settings().kafka_servers.join(",");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }

    /// Deletes the records of a partition before an offset.
    pub(super) async fn delete_records(&self, topic: &TopicName, partition: i32, before: Offset) {
        if let Some(memory) = &self.memory {
            return memory.delete_records(topic.as_str(), partition, before);
        }
        let mut list = TopicPartitionList::new();
        let offset = rdkafka::Offset::Offset(before.0);
        list.add_partition_offset(topic.as_str(), partition, offset)
            .unwrap();
        self.admin()
            .delete_records(&list, &AdminOptions::new())
            .await
            .unwrap();
    }

    /// Makes offsets without records, as an aborted transaction does; how many.
    pub(super) async fn skip_offsets(&self, topic: &TopicName, partition: i32) -> i64 {
        if let Some(memory) = &self.memory {
            memory.skip_offsets(topic.as_str(), partition, 2);
            return 2;
        }
        let (mut config, topic) = (self.config(), topic.as_str().to_owned());
        config.set("transactional.id", &topic);
        tokio::task::spawn_blocking(move || {
            let producer = begun(&config, &topic, partition);
            producer.abort_transaction(WITHIN).unwrap();
        })
        .await
        .unwrap();
        // The record and the mark.
        2
    }

    /// Leaves a transaction with one record open; the producer that holds it.
    pub(super) async fn open_transaction(&self, topic: &TopicName, partition: i32) -> BaseProducer {
        let (mut config, topic) = (self.config(), topic.as_str().to_owned());
        config.set("transactional.id", format!("{topic}-open"));
        tokio::task::spawn_blocking(move || begun(&config, &topic, partition))
            .await
            .unwrap()
    }

    /// Commits for the law's group as another program does, without a text.
    pub(super) async fn commit_unmarked(&self, topic: &TopicName) {
        let mut config = self.config();
        config.set("group.id", self.group());
        let topic = topic.as_str().to_owned();
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = config.create().unwrap();
            let mut list = TopicPartitionList::new();
            let offset = rdkafka::Offset::Offset(1);
            list.add_partition_offset(&topic, 0, offset).unwrap();
            consumer.commit(&list, CommitMode::Sync).unwrap();
        })
        .await
        .unwrap();
    }

    pub(super) async fn add_partitions(&self, topic: &TopicName, partitions: u32) {
        if let Some(memory) = &self.memory {
            return memory.add_partitions(topic.as_str(), partitions);
        }
        let wanted = NewPartitions::new(topic.as_str(), partitions as usize);
        let added = self
            .admin()
            .create_partitions([&wanted], &AdminOptions::new())
            .await
            .unwrap();
        added.into_iter().for_each(|answer| drop(answer.unwrap()));
    }

    pub(super) async fn delete_topic(&self, topic: &TopicName) {
        if let Some(memory) = &self.memory {
            assert!(memory.delete_topic(topic.as_str()));
            return;
        }
        let deleted = self
            .admin()
            .delete_topics(&[topic.as_str()], &AdminOptions::new())
            .await
            .unwrap();
        deleted.into_iter().for_each(|answer| drop(answer.unwrap()));
    }

    /// Creates a topic that may still be on its way out.
    pub(super) async fn create_again(&self, topic: &TopicName, partitions: u32) {
        let end = tokio::time::Instant::now() + TIMEOUT;
        while !matches!(self.try_create(topic.clone(), partitions).await, Ok(true)) {
            assert!(tokio::time::Instant::now() < end, "{topic} is not created");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends one value to a partition that a producer may not know yet.
    pub(super) async fn fill_when_there(&self, topic: &TopicName, partition: i32, value: i32) {
        if self.memory.is_some() {
            return self.fill(topic, partition, [value]).await;
        }
        let (config, topic) = (self.config(), topic.as_str().to_owned());
        tokio::task::spawn_blocking(move || {
            let producer: BaseProducer = config.create().unwrap();
            let text = value.to_string();
            let record = BaseRecord::<(), str>::to(&topic)
                .partition(partition)
                .payload(&text);
            producer.send(record).unwrap();
            producer.flush(TIMEOUT).unwrap();
        })
        .await
        .unwrap();
    }

    /// What a group committed.
    pub(super) async fn committed(
        &self,
        group: &str,
        topic: &TopicName,
        partition: i32,
    ) -> Option<i64> {
        if let Some(memory) = &self.memory {
            let next = memory.committed(group, topic.as_str(), partition);
            return next.map(|next| next.0);
        }
        let mut config = self.config();
        config.set("group.id", group);
        let topic = topic.as_str().to_owned();
        tokio::task::spawn_blocking(move || {
            let asking: BaseConsumer = config.create().unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition(&topic, partition);
            let answer = asking.committed_offsets(list, TIMEOUT).unwrap();
            answer.elements()[0].offset().to_raw().filter(|o| *o >= 0)
        })
        .await
        .unwrap()
    }

    pub(super) async fn consume(&self, group: Option<&str>, pattern: &str, start: Start) -> Tap {
        let spec = spec(group, pattern, start);
        self.tap(spec).await
    }

    /// The same, passing over a record.
    pub(super) async fn consume_passing(&self, group: &str, pattern: &str, skip: &str) -> Tap {
        let spec = ConsumerSpec {
            skip: vec![skip.parse().unwrap()],
            ..spec(Some(group), pattern, Start::Earliest)
        };
        self.tap(spec).await
    }

    pub(super) async fn try_consume(&self, spec: ConsumerSpec) -> Result<Consumer, ClientError> {
        self.connection.broker().consume(spec).await
    }

    pub(super) async fn tap(&self, spec: ConsumerSpec) -> Tap {
        Tap {
            consumer: self.try_consume(spec).await.unwrap(),
            read: HashMap::new(),
            warnings: Vec::new(),
        }
    }
}

pub(super) fn spec(group: Option<&str>, pattern: &str, start: Start) -> ConsumerSpec {
    ConsumerSpec {
        group: group.map(str::to_owned),
        pattern: Pattern::new(pattern).unwrap(),
        retry_topic: None,
        start,
        drain: Duration::from_secs(5),
        kafka_settings: BTreeMap::new(),
        skip: Vec::new(),
        exact: false,
        partition: None,
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
    /// What a person was told.
    pub(super) warnings: Vec<String>,
}

impl Tap {
    /// The next event but warnings; revokes are answered with what was read.
    pub(super) async fn next(&mut self) -> Option<Seen> {
        loop {
            let event = tokio::time::timeout(TIMEOUT, self.consumer.next())
                .await
                .expect("the consumer had nothing to say");
            return Some(match event? {
                ConsumerEvent::Assigned(sources) => Seen::Assigned(sources),
                ConsumerEvent::Records(batch) => {
                    self.read.insert(batch.source.clone(), batch.next);
                    Seen::Records(batch.records)
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
                ConsumerEvent::Warning(text) => {
                    self.warnings.push(text);
                    continue;
                }
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

    /// The next records, however many come together.
    pub(super) async fn records_some(&mut self) -> Vec<Record> {
        loop {
            if let Seen::Records(records) = self.next().await.expect("the stream ended") {
                return records;
            }
        }
    }

    /// Commits all that was read, and stays.
    pub(super) fn commit_read(&self) {
        let commits = self
            .read
            .iter()
            .map(|(s, n)| (s.clone(), (*n).into()))
            .collect();
        self.consumer.control().commit(commits);
    }

    /// Waits for the first assignment.
    pub(super) async fn assigned(&mut self) -> Vec<Arc<Source>> {
        match self.next().await {
            Some(Seen::Assigned(sources)) => sources,
            other => panic!("expected an assignment, got {other:?}"),
        }
    }

    /// Waits until it has joined its group.
    pub(super) async fn joins(&mut self) {
        let end = tokio::time::Instant::now() + TIMEOUT;
        while !self.consumer.control().is_joined() {
            assert!(tokio::time::Instant::now() < end, "it does not join");
            self.quiet(Duration::from_millis(50)).await;
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

    /// Waits until a partition was read to this offset.
    pub(super) async fn reaches(&mut self, partition: i32, offset: i64) {
        while !self
            .read
            .iter()
            .any(|(source, next)| source.partition == partition && next.0 >= offset)
        {
            self.next().await.expect("the stream ended");
        }
    }

    /// Waits for a warning with all of these parts.
    pub(super) async fn warned(&mut self, parts: &[&str]) {
        let told = |warnings: &[String]| {
            warnings
                .iter()
                .any(|text| parts.iter().all(|part| text.contains(part)))
        };
        let end = tokio::time::Instant::now() + TIMEOUT;
        while !told(&self.warnings) {
            // A warning is not an event of its own here, so what comes after it may be far away.
            let step = Duration::from_millis(200);
            let _ = tokio::time::timeout(step, self.next()).await;
            assert!(
                tokio::time::Instant::now() < end,
                "no warning with {parts:?}, but {:?}",
                self.warnings
            );
        }
    }

    /// Leaves, committing all that was read.
    pub(super) async fn close(mut self) {
        let commits = self.read.drain().map(|(s, n)| (s, n.into())).collect();
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
        let taken = sources.iter().filter_map(take);
        taken.map(|(s, n)| (s, n.into())).collect()
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

/// How long the brokers may take for a step of a transaction.
const WITHIN: Duration = Duration::from_secs(30);

/// Begins a transaction and writes one record in it. Blocks.
fn begun(config: &ClientConfig, topic: &str, partition: i32) -> BaseProducer {
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(WITHIN).unwrap();
    producer.begin_transaction().unwrap();
    let record = BaseRecord::<(), str>::to(topic)
        .partition(partition)
        .payload("unseen");
    producer.send(record).unwrap();
    producer.flush(WITHIN).unwrap();
    producer
}
