//! What the tests share: event types, a connection of their own, questions to Kafka past our own code.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use kafkaesk_client::{
    Connection, Settings,
    consumer::{Commits, Consumer, ConsumerEvent, ConsumerSpec, Start},
    core::{Pattern, Record, SchemaId, StreamId},
    schema::{Document, DocumentError, Event},
    testing::TestKafka,
};
use rdkafka::{
    ClientConfig,
    admin::AdminClient,
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
};
use serde::{Deserialize, Serialize};

/// An event with one text.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(crate) struct Content {
    pub(crate) foo: String,
}

impl Event for Content {
    const NAME: &'static str = "Content";
    const VERSION: u32 = 1;
    const STREAMS: &'static [&'static str] = &["content.declared"];
    const RETENTION: Option<Duration> = Some(Duration::from_secs(3600));

    fn document() -> Result<Document, DocumentError> {
        Document::parse(
            r#"{"type":"object","properties":{"foo":{"type":"string","maxLength":2000000}},"required":["foo"]}"#,
        )
    }
}

/// Another schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: u32,
}

impl Event for Order {
    const NAME: &'static str = "Order";
    const VERSION: u32 = 1;

    fn document() -> Result<Document, DocumentError> {
        Document::parse(r#"{"type":"object","properties":{"id":{"type":"integer"}}}"#)
    }
}

pub(crate) fn content(text: impl Into<String>) -> Content {
    Content { foo: text.into() }
}

pub(crate) async fn connect(kafka: &TestKafka) -> Connection {
    open(&kafka.settings()).await
}

pub(crate) async fn open(settings: &Settings) -> Connection {
    Connection::open(settings).await.unwrap()
}

/// Changes topics past our own code.
pub(crate) fn admin(kafka: &TestKafka) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set(
            "bootstrap.servers",
            kafka.settings().kafka_servers.join(","),
        )
        .create()
        .unwrap()
}

pub(crate) fn id(text: &str) -> SchemaId {
    text.parse().unwrap()
}

pub(crate) fn stream(text: &str) -> StreamId {
    StreamId::new(text).unwrap()
}

pub(crate) fn document(text: &str) -> Document {
    Document::parse(text.to_owned()).unwrap()
}

/// The topics of a test, by a client that is not ours.
pub(crate) fn topics(kafka: &TestKafka) -> Vec<String> {
    topics_at(kafka.servers(), kafka.prefix())
}

/// The same of the Kafka at these servers.
pub(crate) fn topics_at(servers: &str, prefix: &str) -> Vec<String> {
    let asking: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .create()
        .unwrap();
    let metadata = asking
        .fetch_metadata(None, Duration::from_secs(10))
        .unwrap();
    metadata
        .topics()
        .iter()
        .map(|topic| topic.name().to_owned())
        .filter(|name| name.starts_with(prefix))
        .collect()
}

pub(crate) fn spec(group: Option<&str>, pattern: &str, start: Start) -> ConsumerSpec {
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

/// The next event; a test that waits for longer than this has failed.
pub(crate) async fn next(consumer: &mut Consumer) -> ConsumerEvent {
    tokio::time::timeout(Duration::from_secs(20), consumer.next())
        .await
        .expect("no event for 20 s")
        .expect("the stream ended")
}

/// The `foo` of so many `Content` records.
pub(crate) async fn read_contents(consumer: &mut Consumer, count: usize) -> Vec<(Record, String)> {
    let mut read = Vec::new();
    while read.len() < count {
        match next(consumer).await {
            ConsumerEvent::Records(batch) => {
                for record in batch.records {
                    let text = foo_of(&record);
                    read.push((record, text));
                }
            }
            ConsumerEvent::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    read
}

pub(crate) fn foo_of(record: &Record) -> String {
    let value: serde_json::Value = serde_json::from_slice(record.value()).unwrap();
    value["data"]["foo"].as_str().unwrap().to_owned()
}

pub(crate) fn commits(records: &[(Record, String)]) -> Commits {
    records
        .iter()
        .map(|(record, _)| (record.source.clone(), record.offset.next().into()))
        .collect()
}

/// What a group has committed, over all partitions of a topic.
pub(crate) async fn committed(kafka: &TestKafka, group: &str, topic: &str, partitions: i32) -> i64 {
    committed_at(kafka.servers(), group, topic, partitions).await
}

/// The same of the Kafka at these servers.
pub(crate) async fn committed_at(servers: &str, group: &str, topic: &str, partitions: i32) -> i64 {
    let (servers, group, topic) = (servers.to_owned(), group.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        let asking: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("group.id", group)
            .create()
            .unwrap();
        let mut list = rdkafka::TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition(&topic, partition);
        }
        asking
            .committed_offsets(list, Duration::from_secs(10))
            .unwrap()
            .elements()
            .iter()
            .filter_map(|element| element.offset().to_raw().filter(|offset| *offset > 0))
            .sum()
    })
    .await
    .unwrap()
}

/// The groups that the cluster knows of.
pub(crate) async fn groups(kafka: &TestKafka) -> Vec<String> {
    let servers = kafka.servers().to_owned();
    tokio::task::spawn_blocking(move || {
        let asking: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .create()
            .unwrap();
        let list = asking
            .fetch_group_list(None, Duration::from_secs(10))
            .unwrap();
        list.groups().iter().map(|g| g.name().to_owned()).collect()
    })
    .await
    .unwrap()
}

/// What this process logs, without times: librdkafka's threads log as well. Tests of other things log into it too.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(crate) fn of_process() -> Self {
        static LOG: LazyLock<Log> = LazyLock::new(|| {
            let log = Log::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .with_writer(move || writer.clone())
                .without_time()
                .with_ansi(false)
                .init();
            log
        });
        LOG.clone()
    }

    /// Its lines that hold this.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = log.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }
}
