//! Topics that differ from the default or change under a running publisher.

use std::time::{Duration, Instant};

use kafkaesk_client::{
    ClientError, Publisher, catalog::StreamSpec, core::partitioner::partition_for_key, testing,
};
use rdkafka::admin::{AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};

use crate::support::{admin, connect, content, open, stream};

/// Publishes events to `content.narrow` without waiting for each; how many the brokers refused with their batch.
async fn publish_together(publisher: &Publisher, count: usize) -> usize {
    let mut deliveries = Vec::new();
    for number in 0..count {
        let event = content(format!("event {number}"));
        let publish = publisher.publish("content.narrow", &event).enqueue();
        deliveries.push(publish.await.unwrap());
    }
    let mut refused = 0;
    for delivery in deliveries {
        if let Err(error) = delivery.await {
            refused += 1;
            let text = error.to_string();
            assert!(matches!(error, ClientError::BatchTooLarge { .. }), "{text}");
            assert!(text.contains("content.narrow"), "{text}");
        }
    }
    refused
}

#[tokio::test]
async fn small_events_fit_a_topic_that_takes_less_than_a_default_batch() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let mut spec = StreamSpec::new(stream("content.narrow"));
    spec.partitions = Some(1);
    spec.config
        .insert("max.message.bytes".into(), "2000".into());
    connection.catalog().ensure_stream(&spec).await.unwrap();
    let publisher = connection.publisher();
    assert_eq!(publish_together(&publisher, 500).await, 0);
    let large = content("x".repeat(3000));
    let error = publisher
        .publish("content.narrow", &large)
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn the_first_refused_batch_makes_a_topics_batches_smaller() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let mut spec = StreamSpec::new(stream("content.narrow"));
    spec.partitions = Some(1);
    let topic = connection
        .catalog()
        .ensure_stream(&spec)
        .await
        .unwrap()
        .topic;
    let publisher = connection.publisher();
    assert_eq!(publish_together(&publisher, 500).await, 0);

    let shrink =
        AlterConfig::new(ResourceSpecifier::Topic(topic.as_str())).set("max.message.bytes", "2000");
    let answers = admin(&kafka)
        .alter_configs(&[shrink], &AdminOptions::new())
        .await;
    answers.unwrap()[0].as_ref().unwrap();
    // The setting reaches the topic's leader a moment after the answer.
    let begun = Instant::now();
    while publish_together(&publisher, 500).await == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "none was refused"
        );
    }
    assert_eq!(publish_together(&publisher, 500).await, 0);
}

#[tokio::test]
async fn a_topic_deleted_under_a_publisher_is_said_to_be_gone_and_created_again() {
    let kafka = testing::kafka().await;
    let mut settings = kafka.settings();
    settings.partitions = 1;
    let connection = open(&settings).await;
    let publisher = connection.publisher();
    let publish = || publisher.publish("content.gone", &content("one"));
    for offset in 0..3 {
        let receipt = publish().await.unwrap();
        assert_eq!(receipt.offset.unwrap().0, offset);
    }
    let topic = kafka
        .settings()
        .topic_prefix
        .topic(&stream("content.gone"))
        .unwrap();
    let deleted = admin(&kafka)
        .delete_topics(&[topic.as_str()], &AdminOptions::new())
        .await;
    deleted.unwrap()[0].as_ref().unwrap();

    let started = Instant::now();
    let receipt = loop {
        match publish().await {
            // Its last moments: the deletion is not everywhere yet.
            Ok(receipt) if receipt.offset.unwrap().0 > 0 => {}
            Ok(receipt) => break receipt,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("gone"), "{text}");
            }
        }
        assert!(started.elapsed() < Duration::from_secs(20));
    };
    assert_eq!(receipt.offset.unwrap().0, 0, "the topic is a new one");
    publish().await.unwrap();
}

#[tokio::test]
async fn added_partitions_are_published_to_within_seconds() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let mut spec = StreamSpec::new(stream("content.grows"));
    spec.partitions = Some(2);
    let topic = connection
        .catalog()
        .ensure_stream(&spec)
        .await
        .unwrap()
        .topic;
    let publisher = connection.publisher();
    publisher
        .publish("content.grows", &content("first"))
        .await
        .unwrap();
    let grow = NewPartitions::new(topic.as_str(), 6);
    let grown = admin(&kafka)
        .create_partitions(&[grow], &AdminOptions::new())
        .await;
    grown.unwrap()[0].as_ref().unwrap();

    let key = (0..)
        .map(|n| format!("key-{n}"))
        .find(|key| partition_for_key(key.as_bytes(), 6) >= 2)
        .unwrap();
    let started = Instant::now();
    loop {
        let receipt = publisher
            .publish("content.grows", &content("later"))
            .key(key.as_str())
            .await
            .unwrap();
        if receipt.partition == partition_for_key(key.as_bytes(), 6) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{receipt}");
    }
}

#[tokio::test]
async fn first_publishes_at_once_bind_each_stream_once_and_all_arrive() {
    const STREAMS: usize = 100;
    let kafka = testing::kafka().await;
    let mut settings = kafka.settings();
    settings.partitions = 1;
    let publisher = open(&settings).await.publisher();
    let mut tasks = tokio::task::JoinSet::new();
    // Two for each stream.
    for number in 0..STREAMS * 2 {
        let publisher = publisher.clone();
        tasks.spawn(async move {
            let stream = format!("content.new.{}", number % STREAMS);
            publisher
                .publish(&stream, &content("one"))
                .await
                .map(|receipt| receipt.offset.unwrap().0)
        });
    }
    let mut offsets = Vec::new();
    while let Some(published) = tasks.join_next().await {
        offsets.push(published.unwrap().unwrap());
    }
    assert_eq!(
        offsets.iter().filter(|offset| **offset == 0).count(),
        STREAMS
    );
    assert_eq!(
        offsets.iter().filter(|offset| **offset == 1).count(),
        STREAMS
    );

    let bindings = open(&settings).await.catalog().bindings().await.unwrap();
    assert_eq!(bindings.streams.len(), STREAMS);
    assert!(bindings.ignored.is_empty(), "each is bound once");
}
