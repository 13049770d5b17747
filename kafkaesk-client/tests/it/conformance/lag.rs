//! Laws of lag: what a group has not read, with members and without.

use kafkaesk_client::{
    consumer::Start,
    core::{NextOffset, Offset, Pattern},
    lag::{GroupLag, PartitionLag},
};

use super::fixture::{Fixture, TIMEOUT};

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

pub(super) async fn the_lag_of_given_partitions_is_theirs_alone(law: Fixture) {
    let topic = law.create("a", 3).await;
    law.fill(&topic, 0, 0..6).await;
    law.fill(&topic, 2, 6..9).await;
    let group = law.group();
    let asked = [2, 0, 0].map(|partition| law.source("a", partition));
    // Nothing is committed yet, and nobody knows the group.
    let fresh = law.connection.lag_of(&group, &asked).await.unwrap();
    let behind: Vec<_> = fresh.iter().map(PartitionLag::records).collect();
    assert_eq!(behind, [Some(3), Some(6), Some(6)]);

    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read = tap.records(9).await;
    let source = |partition| {
        let mut of = read
            .iter()
            .filter(|read| read.source.partition == partition);
        of.next().unwrap().source.clone()
    };
    let commits = vec![
        (source(0), NextOffset(4).into()),
        (source(2), NextOffset(1).into()),
    ];
    tap.consumer.control().close(commits).await.unwrap();
    tap.abandon().await;
    law.delete_records(&topic, 0, Offset(1)).await;
    let some = law.connection.lag_of(&group, &asked).await.unwrap();
    let whole = lag(&law).await;
    for (lag, source) in some.iter().zip(&asked) {
        let same = &whole.partitions[usize::try_from(source.partition).unwrap()];
        assert_eq!((&lag.topic, &lag.stream), (&source.topic, &source.stream));
        assert_eq!(lag.partition, source.partition);
        assert_eq!(lag.committed, same.committed);
        assert_eq!(lag.bounds, same.bounds);
        assert!(lag.bounds.is_some() && lag.committed.is_some());
        assert_eq!(lag.oldest, None);
    }
    let behind: Vec<_> = some.iter().map(PartitionLag::records).collect();
    assert_eq!(behind, [Some(2), Some(2), Some(2)]);
    assert_eq!(some[1].bounds.unwrap().first, NextOffset(1));
    let none = law.connection.lag_of(&group, &[]).await.unwrap();
    assert!(none.is_empty());
    // Together with a group that committed nothing, and with one that is asked for nothing.
    let (stranger, here) = (format!("{group}-2"), &asked[..2]);
    let all = [(&*stranger, here), (&*group, here), (&*group, &[])];
    let all = law.connection.lags_of(&all).await.unwrap();
    let behind: Vec<Vec<_>> = all
        .iter()
        .map(|lags| lags.as_ref().unwrap().iter().map(PartitionLag::records))
        .map(Iterator::collect)
        .collect();
    assert_eq!(
        behind,
        [vec![Some(3), Some(5)], vec![Some(2), Some(2)], vec![]]
    );
}

pub(super) async fn a_partition_that_is_not_there_has_no_bounds_and_the_others_have(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..2).await;
    let gone = law.create("b", 1).await;
    let group = law.group();
    let asked = [
        law.source("a", 0),
        law.source("a", 5),
        law.source("b", 0),
        law.source("c", 0),
    ];
    let there = async || {
        let lags = law.connection.lag_of(&group, &asked).await.unwrap();
        lags.iter().map(PartitionLag::records).collect::<Vec<_>>()
    };
    assert_eq!(there().await, [Some(2), None, Some(0), None]);
    law.delete_topic(&gone).await;
    // What was known of a deleted topic is forgotten with the next refusal.
    let end = tokio::time::Instant::now() + TIMEOUT;
    while there().await != [Some(2), None, None, None] {
        assert!(tokio::time::Instant::now() < end, "{:?}", there().await);
    }
    let nothing = law.connection.lag_of(&group, &asked[1..]).await.unwrap();
    assert!(
        nothing.iter().all(|lag| lag.bounds.is_none()),
        "{nothing:?}"
    );
}

pub(super) async fn offsets_that_hold_no_record_are_no_lag(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..3).await;
    let group = law.group();
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read = tap.records(3).await;
    let control = tap.consumer.control();
    let all = vec![(read[2].source.clone(), NextOffset(3).into())];
    control.close(all).await.unwrap();
    tap.abandon().await;
    assert!(law.skip_offsets(&topic, 0).await > 0);
    let here = lag(&law).await;
    let bounds = here.partitions[0].bounds.unwrap();
    assert!(bounds.end > NextOffset(3), "{bounds:?}");
    assert_eq!((records(&here), here.oldest()), (vec![Some(0)], None));
    assert!(here.partitions[0].read_whole);
    // A record behind them is.
    law.fill(&topic, 0, [3]).await;
    let here = lag(&law).await;
    assert!(!here.partitions[0].read_whole);
    assert!(here.records() > 0 && here.oldest().is_some());
}

pub(super) async fn a_group_that_never_committed_is_behind_by_all_that_is_there(law: Fixture) {
    let topic = law.create("a.x", 2).await;
    law.create("b", 1).await;
    law.fill(&topic, 0, 0..3).await;
    law.fill(&topic, 1, 3..5).await;
    law.delete_records(&topic, 0, Offset(1)).await;
    let patterns = ["a.*", "c"].map(|pattern| Pattern::new(pattern).unwrap());
    let group = law.group();
    let lag = law.connection.lag_from_start(&group, &patterns).await;
    let lag = lag.unwrap().unwrap();
    assert_eq!(records(&lag), [Some(2), Some(2)]);
    assert!(lag.has_members != Some(true) && lag.oldest().is_some());
    assert!(lag.partitions.iter().all(|it| it.committed.is_none()));
    let none = law.connection.lag_from_start(&group, &patterns[1..]);
    assert!(none.await.unwrap().is_none());
}
