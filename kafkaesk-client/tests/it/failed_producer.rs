//! A producer that failed for good is replaced: what it held ends, and later publishes succeed.

use std::time::{Duration, Instant};

use kafkaesk_client::{ClientError, Publish, Settings, meter::PublishEnd, testing};
use rdkafka::{
    admin::{AdminOptions, NewTopic, TopicReplication},
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use crate::support::{Log, admin, content, open};

const LINE: &str = "the producer failed and is replaced";

fn settings(mock: &MockCluster<'_, impl rdkafka::ClientContext>) -> Settings {
    let mut settings = Settings::default();
    settings.kafka_servers = vec![mock.bootstrap_servers()];
    settings
}

#[tokio::test]
async fn what_a_failed_producer_held_is_failed_or_unknown_and_later_events_are_published() {
    let log = Log::of_process();
    let mock = MockCluster::new(1).unwrap();
    let mut settings = settings(&mock);
    // Each record is a batch, and five at most are on their way.
    let producer = &mut settings.kafka_settings.producer;
    producer.insert("batch.num.messages".into(), "1".into());
    let connection = open(&settings).await;
    let publisher = connection.publisher();
    let publish = |text: String| publisher.publish("failed.held", &content(text)).key("k");
    publish("first".into()).await.unwrap();

    mock.broker_round_trip_time(1, Duration::from_millis(300))
        .unwrap();
    // The broker and the producer disagree on what was written: librdkafka cannot go on without a risk of repetition.
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    mock.request_errors(RDKafkaApiKey::Produce, &[error]);
    let mut held = Vec::new();
    for n in 0..30 {
        held.push(publish(format!("held {n}")).enqueue().await.unwrap());
    }
    let (mut unknown, mut failed, mut written) = (0, 0, 0);
    for delivery in held {
        let answer = tokio::time::timeout(Duration::from_secs(10), delivery).await;
        match answer.expect("no answer") {
            Ok(_) => written += 1,
            Err(ClientError::DeliveryUnknown { .. }) => unknown += 1,
            Err(ClientError::NotDelivered { reason, .. }) => {
                assert!(reason.contains("the producer failed"), "{reason}");
                failed += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(unknown > 0 && failed > 20, "{unknown} {failed} {written}");
    for n in 0..3 {
        let later = publish(format!("later {n}")).into_future();
        let answer = tokio::time::timeout(Duration::from_secs(10), later).await;
        answer.expect("no answer").unwrap();
    }
    // What the failed producer counted stays, and an unknown end is a failure.
    let shown = &connection.published().topics[0];
    assert_eq!(shown.called[PublishEnd::Accepted as usize], 1 + 30 + 3);
    assert_eq!(shown.failed, unknown + failed);
    assert_eq!(shown.partitions.len(), 1);
    assert_eq!(shown.partitions[0].delivered, 1 + written + 3);
    let lines = log.lines(LINE);
    let ours = lines.iter().filter(|line| line.contains("failed.held"));
    assert_eq!(ours.count(), 1, "{lines:#?}");
}

#[tokio::test]
async fn a_program_publishes_on_after_its_producer_failed() {
    let kafka = testing::kafka().await;
    let log = Log::of_process();
    let mut settings = kafka.settings();
    // With this, a record that a broker refuses ends the producer.
    let producer = &mut settings.kafka_settings.producer;
    producer.insert("enable.gapless.guarantee".into(), "true".into());
    let name = format!("{}content.compact", kafka.prefix());
    let compact =
        NewTopic::new(&name, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    // Kept until the answer: a client that is dropped before never gives one.
    let admin = admin(&kafka);
    let created = admin.create_topics([&compact], &AdminOptions::new());
    created.await.unwrap().remove(0).unwrap();
    let publisher = open(&settings).await.publisher();
    let publish = || publisher.publish("content.compact", &content("a"));
    let answered = async |publish: Publish| {
        let answer = tokio::time::timeout(Duration::from_secs(10), publish.into_future());
        answer.await.expect("no answer")
    };
    answered(publish().key("k")).await.unwrap();
    for round in 1..3 {
        // A compacted topic takes no record without a key.
        let error = answered(publish()).await.unwrap_err();
        assert!(
            matches!(
                error,
                ClientError::NotDelivered { .. } | ClientError::DeliveryUnknown { .. }
            ),
            "{error}"
        );
        let receipt = answered(publish().key("k")).await.unwrap();
        assert!(receipt.offset.unwrap().0 >= round, "{receipt}");
    }
    let lines = log.lines(LINE);
    let ours = lines.iter().filter(|line| line.contains(&name));
    assert_eq!(ours.count(), 2, "{lines:#?}");
}

#[tokio::test]
async fn a_right_that_comes_later_is_used_without_a_restart_and_until_then_few_producers_are_made()
{
    let mock = MockCluster::new(1).unwrap();
    let mut settings = settings(&mock);
    settings.delivery_timeout = Duration::from_secs(20);
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    mock.request_errors(RDKafkaApiKey::InitProducerId, &[denied; 1000]);
    let publisher = open(&settings).await.publisher();
    let publish = || {
        publisher
            .publish("failed.denied", &content("a"))
            .into_future()
    };
    let begun = Instant::now();
    for _ in 0..5 {
        let answer = tokio::time::timeout(Duration::from_secs(30), publish()).await;
        let error = answer.expect("no answer").unwrap_err();
        assert!(matches!(error, ClientError::Unauthorized { .. }), "{error}");
    }
    // One producer serves two of them at most, and the next one is a second younger at least.
    assert!(
        begun.elapsed() >= Duration::from_millis(1500),
        "{:?}",
        begun.elapsed()
    );
    mock.clear_request_errors(RDKafkaApiKey::InitProducerId);
    // Some may be given to producers that asked before.
    let granted = Instant::now();
    while let Err(error) = publish().await {
        assert!(matches!(error, ClientError::Unauthorized { .. }), "{error}");
        assert!(granted.elapsed() < Duration::from_secs(30), "{error}");
    }
}
