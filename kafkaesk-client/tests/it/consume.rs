//! Groups on a real broker: what is assigned, revoked, committed and found.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use kafkaesk_client::{
    ClientError, Connection, Settings,
    consumer::{Commits, Consumer, ConsumerEvent, Start},
    core::Unreadable,
    testing,
};

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use crate::support::{
    commits, committed, committed_at, connect, content, foo_of, next, open, read_contents, spec,
};

async fn publish(connection: &Connection, stream: &str, from: usize, to: usize) {
    let publisher = connection.publisher();
    let mut deliveries = Vec::new();
    for n in from..to {
        deliveries.push(
            publisher
                .publish(stream, &content(n.to_string()))
                .key(format!("key-{}", n % 20))
                .header("n", n.to_string())
                .enqueue()
                .await
                .unwrap(),
        );
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
}

async fn member(connection: &Connection, group: &str, pattern: &str, start: Start) -> Consumer {
    connection
        .broker()
        .consume(spec(Some(group), pattern, start))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_record_arrives_as_it_was_published() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    publish(&connection, "content.one", 0, 3).await;
    let group = format!("{}g", kafka.prefix());
    let mut consumer = member(&connection, &group, "content.*", Start::Earliest).await;
    let read = read_contents(&mut consumer, 3).await;
    let (record, foo) = read.iter().find(|(_, foo)| foo == "1").unwrap();
    assert_eq!(record.key.as_deref(), Some(&b"key-1"[..]));
    assert_eq!(record.headers.get_str("n"), Some("1"));
    assert_eq!(
        record.value(),
        br#"{"schema":"Content:1","data":{"foo":"1"}}"#
    );
    assert_eq!(record.stream(), "content.one");
    assert!(record.timestamp.unwrap() > 1_600_000_000_000);
    assert_eq!(foo, "1");
    consumer.control().close(commits(&read)).await.unwrap();
    assert!(matches!(
        consumer.next().await,
        None | Some(ConsumerEvent::Assigned(_))
    ));
    let topic = format!("{}content.one", kafka.prefix());
    assert_eq!(committed(&kafka, &group, &topic, 7).await, 3);
}

#[tokio::test]
async fn what_was_not_committed_comes_again_and_what_was_does_not() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    publish(&connection, "content.again", 0, 40).await;
    let group = format!("{}g", kafka.prefix());
    let mut first = member(&connection, &group, "content.again", Start::Earliest).await;
    let read = read_contents(&mut first, 40).await;
    drop(first);
    let mut second = member(&connection, &group, "content.again", Start::Earliest).await;
    let again = read_contents(&mut second, 40).await;
    assert_eq!(read.len(), again.len());
    second.control().commit(commits(&again));
    second.control().close(Vec::new()).await.unwrap();
    publish(&connection, "content.again", 40, 45).await;
    let mut third = member(&connection, &group, "content.again", Start::Earliest).await;
    let new: BTreeSet<String> = read_contents(&mut third, 5)
        .await
        .into_iter()
        .map(|(_, foo)| foo)
        .collect();
    let expected: BTreeSet<String> = (40..45).map(|n| n.to_string()).collect();
    assert_eq!(new, expected);
}

/// A mock cluster, which lives as long as the producer, and how to reach it.
fn mocked() -> (BaseProducer, Settings) {
    let owner: BaseProducer = ClientConfig::new()
        .set("test.mock.num.brokers", "1")
        .create()
        .unwrap();
    let mut settings = Settings::default();
    let servers = owner.client().mock_cluster().unwrap().bootstrap_servers();
    settings.kafka_servers = vec![servers];
    // A mock cluster lets a group begin when a session's time is over.
    settings
        .kafka_settings
        .consumer
        .insert("session.timeout.ms".into(), "3000".into());
    (owner, settings)
}

#[tokio::test]
async fn a_refused_commit_is_made_again_without_another_record() {
    let (owner, settings) = mocked();
    let mock = owner.client().mock_cluster().unwrap();
    let connection = open(&settings).await;
    publish(&connection, "content.refused", 0, 20).await;
    let mut consumer = member(&connection, "g", "content.refused", Start::Earliest).await;
    let read = read_contents(&mut consumer, 20).await;
    mock.request_errors(
        RDKafkaApiKey::OffsetCommit,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE],
    );
    consumer.control().commit(commits(&read));
    let servers = mock.bootstrap_servers();
    let deadline = Instant::now() + Duration::from_secs(20);
    while committed_at(&servers, "g", "content.refused", 4).await != 20 {
        assert!(Instant::now() < deadline, "never committed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_last_commit_in_the_middle_of_a_rebalance_is_made_again() {
    let (owner, settings) = mocked();
    let mock = owner.client().mock_cluster().unwrap();
    let connection = open(&settings).await;
    publish(&connection, "content.last", 0, 20).await;
    let mut consumer = member(&connection, "g", "content.last", Start::Earliest).await;
    let read = read_contents(&mut consumer, 20).await;
    let in_progress = RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
    mock.request_errors(RDKafkaApiKey::OffsetCommit, &[in_progress; 3]);
    consumer.control().close(commits(&read)).await.unwrap();
    let servers = mock.bootstrap_servers();
    assert_eq!(committed_at(&servers, "g", "content.last", 4).await, 20);
}

#[tokio::test]
async fn a_topic_created_later_is_found_within_five_seconds() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let group = format!("{}g", kafka.prefix());
    let mut consumer = member(&connection, &group, "late.*", Start::Latest).await;
    let ConsumerEvent::Warning(text) = next(&mut consumer).await else {
        panic!("no warning that nothing matches")
    };
    assert!(text.contains("late.*"), "{text}");
    publish(&connection, "late.first", 0, 1).await;
    read_contents(&mut consumer, 1).await;
    // The group is up now: what counts is how long the next topic takes.
    let created = Instant::now();
    publish(&connection, "late.second", 1, 2).await;
    let read = read_contents(&mut consumer, 1).await;
    assert_eq!(
        read[0].1, "1",
        "latest must not lose the first of a new stream"
    );
    let took = created.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    consumer.control().close(Vec::new()).await.unwrap();
}

#[tokio::test]
async fn latest_starts_at_the_end_and_holds_for_the_group_not_for_one_start() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    publish(&connection, "content.l", 0, 20).await;
    let group = format!("{}g", kafka.prefix());
    let consumer = member(&connection, &group, "content.l", Start::Latest).await;
    consumer.control().close(Vec::new()).await.unwrap();
    // Published while nobody was there, after the group's first start.
    publish(&connection, "content.l", 20, 25).await;
    let mut again = member(&connection, &group, "content.l", Start::Latest).await;
    let read = read_contents(&mut again, 5).await;
    assert!(
        read.iter()
            .all(|(_, foo)| foo.parse::<u32>().unwrap() >= 20)
    );
    again.control().close(Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_group_can_start_a_while_back() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let publisher = connection.publisher();
    for (n, age) in (0..10).map(|n| (n, if n < 5 { 3600 } else { 0 })) {
        publisher
            .publish("content.b", &content(n.to_string()))
            .timestamp((now - Duration::from_secs(age)).as_millis() as i64)
            .await
            .unwrap();
    }
    let group = format!("{}g", kafka.prefix());
    let back = Start::Back(Duration::from_secs(1800));
    let mut consumer = member(&connection, &group, "content.b", back).await;
    let read = read_contents(&mut consumer, 5).await;
    assert!(read.iter().all(|(_, foo)| foo.parse::<u32>().unwrap() >= 5));
    consumer.control().close(Vec::new()).await.unwrap();
}

/// Handles like a worker: counts each record, keeps what it has done since the last commit, answers a revoke with it.
async fn handle_until(
    mut consumer: Consumer,
    mut stop: tokio::sync::watch::Receiver<bool>,
    all: Arc<Mutex<BTreeSet<String>>>,
) -> (Vec<String>, usize) {
    let mut handled = Vec::new();
    let mut stale = 0;
    let mut ours: BTreeSet<(String, i32)> = BTreeSet::new();
    let mut done: BTreeMap<(String, i32), (_, _)> = BTreeMap::new();
    loop {
        let event = tokio::select! {
            event = consumer.next() => event,
            _ = stop.changed() => None,
        };
        match event {
            Some(ConsumerEvent::Assigned(sources)) => {
                ours.extend(sources.iter().map(|s| (s.topic.to_string(), s.partition)));
            }
            Some(ConsumerEvent::Records(batch)) => {
                for record in batch.records {
                    let key = (record.topic().to_owned(), record.partition());
                    stale += usize::from(!ours.contains(&key));
                    handled.push(foo_of(&record));
                    all.lock().unwrap().insert(foo_of(&record));
                    done.insert(key, (record.source.clone(), record.offset.next().into()));
                }
            }
            Some(ConsumerEvent::Revoked(sources, ack)) => {
                let mut commits = Commits::new();
                for source in sources {
                    let key = (source.topic.to_string(), source.partition);
                    ours.remove(&key);
                    commits.extend(done.remove(&key));
                }
                ack.release(commits);
            }
            Some(ConsumerEvent::Failed(error)) => panic!("{error}"),
            Some(_) => {}
            None => break,
        }
    }
    let commits = done.into_values().collect();
    consumer.control().close(commits).await.unwrap();
    (handled, stale)
}

/// Waits until so many different records were handled.
async fn handled_by_all(all: &Mutex<BTreeSet<String>>, count: usize) {
    let begun = Instant::now();
    while all.lock().unwrap().len() < count {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{} of {count} handled",
            all.lock().unwrap().len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn joining_and_leaving(settings: &[(&str, &str)]) {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let group = format!("{}g", kafka.prefix());
    publish(&connection, "content.flow", 0, 500).await;
    let mut wanted = spec(Some(&group), "content.flow", Start::Earliest);
    for (name, value) in settings {
        wanted
            .kafka_settings
            .insert((*name).to_owned(), (*value).to_owned());
    }
    let all = Arc::<Mutex<BTreeSet<String>>>::default();
    let mut members = Vec::new();
    let start = || async {
        let consumer = connection.broker().consume(wanted.clone()).await.unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let all = all.clone();
        (stop, tokio::spawn(handle_until(consumer, stopped, all)))
    };
    members.push(start().await);
    publish(&connection, "content.flow", 500, 1000).await;
    handled_by_all(&all, 1000).await;
    members.push(start().await);
    for n in 2..12 {
        publish(&connection, "content.flow", n * 500, (n + 1) * 500).await;
        // The second member joins meanwhile.
        handled_by_all(&all, n * 500).await;
    }
    let (stop, first) = members.remove(0);
    stop.send(true).unwrap();
    let (mut handled, stale) = first.await.unwrap();
    assert_eq!(stale, 0, "records of a partition that was not ours");
    publish(&connection, "content.flow", 6000, 7000).await;
    handled_by_all(&all, 7000).await;
    let (stop, second) = members.remove(0);
    stop.send(true).unwrap();
    let (more, stale) = second.await.unwrap();
    assert_eq!(stale, 0, "records of a partition that was not ours");
    assert!(!more.is_empty());
    handled.extend(more);
    let distinct: BTreeSet<&String> = handled.iter().collect();
    assert_eq!(distinct.len(), 7000, "lost some");
    assert_eq!(
        handled.len(),
        7000,
        "every revoke was drained, so nothing comes twice"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_joining_and_leaving_lose_nothing_and_repeat_nothing() {
    joining_and_leaving(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eager_members_joining_and_leaving_lose_nothing_and_repeat_nothing() {
    joining_and_leaving(&[("partition.assignment.strategy", "roundrobin")]).await;
}

#[tokio::test]
async fn a_paused_partition_is_silent_until_it_is_resumed_and_loses_nothing() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    publish(&connection, "content.pause", 0, 20).await;
    let group = format!("{}g", kafka.prefix());
    publish(&connection, "content.other", 0, 1).await;
    let mut consumer = member(&connection, &group, "content.*", Start::Earliest).await;
    let read = read_contents(&mut consumer, 21).await;
    let sources: Vec<_> = read
        .iter()
        .filter(|(record, _)| record.stream() == "content.pause")
        .map(|(record, _)| record.source.clone())
        .collect();
    consumer.control().pause(&sources);
    let mut other = async || {
        publish(&connection, "content.other", 0, 1).await;
        for (record, _) in read_contents(&mut consumer, 1).await {
            assert_eq!(record.stream(), "content.other");
        }
    };
    // The pause has reached the consumer once this arrives.
    other().await;
    publish(&connection, "content.pause", 20, 40).await;
    // Both are on one broker, whose answers hold all that is there of what was asked for.
    other().await;
    other().await;
    consumer.control().resume(&sources);
    let more = read_contents(&mut consumer, 20).await;
    let distinct: BTreeSet<String> = more.into_iter().map(|(_, foo)| foo).collect();
    assert_eq!(distinct, (20..40).map(|n| n.to_string()).collect());
    consumer.control().close(Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_slow_reader_stops_the_fetching_but_not_the_group() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    publish(&connection, "content.slow", 0, 20_000).await;
    let group = format!("{}g", kafka.prefix());
    let mut wanted = spec(Some(&group), "content.slow", Start::Earliest);
    wanted
        .kafka_settings
        .insert("session.timeout.ms".into(), "6000".into());
    wanted
        .kafka_settings
        .insert("max.poll.interval.ms".into(), "6000".into());
    let mut consumer = connection.broker().consume(wanted).await.unwrap();
    // Longer than both: had the thread stopped polling, the partitions would be lost.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let mut count = 0;
    while count < 20_000 {
        match next(&mut consumer).await {
            ConsumerEvent::Records(batch) => count += batch.records.len(),
            ConsumerEvent::Assigned(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(count, 20_000);
    consumer.control().close(Vec::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_takes_no_longer_than_it_is_given_while_the_group_rebalances() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    publish(&connection, "content.stuck", 0, 1).await;
    let group = format!("{}g", kafka.prefix());
    let mut wanted = spec(Some(&group), "content.stuck", Start::Earliest);
    // Eager: the second member's join waits for the first one's acknowledgement.
    let strategy = ("partition.assignment.strategy", "roundrobin");
    wanted
        .kafka_settings
        .insert(strategy.0.into(), strategy.1.into());
    wanted.drain = Duration::from_secs(30);
    let mut first = connection.broker().consume(wanted.clone()).await.unwrap();
    read_contents(&mut first, 1).await;
    let second = connection.broker().consume(wanted).await.unwrap();
    let ConsumerEvent::Revoked(_, ack) = next(&mut first).await else {
        panic!("the second member did not join")
    };
    let begun = Instant::now();
    let timeout = Duration::from_secs(1);
    second
        .control()
        .close_within(Vec::new(), timeout)
        .await
        .unwrap();
    assert!(begun.elapsed() < 2 * timeout, "{:?}", begun.elapsed());
    ack.release(Vec::new());
    first.control().close(Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_group_with_other_assignors_is_an_error_that_names_both_remedies() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    publish(&connection, "content.mixed", 0, 1).await;
    let group = format!("{}g", kafka.prefix());
    let mut python = spec(Some(&group), "content.mixed", Start::Earliest);
    python
        .kafka_settings
        .insert("partition.assignment.strategy".into(), "roundrobin".into());
    let mut python = connection.broker().consume(python).await.unwrap();
    read_contents(&mut python, 1).await;
    let mut consumer = member(&connection, &group, "content.mixed", Start::Earliest).await;
    let ConsumerEvent::Failed(error) = next(&mut consumer).await else {
        panic!("joined")
    };
    assert!(
        matches!(error, ClientError::GroupProtocol { .. }),
        "{error}"
    );
    assert!(
        consumer.next().await.is_none(),
        "the stream goes on after its end"
    );
    python.control().close(Vec::new()).await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_or_has_unreadable_headers_arrives_as_such() {
    let kafka = testing::kafka().await;
    let mut settings = kafka.settings();
    settings.max_message_bytes = 2000;
    let connection = open(&settings).await;
    publish(&connection, "content.odd", 0, 1).await;
    let topic = format!("{}content.odd", kafka.prefix());
    let servers = kafka.servers().to_owned();
    tokio::task::spawn_blocking(move || {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .create()
            .unwrap();
        let many = (0..100_001).fold(OwnedHeaders::new(), |all, _| {
            all.insert(Header {
                key: "h",
                value: None::<&str>,
            })
        });
        let large = "x".repeat(5000);
        let header = OwnedHeaders::new().insert(Header {
            key: "h",
            value: Some(&large),
        });
        let record = || BaseRecord::<str, str>::to(&topic).key("k");
        producer.send(record().payload("{}").headers(many)).unwrap();
        producer.send(record().payload(&large)).unwrap();
        let last = record().payload("{}").headers(header);
        producer.send(last).unwrap();
        producer.flush(Duration::from_secs(20)).unwrap();
    })
    .await
    .unwrap();
    let group = format!("{}g", kafka.prefix());
    let mut consumer = member(&connection, &group, "content.odd", Start::Earliest).await;
    let mut read = Vec::new();
    while read.len() < 4 {
        if let ConsumerEvent::Records(batch) = next(&mut consumer).await {
            read.extend(batch.records);
        }
    }
    let odd: Vec<_> = read
        .iter()
        .filter(|record| record.key().is_some_and(|key| key == b"k"))
        .collect();
    assert_eq!(odd[0].unreadable.as_deref(), Some(&Unreadable::Headers));
    assert_eq!(odd[0].value(), b"{}");
    for record in &odd[1..] {
        let why = record.unreadable.as_deref();
        assert!(
            matches!(why, Some(Unreadable::TooLarge { limit: 2000, bytes }) if *bytes >= 5000),
            "{why:?}"
        );
        assert!(record.value.is_none() && record.headers.is_empty());
    }
    assert!(read.iter().any(|record| record.unreadable.is_none()));
}
