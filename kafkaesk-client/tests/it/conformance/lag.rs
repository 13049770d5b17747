//! Laws of lag: what a group has not read, with members and without.

use kafkaesk_client::{
    consumer::Start,
    core::{NextOffset, Offset},
    lag::{GroupLag, PartitionLag},
};

use super::fixture::Fixture;

/// The lag of the fixture's group.
async fn lag(law: &Fixture) -> GroupLag {
    let mut found = law.connection.lag(&[law.group()]).await.unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn records(lag: &GroupLag) -> Vec<Option<u64>> {
    lag.partitions.iter().map(PartitionLag::records).collect()
}

pub(super) async fn a_groups_lag_is_what_it_has_not_committed(law: Fixture) {
    let topic = law.create("a", 2).await;
    law.fill(&topic, 0, 0..6).await;
    let group = law.group();
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read = tap.records(6).await;
    let control = tap.consumer.control();
    let here = lag(&law).await;
    assert_eq!(here.has_members, Some(true));
    control
        .close(vec![(read[3].source.clone(), NextOffset(4).into())])
        .await
        .unwrap();
    tap.abandon().await;
    law.fill(&topic, 1, [6]).await;
    let gone = lag(&law).await;
    assert_eq!(gone.has_members, Some(false));
    assert_eq!(records(&gone), [Some(2), Some(1)]);
    assert_eq!(gone.records(), 3);
    let [first, second] = &gone.partitions[..] else {
        panic!("{gone:?}")
    };
    assert_eq!(first.committed, Some(NextOffset(4)));
    assert_eq!(first.oldest, read[4].timestamp);
    assert_eq!(second.committed, None);
    assert!(second.oldest >= first.oldest);
    assert_eq!(gone.oldest(), first.oldest);
}

pub(super) async fn groups_that_read_our_streams_are_found_and_others_are_not(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..2).await;
    let group = law.group();
    assert!(law.connection.lag(&[]).await.unwrap().is_empty());
    assert!(
        law.connection
            .lag(std::slice::from_ref(&group))
            .await
            .unwrap()
            .is_empty()
    );
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read = tap.records(2).await;
    let control = tap.consumer.control();
    control
        .close(vec![(read[1].source.clone(), NextOffset(2).into())])
        .await
        .unwrap();
    tap.abandon().await;
    let found = law.connection.lag(&[]).await.unwrap();
    let names: Vec<&str> = found.iter().map(|lag| lag.group.as_str()).collect();
    assert_eq!(names, [group.as_str()]);
    assert_eq!(found[0].records(), 0);
    assert_eq!(found[0].oldest(), None);
}

pub(super) async fn what_is_deleted_is_no_lag(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..10).await;
    let group = law.group();
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read = tap.records(10).await;
    let control = tap.consumer.control();
    control
        .close(vec![(read[0].source.clone(), NextOffset(1).into())])
        .await
        .unwrap();
    tap.abandon().await;
    law.delete_records(&topic, 0, Offset(7)).await;
    let behind = lag(&law).await;
    assert_eq!(records(&behind), [Some(3)]);
    assert_eq!(behind.oldest(), read[7].timestamp);
    law.delete_topic(&topic).await;
    law.create_again(&topic, 1).await;
    // The offset of the former topic lies beyond the end of this one, or went with the former.
    assert_eq!(lag(&law).await.records(), 0);
}
