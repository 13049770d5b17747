//! Vectors: what a publisher sends and refuses, and which headers a handler passes on. Over the broker in memory.

use std::sync::Arc;

use bytes::Bytes;
use kafkaesk_client::{
    ClientError, Connection, Settings,
    broker::{Broker as _, TopicSpec},
    core::{Headers, SchemaId, TopicName, TopicPrefix},
    memory::MemoryBroker,
};
use kafkaesk_vectors::{broken, bytes, cases, report, same, text};
use serde_json::Value;

struct World {
    broker: MemoryBroker,
    connection: Connection,
    prefix: TopicPrefix,
}

impl World {
    fn new(prefix: &str) -> Self {
        let prefix = TopicPrefix::new(prefix).unwrap();
        let mut settings = Settings::new("memory");
        settings.topic_prefix = prefix.clone();
        let broker = MemoryBroker::with_prefix(prefix.clone());
        Self {
            connection: Connection::with_broker(settings, Arc::new(broker.clone())),
            broker,
            prefix,
        }
    }

    /// A topic with these records, which are keys and values.
    async fn topic(&self, topic: TopicName, records: &Value) {
        let spec = TopicSpec {
            topic: topic.clone(),
            partitions: 1,
            replication_factor: 1,
            config: [("retention.ms", "-1"), ("retention.bytes", "-1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        };
        self.broker.create_topic(&spec).await.unwrap();
        for record in records.as_array().unwrap() {
            let (key, value) = (bytes(&record["key"]), bytes(&record["value"]));
            let (key, value) = (key.map(Bytes::from), value.map(Bytes::from));
            self.broker
                .append_raw(&topic, key, value, Headers::new())
                .unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_sends_what_the_contract_says_and_refuses_the_rest() {
    let cases = cases("publishing.json");
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(broken(case, published(case).await));
    }
    report("publishing.json", cases.len(), wrong);
}

async fn published(case: &Value) -> Result<(), String> {
    let (world, event) = (World::new(text(case, "prefix")), &case["event"]);
    let stream = text(event, "stream");
    let bindings = world.prefix.bindings_topic().unwrap();
    world.topic(bindings, &case["bindings"]).await;
    if let Some(Ok(id)) = event["schema"].as_str().map(str::parse::<SchemaId>) {
        let log = world.prefix.schema_topic(id.name()).unwrap();
        world.topic(log, &case["log"]).await;
    }
    let publisher = world.connection.publisher();
    let sent = if event["tombstone"].as_bool() == Some(true) {
        if let Some(topic) = case["topic"].as_str() {
            let topic = TopicName::new(topic).unwrap();
            world.topic(topic, &Value::Array(Vec::new())).await;
        }
        publisher.tombstone(stream, text(event, "key")).await
    } else {
        let data = bytes(&event["data"]).unwrap();
        let publish = publisher.publish_json(stream, text(event, "schema"), data);
        match event["key"].as_str() {
            Some(key) => publish.key(key).await,
            None => publish.await,
        }
    };
    let sent = sent.map_err(|error| refused(&error));
    match (sent, case["refused"].as_str()) {
        (Ok(receipt), None) => {
            same(receipt.topic.as_str(), text(case, "topic"))?;
            let records = world.broker.records(receipt.topic.as_str());
            let values: Vec<_> = records.iter().map(|it| it.value.as_deref()).collect();
            same(values, vec![bytes(&case["value"]).as_deref()])
        }
        (Err(rule), Some(expected)) => {
            same(rule, expected)?;
            // No event, and no topic for one.
            let cluster = world.broker.cluster().await.unwrap();
            let made = cluster
                .topics
                .keys()
                .find(|topic| world.prefix.stream_of(topic).is_some());
            same(made, None)
        }
        (Ok(receipt), Some(rule)) => Err(format!("sent to {}, not refused: {rule}", receipt.topic)),
        (Err(rule), None) => Err(format!("refused: {rule}")),
    }
}

/// The rule that forbids a publish.
fn refused(error: &ClientError) -> &'static str {
    match error {
        ClientError::Name(_) => "stream",
        ClientError::Setting(_) => "schema-id",
        ClientError::UnknownSchema { .. } => "unknown-schema",
        ClientError::WithdrawnSchema { .. } => "withdrawn-schema",
        ClientError::Document { .. } => "document",
        ClientError::Invalid { .. } | ClientError::Malformed { .. } => "data",
        ClientError::BoundElsewhere { .. } => "bound-elsewhere",
        ClientError::NotBound { .. } => "not-bound",
        ClientError::KeyRefused { .. } => "key",
        other => panic!("no rule: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_passes_on_what_the_contract_says() {
    let cases = cases("headers.json");
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(broken(case, passed_on(case).await));
    }
    report("headers.json", cases.len(), wrong);
}

async fn passed_on(case: &Value) -> Result<(), String> {
    let world = World::new("");
    let log = TopicName::new("__schema__Any").unwrap();
    let document = serde_json::json!([{"key": "1", "value": "true"}]);
    world.topic(log, &document).await;
    let publisher = world.connection.publisher();
    let mut publish = publisher
        .publish_json("a", "Any:1", "1")
        .headers(&headers(&case["own"]))
        .trace_from(&headers(&case["consumed"]));
    if let Some(id) = case["id"].as_str() {
        publish = publish.id(id);
    }
    match (publish.await, case["refused"].as_str()) {
        (Ok(_), None) => {
            let record = &world.broker.records("a")[0];
            same(sorted(&record.headers), sorted(&headers(&case["sent"])))
        }
        (Err(ClientError::Setting(_)), Some("reserved-header")) => Ok(()),
        (sent, refused) => Err(format!("{sent:?}, not {refused:?}")),
    }
}

fn headers(list: &Value) -> Headers {
    let list = list.as_array().unwrap().iter();
    list.map(|pair| {
        let name = pair[0].as_str().unwrap();
        (name, bytes(&pair[1]).map(Bytes::from))
    })
    .collect()
}

/// The order of different names is not fixed.
fn sorted(headers: &Headers) -> Vec<(&str, Option<&Bytes>)> {
    let mut sorted: Vec<_> = headers.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    sorted
}
