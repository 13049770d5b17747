//! Laws of transactions: all records or none, one owner of an id at a time.

use kafkaesk_client::{
    ClientError,
    broker::Outgoing,
    consumer::Start,
    core::{Record, TopicName},
};

use super::fixture::{Fixture, outgoing, value};

fn to(topic: &TopicName, partition: i32, value: &str) -> Outgoing {
    Outgoing {
        partition: Some(partition),
        ..outgoing(topic, Some("k"), value)
    }
}

async fn read(law: &Fixture, pattern: &str, count: usize) -> Vec<i32> {
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
    assert_eq!(read(&law, "b", 1).await, [2]);
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
    assert_eq!(read(&law, "a", 2).await, [4, 5]);
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
    assert_eq!(read(&law, "a", 3).await, [1, 3, 4]);
}
