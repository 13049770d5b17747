//! Laws of consumer groups: commits, starts, patterns, rebalances.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kafkaesk_client::{
    consumer::{ConsumerEvent, NotCommitted, Start},
    core::NextOffset,
};
use tokio::sync::{Mutex, Notify, oneshot};

use super::fixture::{Fixture, Seen, TIMEOUT, Tap, outgoing, value};

pub(super) async fn a_group_goes_on_behind_its_commit(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..6).await;
    let group = law.group();
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let read = tap.records(6).await;
    // The second commit is a step back: an offset is what was said last.
    let control = tap.consumer.control();
    control.commit(vec![(read[5].source.clone(), read[5].offset.next().into())]);
    control
        .close(vec![(read[1].source.clone(), read[1].offset.next().into())])
        .await
        .unwrap();
    tap.abandon().await;
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    let again: Vec<i32> = tap.records(4).await.iter().map(value).collect();
    assert_eq!(again, [2, 3, 4, 5]);
    tap.close().await;
    law.fill(&topic, 0, [6]).await;
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    assert_eq!(value(&tap.records(1).await[0]), 6);
    tap.close().await;
}

pub(super) async fn what_was_not_committed_comes_again(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..3).await;
    let group = law.group();
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    tap.records(3).await;
    tap.abandon().await;
    let mut tap = law.consume(Some(&group), "a", Start::Earliest).await;
    assert_eq!(tap.records(3).await.len(), 3);
    tap.close().await;
}

pub(super) async fn a_pattern_takes_up_later_topics_and_nothing_of_another_prefix(law: Fixture) {
    let mut tap = law
        .consume(Some(&law.group()), "a.*", Start::Earliest)
        .await;
    assert!(tap.quiet(Duration::from_secs(1)).await.is_empty());
    for (stream, n) in [("b.0", 100), ("a.1", 1), ("c.a.0", 101), ("a.2", 2)] {
        let topic = law.create(stream, 2).await;
        law.send(outgoing(&topic, None, &n.to_string()))
            .await
            .unwrap();
    }
    let mut read: Vec<i32> = tap.records(2).await.iter().map(value).collect();
    read.sort_unstable();
    assert_eq!(read, [1, 2]);
    let topic = law.create("a.3", 2).await;
    let started = tokio::time::Instant::now();
    law.send(outgoing(&topic, None, "3")).await.unwrap();
    assert_eq!(value(&tap.records(1).await[0]), 3);
    assert!(started.elapsed() < Duration::from_secs(5), "discovery");
    tap.close().await;
}

/// What several members read, in the order in which they saw it.
type Log = Arc<(Mutex<Vec<(usize, i32, i64)>>, Notify)>;

struct Running {
    assigned: Arc<Notify>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

fn run(member: usize, mut tap: Tap, log: Log) -> Running {
    let (stop, mut stopped) = oneshot::channel();
    let assigned = Arc::new(Notify::new());
    let first = assigned.clone();
    let ended = tokio::spawn(async move {
        loop {
            let seen = tokio::select! {
                _ = &mut stopped => break,
                seen = tap.next() => seen.expect("the stream ended"),
            };
            match seen {
                Seen::Assigned(_) => first.notify_one(),
                Seen::Records(records) => {
                    let seen = records.iter().map(|r| (member, r.partition(), r.offset.0));
                    log.0.lock().await.extend(seen);
                    log.1.notify_one();
                }
                Seen::Gone | Seen::End(_) => {}
            }
        }
        tap.close().await;
    });
    Running {
        assigned,
        stop,
        ended,
    }
}

pub(super) async fn members_joining_and_leaving_lose_and_repeat_nothing(law: Fixture) {
    const PARTITIONS: i32 = 6;
    let topic = law.create("a", PARTITIONS as u32).await;
    let group = law.group();
    let log = Log::default();
    let send = async |count: i64| {
        for partition in 0..PARTITIONS {
            law.fill(&topic, partition, 0..10).await;
        }
        let all = async {
            while log.0.lock().await.len() < (count * i64::from(PARTITIONS)) as usize {
                log.1.notified().await;
            }
        };
        let read = tokio::time::timeout(TIMEOUT, all).await;
        assert!(read.is_ok(), "lost: {:?}", log.0.lock().await);
    };
    let join = async |member| {
        let tap = law.consume(Some(&group), "a", Start::Earliest).await;
        let running = run(member, tap, log.clone());
        let assigned = tokio::time::timeout(TIMEOUT, running.assigned.notified()).await;
        assert!(assigned.is_ok(), "member {member} got nothing");
        running
    };

    let first = join(1).await;
    send(10).await;
    let second = join(2).await;
    send(20).await;
    let third = join(3).await;
    send(30).await;
    first.stop.send(()).unwrap();
    first.ended.await.unwrap();
    send(40).await;
    for member in [second, third] {
        member.stop.send(()).unwrap();
        member.ended.await.unwrap();
    }

    let mut partitions: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    let log = log.0.lock().await;
    for (_, partition, offset) in log.iter() {
        partitions.entry(*partition).or_default().push(*offset);
    }
    for (partition, offsets) in partitions {
        assert!(
            offsets.iter().copied().eq(0..40),
            "partition {partition}: {offsets:?}"
        );
    }
    for member in 1..=3 {
        assert!(log.iter().any(|(m, _, _)| *m == member), "member {member}");
    }
}

pub(super) async fn latest_skips_what_was_there_and_reads_later_topics_whole(law: Fixture) {
    let old = law.create("a.old", 1).await;
    law.fill(&old, 0, 0..5).await;
    let group = law.group();
    let mut tap = law.consume(Some(&group), "a.*", Start::Latest).await;
    tap.assigned().await;
    law.fill(&old, 0, [5]).await;
    let new = law.create("a.new", 1).await;
    law.fill(&new, 0, [6]).await;
    let mut read: Vec<i32> = tap.records(2).await.iter().map(value).collect();
    read.sort_unstable();
    assert_eq!(read, [5, 6]);
    tap.close().await;
}

pub(super) async fn latest_means_the_groups_first_start(law: Fixture) {
    let topic = law.create("a", 1).await;
    law.fill(&topic, 0, 0..5).await;
    let group = law.group();
    let mut tap = law.consume(Some(&group), "a", Start::Latest).await;
    tap.assigned().await;
    tap.quiet(Duration::from_secs(1)).await;
    tap.abandon().await;
    law.fill(&topic, 0, [5]).await;
    let mut tap = law.consume(Some(&group), "a", Start::Latest).await;
    assert_eq!(value(&tap.records(1).await[0]), 5);
    tap.close().await;
}

pub(super) async fn a_duration_back_starts_there(law: Fixture) {
    let topic = law.create("a", 1).await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    for (ago, n) in [(7200, 0), (3600, 1), (60, 2), (1, 3)] {
        let mut record = outgoing(&topic, None, &n.to_string());
        record.timestamp = Some(now - ago * 1000);
        law.send(record).await.unwrap();
    }
    let back = Start::Back(Duration::from_secs(600));
    let mut tap = law.consume(Some(&law.group()), "a", back).await;
    let read: Vec<i32> = tap.records(2).await.iter().map(value).collect();
    assert_eq!(read, [2, 3]);
    tap.close().await;
}

pub(super) async fn a_consumer_may_be_closed_twice(law: Fixture) {
    law.create("a", 1).await;
    for group in [Some(law.group()), None] {
        let mut tap = law.consume(group.as_deref(), "a", Start::Earliest).await;
        tap.assigned().await;
        let control = tap.consumer.control();
        tap.close().await;
        let again = tokio::time::timeout(Duration::from_secs(5), control.close(Vec::new())).await;
        again.expect("closing again waits for nobody").unwrap();
    }
}

pub(super) async fn a_paused_partition_rests_until_it_is_resumed(law: Fixture) {
    let topic = law.create("a", 2).await;
    let mut tap = law.consume(Some(&law.group()), "a", Start::Earliest).await;
    let sources = tap.assigned().await;
    let paused = sources.iter().find(|s| s.partition == 0).unwrap().clone();
    let control = tap.consumer.control();
    control.pause(std::slice::from_ref(&paused));
    // A fetch that is under way may still bring what it finds.
    tap.quiet(Duration::from_secs(1)).await;
    law.fill(&topic, 0, [1]).await;
    law.fill(&topic, 1, [2]).await;
    assert_eq!(value(&tap.records(1).await[0]), 2);
    assert!(tap.quiet(Duration::from_secs(2)).await.is_empty());
    control.resume(&[paused]);
    assert_eq!(value(&tap.records(1).await[0]), 1);
    tap.close().await;
}

pub(super) async fn a_member_has_joined_whether_or_not_it_got_a_partition_until_it_leaves(
    law: Fixture,
) {
    let topic = law.create("a", 1).await;
    let group = law.group();
    let mut first = law.consume(Some(&group), "a", Start::Earliest).await;
    first.joins().await;
    let mut second = law.consume(Some(&group), "a", Start::Earliest).await;
    second.joins().await;
    law.fill(&topic, 0, [1]).await;
    // So the second one has no partition.
    first.records(1).await;
    let other = format!("{group}-other");
    let mut idle = law.consume(Some(&other), "b", Start::Earliest).await;
    idle.joins().await;
    let reader = law.consume(None, "a", Start::Earliest).await;
    for tap in [first, second, idle, reader] {
        let control = tap.consumer.control();
        assert!(control.is_joined());
        tap.close().await;
        assert!(!control.is_joined());
    }
}

pub(super) async fn a_member_that_takes_no_part_gives_its_partitions_to_others_and_comes_back(
    law: Fixture,
) {
    let topic = law.create("a", 2).await;
    let group = law.group();
    let mut first = law.consume(Some(&group), "a", Start::Earliest).await;
    first.assigned().await;
    law.fill(&topic, 0, 0..2).await;
    law.fill(&topic, 1, 2..4).await;
    first.records(4).await;
    let control = first.consumer.control();
    control.take_part(false);
    assert!(matches!(first.next().await, Some(Seen::Gone)));
    let mut second = law.consume(Some(&group), "a", Start::Earliest).await;
    // What the first one had read is committed by its answer.
    law.fill(&topic, 0, [4]).await;
    law.fill(&topic, 1, [5]).await;
    let mut read: Vec<i32> = second.records(2).await.iter().map(value).collect();
    read.sort_unstable();
    assert_eq!(read, [4, 5]);
    assert!(!control.is_joined());
    let broker = law.connection.broker();
    let readers = broker.readers(&topic).await.unwrap();
    assert_eq!(readers, BTreeMap::from([(group.clone(), 1)]));
    control.take_part(true);
    let answers = async { while second.next().await.is_some() {} };
    tokio::select! {
        () = answers => panic!("the stream ended"),
        sources = first.assigned() => assert!(!sources.is_empty()),
    }
    assert!(control.is_joined());
    // Of two calls within a moment the last one counts.
    control.take_part(false);
    control.take_part(true);
    second.close().await;
    law.fill(&topic, 0, [6]).await;
    law.fill(&topic, 1, [7]).await;
    let mut read: Vec<i32> = first.records(2).await.iter().map(value).collect();
    read.sort_unstable();
    assert_eq!(read, [6, 7]);
    first.close().await;
    for partition in [0, 1] {
        assert_eq!(law.committed(&group, &topic, partition).await, Some(4));
    }
}

pub(super) async fn an_acknowledged_commit_is_written_even_while_a_revoke_waits_and_not_after_it(
    law: Fixture,
) {
    let topic = law.create("a", 1).await;
    let group = law.group();
    let mut first = law.consume(Some(&group), "a", Start::Earliest).await;
    let source = first.assigned().await.remove(0);
    law.fill(&topic, 0, 0..3).await;
    first.records(3).await;
    let control = first.consumer.control();
    let commit = async |offset: i64| {
        let commits = vec![(source.clone(), NextOffset(offset).into())];
        control.commit_acknowledged(commits).await.remove(0)
    };
    commit(1).await.unwrap();
    assert_eq!(law.committed(&group, &topic, 0).await, Some(1));
    control.take_part(false);
    let Some(ConsumerEvent::Revoked(gone, ack)) = first.consumer.next().await else {
        panic!("expected a revoke");
    };
    commit(2).await.unwrap();
    assert_eq!(law.committed(&group, &topic, 0).await, Some(2));
    ack.release(vec![(gone[0].clone(), NextOffset(3).into())]);
    let end = tokio::time::Instant::now() + TIMEOUT;
    // One that comes before the release is done belongs to the assignment, and the acknowledgement counts.
    while !matches!(commit(1).await, Err(NotCommitted::NotAssigned)) {
        assert!(tokio::time::Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(law.committed(&group, &topic, 0).await, Some(3));
    first.abandon().await;
}
