//! A record that the client cannot read: its partition stands still loudly, others go on, and an operator steps over it.

use std::collections::BTreeMap;

use kafkaesk_client::{
    Connection, Settings,
    broker::{Outgoing, SendError, TopicSpec},
    core::{Headers, StreamId, TopicName},
    testing::{TestKafka, kafka},
};

use crate::support::Project;

/// What a consumer takes in these tests. A batch that decompresses beyond the first is refused.
const SMALL: &str = r#"{"receive.message.max.bytes":1600000,"fetch.max.bytes":1000000,"fetch.message.max.bytes":500000}"#;

/// Writes past every check: zstd-compressed, of any size.
struct Foreign {
    connection: Connection,
}

impl Foreign {
    async fn on(kafka: &TestKafka) -> Self {
        let mut settings: Settings = kafka.settings();
        for (name, value) in [
            ("compression.type", "zstd"),
            ("message.max.bytes", "40000000"),
        ] {
            let producer = &mut settings.kafka_settings.producer;
            producer.insert(name.to_owned(), value.to_owned());
        }
        Self {
            connection: Connection::open(&settings).await.unwrap(),
        }
    }

    fn topic(&self, stream: &str) -> TopicName {
        let stream = StreamId::new(stream).unwrap();
        let prefix = &self.connection.settings().topic_prefix;
        prefix.topic(&stream).unwrap()
    }

    async fn create(&self, stream: &str, partitions: u32) {
        let spec = TopicSpec {
            topic: self.topic(stream),
            partitions,
            replication_factor: 1,
            config: BTreeMap::new(),
        };
        assert!(self.connection.broker().create_topic(&spec).await.unwrap());
    }

    async fn send(&self, stream: &str, partition: i32, value: String) {
        let record = Outgoing {
            topic: self.topic(stream),
            partition: Some(partition),
            key: Some("k".into()),
            value: Some(value.into()),
            headers: Headers::new(),
            timestamp: None,
            batch: Default::default(),
        };
        match self.connection.broker().send(record) {
            Ok(delivery) => delivery.await.unwrap(),
            Err(SendError::Refused(error)) => panic!("{error}"),
            Err(SendError::Full(_)) => panic!("the queue is full"),
        };
    }

    async fn event(&self, stream: &str, partition: i32, id: u32) {
        let text = format!("{{\"schema\":\"Order:1\",\"data\":{{\"id\":{id}}}}}");
        self.send(stream, partition, text).await;
    }

    /// Some kilobytes that become three megabytes.
    async fn bomb(&self, stream: &str, partition: i32) {
        let text = format!(
            "{{\"schema\":\"Order:1\",\"data\":{{\"id\":0,\"x\":\"{}\"}}}}",
            "a".repeat(3_000_000)
        );
        self.send(stream, partition, text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_stops_its_partition_loudly_and_can_be_passed_over() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let foreign = Foreign::on(&kafka).await;
    foreign.create("orders.gone", 2).await;
    foreign.event("orders.gone", 0, 1).await;
    foreign.bomb("orders.gone", 0).await;
    foreign.event("orders.gone", 0, 2).await;
    foreign.event("orders.gone", 1, 3).await;
    let group = format!("{}g", kafka.prefix());
    project.toml(&format!(
        "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\nhandler = {{ stdout = true }}\n"
    ));
    let stands = format!("{}orders.gone[0] stands still at offset 1 ", kafka.prefix());
    let handled = |stdout: &str, id: u32| stdout.contains(&format!("\"id\":{id}}}"));

    let mut worker = project.start(&["worker", "--kafka-settings", SMALL]);
    worker.until("repeated lines of a partition that stands still", |it| {
        it.stderr().matches(&stands).count() >= 2 && it.stdout().len() >= 2
    });
    assert!(worker.stderr().contains("`receive.message.max.bytes`"));
    worker.signal("TERM");
    let ran = worker.end();
    assert!(
        ran.stderr.contains("stalled_partitions=1"),
        "{}",
        ran.stderr
    );
    assert!(
        handled(&ran.stdout, 1) && handled(&ran.stdout, 3) && !handled(&ran.stdout, 2),
        "{}",
        ran.stdout
    );

    // The same for `tail`: the other partition's end is reached, and the status says that something is missing.
    let tail = project.run(&[
        "tail",
        "orders.gone",
        "--until-end",
        "--kafka-settings",
        SMALL,
    ]);
    tail.fails(1, &[&stands, "not read to the end"]);
    assert!(tail.stdout.contains("\"id\":3"), "{}", tail.stdout);

    let skip = |place: &str, flags: &[&str]| {
        let arguments = ["groups", "skip", &group, place, "--kafka-settings", SMALL];
        project.run(&[&arguments, flags].concat())
    };
    skip("orders.gone[0]@2", &["--yes"]).fails(1, &["is @1, not @2", "groups reset"]);
    skip("orders.gone[0]@1", &[]).fails(64, &["--yes", "--dry-run"]);
    skip("orders.gone[2]@1", &["--yes"]).fails(1, &["partitions 0 to 1, not 2"]);
    skip("orders.gone", &["--yes"]).fails(64, &["STREAM[PARTITION]@OFFSET"]);
    skip("orders.gone[0]@1", &["--dry-run"]).fails(2, &["stands at offset 1", "to offset 2"]);
    let skipped = skip("orders.gone[0]@1", &["--yes"]);
    skipped.fails(0, &["passed over by `groups skip`", "offset=1"]);

    let mut worker = project.start(&["worker", "--kafka-settings", SMALL]);
    worker.until("the event after the record", |it| {
        it.stdout().iter().any(|line| handled(line, 2))
    });
    let refused = project.run(&["groups", "reset", &group, "orders.gone[0]@0", "--yes"]);
    refused.fails(1, &["has members", "kafkaesk at"]);
    worker.signal("TERM");
    assert_eq!(worker.end().status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_passes_over_an_unreadable_record_at_its_start() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let foreign = Foreign::on(&kafka).await;
    foreign.create("orders.gone", 1).await;
    foreign.bomb("orders.gone", 0).await;
    foreign.event("orders.gone", 0, 7).await;
    let group = format!("{}g", kafka.prefix());
    project.toml(&format!(
        "[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{group}\"\nhandler = {{ stdout = true }}\n"
    ));
    let arguments = ["worker", "--kafka-settings", SMALL, "--skip"];
    let wrong = |place: &str| project.run(&[&arguments[..], &[place]].concat());
    wrong("orders.gone").fails(64, &["STREAM[PARTITION]@OFFSET"]);
    wrong("invoices[0]@0").fails(64, &["no subscription that runs reads stream \"invoices\""]);
    let mut worker = project.start(&[&arguments[..], &["orders.gone[0]@0"]].concat());
    worker.until("the event after the record", |it| {
        it.stdout().iter().any(|line| line.contains("\"id\":7"))
    });
    assert!(
        worker.stderr().contains("orders.gone[0]@0 is passed over"),
        "{}",
        worker.stderr()
    );
    worker.signal("TERM");
    assert_eq!(worker.end().status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_last_record_refuses_no_first_publish() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let foreign = Foreign::on(&kafka).await;
    foreign.create("orders.foreign", 1).await;
    foreign.bomb("orders.foreign", 0).await;
    let arguments = [
        "publish",
        "orders.foreign",
        "--schema",
        "Order:1",
        "--data",
        "{\"id\":1}",
    ];
    let published = project.run(&[&arguments[..], &["--kafka-settings", SMALL]].concat());
    published.fails(0, &["what the stream carries is unknown", "offset 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_beyond_the_bound_is_a_mismatch_and_a_line_with_an_error() {
    let kafka = kafka().await;
    let project = Project::on(&kafka).with_order();
    let foreign = Foreign::on(&kafka).await;
    foreign.create("orders.large", 1).await;
    foreign.bomb("orders.large", 0).await;
    foreign.event("orders.large", 0, 5).await;
    let said = "too large: the record has at least 30000";
    project.toml(&format!(
        "max-message-bytes = 1000000\n[[subscriptions]]\npattern = \"orders.*\"\ngroup = \"{}g\"\non-mismatch = \"skip\"\nhandler = {{ stdout = true }}\n",
        kafka.prefix()
    ));
    let mut worker = project.start(&["worker"]);
    worker.until("the event after the record", |it| {
        it.stdout().iter().any(|line| line.contains("\"id\":5"))
    });
    worker.signal("TERM");
    let ran = worker.end();
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    let lines = project.run(&["tail", "orders.large", "--until-end", "--output", "json"]);
    let lines = lines.succeeds();
    assert!(
        lines.contains(said) && lines.contains("\"id\":5") && lines.len() < 2000,
        "{lines}"
    );
}
