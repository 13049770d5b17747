//! Reading without a group on a real broker: everything to the ends seen at start, nothing left behind.

use std::{collections::BTreeSet, time::Duration};

use kafkaesk_client::{
    consumer::{Consumer, ConsumerEvent, Start},
    testing,
};

use crate::support::{connect, content, foo_of, groups, next, spec, topics};

/// Reads until every assigned partition's end.
async fn until_end(consumer: &mut Consumer) -> Vec<String> {
    let mut open = BTreeSet::new();
    let mut read = Vec::new();
    loop {
        match next(consumer).await {
            ConsumerEvent::Assigned(sources) => {
                open.extend(sources.iter().map(ToString::to_string));
            }
            ConsumerEvent::Records(batch) => read.extend(batch.records.iter().map(foo_of)),
            ConsumerEvent::End(source) => {
                assert!(open.remove(&source.to_string()), "{source} ended twice");
            }
            ConsumerEvent::Warning(_) => {}
            other => panic!("{other:?}"),
        }
        if open.is_empty() {
            return read;
        }
    }
}

#[tokio::test]
async fn a_reader_sees_everything_up_to_the_ends_and_leaves_no_group_behind() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let publisher = connection.publisher();
    for n in 0..30 {
        let stream = format!("content.{}", n % 3);
        drop(
            publisher
                .publish(&stream, &content(n.to_string()))
                .enqueue()
                .await
                .unwrap(),
        );
    }
    publisher.flush(Duration::from_secs(10)).await.unwrap();
    let before: BTreeSet<String> = groups(&kafka).await.into_iter().collect();
    let mut reader = connection
        .broker()
        .consume(spec(None, "content.*", Start::Earliest))
        .await
        .unwrap();
    let read: BTreeSet<String> = until_end(&mut reader).await.into_iter().collect();
    assert_eq!(read, (0..30).map(|n| n.to_string()).collect());
    reader.control().close(Vec::new()).await.unwrap();
    // Other tests make groups of their own, which all have a test's prefix.
    let after: Vec<String> = groups(&kafka)
        .await
        .into_iter()
        .filter(|group| !before.contains(group) && !group.starts_with("test-"))
        .collect();
    assert!(after.is_empty(), "{after:?}");
}

#[tokio::test]
async fn a_reader_from_the_end_sees_only_what_comes() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let publisher = connection.publisher();
    publisher
        .publish("content.r", &content("old"))
        .await
        .unwrap();
    let mut reader = connection
        .broker()
        .consume(spec(None, "content.r", Start::Latest))
        .await
        .unwrap();
    assert!(until_end(&mut reader).await.is_empty());
    publisher
        .publish("content.r", &content("new"))
        .await
        .unwrap();
    publisher
        .publish("content.r.not", &content("other"))
        .await
        .unwrap();
    let ConsumerEvent::Records(batch) = next(&mut reader).await else {
        panic!("no records")
    };
    assert_eq!(foo_of(&batch.records[0]), "new");
}

#[tokio::test]
async fn a_reader_finds_topics_that_come_later_and_creates_none() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let mut reader = connection
        .broker()
        .consume(spec(None, "later", Start::Latest))
        .await
        .unwrap();
    let _nothing = connection
        .broker()
        .consume(spec(None, "never", Start::Latest))
        .await
        .unwrap();
    connection
        .publisher()
        .publish("later", &content("first"))
        .await
        .unwrap();
    loop {
        if let ConsumerEvent::Records(batch) = next(&mut reader).await {
            assert_eq!(foo_of(&batch.records[0]), "first");
            break;
        }
    }
    // Both readers have looked at the cluster meanwhile.
    let never = format!("{}never", kafka.prefix());
    assert!(!topics(&kafka).contains(&never), "reading created a topic");
}
