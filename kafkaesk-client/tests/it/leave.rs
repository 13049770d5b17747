//! Laws of leaving a group on a real broker, with Kafka's own timeouts: nobody waits for a member that left.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use kafkaesk_client::{
    Connection,
    consumer::{Commits, ConsumerControl, ConsumerEvent, Start},
    testing,
};
use tokio::task::JoinHandle;

use crate::support::{committed, content, next, open, spec};

/// A group must have an owner for each partition this soon: far below `session.timeout.ms`, 45 s.
const SOON: Duration = Duration::from_secs(15);

/// What members own, by their number, and how far each partition was read.
#[derive(Clone, Default)]
struct Group {
    owned: Arc<Mutex<BTreeSet<(usize, i32)>>>,
    next: Arc<Mutex<BTreeMap<i32, i64>>>,
}

impl Group {
    /// How many records were read.
    fn count(&self) -> i64 {
        self.next.lock().unwrap().values().sum()
    }
}

/// A member that acknowledges every revoke, and commits what it read.
struct Member {
    control: Arc<dyn ConsumerControl>,
    read: Arc<Mutex<Commits>>,
    task: JoinHandle<()>,
}

async fn join(
    connection: &Connection,
    group: &str,
    number: usize,
    state: &Group,
    settings: &[(&str, &str)],
) -> Member {
    let mut wanted = spec(Some(group), "content.leave", Start::Earliest);
    for (name, value) in settings {
        wanted
            .kafka_settings
            .insert((*name).into(), (*value).into());
    }
    let mut consumer = connection.broker().consume(wanted).await.unwrap();
    let control = consumer.control();
    let read = Arc::<Mutex<Commits>>::default();
    let (state, seen) = (state.clone(), read.clone());
    let task = tokio::spawn(async move {
        while let Some(event) = consumer.next().await {
            match event {
                ConsumerEvent::Assigned(sources) => {
                    let mut owned = state.owned.lock().unwrap();
                    owned.extend(sources.iter().map(|source| (number, source.partition)));
                }
                ConsumerEvent::Revoked(sources, ack) => {
                    let mut owned = state.owned.lock().unwrap();
                    for source in &sources {
                        owned.remove(&(number, source.partition));
                    }
                    let (gone, stays) = std::mem::take(&mut *seen.lock().unwrap())
                        .into_iter()
                        .partition(|(it, _)| sources.iter().any(|s| Arc::ptr_eq(s, it)));
                    *seen.lock().unwrap() = stays;
                    ack.release(gone);
                }
                ConsumerEvent::Records(batch) => {
                    let mut seen = seen.lock().unwrap();
                    let partition = batch.source.partition;
                    state.next.lock().unwrap().insert(partition, batch.next.0);
                    seen.retain(|(source, _)| !Arc::ptr_eq(source, &batch.source));
                    seen.push((batch.source, batch.next.into()));
                }
                _ => {}
            }
        }
    });
    Member {
        control,
        read,
        task,
    }
}

/// Waits until each of the partitions has one owner.
async fn all_owned(state: &Group, partitions: usize) -> Duration {
    let begun = Instant::now();
    loop {
        let all: BTreeSet<i32> = state
            .owned
            .lock()
            .unwrap()
            .iter()
            .map(|(_, p)| *p)
            .collect();
        if all.len() == partitions {
            return begun.elapsed();
        }
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no owner for all partitions: {all:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn all_read(state: &Group, count: i64) {
    let begun = Instant::now();
    while state.count() < count {
        assert!(begun.elapsed() < SOON, "{} of {count} read", state.count());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn close(member: Member) {
    let last = member.read.lock().unwrap().clone();
    member
        .control
        .close_within(last, Duration::from_secs(5))
        .await
        .unwrap();
    member.task.await.unwrap();
}

async fn connect(kafka: &testing::TestKafka) -> Connection {
    let mut settings = kafka.settings();
    settings.partitions = 2;
    open(&settings).await
}

async fn publish(connection: &Connection, count: usize) {
    let publisher = connection.publisher();
    for n in 0..count {
        publisher
            .publish("content.leave", &content(n.to_string()))
            .key(n.to_string())
            .await
            .unwrap();
    }
}

async fn restarts(settings: &[(&str, &str)]) {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let group = format!("{}g", kafka.prefix());
    let topic = format!("{}content.leave", kafka.prefix());
    let state = Group::default();
    for round in 1..=3 {
        publish(&connection, 10).await;
        state.owned.lock().unwrap().clear();
        // More members than partitions: some have none, and a newcomer has none in its first generation.
        let mut members = Vec::new();
        for number in 0..4 {
            members.push(join(&connection, &group, number, &state, settings).await);
        }
        let waited = all_owned(&state, 2).await;
        assert!(waited < SOON, "round {round}: {waited:?} without an owner");
        all_read(&state, 10 * round).await;
        // All at once, as a deployment does it, while the group may still rebalance.
        let closing: Vec<_> = members
            .into_iter()
            .map(|member| tokio::spawn(close(member)))
            .collect();
        for closed in closing {
            closed.await.unwrap();
        }
        let committed = committed(&kafka, &group, &topic, 2).await;
        assert_eq!(committed, 10 * round, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_members_all_restart_goes_on_at_once() {
    restarts(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_with_eager_assignment_whose_members_all_restart_goes_on_at_once() {
    restarts(&[("partition.assignment.strategy", "range,roundrobin")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kip_848_group_whose_members_all_restart_goes_on_at_once() {
    restarts(&[("group.protocol", "consumer")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_dropped_leaves_its_group_also_without_partitions() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    publish(&connection, 1).await;
    let group = format!("{}g", kafka.prefix());
    let state = Group::default();
    let mut members = Vec::new();
    for number in 0..3 {
        members.push(join(&connection, &group, number, &state, &[]).await);
    }
    all_owned(&state, 2).await;
    for member in members {
        // Its consumer goes with the task.
        member.task.abort();
        let _ = member.task.await;
    }
    state.owned.lock().unwrap().clear();
    let last = join(&connection, &group, 9, &state, &[]).await;
    let waited = all_owned(&state, 2).await;
    assert!(waited < SOON, "{waited:?} without an owner");
    close(last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_commit_of_a_member_that_ends_during_a_rebalance_is_written() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    publish(&connection, 20).await;
    let group = format!("{}g", kafka.prefix());
    let topic = format!("{}content.leave", kafka.prefix());
    let state = Group::default();
    let first = join(&connection, &group, 0, &state, &[]).await;
    all_owned(&state, 2).await;
    all_read(&state, 20).await;
    // The joins below begin rebalances; nothing waits for their ends.
    let others = [
        join(&connection, &group, 1, &state, &[]).await,
        join(&connection, &group, 2, &state, &[]).await,
    ];
    close(first).await;
    for other in others {
        close(other).await;
    }
    assert_eq!(committed(&kafka, &group, &topic, 2).await, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_partitions_does_not_wait_for_a_rebalance_that_others_hold_up() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    publish(&connection, 1).await;
    let group = format!("{}g", kafka.prefix());
    let mut wanted = spec(Some(&group), "content.leave", Start::Earliest);
    // Eager: the second member's join waits for the first one's acknowledgement.
    wanted
        .kafka_settings
        .insert("partition.assignment.strategy".into(), "roundrobin".into());
    wanted.drain = Duration::from_secs(60);
    let mut first = connection.broker().consume(wanted.clone()).await.unwrap();
    while !matches!(next(&mut first).await, ConsumerEvent::Assigned(_)) {}
    let second = connection.broker().consume(wanted).await.unwrap();
    let ack = loop {
        if let ConsumerEvent::Revoked(_, ack) = next(&mut first).await {
            break ack;
        }
    };
    let begun = Instant::now();
    let closing = second.control();
    closing
        .close_within(Vec::new(), Duration::from_secs(40))
        .await
        .unwrap();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    ack.release(Vec::new());
    first.control().close(Vec::new()).await.unwrap();
}
