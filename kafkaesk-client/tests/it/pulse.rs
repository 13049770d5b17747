//! What a consumer's thread shows of itself: that it runs, and that its member has joined.

use std::time::{Duration, Instant};

use kafkaesk_client::{
    Connection,
    consumer::{Commits, Consumer, ConsumerEvent, ConsumerSpec, Start},
    testing,
};

use crate::support::{connect, next, spec, stream};

/// A Kafka with a stream of so many partitions, and what a member of a group there asks for.
async fn prepare(partitions: u32) -> (testing::TestKafka, Connection, ConsumerSpec) {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let mut wanted = kafkaesk_client::catalog::StreamSpec::new(stream("a"));
    wanted.partitions = Some(partitions);
    connection.catalog().ensure_stream(&wanted).await.unwrap();
    let group = format!("{}group", kafka.prefix());
    (kafka, connection, spec(Some(&group), "a", Start::Earliest))
}

/// Polls until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The longest silence that was seen within this time.
async fn longest_silence(consumer: &Consumer, time: Duration) -> Duration {
    let (control, end) = (consumer.control(), Instant::now() + time);
    let mut longest = Duration::ZERO;
    while Instant::now() < end {
        longest = longest.max(control.silent_for());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_runs_or_waits_for_its_user_is_not_silent() {
    let (_kafka, connection, wanted) = prepare(2).await;
    let broker = connection.broker();
    let mut first = broker.consume(wanted.clone()).await.unwrap();
    let reader = broker
        .consume(spec(None, "a", Start::Earliest))
        .await
        .unwrap();
    assert!(matches!(next(&mut first).await, ConsumerEvent::Assigned(_)));
    let idle = Duration::from_secs(2);
    for consumer in [&first, &reader] {
        let silence = longest_silence(consumer, idle).await;
        assert!(silence < idle / 2, "{silence:?}");
    }
    let second = broker.consume(wanted).await.unwrap();
    let ConsumerEvent::Revoked(_, ack) = next(&mut first).await else {
        panic!("the second member takes a partition of the first")
    };
    let silence = longest_silence(&first, idle).await;
    assert!(silence < idle / 2, "{silence:?}");
    ack.release(Commits::new());
    until("the second member joins", || second.control().is_joined()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_the_brokers_gave_no_partition_has_joined() {
    let (_kafka, connection, mut wanted) = prepare(1).await;
    let settings = &mut wanted.kafka_settings;
    settings.insert("group.protocol".into(), "consumer".into());
    let broker = connection.broker();
    let first = broker.consume(wanted.clone()).await.unwrap();
    until("the first member joins", || first.control().is_joined()).await;
    let mut second = broker.consume(wanted).await.unwrap();
    until("the second member joins", || second.control().is_joined()).await;
    let assigned = tokio::time::timeout(Duration::from_secs(1), second.next()).await;
    assert!(assigned.is_err(), "{assigned:?}");
}
