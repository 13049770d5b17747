//! A Kafka of our own whose brokers can be away: laws of publishing while nobody answers.

use std::{
    collections::BTreeMap,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use kafkaesk_client::{
    ClientError, Connection, Delivery, Publisher, Settings,
    broker::TopicSpec,
    consumer::{Consumer, ConsumerEvent, Start},
    core::{TopicName, TopicPrefix, partitioner::partition_for_key},
    meter::{ActionKind, PublishEnd},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::{Mutex, MutexGuard, watch},
};
use xtask::broker::{Broker, BrokerSpec, free_port};

use crate::support::{Log, content, open, read_contents, spec, topics_at};

/// How the way to the brokers is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Open,
    /// What is sent arrives, and no answer comes back.
    Mute,
    /// Nothing passes, and neither side gets an error.
    Hole,
    /// Connections end, and new ones end at once.
    Cut,
}

/// A Kafka that clients reach through a proxy alone.
struct Away {
    way: watch::Sender<Way>,
    servers: String,
    /// Past the proxy.
    plain: String,
}

/// One for all tests of this file, one test at a time.
static KAFKA: LazyLock<Mutex<Away>> = LazyLock::new(|| Mutex::new(Away::start()));

async fn kafka(prefix: &str) -> (MutexGuard<'static, Away>, Settings) {
    let kafka = KAFKA.lock().await;
    kafka.way.send_replace(Way::Open);
    let mut settings = Settings::new(&kafka.servers);
    settings.topic_prefix = TopicPrefix::new(prefix).unwrap();
    settings.connect_timeout = Duration::from_secs(3);
    (kafka, settings)
}

impl Away {
    fn start() -> Self {
        let (plain, inner, outer) = (
            free_port().unwrap(),
            free_port().unwrap(),
            free_port().unwrap(),
        );
        let controller = free_port().unwrap();
        let mut wanted = BrokerSpec::plain(&format!("kafkaesk-outage-{plain}"), plain)
            .unwrap()
            .property(
                "controller.quorum.voters",
                format!("1@localhost:{controller}"),
            )
            .property(
                "listeners",
                format!("PLAINTEXT://:{plain},PROXIED://:{inner},CONTROLLER://:{controller}"),
            )
            .property(
                "advertised.listeners",
                format!("PLAINTEXT://127.0.0.1:{plain},PROXIED://127.0.0.1:{outer}"),
            )
            .property(
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
            );
        wanted.ports.push(inner);
        // Not on a test's runtime: all tests of this process use it, each with a runtime of its own.
        let broker = thread::spawn(move || Broker::start(&wanted).unwrap());
        broker.join().unwrap().until_exit().unwrap();
        let way = watch::Sender::new(Way::Open);
        let seen = way.subscribe();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(proxy(outer, inner, seen));
        });
        Self {
            way,
            servers: format!("127.0.0.1:{outer}"),
            plain: format!("127.0.0.1:{plain}"),
        }
    }
}

async fn proxy(from: u16, to: u16, way: watch::Receiver<Way>) {
    let listener = TcpListener::bind(("127.0.0.1", from)).await.unwrap();
    while let Ok((client, _)) = listener.accept().await {
        if *way.borrow() != Way::Cut {
            tokio::spawn(pass(client, to, way.clone()));
        }
    }
}

async fn pass(client: TcpStream, to: u16, mut way: watch::Receiver<Way>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let (answers, requests) = (way.clone(), way.clone());
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, requests, false) => {}
        () = copy(from_server, to_client, answers, true) => {}
        _ = way.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn copy(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
    answers: bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let closed = way
            .wait_for(|way| match way {
                Way::Open | Way::Cut => true,
                Way::Mute => !answers,
                Way::Hole => false,
            })
            .await
            .is_err();
        if closed || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

const KEYS: usize = 8;

/// Publishes numbered events of some keys, one after another, until asked to stop.
async fn number(publisher: &Publisher, from: usize, until: Instant) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    let mut next = from;
    loop {
        let event = content(format!("{next} {}", "x".repeat(300)));
        let publish = publisher
            .publish("content.order", &event)
            .key(format!("key-{}", next % KEYS))
            .enqueue();
        match tokio::time::timeout_at(until.into(), publish).await {
            Ok(delivery) => deliveries.push(delivery.unwrap()),
            Err(_) => return deliveries,
        }
        next += 1;
        tokio::task::yield_now().await;
        if Instant::now() > until {
            return deliveries;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_loses_nothing_doubles_nothing_keeps_the_order_and_is_bounded() {
    // Requests arrive that are never answered, and are sent once more after the outage.
    let away = [(Way::Mute, 500), (Way::Cut, 12_000)];
    outage("order.", &away).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes over a minute; docs/delivery.md has the command"]
async fn a_minute_without_brokers_loses_nothing_doubles_nothing_and_keeps_the_order() {
    outage("minute.", &[(Way::Mute, 500), (Way::Cut, 65_000)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes over a minute; docs/delivery.md has the command"]
async fn a_minute_in_a_network_that_swallows_everything_loses_nothing_and_keeps_the_order() {
    outage("hole.", &[(Way::Hole, 65_000)]).await;
}

/// Publishes before, while the way is like this for so many milliseconds each, and after.
async fn outage(prefix: &str, away: &[(Way, u64)]) {
    const QUEUE: usize = 256 * 1024;
    let log = Log::of_process();
    let (kafka, mut settings) = kafka(prefix).await;
    settings
        .kafka_settings
        .producer
        .insert("queue.buffering.max.kbytes".into(), "256".into());
    let publisher = open(&settings).await.publisher();
    let lasts = |span| Instant::now() + span;

    let first = publisher.publish("content.order", &content("first"));
    first.partition(0).await.unwrap();
    let mut deliveries = number(&publisher, 0, lasts(Duration::from_millis(700))).await;
    let mut queued = 0;
    for (way, millis) in away {
        kafka.way.send_replace(*way);
        let (begun, span) = (Instant::now(), Duration::from_millis(*millis));
        let taken = number(&publisher, deliveries.len(), begun + span).await;
        // What is on its way at first is answered.
        queued = taken.len();
        deliveries.extend(taken);
        assert!(begun.elapsed() + Duration::from_secs(1) >= span);
    }
    assert!(
        queued * 300 <= QUEUE,
        "{queued} more records were taken while the brokers were away"
    );
    kafka.way.send_replace(Way::Open);
    let after = lasts(Duration::from_millis(500));
    deliveries.extend(number(&publisher, deliveries.len(), after).await);

    let mut receipts = Vec::new();
    for delivery in deliveries {
        let answer = tokio::time::timeout(Duration::from_secs(60), delivery).await;
        receipts.push(answer.expect("no answer").expect("an event was lost"));
    }
    for said in ["no broker answers; trying on", "the brokers answer again"] {
        let mut lines = log.lines(said);
        lines.retain(|line| line.contains(&kafka.servers));
        assert!(!lines.is_empty(), "{said}");
    }

    let reader = open(&settings).await;
    let wanted = spec(None, "content.order", Start::Earliest);
    let mut consumer = reader.broker().consume(wanted).await.unwrap();
    let records = read_contents(&mut consumer, receipts.len() + 1).await;
    let mut last = BTreeMap::new();
    let mut count = 0;
    for (record, text) in &records {
        let Some(number) = text.split(' ').next().and_then(|n| n.parse::<usize>().ok()) else {
            continue;
        };
        count += 1;
        let receipt = &receipts[number];
        assert_eq!(receipt.partition, record.source.partition, "event {number}");
        // Of what was sent twice the brokers do not say where it is.
        if let Some(offset) = receipt.offset {
            assert_eq!(offset, record.offset, "event {number}");
        }
        let before = last.insert(number % KEYS, number);
        assert!(
            before == number.checked_sub(KEYS),
            "{number} follows {before:?}: doubled, lost or out of order"
        );
        let partition = partition_for_key(format!("key-{}", number % KEYS).as_bytes(), 7);
        assert_eq!(record.source.partition, partition);
    }
    assert_eq!(count, receipts.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_publish_during_an_outage_waits_for_the_brokers() {
    let (kafka, settings) = kafka("first.").await;
    let connection = open(&settings).await;
    let known = connection.publisher();
    known.publish("content.known", &content("a")).await.unwrap();
    // One that knows the schema, and one that knows nothing.
    let stranger = open(&settings).await.publisher();
    kafka.way.send_replace(Way::Cut);
    let (event, begun) = (content("b"), Instant::now());
    let mut waiting: Vec<_> = [
        known.publish("content.new", &event),
        known.publish("content.other", &event),
        stranger.publish("content.new", &event),
        stranger.tombstone("content.known", "key"),
    ]
    .into_iter()
    .map(|publish| tokio::spawn(publish.into_future()))
    .collect();
    // Far longer than `connect-timeout`: every question that was asked has failed by then, and some a second time.
    let still = async {
        for publish in &mut waiting {
            publish.await.unwrap().unwrap();
        }
    };
    let outage = settings.connect_timeout * 3;
    assert!(tokio::time::timeout(outage, still).await.is_err());
    kafka.way.send_replace(Way::Open);
    for publish in waiting {
        let answer = tokio::time::timeout(Duration::from_secs(10), publish).await;
        answer.expect("no answer").unwrap().unwrap();
    }
    assert!(begun.elapsed() >= outage);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_publish_fails_after_the_delivery_timeout_and_says_what_to_do() {
    let (kafka, mut settings) = kafka("late.").await;
    settings.delivery_timeout = Duration::from_secs(4);
    let publisher = Connection::open(&settings).await.unwrap().publisher();
    kafka.way.send_replace(Way::Cut);
    let begun = Instant::now();
    let error = publisher
        .publish("content.late", &content("a"))
        .await
        .unwrap_err();
    let (took, text) = (begun.elapsed(), error.to_string());
    assert!(matches!(error, ClientError::NotDelivered { .. }), "{text}");
    for said in [
        "late.content.late",
        "not written",
        "delivery-timeout",
        "publish again",
    ] {
        assert!(text.contains(said), "{text}");
    }
    assert!(
        took >= settings.delivery_timeout && took < settings.delivery_timeout * 2,
        "{took:?}"
    );
    assert_eq!(topics_at(&kafka.plain, "late."), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_brokers_are_away_questions_fail_and_their_last_answer_ages() {
    let (kafka, settings) = kafka("asked.").await;
    let connection = open(&settings).await;
    let publisher = connection.publisher();
    publisher.publish("content.a", &content("a")).await.unwrap();
    let asked = || {
        let shown = connection.published();
        let metadata = ActionKind::Metadata as usize;
        let asked = shown.actions[metadata].clone();
        (
            asked.ok,
            asked.failed,
            shown.brokers_up,
            shown.last_answer.unwrap(),
        )
    };
    let (ok, failed, up, age) = asked();
    assert!(ok > 0 && age < Duration::from_secs(1), "{ok} {age:?}");
    assert_eq!((failed, up), (0, Some(true)));
    kafka.way.send_replace(Way::Cut);
    let cut = Instant::now();
    connection.broker().cluster().await.unwrap_err();
    assert_eq!((asked().0, asked().1, asked().2), (ok, 1, Some(false)));
    // An answer that came before the cut is taken for one of up to 0.2 s later.
    assert!(asked().3 + Duration::from_millis(300) > cut.elapsed());
    kafka.way.send_replace(Way::Open);
    // The record's delivery alone tells that they are back.
    publisher.publish("content.a", &content("a")).await.unwrap();
    let (again, .., up, age) = asked();
    assert_eq!((again, up), (ok, Some(true)));
    assert!(age < Duration::from_secs(1), "{age:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_found_no_room_and_what_failed_in_the_queue_are_counted_apart() {
    let (kafka, mut settings) = kafka("full.").await;
    settings.delivery_timeout = Duration::from_secs(4);
    // Room for some forty of these records.
    let producer = &mut settings.kafka_settings.producer;
    producer.insert("queue.buffering.max.kbytes".into(), "32".into());
    let connection = open(&settings).await;
    let publisher = connection.publisher();
    let publish = || publisher.publish("content.full", &content("x".repeat(300)));
    publish().await.unwrap();
    kafka.way.send_replace(Way::Cut);
    let waiting: Vec<_> = (0..300)
        .map(|_| tokio::spawn(publish().into_future()))
        .collect();
    while connection.published().queue_records < 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(connection.published().queue_bytes > 20 * 300);
    let (mut full, mut failed) = (0, 0);
    for publish in waiting {
        let answer = tokio::time::timeout(Duration::from_secs(30), publish).await;
        match answer.expect("no answer").unwrap().unwrap_err() {
            ClientError::QueueFull { .. } => full += 1,
            ClientError::NotDelivered { .. } | ClientError::DeliveryUnknown { .. } => failed += 1,
            error => panic!("{error}"),
        }
    }
    assert!(full > 0 && failed > 0, "{full} {failed}");
    let shown = &connection.published().topics[0];
    assert_eq!(shown.called[PublishEnd::Accepted as usize], 1 + failed);
    assert_eq!(shown.called[PublishEnd::Full as usize], full);
    assert_eq!(shown.failed, failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lost_its_group_has_not_joined_until_the_brokers_are_back() {
    let (kafka, mut settings) = kafka("member.").await;
    let own = &mut settings.kafka_settings.consumer;
    own.insert("session.timeout.ms".into(), "6000".into());
    own.insert("heartbeat.interval.ms".into(), "500".into());
    let connection = open(&settings).await;
    let publisher = connection.publisher();
    publisher.publish("content.a", &content("a")).await.unwrap();
    let wanted = spec(Some("member.group"), "content.a", Start::Earliest);
    let mut consumer = connection.broker().consume(wanted).await.unwrap();
    read_contents(&mut consumer, 1).await;
    let control = consumer.control();
    assert!(control.is_joined());
    kafka.way.send_replace(Way::Cut);
    let lost = changes(&mut consumer, |joined| !joined);
    assert!(lost.await < Duration::from_secs(5), "the thread runs on");
    kafka.way.send_replace(Way::Open);
    changes(&mut consumer, |joined| joined).await;
}

/// Answers revokes until its member has joined as wanted; returns the longest silence of its thread.
async fn changes(consumer: &mut Consumer, wanted: impl Fn(bool) -> bool) -> Duration {
    let (control, end) = (consumer.control(), Instant::now() + Duration::from_secs(40));
    let mut longest = Duration::ZERO;
    while !wanted(control.is_joined()) {
        assert!(Instant::now() < end, "joined: {}", control.is_joined());
        longest = longest.max(control.silent_for());
        // An acknowledgement that is dropped releases.
        let _ = tokio::time::timeout(Duration::from_millis(20), consumer.next()).await;
    }
    longest
}

/// Two members of a group with one partition, which has no record: so neither has anything to commit, and one has no partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_end_while_no_broker_answers_leave_once_one_does_within_their_deadline() {
    let (kafka, settings) = kafka("ends.").await;
    let connection = open(&settings).await;
    let mut plain = settings.clone();
    plain.kafka_servers = vec![kafka.plain.clone()];
    let plain = open(&plain).await;
    let topic = TopicSpec {
        topic: TopicName::new("ends.content.a").unwrap(),
        partitions: 1,
        replication_factor: 1,
        config: BTreeMap::new(),
    };
    plain.broker().create_topic(&topic).await.unwrap();
    let wanted = || spec(Some("ends.group"), "content.a", Start::Earliest);
    let mut members = Vec::new();
    for _ in 0..2 {
        let member = connection.broker().consume(wanted()).await.unwrap();
        until("it joins", || member.control().is_joined()).await;
        members.push(member);
    }
    kafka.way.send_replace(Way::Cut);
    // By then all connections have ended.
    let away = connection.broker().cluster().await;
    assert!(away.is_err(), "{away:?}");
    let asked = Instant::now();
    let ends = members.iter().map(|member| async {
        let deadline = Duration::from_secs(15);
        member.control().close_within(Vec::new(), deadline).await
    });
    let back = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        kafka.way.send_replace(Way::Open);
    };
    let (ended, ()) = tokio::join!(futures_util::future::join_all(ends), back);
    ended.into_iter().for_each(|ended| ended.unwrap());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(12), "{took:?}");
    // Nobody waits for a session, 45 s.
    let mut next = plain.broker().consume(wanted()).await.unwrap();
    let assigned = tokio::time::timeout(Duration::from_secs(15), next.next()).await;
    let assigned = assigned.expect("the group waits for a member that ended");
    assert!(
        matches!(assigned, Some(ConsumerEvent::Assigned(_))),
        "{assigned:?}"
    );
    next.control().close(Vec::new()).await.unwrap();
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
