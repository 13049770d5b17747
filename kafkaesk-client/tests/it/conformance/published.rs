//! Laws of what a connection says of its publishes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kafkaesk_client::{
    Receipt,
    meter::{PublishEnd, PublishedTopic},
};

use super::fixture::Fixture;
use crate::support::{Order, content};

/// What is said of a stream.
fn of(law: &Fixture, stream: &str) -> PublishedTopic {
    let topic = law.topic(stream);
    let topics = law.connection.published().topics;
    let mut found = topics.into_iter().filter(|shown| shown.topic == topic);
    found.next().unwrap()
}

/// Publishes of so many accepted, refused by their schema, and ended otherwise.
fn ends(accepted: u64, schema: u64, other: u64) -> [u64; PublishEnd::ALL.len()] {
    PublishEnd::ALL.map(|end| match end {
        PublishEnd::Accepted => accepted,
        PublishEnd::Schema => schema,
        PublishEnd::Other => other,
        _ => 0,
    })
}

pub(super) async fn what_is_said_of_publishes_is_what_their_receipts_say(law: Fixture) {
    assert!(law.connection.published().topics.is_empty());
    let law = Arc::new(law);
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let publisher = law.connection.publisher();
            tokio::spawn(async move {
                let mut receipts = Vec::new();
                for n in 0..100 {
                    let stream = ["content.a", "content.b", "content.c"][n % 3];
                    let key = format!("{task}-{n}");
                    let publish = publisher.publish(stream, &content("x")).key(key);
                    receipts.push(publish.enqueue().await.unwrap());
                }
                for n in 0..10 {
                    let tombstone = publisher.tombstone("content.a", format!("{task}-{n}"));
                    receipts.push(tombstone.enqueue().await.unwrap());
                }
                futures_util::future::join_all(receipts).await
            })
        })
        .collect();
    let mut wanted: BTreeMap<_, BTreeMap<i32, (u64, i64)>> = BTreeMap::new();
    for task in tasks {
        for receipt in task.await.unwrap() {
            let Receipt {
                topic,
                partition,
                offset,
                ..
            } = receipt.unwrap();
            let topic = wanted.entry(topic).or_default();
            let (count, last) = topic.entry(partition).or_insert((0, 0));
            *count += 1;
            *last = (*last).max(offset.unwrap().0);
        }
    }
    let shown = law.connection.published();
    assert_eq!(shown.topics.len(), 3);
    for ((topic, wanted), shown) in wanted.into_iter().zip(&shown.topics) {
        assert_eq!(shown.topic, topic);
        assert_eq!(law.topic(shown.stream.as_str()), topic);
        let count = wanted.values().map(|(count, _)| count).sum();
        assert_eq!(shown.called, ends(count, 0, 0));
        let partitions = shown.partitions.iter();
        let partitions = partitions.map(|it| (it.partition, (it.delivered, it.offset.unwrap().0)));
        assert_eq!(partitions.collect::<BTreeMap<_, _>>(), wanted);
        assert_eq!((shown.failed, shown.refused.len()), (0, 0));
    }
    assert_eq!(shown.others, Default::default());
    // The last delivery report is answered a moment before it has left the queue.
    while law.connection.published().queue_records > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(law.connection.published().queue_bytes, 0);
}

pub(super) async fn a_refused_event_is_counted_under_its_schema_and_nothing_is_sent(law: Fixture) {
    let publisher = law.connection.publisher();
    publisher.publish("a", &content("x")).await.unwrap();
    publisher.publish("o", &Order { id: 1 }).await.unwrap();
    let bad = |stream, schema, data: &str| publisher.publish_json(stream, schema, data);
    for _ in 0..3 {
        bad("a", "Content:1", r#"{"foo":1}"#).await.unwrap_err();
    }
    bad("a", "Content:1", "{").await.unwrap_err();
    bad("o", "Order:1", r#"{"id":"x"}"#).await.unwrap_err();
    // Of a stream that was never published to.
    bad("new", "Order:1", r#"{"id":"x"}"#).await.unwrap_err();
    for (stream, accepted, refused) in [
        ("a", 1, [("Content:1".to_owned(), 4)]),
        ("o", 1, [("Order:1".to_owned(), 1)]),
        ("new", 0, [("Order:1".to_owned(), 1)]),
    ] {
        let shown = of(&law, stream);
        assert_eq!(shown.called, ends(accepted, refused[0].1, 0));
        assert_eq!(shown.refused, refused);
        let delivered = shown.partitions.iter().map(|it| it.delivered).sum::<u64>();
        assert_eq!((delivered, shown.failed), (accepted, 0));
    }
}

pub(super) async fn a_publish_has_one_end_and_an_accepted_record_another(law: Fixture) {
    let publisher = law.connection.publisher();
    publisher.publish("a", &content("x")).await.unwrap();
    // Bound to another schema, no such schema, not a header's name, no such partition, not a stream's name.
    let order = Order { id: 1 };
    publisher.publish("a", &order).await.unwrap_err();
    let unknown = publisher.publish_json("a", "Content:9", "{}");
    unknown.await.unwrap_err();
    let header = publisher.publish("a", &content("x"));
    header.header("kafkaesk-x", "x").await.unwrap_err();
    let absent = publisher.publish("a", &content("x")).partition(99);
    absent.await.unwrap_err();
    publisher.publish("a b", &content("x")).await.unwrap_err();
    drop(publisher.publish("a", &content("x")).enqueue());
    let shown = of(&law, "a");
    assert_eq!(shown.called.iter().sum::<u64>(), 5);
    assert_eq!(shown.called[PublishEnd::Other as usize], 3);
    // The producer may find out before the hand-over or after it.
    let accepted = shown.called[PublishEnd::Accepted as usize];
    assert_eq!(
        (accepted, shown.partitions[0].delivered),
        (1 + shown.failed, 1)
    );
    assert_eq!(law.connection.published().others.called, ends(0, 0, 1));
}
