//! Laws of topics, records and logs.

use bytes::Bytes;
use kafkaesk_client::{
    ClientError,
    consumer::{BATCH_BYTES, Start},
    core::{Headers, NextOffset, Offset, Record, TopicName, partitioner::partition_for_key},
};

use super::fixture::{Fixture, outgoing};

pub(super) async fn a_topic_is_created_once_and_seen_at_once(law: Fixture) {
    let topic = law.create("a.stream", 3).await;
    let cluster = law.connection.broker().cluster().await.unwrap();
    assert_eq!(cluster.topics[topic.as_str()].partitions, 3);
    assert_eq!(cluster.topics[topic.as_str()].replication_factor, 1);
    assert!(!law.try_create(topic.clone(), 5).await.unwrap());
    let cluster = law.connection.broker().cluster().await.unwrap();
    assert_eq!(cluster.topics[topic.as_str()].partitions, 3);
}

pub(super) async fn an_absent_topic_is_refused_and_not_created(law: Fixture) {
    let topic = law.topic("absent");
    let error = law.send(outgoing(&topic, None, "1")).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClientError::NotDelivered { .. }), "{text}");
    assert!(text.contains(topic.as_str()), "{text}");
    let broker = law.connection.broker();
    assert!(law.log(&topic, 0, None).await.0.is_empty());
    assert_eq!(broker.last_value(&topic).await.unwrap(), None);
    let cluster = broker.cluster().await.unwrap();
    assert!(!cluster.topics.contains_key(topic.as_str()));
}

pub(super) async fn a_partition_that_is_not_there_is_refused(law: Fixture) {
    let topic = law.create("a", 2).await;
    let mut record = outgoing(&topic, None, "1");
    record.partition = Some(2);
    let error = law.send(record).await.unwrap_err();
    assert!(
        matches!(error, ClientError::NotDelivered { .. }),
        "{error:?}"
    );
}

pub(super) async fn a_name_that_differs_only_in_dots_is_refused(law: Fixture) {
    law.create("a.b", 1).await;
    let error = law.try_create(law.topic("a_b"), 1).await.unwrap_err();
    assert!(error.to_string().contains("a_b"), "{error}");
}

pub(super) async fn what_was_sent_is_what_is_read(law: Fixture) {
    let topic = law.create("a", 1).await;
    let mut headers = Headers::new();
    headers.push("twice", Some(Bytes::from_static(b"1")));
    headers.push("twice", Some(Bytes::from_static(b"\xff")));
    headers.push("null", None);
    headers.push("empty", Some(Bytes::new()));
    let mut first = outgoing(&topic, Some("key"), "{}");
    first.headers = headers.clone();
    first.timestamp = Some(1_700_000_000_123);
    let first = law.send(first).await.unwrap();
    assert_eq!((first.partition, first.offset.unwrap().0), (0, 0));
    let second = law.send(outgoing(&topic, None, "")).await.unwrap();
    assert_eq!(second.offset.unwrap().0, 1);
    law.send(outgoing(&topic, Some(""), "x")).await.unwrap();

    let mut tap = law.consume(Some(&law.group()), "a", Start::Earliest).await;
    let read = tap.records(3).await;
    assert_eq!(read[0].topic(), topic.as_str());
    assert_eq!(read[0].stream(), "a");
    assert_eq!(read[0].key.as_deref(), Some(&b"key"[..]));
    assert_eq!(read[0].value(), b"{}");
    assert_eq!(read[0].headers, headers);
    assert_eq!(read[0].timestamp, Some(1_700_000_000_123));
    assert_eq!(read[1].key, None);
    assert_eq!(read[1].value.as_deref(), Some(&b""[..]));
    assert!(read[1].headers.is_empty());
    assert!(read[1].timestamp.unwrap() > 1_700_000_000_123);
    assert_eq!(read[2].key.as_deref(), Some(&b""[..]));
    assert!(read.iter().map(|record| record.offset.0).eq(0..3));
    tap.close().await;
}

pub(super) async fn an_event_of_a_consumer_is_bounded_headers_included(law: Fixture) {
    const RECORDS: usize = 40;
    let topic = law.create("a", 1).await;
    for n in 0..RECORDS {
        let mut record = outgoing(&topic, None, &n.to_string());
        let header = Bytes::from(vec![b'h'; 100_000]);
        record.headers.push("large", Some(header));
        law.send(record).await.unwrap();
    }
    let mut tap = law.consume(Some(&law.group()), "a", Start::Earliest).await;
    let mut read = 0;
    while read < RECORDS {
        let records = tap.records_some().await;
        let bytes: usize = records.iter().map(Record::size).sum();
        assert!(
            bytes <= BATCH_BYTES || records.len() == 1,
            "{} records, {bytes} bytes",
            records.len()
        );
        read += records.len();
    }
    tap.close().await;
}

pub(super) async fn a_key_lands_where_the_contract_says(law: Fixture) {
    let topic = law.create("a", 7).await;
    for n in 0..20 {
        let key = format!("key-{n}");
        let receipt = law.send(outgoing(&topic, Some(&key), "1")).await.unwrap();
        assert_eq!(receipt.partition, partition_for_key(key.as_bytes(), 7));
    }
}

pub(super) async fn a_log_reads_back_in_order(law: Fixture) {
    let topic = TopicName::new(format!("{}__schema__Law", law.prefix())).unwrap();
    let broker = law.connection.broker();
    assert!(law.log(&topic, 0, None).await.0.is_empty());
    assert!(
        broker
            .append_log(&topic, vec![("1".into(), "{}".into())])
            .await
            .is_err()
    );
    law.try_create(topic.clone(), 1).await.unwrap();
    assert!(law.log(&topic, 0, None).await.0.is_empty());
    for n in 0..5 {
        let text = Bytes::from(n.to_string());
        let at = broker.append_log(&topic, vec![(text.clone(), text)]).await;
        assert_eq!(at.unwrap(), [Offset(n)]);
    }
    let (log, next) = law.log(&topic, 0, Some(Offset(4))).await;
    assert_eq!(next, Some(NextOffset(5)));
    let expected: Vec<_> = (0..5)
        .map(|n| (n, Some(Bytes::from(n.to_string()))))
        .collect();
    let read: Vec<_> = log.iter().map(|r| (r.offset, r.value.clone())).collect();
    assert_eq!(read, expected);
    assert!(log.iter().all(|record| record.key == record.value));
}

pub(super) async fn a_log_is_read_on_from_where_reading_ended(law: Fixture) {
    let topic = TopicName::new(format!("{}__schema__Law", law.prefix())).unwrap();
    law.try_create(topic.clone(), 1).await.unwrap();
    let broker = law.connection.broker();
    let mut next = 0;
    for n in 0..3 {
        let text = Bytes::from(n.to_string());
        broker
            .append_log(&topic, vec![(text.clone(), text)])
            .await
            .unwrap();
        let (log, reached) = law.log(&topic, next, Some(Offset(n))).await;
        assert_eq!(log.len(), 1, "only what is new");
        assert_eq!(log[0].offset, n);
        next = reached.unwrap().0;
    }
    let (log, reached) = law.log(&topic, next, None).await;
    assert!(log.is_empty());
    assert_eq!(reached, Some(NextOffset(3)));
    let (log, reached) = law.log(&topic, 4, None).await;
    assert!(log.is_empty());
    assert_eq!(reached, None, "a log that ends before is another log");
}

pub(super) async fn the_last_value_is_a_partitions_newest(law: Fixture) {
    let topic = law.create("a", 3).await;
    let broker = law.connection.broker();
    assert_eq!(broker.last_value(&topic).await.unwrap(), None);
    law.fill(&topic, 2, 0..4).await;
    let last = broker.last_value(&topic).await.unwrap();
    assert_eq!(last, Some(Bytes::from_static(b"3")));
}
