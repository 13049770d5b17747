//! Laws of the broker in memory, where they go beyond what Kafka shows as well (`tests/it/conformance.rs`).

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use kafkaesk_core::{
    Headers, NextOffset, Offset, Pattern, TopicName, partitioner::partition_for_key,
};

use super::MemoryBroker;
use crate::{
    ClientError, Receipt,
    broker::{Broker, Outgoing, SendError, TopicSpec},
    consumer::{BATCH_RECORDS, Consumer, ConsumerEvent, ConsumerSpec, EVENT_BOUND, Start},
};

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

async fn create(broker: &MemoryBroker, name: &str, partitions: u32) -> Result<bool, ClientError> {
    broker
        .create_topic(&TopicSpec {
            topic: topic(name),
            partitions,
            replication_factor: 1,
            config: BTreeMap::new(),
        })
        .await
}

fn outgoing(name: &str, key: Option<&str>, value: &str) -> Outgoing {
    Outgoing {
        topic: topic(name),
        partition: None,
        key: key.map(|k| Bytes::copy_from_slice(k.as_bytes())),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Headers::new(),
        timestamp: None,
        batch: Default::default(),
    }
}

async fn send(broker: &MemoryBroker, record: Outgoing) -> Result<Receipt, ClientError> {
    broker.send(record).unwrap().0.await.unwrap()
}

fn spec(group: Option<&str>, pattern: &str, start: Start) -> ConsumerSpec {
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

async fn member(broker: &MemoryBroker) -> Consumer {
    broker
        .consume(spec(Some("g"), "t", Start::Earliest))
        .await
        .unwrap()
}

async fn assigned(consumer: &mut Consumer) -> Vec<i32> {
    match consumer.next().await {
        Some(ConsumerEvent::Assigned(sources)) => sources.iter().map(|s| s.partition).collect(),
        other => panic!("expected an assignment, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn records_without_key_go_round_and_keys_stay_together() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 3).await.unwrap();
    for expected in [0, 1, 2, 0] {
        let receipt = send(&broker, outgoing("t", None, "v")).await.unwrap();
        assert_eq!(receipt.partition, expected);
    }
    for key in ["a", "b", ""] {
        let receipt = send(&broker, outgoing("t", Some(key), "v")).await.unwrap();
        assert_eq!(receipt.partition, partition_for_key(key.as_bytes(), 3));
    }
}

#[tokio::test(start_paused = true)]
async fn what_kafka_cannot_hold_is_not_created() {
    let broker = MemoryBroker::new();
    assert!(create(&broker, "a.b", 1).await.unwrap());
    let error = create(&broker, "a_b", 1).await.unwrap_err().to_string();
    assert!(error.contains("a_b") && error.contains("a.b"), "{error}");
    assert!(create(&broker, "none", 0).await.is_err());
    let spec = TopicSpec {
        topic: topic("wide"),
        partitions: 1,
        replication_factor: 3,
        config: BTreeMap::new(),
    };
    assert!(broker.create_topic(&spec).await.is_err());
    assert_eq!(broker.cluster().await.unwrap().topics.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_large_is_refused_at_once() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1).await.unwrap();
    let refused = broker.send(outgoing("t", None, &"x".repeat(1_000_001)));
    assert!(matches!(
        refused,
        Err(SendError::Refused(ClientError::TooLarge { .. }))
    ));
    assert!(broker.records("t").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_bounds_what_waits_for_it() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1).await.unwrap();
    let count = BATCH_RECORDS * (EVENT_BOUND + 4);
    for _ in 0..count {
        drop(broker.send(outgoing("t", None, "v")).unwrap());
    }
    let mut consumer = member(&broker).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(consumer.parcels.len(), EVENT_BOUND);
    assert_eq!(assigned(&mut consumer).await, [0]);
    let mut offsets = Vec::new();
    while offsets.len() < count {
        let Some(ConsumerEvent::Records(batch)) = consumer.next().await else {
            panic!("expected records");
        };
        assert!(batch.records.len() <= BATCH_RECORDS);
        offsets.extend(batch.records.iter().map(|r| r.offset.0));
    }
    assert!(offsets.iter().copied().eq(0..count as i64));
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_revoke_releases_after_the_drain_without_a_commit() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 2).await.unwrap();
    let mut first = member(&broker).await;
    assert_eq!(assigned(&mut first).await, [0, 1]);
    let start = tokio::time::Instant::now();
    let mut second = member(&broker).await;
    let Some(ConsumerEvent::Revoked(going, _kept)) = first.next().await else {
        panic!("expected a revoke");
    };
    assert_eq!(assigned(&mut second).await, [going[0].partition]);
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(broker.committed("g", "t", going[0].partition), None);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_never_reads_loses_its_partition_and_hears_of_it() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 2).await.unwrap();
    for _ in 0..2 * BATCH_RECORDS * (EVENT_BOUND + 4) {
        drop(broker.send(outgoing("t", None, "v")).unwrap());
    }
    let mut first = member(&broker).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut second = member(&broker).await;
    let taken = assigned(&mut second).await;
    let told = loop {
        match first.next().await {
            Some(ConsumerEvent::Lost(sources)) => break sources,
            Some(ConsumerEvent::Assigned(_) | ConsumerEvent::Records(_)) => {}
            other => panic!("unexpected {other:?}"),
        }
    };
    assert_eq!(told.iter().map(|s| s.partition).collect::<Vec<_>>(), taken);
}

#[tokio::test(start_paused = true)]
async fn a_lost_partition_takes_no_commit_and_comes_back_from_the_last_one() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1).await.unwrap();
    for _ in 0..3 {
        send(&broker, outgoing("t", None, "v")).await.unwrap();
    }
    let mut consumer = member(&broker).await;
    assert_eq!(assigned(&mut consumer).await, [0]);
    let Some(ConsumerEvent::Records(batch)) = consumer.next().await else {
        panic!("expected records");
    };
    let source = batch.records[0].source.clone();
    consumer
        .control()
        .commit(vec![(source.clone(), NextOffset(1).into())]);
    broker.lose("g");
    consumer
        .control()
        .commit(vec![(source, NextOffset(3).into())]);
    assert_eq!(broker.committed("g", "t", 0), Some(NextOffset(1)));
    assert_eq!(broker.lag("g"), 2);
    let Some(ConsumerEvent::Lost(_)) = consumer.next().await else {
        panic!("expected the loss");
    };
    assert_eq!(assigned(&mut consumer).await, [0]);
    let Some(ConsumerEvent::Records(again)) = consumer.next().await else {
        panic!("expected records");
    };
    assert_eq!(again.records[0].offset, Offset(1));
}

#[tokio::test(start_paused = true)]
async fn timestamps_follow_virtual_time_and_a_duration_back_finds_them() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1).await.unwrap();
    send(&broker, outgoing("t", None, "old")).await.unwrap();
    tokio::time::advance(Duration::from_secs(3600)).await;
    send(&broker, outgoing("t", None, "new")).await.unwrap();
    let back = Start::Back(Duration::from_secs(60));
    let mut consumer = broker.consume(spec(Some("g"), "t", back)).await.unwrap();
    assert_eq!(assigned(&mut consumer).await, [0]);
    let Some(ConsumerEvent::Records(batch)) = consumer.next().await else {
        panic!("expected records");
    };
    assert_eq!(batch.records[0].value(), b"new");
}

#[tokio::test(start_paused = true)]
async fn close_ends_the_stream_while_a_revoke_waits() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 2).await.unwrap();
    let mut first = member(&broker).await;
    assert_eq!(assigned(&mut first).await, [0, 1]);
    let mut second = member(&broker).await;
    let Some(ConsumerEvent::Revoked(_, _ack)) = first.next().await else {
        panic!("expected a revoke");
    };
    first.control().close(Vec::new()).await.unwrap();
    assert!(first.next().await.is_none());
    let mut owned = assigned(&mut second).await;
    if owned.len() < 2 {
        owned.extend(assigned(&mut second).await);
    }
    owned.sort_unstable();
    assert_eq!(owned, [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn inspection_sees_raw_bytes_in_the_order_of_appending() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 4).await.unwrap();
    let changed = broker.changed();
    let mut headers = Headers::new();
    headers.push("h", None);
    for key in ["a", "b", "c"] {
        broker
            .append_raw(&topic("t"), Some(key.into()), None, headers.clone())
            .unwrap();
    }
    changed.await;
    let records = broker.records("t");
    let keys: Vec<_> = records.iter().map(|r| r.key.clone().unwrap()).collect();
    assert_eq!(keys, ["a", "b", "c"]);
    assert!(
        records
            .iter()
            .all(|r| r.value.is_none() && r.headers == headers)
    );
    assert!(
        broker
            .append_raw(&topic("absent"), None, None, Headers::new())
            .is_err()
    );
}
