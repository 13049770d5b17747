//! Laws of readers without a group.

use std::collections::BTreeMap;

use kafkaesk_client::{
    consumer::{ConsumerSpec, OnePartition, Start},
    core::{Offset, TopicName, names::RESERVED_WORDS},
};

use super::fixture::{Fixture, Seen, spec, value};

pub(super) async fn a_reader_tells_each_end_once_and_reads_on(law: Fixture) {
    let topic = law.create("a", 3).await;
    law.fill(&topic, 0, 0..4).await;
    law.fill(&topic, 1, [10]).await;
    let mut tap = law.consume(None, "a", Start::Earliest).await;
    assert_eq!(tap.assigned().await.len(), 3);
    let mut ends: BTreeMap<i32, usize> = BTreeMap::new();
    let mut read: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    while ends.len() < 3 {
        match tap.next().await.unwrap() {
            Seen::Records(records) => {
                for record in records {
                    let partition = record.partition();
                    assert!(!ends.contains_key(&partition), "a record behind its end");
                    read.entry(partition).or_default().push(value(&record));
                }
            }
            Seen::End(source) => *ends.entry(source.partition).or_default() += 1,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(ends, BTreeMap::from([(0, 1), (1, 1), (2, 1)]));
    assert_eq!(read, BTreeMap::from([(0, vec![0, 1, 2, 3]), (1, vec![10])]));
    law.fill(&topic, 2, [20]).await;
    match tap.next().await.unwrap() {
        Seen::Records(records) => assert_eq!(value(&records[0]), 20),
        other => panic!("unexpected {other:?}"),
    }
    tap.close().await;
}

pub(super) async fn a_reader_leaves_nothing_behind(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..2).await;
    for _ in 0..2 {
        let mut tap = law.consume(None, "a", Start::Earliest).await;
        assert_eq!(tap.records(2).await.len(), 2);
        tap.close().await;
    }
    let mut late = law.consume(None, "a", Start::Latest).await;
    late.assigned().await;
    assert!(matches!(late.next().await, Some(Seen::End(_))));
    law.fill(&topic, 0, [2]).await;
    assert_eq!(value(&late.records(1).await[0]), 2);
    late.close().await;
}

pub(super) async fn a_reader_of_one_partition_reads_it_from_its_offset_and_nothing_else(
    law: Fixture,
) {
    let topic = law.create("a", 3).await;
    for partition in 0..3 {
        law.fill(&topic, partition, partition * 10..partition * 10 + 4)
            .await;
    }
    for (from, wanted) in [(None, 4), (Some(Offset(2)), 2)] {
        let partition = OnePartition { partition: 1, from };
        let mut tap = law
            .tap(ConsumerSpec {
                partition: Some(partition),
                ..spec(None, "a", Start::Earliest)
            })
            .await;
        let assigned = tap.assigned().await;
        assert_eq!(assigned.len(), 1);
        assert_eq!(assigned[0].partition, 1);
        let read: Vec<i32> = tap.records(wanted).await.iter().map(value).collect();
        assert_eq!(read, (14 - wanted as i32..14).collect::<Vec<_>>());
        assert!(matches!(tap.next().await, Some(Seen::End(_))));
        tap.close().await;
    }
    let of_a_group = ConsumerSpec {
        partition: Some(OnePartition {
            partition: 1,
            from: None,
        }),
        ..spec(Some(&law.group()), "a", Start::Earliest)
    };
    assert!(law.try_consume(of_a_group).await.is_err());
}

pub(super) async fn a_reserved_topic_reaches_no_consumer(law: Fixture) {
    let topic = law.create("a", 1).await;
    for (number, word) in RESERVED_WORDS.into_iter().enumerate() {
        // The second name is one that the empty prefix would see, of an installation with a prefix.
        for name in [format!("{word}billing"), format!("shop.{word}billing")] {
            let name = TopicName::new(format!("{}{name}", law.prefix())).unwrap();
            assert!(law.try_create(name.clone(), 1).await.unwrap());
            law.fill(&name, 0, [100 + number as i32]).await;
        }
    }
    law.fill(&topic, 0, [1]).await;
    for group in [None, Some(law.group())] {
        let mut tap = law.consume(group.as_deref(), "*", Start::Earliest).await;
        let assigned: Vec<_> = tap
            .assigned()
            .await
            .into_iter()
            .map(|s| s.topic.clone())
            .collect();
        assert!(assigned.iter().eq([&topic]), "{assigned:?}");
        assert_eq!(value(&tap.records(1).await[0]), 1);
        tap.close().await;
    }
}
