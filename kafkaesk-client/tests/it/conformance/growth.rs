//! Laws of growth: what stands against it changes nothing, a drained stream keeps each key's order, and publishers follow.

use std::time::{Duration, SystemTime};

use kafkaesk_client::{
    Connection,
    catalog::StreamSpec,
    consumer::Start,
    core::{Keys, SchemaName, StreamId, TopicName, partitioner::partition_for_key},
    growth::{DrainWait, GrowthError, GrowthPlan, GrowthRequest, PUBLISHERS_FOLLOW},
};
use tokio::time::Instant;

use super::fixture::{Fixture, TIMEOUT, Tap, outgoing};
use crate::support::content;

const FROM: u32 = 2;
const TO: u32 = 4;
const QUIET: DrainWait = DrainWait {
    quiet: Duration::from_secs(1),
    within: TIMEOUT,
};

impl Fixture {
    /// The stream `a` of `Content`.
    async fn stream(&self, change: impl FnOnce(&mut StreamSpec)) -> TopicName {
        let mut spec = StreamSpec::new(StreamId::new("a").unwrap());
        spec.schema = Some(SchemaName::new("Content").unwrap());
        spec.partitions = Some(FROM);
        change(&mut spec);
        let made = self.connection.catalog().ensure_stream(&spec).await;
        made.unwrap().topic
    }

    async fn planned(&self, to: u32) -> Result<GrowthPlan, GrowthError> {
        let request = GrowthRequest::new(StreamId::new("a").unwrap(), to);
        self.connection.plan_growth(&request).await
    }

    /// What stands against four partitions.
    async fn against(&self) -> Vec<String> {
        let plan = self.planned(TO).await.unwrap();
        plan.obstacles.iter().map(ToString::to_string).collect()
    }

    async fn partitions(&self, topic: &TopicName) -> u32 {
        let there = self.connection.broker().topic(topic, "Describe").await;
        there.unwrap().unwrap().partitions
    }

    /// Publishes under each of twenty keys; where they went.
    async fn publish_keys(&self, text: &str) -> Vec<(String, i32)> {
        let publisher = self.connection.publisher();
        let mut sent = Vec::new();
        for key in keys() {
            let published = publisher.publish("a", &content(text)).key(&key).await;
            sent.push((key, published.unwrap().partition));
        }
        sent
    }
}

fn keys() -> impl Iterator<Item = String> {
    (0..20).map(|key| format!("key-{key}"))
}

fn homes(partitions: u32) -> Vec<(String, i32)> {
    keys()
        .map(|key| (key.clone(), partition_for_key(key.as_bytes(), partitions)))
        .collect()
}

/// Reads so many records, commits them, and waits until the brokers have that.
async fn handle(law: &Fixture, tap: &mut Tap, topic: &TopicName, count: usize) -> Vec<String> {
    let read = tap.records(count).await;
    tap.commit_read();
    let end = Instant::now() + TIMEOUT;
    let group = law.group();
    loop {
        let commits = law.connection.broker().group_commits(&group, topic);
        let commits = commits.await.unwrap();
        let total: i64 = commits.values().map(|commit| commit.next.0).sum();
        let ends = law.connection.broker();
        let asked: Vec<_> = (0..law.partitions(topic).await.cast_signed())
            .map(|partition| (topic.clone(), partition))
            .collect();
        let ends = ends.written_ends(&asked).await.unwrap();
        if total == ends.into_iter().flatten().map(|end| end.0).sum::<i64>() {
            break;
        }
        assert!(Instant::now() < end, "the commit did not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    read.iter().map(|record| text(record.value())).collect()
}

pub(super) async fn a_drained_stream_grows_and_later_events_follow_the_earlier_ones(law: Fixture) {
    let topic = law.stream(|_| ()).await;
    assert_eq!(law.publish_keys("before").await, homes(FROM));
    let mut tap = law.consume(Some(&law.group()), "a", Start::Earliest).await;
    let before = handle(&law, &mut tap, &topic, 20).await;
    assert!(before.iter().all(|value| value.contains("before")));

    let plan = law.planned(TO).await.unwrap();
    assert!(plan.obstacles.is_empty(), "{:?}", plan.obstacles);
    assert_eq!(plan.groups, [law.group()]);
    let mut looks = 0;
    let grown = plan
        .grow_when_drained(&law.connection, QUIET, |_| looks += 1)
        .await
        .unwrap();
    assert_eq!((grown.from, grown.to, grown.moved.len()), (FROM, TO, 0));
    assert!(looks > 1, "it waits until publishing has paused");
    // Those who published before know it by now.
    assert_eq!(law.publish_keys("after").await, homes(TO));
    let after = handle(&law, &mut tap, &topic, 20).await;
    assert!(after.iter().all(|value| value.contains("after")));
    assert!(law.planned(TO).await.unwrap().is_done());
}

pub(super) async fn a_stream_that_is_not_drained_in_time_stays_as_it_is(law: Fixture) {
    let topic = law.stream(|_| ()).await;
    let mut tap = law.consume(Some(&law.group()), "a", Start::Earliest).await;
    law.publish_keys("first").await;
    handle(&law, &mut tap, &topic, 20).await;
    tap.close().await;
    law.publish_keys("second").await;
    let plan = law.planned(TO).await.unwrap();
    let wait = DrainWait {
        within: Duration::from_secs(2),
        ..QUIET
    };
    let refused = plan.grow_when_drained(&law.connection, wait, |_| ()).await;
    let Err(GrowthError::NotDrained { missing, .. }) = refused else {
        panic!("{refused:?}");
    };
    let expected = format!("group {} has 20 unfinished records", law.group());
    assert!(missing.starts_with(&expected), "{missing}");
    assert_eq!(law.partitions(&topic).await, FROM);

    // Without the group, and at once: each says what was unfinished.
    let grown = plan.grow_at_once(&law.connection).await.unwrap();
    let unfinished: u64 = grown.unfinished.iter().map(|it| it.records).sum();
    assert_eq!(unfinished, 20);
    assert_eq!(law.partitions(&topic).await, TO);
    let mut request = GrowthRequest::new(StreamId::new("a").unwrap(), 6);
    request.allowed_groups.insert(law.group());
    let plan = law.connection.plan_growth(&request).await.unwrap();
    let grown = plan.grow_when_drained(&law.connection, QUIET, |_| ()).await;
    assert_eq!(grown.unwrap().to, 6);
}

pub(super) async fn a_publisher_that_does_not_pause_is_noticed(law: Fixture) {
    let topic = law.stream(|_| ()).await;
    law.publish_keys("before").await;
    let plan = law.planned(TO).await.unwrap();
    let publishing = async {
        let end = Instant::now() + TIMEOUT;
        while law.partitions(&topic).await == FROM {
            assert!(Instant::now() < end, "it does not grow");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let publisher = law.connection.publisher();
        let early = publisher.publish("a", &content("early")).key("key-1");
        early.await.unwrap().partition
    };
    let growing = plan.grow_when_drained(&law.connection, QUIET, |_| ());
    let (grown, partition) = tokio::join!(growing, publishing);
    assert_eq!(grown.unwrap().moved, [(partition, 1)]);
}

pub(super) async fn publishers_use_added_partitions_within_two_seconds(law: Fixture) {
    let topic = law.stream(|_| ()).await;
    law.publish_keys("before").await;
    let moved = keys().find(|key| {
        let key = key.as_bytes();
        partition_for_key(key, FROM) != partition_for_key(key, TO)
    });
    let key = moved.unwrap();
    let broker = law.connection.broker();
    broker.grow_topic(&topic, TO, false).await.unwrap();
    let grown = Instant::now();
    let publisher = law.connection.publisher();
    loop {
        let published = publisher.publish("a", &content("x")).key(&key).await;
        if published.unwrap().partition == partition_for_key(key.as_bytes(), TO) {
            break;
        }
        assert!(grown.elapsed() < PUBLISHERS_FOLLOW, "it does not follow");
    }
}

pub(super) async fn a_growth_is_as_old_as_the_first_record_of_the_newest_partition(law: Fixture) {
    const MINUTE: Duration = Duration::from_secs(60);
    let topic = law.stream(|_| ()).await;
    let put = async |partition, ago: u32| {
        let mut record = outgoing(&topic, None, r#"{"schema":"Content:1","data":{"foo":"x"}}"#);
        let at = SystemTime::now() - MINUTE * ago;
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        record.timestamp = Some(since.as_millis() as i64);
        record.partition = Some(partition);
        // The producer learns of a new partition within two seconds.
        let end = Instant::now() + TIMEOUT;
        while let Err(error) = law.send(record.clone()).await {
            assert!(Instant::now() < end, "{error}");
        }
    };
    let age = async || {
        let plan = law.planned(8).await.unwrap();
        plan.grown_ago(&law.connection).await.unwrap()
    };
    assert_eq!(age().await, None, "nothing was published");
    put(0, 300).await;
    assert_eq!(age().await, Some(Duration::ZERO), "the newest is not used");
    put(1, 290).await;
    assert_eq!(age().await, None, "both began together");
    let plan = law.planned(TO).await.unwrap();
    plan.grow_at_once(&law.connection).await.unwrap();
    assert_eq!(age().await, Some(Duration::ZERO));
    put(3, 60).await;
    let ago = age().await.unwrap();
    assert!(ago >= 60 * MINUTE && ago < 70 * MINUTE, "{ago:?}");
}

pub(super) async fn consumers_read_added_partitions_within_five_seconds(law: Fixture) {
    let topic = law.stream(|_| ()).await;
    let mut tap = law.consume(Some(&law.group()), "a", Start::Latest).await;
    tap.assigned().await;
    law.connection
        .broker()
        .grow_topic(&topic, TO, false)
        .await
        .unwrap();
    let grown = Instant::now();
    // Of another program, at once: a group that began with the latest record reads it all the same.
    law.fill_when_there(&topic, TO.cast_signed() - 1, 7).await;
    tap.records(1).await;
    assert!(
        grown.elapsed() < Duration::from_secs(5),
        "{:?}",
        grown.elapsed()
    );
}

pub(super) async fn what_stands_against_a_growth_is_named_and_changes_nothing(law: Fixture) {
    let unknown = law.planned(TO).await.unwrap_err();
    assert!(unknown.to_string().starts_with("there is no stream a "));
    law.create("a", FROM).await;
    let unbound = law.planned(TO).await.unwrap_err();
    assert!(matches!(unbound, GrowthError::NotBound { .. }), "{unbound}");
    let topic = law.stream(|_| ()).await;
    let fewer = law.planned(1).await.unwrap();
    let said = format!("topic {topic} has 2 partitions, and Kafka takes none away");
    assert!(fewer.obstacles[0].to_string().starts_with(&said));
    // A record that is not an event, and one of another schema.
    law.fill(&topic, 1, [1]).await;
    let against = law.against().await;
    assert_eq!(against.len(), 1, "{against:?}");
    assert!(against[0].starts_with(&format!("{topic}[1]@0 is not an event: ")));
    let mut other = outgoing(&topic, None, r#"{"schema":"Other:1","data":1}"#);
    other.partition = Some(1);
    law.send(other).await.unwrap();
    let against = law.against().await;
    assert!(against[0].contains("carries Other:1, not Content"));
    let mut request = GrowthRequest::new(StreamId::new("a").unwrap(), TO);
    request.allow_foreign_writers = true;
    let plan = law.connection.plan_growth(&request).await.unwrap();
    assert!(plan.obstacles.is_empty(), "{:?}", plan.obstacles);
    assert_eq!(law.partitions(&topic).await, FROM);
}

pub(super) async fn a_compacted_topic_is_never_grown(law: Fixture) {
    let compact = ("cleanup.policy".to_owned(), "compact,delete".to_owned());
    let topic = law.stream(|spec| spec.config.extend([compact])).await;
    let against = law.against().await;
    assert!(
        against[0].starts_with(&format!(
            "topic {topic} is compacted (cleanup.policy=compact,delete)"
        )),
        "{against:?}"
    );
}

pub(super) async fn a_keyed_record_in_a_stream_without_keys_stands_against_its_growth(
    law: Fixture,
) {
    let none = |spec: &mut StreamSpec| spec.properties.keys = Some(Keys::None);
    let topic = law.stream(none).await;
    let event = |key| outgoing(&topic, key, r#"{"schema":"Content:1","data":{"foo":"x"}}"#);
    law.send(event(None)).await.unwrap();
    assert!(law.against().await.is_empty());
    law.send(event(Some("k"))).await.unwrap();
    let against = law.against().await;
    assert!(against[0].contains("has a key, though the stream takes none"));
}

/// Kafka alone: the broker in memory has no groups and no open transactions of other programs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_another_program_stands_against_a_growth() {
    let law = Fixture::kafka().await;
    let topic = law.stream(|_| ()).await;
    law.publish_keys("x").await;
    law.commit_unmarked(&topic).await;
    let against = law.against().await;
    let said = format!(
        "group {} has offsets on {topic} without the mark",
        law.group()
    );
    assert!(against[0].starts_with(&said), "{against:?}");
    let mut request = GrowthRequest::new(StreamId::new("a").unwrap(), TO);
    request.allowed_groups.insert(law.group());
    let plan = law.connection.plan_growth(&request).await.unwrap();
    assert!(plan.obstacles.is_empty() && plan.groups.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_with_an_open_transaction_is_not_drained() {
    let law = Fixture::kafka().await;
    let topic = law.stream(|_| ()).await;
    law.publish_keys("x").await;
    let open = law.open_transaction(&topic, 1).await;
    let connection = Connection::open(law.connection.settings()).await.unwrap();
    let plan = law.planned(TO).await.unwrap();
    assert_eq!(plan.look_now(&connection).await.unwrap().open, [1]);
    drop(open);
}
