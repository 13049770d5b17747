//! What the tests share: event types, a connection of their own, questions to Kafka past our own code.

use std::time::Duration;

use kafkaesk_client::{
    Connection, Settings,
    core::{SchemaId, StreamId},
    schema::{Document, DocumentError, Event},
    testing::TestKafka,
};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
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

pub(crate) fn content(foo: impl Into<String>) -> Content {
    Content { foo: foo.into() }
}

pub(crate) async fn connect(kafka: &TestKafka) -> Connection {
    open(&kafka.settings()).await
}

pub(crate) async fn open(settings: &Settings) -> Connection {
    Connection::open(settings).await.unwrap()
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
    let asking: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.servers())
        .create()
        .unwrap();
    let metadata = asking
        .fetch_metadata(None, Duration::from_secs(10))
        .unwrap();
    metadata
        .topics()
        .iter()
        .map(|topic| topic.name().to_owned())
        .filter(|name| name.starts_with(kafka.prefix()))
        .collect()
}
