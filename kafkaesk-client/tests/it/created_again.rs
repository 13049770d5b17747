//! A topic that is created again under a group that was not there: what was committed for the deleted topic does not count.
//!
//! Kafka removes a group's offsets with their topic. They come back by a member that commits once more before it notices, and
//! is killed then: here the test commits in its place.

use std::{collections::BTreeMap, time::Duration};

use kafkaesk_client::{
    Connection,
    broker::TopicSpec,
    consumer::{Commits, Consumer, ConsumerEvent, Start},
    core::{Completions, NextOffset, TopicName},
    testing::{self, TestKafka},
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::AdminOptions,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::support::{admin, commits, connect, foo_of, next, open, read_contents, spec};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A topic of a test, and a group that reads it.
struct Reading {
    kafka: TestKafka,
    connection: Connection,
    topic: TopicName,
    group: String,
}

impl Reading {
    /// Of a topic with so many partitions, each with the events 0 to 4.
    async fn start(partitions: u32) -> Self {
        let kafka = testing::kafka().await;
        let reading = Self {
            connection: connect(&kafka).await,
            topic: TopicName::new(format!("{}a", kafka.prefix())).unwrap(),
            group: format!("{}group", kafka.prefix()),
            kafka,
        };
        assert!(reading.create(partitions).await);
        reading.fill(partitions, 0..5).await;
        reading
    }

    async fn create(&self, partitions: u32) -> bool {
        let spec = TopicSpec {
            topic: self.topic.clone(),
            partitions,
            replication_factor: 1,
            config: BTreeMap::new(),
        };
        matches!(self.connection.broker().create_topic(&spec).await, Ok(true))
    }

    /// Deletes the topic and creates it with the events 10 to 17 in each partition.
    async fn create_again(&self, partitions: u32) {
        let deleted = admin(&self.kafka)
            .delete_topics(&[self.topic.as_str()], &AdminOptions::new())
            .await
            .unwrap();
        deleted.into_iter().for_each(|answer| drop(answer.unwrap()));
        let created = async {
            while !self.create(partitions).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, created).await.unwrap();
        self.fill(partitions, 10..18).await;
    }

    /// A client that is not ours, with the group's name.
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.kafka.servers())
            .set("group.id", &self.group);
        config
    }

    /// By a client that does not know the deleted topic.
    async fn fill(&self, partitions: u32, values: std::ops::Range<i32>) {
        let (config, topic) = (self.config(), self.topic.to_string());
        let fill = move || {
            let producer: BaseProducer = config.create().unwrap();
            for (value, partition) in
                values.flat_map(|value| (0..partitions as i32).map(move |p| (value, p)))
            {
                let event =
                    format!(r#"{{"schema":"Content:1","data":{{"foo":"{partition}-{value}"}}}}"#);
                let record = BaseRecord::<(), str>::to(&topic)
                    .partition(partition)
                    .payload(&event);
                producer.send(record).unwrap();
            }
            producer.flush(TIMEOUT).unwrap();
        };
        tokio::task::spawn_blocking(fill).await.unwrap();
    }

    /// A member of the group, in its own words for the group's protocol.
    async fn member(&self, connection: &Connection, start: Start, protocol: &str) -> Consumer {
        let mut wanted = spec(Some(&self.group), "a", start);
        let settings = &mut wanted.kafka_settings;
        settings.insert("group.protocol".into(), protocol.into());
        connection.broker().consume(wanted).await.unwrap()
    }

    /// What the group committed of partition 0, with the metadata.
    async fn committed(&self) -> (Offset, String) {
        let (config, topic) = (self.config(), self.topic.to_string());
        let ask = move || {
            let asking: BaseConsumer = config.create().unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition(&topic, 0);
            let found = asking.committed_offsets(list, TIMEOUT).unwrap();
            let elements = found.elements();
            (elements[0].offset(), elements[0].metadata().to_owned())
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    /// Commits for partition 0 in the place of a member, once the group has none.
    async fn commit(&self, next: i64, metadata: &str) {
        let (config, topic, metadata) =
            (self.config(), self.topic.to_string(), metadata.to_owned());
        let commit = move || {
            let committing: BaseConsumer = config.create().unwrap();
            let mut list = TopicPartitionList::new();
            let mut element = list.add_partition(&topic, 0);
            element.set_offset(Offset::Offset(next)).unwrap();
            element.set_metadata(metadata);
            committing.commit(&list, CommitMode::Sync).unwrap();
        };
        tokio::task::spawn_blocking(commit).await.unwrap();
    }

    /// Reads the events 10 to 17 of partition 0, after a warning of the offset 5; leaves with all of them committed.
    async fn reads_the_new_topic(&self, mut consumer: Consumer) {
        let warning = loop {
            match next(&mut consumer).await {
                ConsumerEvent::Warning(warning) => break warning,
                ConsumerEvent::Records(batch) => panic!("read before a warning: {batch:?}"),
                _ => {}
            }
        };
        let place = format!("{}[0]", self.topic);
        for part in ["was deleted and created again", &place, "offset 5"] {
            assert!(warning.contains(part), "{warning}");
        }
        let read = read_contents(&mut consumer, 8).await;
        let values: Vec<&str> = read.iter().map(|(_, text)| text.as_str()).collect();
        let expected: Vec<String> = (10..18).map(|n| format!("0-{n}")).collect();
        assert_eq!(values, expected);
        consumer.control().close(commits(&read)).await.unwrap();
        assert_eq!(self.committed().await.0, Offset::Offset(8));
    }
}

#[tokio::test]
async fn an_offset_of_a_deleted_topic_does_not_count_for_the_topic_that_has_its_name() {
    for protocol in ["classic", "consumer"] {
        let reading = Reading::start(1).await;
        let member = || reading.member(&reading.connection, Start::Earliest, protocol);
        let mut consumer = member().await;
        let read = read_contents(&mut consumer, 5).await;
        consumer.control().close(commits(&read)).await.unwrap();
        let (_, of_old) = reading.committed().await;
        assert!(of_old.starts_with("kafkaesk:1:"), "{of_old:?}");

        reading.create_again(1).await;
        reading.commit(5, &of_old).await;
        reading.reads_the_new_topic(member().await).await;
        let (_, of_new) = reading.committed().await;
        assert!(of_new.starts_with("kafkaesk:1:"), "{of_new:?}");

        // It counts for its own topic.
        reading.fill(1, 18..19).await;
        let mut consumer = member().await;
        let read = read_contents(&mut consumer, 1).await;
        assert_eq!(read[0].1, "0-18", "{protocol}");
        consumer.control().close(Commits::new()).await.unwrap();
    }
}

#[tokio::test]
async fn an_ignored_offset_is_overwritten_before_anything_is_handled() {
    let reading = Reading::start(1).await;
    reading
        .commit(5, "kafkaesk:1:c29tZS10b3BpYy1pZC0xMg:5:")
        .await;
    let consumer = reading
        .member(&reading.connection, Start::Earliest, "classic")
        .await;
    let overwritten = async {
        while reading.committed().await.0 != Offset::Offset(0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, overwritten).await.unwrap();
    drop(consumer);
}

#[tokio::test]
async fn an_offset_whose_metadata_names_no_topic_counts_for_every_topic_of_its_name() {
    for metadata in ["", "of another program", "kafkaesk:1:an-id:5:"] {
        let reading = Reading::start(1).await;
        reading.create_again(1).await;
        reading.commit(5, metadata).await;
        let mut consumer = reading
            .member(&reading.connection, Start::Earliest, "classic")
            .await;
        let read = read_contents(&mut consumer, 3).await;
        assert_eq!(read[0].1, "0-15", "{metadata:?}");
        consumer.control().close(commits(&read)).await.unwrap();
        assert_eq!(reading.committed().await.0, Offset::Offset(8));
    }
}

#[tokio::test]
async fn where_a_group_starts_or_is_moved_to_counts_for_the_topic_that_was_there() {
    let reading = Reading::start(1).await;
    let broker = reading.connection.broker();
    let member = |start| reading.member(&reading.connection, start, "classic");
    let consumer = member(Start::Latest).await;
    consumer.control().close(Commits::new()).await.unwrap();
    let started = reading.committed().await;
    assert!(started.1.starts_with("kafkaesk:1:"), "{started:?}");
    broker
        .move_group(&reading.group, &reading.topic, 0, NextOffset(5))
        .await
        .unwrap();
    assert_eq!(reading.committed().await, started);

    reading.create_again(1).await;
    reading.commit(5, &started.1).await;
    let position = broker
        .group_position(&reading.group, &reading.topic, 0)
        .await
        .unwrap();
    assert_eq!(position.committed, None, "{position:?}");
    let consumer = member(Start::Latest).await;
    reading.reads_the_new_topic(consumer).await;
}

/// In base64url, which half of all ids need.
#[tokio::test]
async fn the_id_in_the_metadata_is_as_kafka_prints_it() {
    let mut reading = Reading::start(1).await;
    for number in 0..12 {
        reading.topic = TopicName::new(format!("{}{number}", reading.kafka.prefix())).unwrap();
        assert!(reading.create(1).await);
        let broker = reading.connection.broker();
        broker
            .move_group(&reading.group, &reading.topic, 0, NextOffset(0))
            .await
            .unwrap();
        let (_, metadata) = reading.committed().await;
        let id = Completions::topic_id(&metadata, NextOffset(0));
        assert!(id.is_some(), "{metadata}");
    }
}

#[tokio::test]
async fn a_partition_that_stays_is_read_anew_although_another_was_given_up_before_it_was_noticed() {
    let reading = Reading::start(2).await;
    let mut settings = reading.kafka.settings();
    settings.discovery_interval = Duration::from_secs(15);
    let mut first = reading
        .member(&open(&settings).await, Start::Earliest, "classic")
        .await;
    read_contents(&mut first, 10).await;
    reading.create_again(2).await;
    let second = reading
        .member(&reading.connection, Start::Earliest, "classic")
        .await;
    let (mut missing, mut revoked) = (std::collections::BTreeSet::new(), false);
    for partition in 0..2 {
        missing.extend((10..18).map(|value| format!("{partition}-{value}")));
    }
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    for mut consumer in [first, second] {
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(event) = consumer.next().await {
                let _ = sender.send(event);
            }
        });
    }
    while !missing.is_empty() {
        let event = tokio::time::timeout(2 * TIMEOUT, events.recv()).await;
        match event.unwrap_or_else(|_| panic!("never read: {missing:?}")) {
            Some(ConsumerEvent::Records(batch)) => {
                for record in &batch.records {
                    missing.remove(&foo_of(record));
                }
            }
            Some(ConsumerEvent::Revoked(sources, ack)) => {
                revoked = true;
                let next = |source| (source, NextOffset(5).into());
                ack.release(sources.into_iter().map(next).collect());
            }
            Some(ConsumerEvent::Failed(error)) => panic!("{error}"),
            _ => {}
        }
    }
    assert!(revoked, "the second member had nothing from the first");
}

#[tokio::test]
async fn offsets_of_a_topic_that_was_created_again_may_go_with_a_transaction() {
    let reading = Reading::start(1).await;
    let mut member = reading
        .member(&reading.connection, Start::Earliest, "classic")
        .await;
    let control = member.control();
    read_contents(&mut member, 5).await;
    reading.create_again(1).await;
    let mut former = None;
    loop {
        let event = tokio::time::timeout(2 * TIMEOUT, member.next()).await;
        match event.expect("it is not read again").unwrap() {
            ConsumerEvent::Lost(mut gone) => former = gone.pop(),
            ConsumerEvent::Records(batch) if former.is_some() => {
                let commits = |source| vec![(source, batch.next.into())];
                assert!(control.offsets(&commits(batch.source)).is_some());
                assert!(control.offsets(&commits(former.unwrap())).is_none());
                return;
            }
            ConsumerEvent::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
}
