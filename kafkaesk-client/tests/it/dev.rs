//! The dev broker as other processes see it: plain clients at a fixed address.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use kafkaesk_client::{
    Settings,
    catalog::StreamSpec,
    consumer::{ConsumerEvent, ConsumerSpec, Start},
    core::Pattern,
    dev::DevBroker,
};
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};

use crate::support::{content, open, stream};

/// Tells the child process of [`other_process_publishes`] where to publish.
const ADDRESS: &str = "KAFKAESK_TEST_DEV_ADDRESS";

fn producer(address: &str) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("enable.idempotence", "true")
        .set("allow.auto.create.topics", "true")
        .create()
        .unwrap()
}

fn consumer(address: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", "1300")
        .set("heartbeat.interval.ms", "100")
        .set("topic.metadata.refresh.interval.ms", "200")
        .create()
        .unwrap()
}

fn publish(address: &str, topic: &str, count: usize) {
    let producer = producer(address);
    for n in 0..count {
        let payload = n.to_string();
        producer
            .send(BaseRecord::to(topic).key(&payload).payload(&payload))
            .unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
}

fn read(consumer: &BaseConsumer, count: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut read = Vec::new();
    while read.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count}", read.len());
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
            read.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
        }
    }
    read.sort_by_key(|text| text.parse::<u32>().unwrap());
    read
}

#[tokio::test]
async fn a_created_stream_says_how_many_partitions_it_has() {
    let broker = DevBroker::start("127.0.0.1:0").unwrap();
    let connection = open(&Settings::new(&broker.address().to_string())).await;
    let mut spec = StreamSpec::new(stream("orders.placed"));
    spec.partitions = Some(12);
    let outcome = connection.catalog().ensure_stream(&spec).await.unwrap();
    let cluster = connection.broker().cluster().await.unwrap();
    let has = cluster.topics["orders.placed"].partitions;
    assert!(outcome.created);
    assert_eq!((outcome.partitions, has), (4, 4));
}

#[test]
fn another_process_publishes_and_a_group_reads_and_commits() {
    let broker = DevBroker::start("127.0.0.1:0").unwrap();
    let address = broker.address().to_string();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "dev::other_process_publishes"])
        .env(ADDRESS, &address)
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );

    let first = consumer(&address, "g");
    first.subscribe(&["dev-process"]).unwrap();
    let all: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(read(&first, 20), all);
    first.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(first);

    publish(&address, "dev-process", 1);
    let second = consumer(&address, "g");
    second.subscribe(&["dev-process"]).unwrap();
    assert_eq!(read(&second, 1), ["0"]);
}

#[test]
#[ignore = "the child process of the test above"]
fn other_process_publishes() {
    publish(&std::env::var(ADDRESS).unwrap(), "dev-process", 20);
}

#[test]
fn joins_do_not_wait_for_kafkas_delays() {
    // By default the first join would take 3 s more, and the second one the session's timeout less 1 s.
    let broker = DevBroker::start("localhost:0").unwrap();
    let address = broker.address().to_string();
    publish(&address, "dev-warm", 1);
    let started = Instant::now();
    let consumer = consumer(&address, "g");
    consumer.subscribe(&["dev-warm"]).unwrap();
    read(&consumer, 1);
    assert!(started.elapsed() < Duration::from_millis(2500));

    publish(&address, "dev-new", 1);
    let started = Instant::now();
    consumer.subscribe(&["dev-warm", "dev-new"]).unwrap();
    read(&consumer, 1);
    assert!(started.elapsed() < Duration::from_millis(2500));
}

#[test]
fn the_address_is_free_again_after_the_end() {
    let broker = DevBroker::start("127.0.0.1:0").unwrap();
    let address = broker.address();
    publish(&address.to_string(), "dev-end", 1);
    drop(broker);
    let again = DevBroker::start(&address.to_string()).unwrap();
    assert_eq!(again.address(), address);
}

#[test]
fn a_taken_address_says_by_what_and_offers_another() {
    let broker = DevBroker::start("127.0.0.1:0").unwrap();
    let address = broker.address().to_string();
    let error = DevBroker::start(&address).unwrap_err().to_string();
    assert!(error.contains("a Kafka broker is there already"), "{error}");
    assert!(
        error.contains("take another: `--kafka-servers 127.0.0.1:"),
        "{error}"
    );

    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = stranger.local_addr().unwrap().to_string();
    let error = DevBroker::start(&address).unwrap_err().to_string();
    assert!(
        error.contains("another program is there already"),
        "{error}"
    );
}

async fn next_value(consumer: &mut kafkaesk_client::consumer::Consumer) -> String {
    loop {
        match consumer.next().await {
            Some(ConsumerEvent::Records(batch)) => {
                return String::from_utf8(batch.records[0].value().to_vec()).unwrap();
            }
            Some(ConsumerEvent::Failed(error)) => panic!("{error}"),
            Some(_) => {}
            None => panic!("the stream ended"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_group_sees_the_first_event_of_a_new_stream_soon() {
    let broker = DevBroker::start("127.0.0.1:0").unwrap();
    let settings = Settings::new(&broker.address().to_string());
    let worker = open(&settings).await;
    let mut consumer = worker
        .broker()
        .consume(ConsumerSpec {
            group: Some("g".into()),
            pattern: Pattern::new("content.*").unwrap(),
            retry_topic: None,
            start: Start::Earliest,
            drain: Duration::from_secs(1),
            kafka_settings: BTreeMap::new(),
            skip: Vec::new(),
            exact: false,
            partition: None,
        })
        .await
        .unwrap();

    // Schema, binding, topic and record, all by a process that starts later.
    for stream in ["content.a", "content.b"] {
        let started = Instant::now();
        let publisher = open(&settings).await.publisher();
        publisher.publish(stream, &content("bar")).await.unwrap();
        assert!(next_value(&mut consumer).await.contains("bar"));
        assert!(started.elapsed() < Duration::from_secs(3));
    }
    let catalog = worker.catalog();
    assert_eq!(catalog.schema_names().await.unwrap().len(), 1);
    assert_eq!(catalog.bindings().await.unwrap().streams.len(), 2);
    consumer.control().close(Vec::new()).await.unwrap();
}
