//! Laws of transactions: all records or none, one owner of an id at a time.

use std::sync::Arc;

use kafkaesk_client::{
    ClientError, Receipt,
    broker::Outgoing,
    consumer::{Commits, ConsumerEvent, Start},
    core::{NextOffset, Record, TopicName},
    publisher::Outbox,
};

use super::fixture::{Fixture, Tap, outgoing, value};
use crate::support::content;

fn to(topic: &TopicName, partition: i32, value: &str) -> Outgoing {
    Outgoing {
        partition: Some(partition),
        ..outgoing(topic, Some("k"), value)
    }
}

async fn read_of(law: &Fixture, pattern: &str, count: usize) -> Vec<i32> {
    let mut tap = law.consume(None, pattern, Start::Earliest).await;
    let mut values: Vec<i32> = tap.records(count).await.iter().map(value).collect();
    tap.close().await;
    values.sort_unstable();
    values
}

pub(super) async fn a_transaction_writes_to_several_topics_what_it_was_given(law: Fixture) {
    let (a, b) = (law.create("a", 2).await, law.create("b", 1).await);
    let broker = law.connection.broker();
    let mut transaction = broker.transaction(&law.group()).await.unwrap();
    let mut first = to(&a, 1, "1");
    first.headers.push("h", Some("x".into()));
    transaction
        .commit(vec![first, to(&b, 0, "2")])
        .await
        .unwrap();
    transaction.commit(vec![to(&a, 1, "3")]).await.unwrap();
    let mut tap = law.consume(None, "a", Start::Earliest).await;
    let records: Vec<Record> = tap.records(2).await;
    tap.close().await;
    assert_eq!((value(&records[0]), value(&records[1])), (1, 3));
    assert!(records.iter().all(|record| record.partition() == 1));
    assert_eq!(records[0].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(records[0].headers.get_str("h"), Some("x"));
    assert_eq!(read_of(&law, "b", 1).await, [2]);
}

pub(super) async fn a_transaction_that_fails_writes_nothing_and_the_next_one_does(law: Fixture) {
    let a = law.create("a", 1).await;
    let broker = law.connection.broker();
    let mut transaction = broker.transaction(&law.group()).await.unwrap();
    for absent in [to(&a, 7, "2"), to(&law.topic("absent"), 0, "3")] {
        let error = transaction
            .commit(vec![to(&a, 0, "1"), absent])
            .await
            .unwrap_err();
        assert!(
            matches!(error, ClientError::NotDelivered { .. }),
            "{error:?}"
        );
    }
    transaction.commit(vec![to(&a, 0, "4")]).await.unwrap();
    law.send(to(&a, 0, "5")).await.unwrap();
    assert_eq!(read_of(&law, "a", 2).await, [4, 5]);
}

pub(super) async fn who_begins_later_takes_the_id_from_who_began_before(law: Fixture) {
    let a = law.create("a", 1).await;
    let broker = law.connection.broker();
    let id = law.group();
    let mut first = broker.transaction(&id).await.unwrap();
    first.commit(vec![to(&a, 0, "1")]).await.unwrap();
    let mut other = broker.transaction(&format!("{id}.other")).await.unwrap();
    let mut second = broker.transaction(&id).await.unwrap();
    for _ in 0..2 {
        let error = first.commit(vec![to(&a, 0, "2")]).await.unwrap_err();
        assert!(
            matches!(&error, ClientError::TransactionFenced { id: of } if *of == id),
            "{error:?}"
        );
    }
    second.commit(vec![to(&a, 0, "3")]).await.unwrap();
    other.commit(vec![to(&a, 0, "4")]).await.unwrap();
    assert_eq!(read_of(&law, "a", 3).await, [1, 3, 4]);
}

pub(super) async fn what_is_published_into_an_outbox_is_written_by_its_transaction_alone(
    law: Fixture,
) {
    let outbox = Outbox::new(10_000);
    let publisher = law.connection.publisher().into_outbox(&outbox);
    let publish = |key: &str| publisher.publish("a", &content(key)).key(key);
    let receipt = publish("1").await.unwrap();
    let unknown = (Receipt::NOT_CHOSEN, None);
    assert_eq!((receipt.partition, receipt.offset), unknown);
    let receipt = publish("2").partition(3).await.unwrap();
    assert_eq!((receipt.partition, receipt.offset), (3, None));
    drop(publish("3").enqueue().await.unwrap());
    publisher.tombstone("a", "4").await.unwrap();
    let error = publisher.publish_json("a", "Content:1", "{}").await;
    assert!(matches!(error, Err(ClientError::Invalid { .. })));
    let error = publish("5").header("h", "x".repeat(20_000)).await;
    assert!(matches!(error, Err(ClientError::OutboxFull { .. })));
    let error = publish("5").header("h", "x".repeat(2_000_000)).await;
    assert!(matches!(error, Err(ClientError::TooLarge { .. })));
    // It stands behind what is sent now, although it was published before.
    let sent = law.connection.publisher();
    let first = sent.publish("a", &content("0")).key("1").await.unwrap();
    let records = outbox.close();
    assert!(matches!(
        publish("6").await,
        Err(ClientError::OutboxClosed { .. })
    ));
    let broker = law.connection.broker();
    let mut transaction = broker.transaction(&law.group()).await.unwrap();
    let written = records.iter().map(|it| it.record.clone()).collect();
    transaction.commit(written).await.unwrap();
    let mut tap = law.consume(None, "a", Start::Earliest).await;
    let read = tap.records(5).await;
    tap.close().await;
    let key = |record: &Record| String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
    let mut keys: Vec<String> = read.iter().map(key).collect();
    keys.sort();
    assert_eq!(keys, ["1", "1", "2", "3", "4"]);
    let of_one: Vec<&Record> = read.iter().filter(|it| key(it) == "1").collect();
    assert_eq!(of_one[0].offset, first.offset.unwrap());
    assert_eq!(of_one[1].partition(), first.partition);
    assert!(read.iter().any(|it| key(it) == "2" && it.partition() == 3));
}

/// A member that has read these records of the topic `a`, and the offset behind one of them.
async fn reads(law: &Fixture, count: usize) -> (Tap, Vec<Record>) {
    let mut tap = law.consume(Some(&law.group()), "a", Start::Earliest).await;
    let records = tap.records(count).await;
    (tap, records)
}

/// The group's commit of a partition becomes this. A transaction is decided before its marks are written, so an offset of it may be
/// seen a little later.
async fn commits(law: &Fixture, (topic, partition): (&TopicName, i32), next: i64) {
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let place = (topic.as_str().to_owned(), partition);
    loop {
        let broker = law.connection.broker();
        let offsets = broker.group_offsets(&law.group(), None).await.unwrap();
        match offsets.get(&place) {
            Some(NextOffset(committed)) if *committed == next => return,
            other => assert!(tokio::time::Instant::now() < end, "{other:?}, not {next}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn behind(record: &Record) -> Commits {
    vec![(record.source.clone(), record.offset.next().into())]
}

pub(super) async fn records_and_offsets_are_committed_together_or_not_at_all(law: Fixture) {
    let (a, out) = (law.create("a", 1).await, law.create("out", 1).await);
    law.fill(&a, 0, 0..4).await;
    let (tap, read) = reads(&law, 4).await;
    let control = tap.consumer.control();
    let broker = law.connection.broker();
    let id = format!("{}.t", law.group());
    let mut transaction = broker.transaction(&id).await.unwrap();
    let offsets = control.offsets(&behind(&read[1])).unwrap();
    transaction
        .commit_with(vec![to(&out, 0, "10"), to(&out, 0, "11")], offsets)
        .await
        .unwrap();
    commits(&law, (&a, 0), 2).await;
    // One record cannot be written.
    let offsets = control.offsets(&behind(&read[3])).unwrap();
    let error = transaction
        .commit_with(vec![to(&out, 0, "12"), to(&out, 7, "13")], offsets)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::NotDelivered { .. }),
        "{error:?}"
    );
    commits(&law, (&a, 0), 2).await;
    // Offsets alone.
    let offsets = control.offsets(&behind(&read[2])).unwrap();
    transaction.commit_with(Vec::new(), offsets).await.unwrap();
    commits(&law, (&a, 0), 3).await;
    law.send(to(&out, 0, "14")).await.unwrap();
    assert_eq!(read_of(&law, "out", 3).await, [10, 11, 14]);
    tap.abandon().await;
}

pub(super) async fn a_group_that_went_on_without_a_member_refuses_its_transaction(law: Fixture) {
    let (a, out) = (law.create("a", 1).await, law.create("out", 1).await);
    law.fill(&a, 0, 0..4).await;
    let (former, read) = reads(&law, 4).await;
    let former_control = former.consumer.control();
    let stale = former_control.offsets(&behind(&read[3])).unwrap();
    former_control.close(Commits::new()).await.unwrap();
    former.abandon().await;
    assert!(former_control.offsets(&behind(&read[3])).is_none());
    // The next member reads the same again.
    let (next, again) = reads(&law, 4).await;
    let broker = law.connection.broker();
    let id = format!("{}.t", law.group());
    let mut transaction = broker.transaction(&id).await.unwrap();
    let error = transaction
        .commit_with(vec![to(&out, 0, "1")], stale)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ClientError::MemberGone { group } if *group == law.group()),
        "{error:?}"
    );
    let offsets = broker.group_offsets(&law.group(), None).await.unwrap();
    assert!(offsets.is_empty(), "{offsets:?}");
    // The id is still good.
    let control = next.consumer.control();
    let offsets = control.offsets(&behind(&again[0])).unwrap();
    transaction
        .commit_with(vec![to(&out, 0, "2")], offsets)
        .await
        .unwrap();
    assert_eq!(read_of(&law, "out", 1).await, [2]);
    next.abandon().await;
}

pub(super) async fn offsets_of_a_partition_that_goes_are_committed_until_it_is_let_go(
    law: Fixture,
) {
    let (a, out) = (law.create("a", 2).await, law.create("out", 1).await);
    law.fill(&a, 0, 0..2).await;
    law.fill(&a, 1, 2..4).await;
    let (mut first, read) = reads(&law, 4).await;
    let control = first.consumer.control();
    let broker = law.connection.broker();
    let id = format!("{}.t", law.group());
    let mut transaction = broker.transaction(&id).await.unwrap();
    let joining = law.consume(Some(&law.group()), "a", Start::Earliest).await;
    let (gone, ack) = loop {
        let event = first.consumer.next().await.expect("the stream ended");
        if let ConsumerEvent::Revoked(gone, ack) = event {
            break (gone, ack);
        }
    };
    let last = read.iter().rfind(|it| Arc::ptr_eq(&it.source, &gone[0]));
    let offsets = control.offsets(&behind(last.unwrap())).unwrap();
    transaction
        .commit_with(vec![to(&out, 0, "1")], offsets)
        .await
        .unwrap();
    ack.release(Commits::new());
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while control.offsets(&behind(last.unwrap())).is_some() {
        assert!(tokio::time::Instant::now() < end);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    commits(&law, (&a, gone[0].partition), 2).await;
    assert_eq!(read_of(&law, "out", 1).await, [1]);
    joining.abandon().await;
    first.abandon().await;
}
