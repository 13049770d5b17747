//! Laws of what happens to a topic while it is read: deleted records, offsets without records, added partitions,
//! deletion and creation under the same name.

use kafkaesk_client::{
    ClientError,
    broker::Upcoming,
    consumer::Start,
    core::{NextOffset, Offset},
};

use super::fixture::{Fixture, value};

pub(super) async fn a_record_is_passed_over_only_where_it_is_the_next_one(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..3).await;
    let group = law.group();
    let read = async |skip: &str, expected: &[i32], said: &str| {
        let mut tap = law.consume_passing(&group, "a", skip).await;
        let read: Vec<i32> = tap
            .records(expected.len())
            .await
            .iter()
            .map(value)
            .collect();
        assert_eq!(read, expected);
        tap.warned(&[said]).await;
        tap
    };
    // Not the next one: nothing is passed over.
    let tap = read("a[0]@1", &[0, 1, 2], "a[0]@1 is not passed over").await;
    tap.abandon().await;
    let tap = read("a[0]@0", &[1, 2], "[0]@0 is passed over").await;
    tap.close().await;
    assert_eq!(law.committed(&group, &topic, 0).await, Some(3));
}

pub(super) async fn a_group_is_moved_while_it_has_no_members_and_not_else(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..5).await;
    let (group, broker) = (law.group(), law.connection.broker());
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    tap.records(5).await;
    let position = broker.group_position(&group, &topic, 0).await.unwrap();
    assert_eq!(position.members.len(), 1, "{position:?}");
    let error = broker
        .move_group(&group, &topic, 0, NextOffset(1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::GroupHasMembers { .. }),
        "{error}"
    );
    tap.close().await;
    let position = broker.group_position(&group, &topic, 0).await.unwrap();
    assert_eq!(position.committed, Some(NextOffset(5)));
    assert_eq!(
        (position.first, position.end),
        (NextOffset(0), NextOffset(5))
    );
    assert_eq!(position.upcoming, Upcoming::Nothing);
    broker
        .move_group(&group, &topic, 0, NextOffset(3))
        .await
        .unwrap();
    let position = broker.group_position(&group, &topic, 0).await.unwrap();
    assert!(
        matches!(
            position.upcoming,
            Upcoming::Record {
                offset: Offset(3),
                bytes: 1,
                ..
            }
        ),
        "{position:?}"
    );
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read: Vec<i32> = tap.records(2).await.iter().map(value).collect();
    assert_eq!(read, [3, 4]);
    tap.close().await;
}

pub(super) async fn a_committed_offset_that_was_deleted_is_said_with_what_was_lost(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..20).await;
    let group = law.group();
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read = tap.records(20).await;
    let control = tap.consumer.control();
    control
        .close(vec![(read[0].source.clone(), NextOffset(3).into())])
        .await
        .unwrap();
    law.delete_records(&topic, 0, Offset(10)).await;
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read: Vec<i32> = tap.records(10).await.iter().map(value).collect();
    assert!(read.into_iter().eq(10..20));
    tap.warned(&[topic.as_str(), "[0]", "offset 3 ", "offset 10", "7 records"])
        .await;
    assert_eq!(tap.warnings.len(), 1, "{:?}", tap.warnings);
    tap.close().await;
}

pub(super) async fn a_committed_offset_beyond_the_end_is_said_with_what_is_read_again(
    law: Fixture,
) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..5).await;
    let group = law.group();
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read = tap.records(5).await;
    let control = tap.consumer.control();
    control
        .close(vec![(read[0].source.clone(), NextOffset(100).into())])
        .await
        .unwrap();
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read: Vec<i32> = tap.records(5).await.iter().map(value).collect();
    assert!(read.into_iter().eq(0..5));
    tap.warned(&[
        topic.as_str(),
        "[0]",
        "offset 100 ",
        "offset 5",
        "5 records",
    ])
    .await;
    assert_eq!(tap.warnings.len(), 1, "{:?}", tap.warnings);
    tap.close().await;
}

pub(super) async fn records_deleted_while_a_partition_rests_are_said(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..4).await;
    let mut tap = law.consume(Some(&law.group()), "a", Start::Earliest).await;
    let read = tap.records(4).await;
    let (control, source) = (tap.consumer.control(), read[0].source.clone());
    control.pause(std::slice::from_ref(&source));
    tap.quiet(std::time::Duration::from_secs(1)).await;
    law.fill(&topic, 0, 4..12).await;
    law.delete_records(&topic, 0, Offset(9)).await;
    control.resume(&[source]);
    let read: Vec<i32> = tap.records(3).await.iter().map(value).collect();
    assert_eq!(read, [9, 10, 11]);
    tap.warned(&[topic.as_str(), "offset 4 ", "offset 9", "5 records"])
        .await;
    tap.close().await;
}

pub(super) async fn a_position_passes_offsets_without_records(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..2).await;
    let marks = law.skip_offsets(&topic, 0).await;
    let group = law.group();
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    tap.records(2).await;
    tap.reaches(0, 2 + marks).await;
    // Nothing is passed over for it.
    law.fill(&topic, 0, [2]).await;
    let more = tap.records(1).await;
    assert_eq!((value(&more[0]), more[0].offset.0), (2, 2 + marks));
    tap.close().await;
    assert_eq!(law.committed(&group, &topic, 0).await, Some(3 + marks));
}

pub(super) async fn a_partition_that_is_added_is_read_within_seconds(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, [1]).await;
    for group in [Some(law.group()), None] {
        let partitions = if group.is_some() { 3 } else { 5 };
        let mut tap = law.consume(group.as_deref(), "a", Start::Earliest).await;
        tap.records(if group.is_some() { 1 } else { 2 }).await;
        law.add_partitions(&topic, partitions).await;
        let added = tokio::time::Instant::now();
        law.fill_when_there(&topic, partitions as i32 - 1, 7).await;
        assert_eq!(value(&tap.records(1).await[0]), 7);
        assert!(added.elapsed() < std::time::Duration::from_secs(15));
        tap.close().await;
    }
}

pub(super) async fn a_topic_created_again_is_read_from_its_first_record(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..3).await;
    let group = law.group();
    for group in [Some(group.as_str()), None] {
        let mut tap = law.consume(group, "a", Start::Earliest).await;
        let read = tap.records(3).await;
        tap.commit_read();
        law.delete_topic(&topic).await;
        law.create_again(&topic, 1).await;
        // As many and more than before: its offsets do not tell that it is another topic.
        for value in 10..16 {
            law.fill_when_there(&topic, 0, value).await;
        }
        let mut again = Vec::new();
        while !again.ends_with(&[10, 11, 12, 13, 14, 15]) {
            again.extend(tap.records_some().await.iter().map(value));
        }
        // Not the warning of an offset beyond the end, which may come before.
        tap.warned(&[topic.as_str(), "read from its first record"])
            .await;
        // What was read before it was noticed is read once more.
        tap.reaches(0, 6).await;
        assert!(read.iter().all(|record| record.topic() == topic.as_str()));
        tap.close().await;
        if let Some(group) = group {
            assert_eq!(law.committed(group, &topic, 0).await, Some(6));
        }
        // The next round starts as the first did.
        law.delete_topic(&topic).await;
        law.create_again(&topic, 1).await;
        for value in 0..3 {
            law.fill_when_there(&topic, 0, value).await;
        }
    }
}
