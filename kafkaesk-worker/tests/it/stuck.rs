//! Laws of stuck handlers: a worker whose handlers have all been running for longer than `max.poll.interval.ms` gives up its
//! partitions, says so, and takes part again when a handler ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use kafkaesk_client::{core::TopicName, testing::TestKafka};
use kafkaesk_worker::{
    RunReport, Subscription, Watch, prelude::*, snapshot::SubscriptionSnapshot, subscription,
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    events::Content,
    support::{self, Ran},
};

const ANSWER: Duration = Duration::from_millis(500);
/// The `max.poll.interval.ms` of these tests, which is not below a broker's shortest session.
const MAX_POLL: Duration = Duration::from_secs(6);

/// What handlers of one worker do: hang until they are let go, and write down what they began and ended.
#[derive(Clone)]
struct Handlers {
    hang: watch::Sender<bool>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    ended: BTreeMap<String, usize>,
    /// Keys with a running handler.
    running: BTreeSet<String>,
    begun: usize,
    /// Keys that had two at once.
    overlapped: Vec<String>,
}

impl Handlers {
    fn new(hang: bool) -> Self {
        Self {
            hang: watch::Sender::new(hang),
            seen: Arc::default(),
        }
    }

    fn subscription(&self, group: &str) -> Subscription {
        let of = self.clone();
        let handler = move |event: Content| {
            let of = of.clone();
            async move {
                {
                    let mut seen = of.seen.lock().unwrap();
                    seen.begun += 1;
                    if !seen.running.insert(event.foo.clone()) {
                        seen.overlapped.push(event.foo.clone());
                    }
                }
                let mut hang = of.hang.subscribe();
                let _ = hang.wait_for(|hang| !hang).await;
                let mut seen = of.seen.lock().unwrap();
                seen.running.remove(&event.foo);
                *seen.ended.entry(event.foo).or_default() += 1;
            }
        };
        let millis = MAX_POLL.as_millis().to_string();
        let settings = [
            ("max.poll.interval.ms", millis.as_str()),
            ("session.timeout.ms", &millis),
        ];
        subscription("content.*", handler)
            .group(group)
            .concurrency(2)
            .kafka_settings(settings.map(|(n, v)| (n.into(), v.into())).into())
    }

    /// The messages that ended, and how often.
    fn ended(&self) -> BTreeMap<String, usize> {
        self.seen.lock().unwrap().ended.clone()
    }

    fn begun(&self) -> usize {
        self.seen.lock().unwrap().begun
    }
}

/// Waits until this holds of the only subscription.
async fn once(watch: &Watch, what: &str, holds: impl Fn(&SubscriptionSnapshot) -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let snapshot = watch.snapshot(ANSWER).await;
        if snapshot.subscriptions.first().is_some_and(|it| holds(it)) {
            return;
        }
        assert!(
            Instant::now() < end,
            "{what}: {:#?}",
            snapshot.subscriptions
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Publishes messages whose keys are their texts.
async fn publish(connection: &Connection, texts: impl IntoIterator<Item = String>) {
    let publisher = connection.publisher();
    for text in texts {
        let event = Content::new(&text);
        let publish = publisher.publish("content.a", &event);
        publish.key(&text).await.unwrap();
    }
}

async fn end(stop: oneshot::Sender<()>, ran: Ran) {
    stop.send(()).unwrap();
    ran.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_handlers_are_all_stuck_gives_up_its_partitions_until_one_ends() {
    let handlers = Handlers::new(true);
    let app = App::new().subscribe(handlers.subscription("g"));
    let watch = app.watch();
    let (broker, connection, stop, ran) = support::start(app);
    publish(&connection, (0..3).map(|n| n.to_string())).await;
    once(&watch, "both handlers run", |it| it.running == 2).await;
    let begun = Instant::now();
    once(&watch, "it gives up", |it| it.partitions.is_empty()).await;
    let after = begun.elapsed();
    assert!(
        MAX_POLL <= after + Duration::from_secs(1) && after < MAX_POLL * 2,
        "{after:?}"
    );
    let topic = TopicName::new("content.a").unwrap();
    let readers = connection.broker().readers(&topic).await.unwrap();
    assert!(readers.is_empty(), "{readers:?}");
    let snapshot = watch.snapshot(ANSWER).await;
    let it = &snapshot.subscriptions[0];
    let apart = it.apart.as_ref().unwrap();
    assert_eq!((apart.handlers, it.stuck, it.rebalanced.revoked), (2, 2, 1));
    assert!(apart.reason.contains("content.a[0]@"), "{}", apart.reason);
    assert_eq!(broker.committed("g", "content.a", 0), None);

    handlers.hang.send_replace(false);
    once(&watch, "it takes part again", |it| {
        it.apart.is_none() && it.partitions.len() == 1
    })
    .await;
    let all = ["0", "1", "2"].map(|n| (n.to_owned(), if n == "2" { 1 } else { 2 }));
    until("all is handled", || handlers.ended() == all.clone().into()).await;
    end(stop, ran).await;
    assert_eq!(handlers.seen.lock().unwrap().overlapped, [""; 0]);
    assert_eq!(broker.committed("g", "content.a", 0).map(|n| n.0), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_a_free_handler_keeps_its_partitions_however_long_another_hangs() {
    let handlers = Handlers::new(true);
    let app = App::new().subscribe(handlers.subscription("g"));
    let watch = app.watch();
    let (_broker, connection, stop, ran) = support::start(app);
    publish(&connection, ["0".to_owned()]).await;
    once(&watch, "a handler is stuck", |it| it.stuck == 1).await;
    tokio::time::sleep(MAX_POLL * 10).await;
    once(&watch, "it keeps its partition", |it| {
        it.apart.is_none() && it.partitions.len() == 1
    })
    .await;
    assert_eq!(handlers.begun(), 1);
    handlers.hang.send_replace(false);
    end(stop, ran).await;
}

#[tokio::test(start_paused = true)]
async fn where_a_partition_has_one_handler_those_of_all_partitions_are_all_handlers() {
    let handlers = Handlers::new(true);
    let one_by_one = handlers.subscription("g").concurrency(32);
    let app = App::new().subscribe(one_by_one.ordering(Ordering::Partition));
    let watch = app.watch();
    let (_broker, connection, stop, ran) =
        support::start_with(app, |settings| settings.partitions = 2);
    let publisher = connection.publisher();
    let event = Content::new("0");
    publisher
        .publish("content.a", &event)
        .partition(0)
        .await
        .unwrap();
    once(&watch, "a handler is stuck", |it| it.stuck == 1).await;
    tokio::time::sleep(MAX_POLL * 2).await;
    once(&watch, "it keeps both", |it| it.partitions.len() == 2).await;
    let event = Content::new("1");
    publisher
        .publish("content.a", &event)
        .partition(1)
        .await
        .unwrap();
    once(&watch, "it gives up both", |it| {
        it.apart.is_some() && it.partitions.is_empty()
    })
    .await;
    handlers.hang.send_replace(false);
    once(&watch, "it has both again", |it| it.partitions.len() == 2).await;
    end(stop, ran).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_gave_up_its_partitions_ends_within_its_deadline() {
    let handlers = Handlers::new(true);
    let app = App::new().subscribe(handlers.subscription("g"));
    let watch = app.watch();
    let (_broker, connection, stop, ran) = support::start(app);
    publish(&connection, (0..2).map(|n| n.to_string())).await;
    once(&watch, "it gives up", |it| it.apart.is_some()).await;
    let asked = Instant::now();
    stop.send(()).unwrap();
    let report = ran.await.unwrap().unwrap();
    assert!(asked.elapsed() <= Settings::default().shutdown_timeout);
    assert_eq!((report.handled, report.interrupted), (0, 2));
}

/// One worker on a real Kafka.
struct Worker {
    handlers: Handlers,
    watch: Watch,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<RunReport, AppError>>,
}

impl Worker {
    async fn start(kafka: &TestKafka, hang: bool, properties: &[(&str, &str)]) -> Self {
        // Only read where members are static; each needs an id of its own.
        let id = ("group.instance.id", if hang { "a" } else { "b" });
        let mut settings = kafka.settings();
        settings.partitions = 4;
        settings.shutdown_timeout = Duration::from_secs(5);
        for (name, value) in properties {
            let value = if *name == id.0 { id.1 } else { value };
            let consumer = &mut settings.kafka_settings.consumer;
            consumer.insert((*name).into(), (*value).into());
        }
        let handlers = Handlers::new(hang);
        let mut subscription = handlers.subscription(&format!("{}g", kafka.prefix()));
        if properties.contains(&("group.protocol", "consumer")) {
            // Its session is the brokers' affair, and must not be above this.
            let longer = [("max.poll.interval.ms".to_owned(), "6000".to_owned())];
            subscription = subscription.kafka_settings(longer.into());
        }
        let app = App::new().subscribe(subscription);
        let watch = app.watch();
        let connection = Connection::open(&settings).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(app.run_on(connection, async { drop(stopped.await) }));
        Self {
            handlers,
            watch,
            stop,
            task,
        }
    }

    async fn end(self) -> RunReport {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap()
    }
}

/// A worker hangs with its first messages while another one is there; then it is let go.
async fn others_go_on(properties: &[(&str, &str)]) {
    let kafka = kafkaesk_client::testing::kafka().await;
    let mut settings = kafka.settings();
    settings.partitions = 4;
    let connection = Connection::open(&settings).await.unwrap();
    let names = |from: usize| (from..from + 12).map(|n| n.to_string());
    publish(&connection, names(0)).await;
    let stuck = Worker::start(&kafka, true, properties).await;
    until("two handlers hang", || stuck.handlers.begun() == 2).await;
    let other = Worker::start(&kafka, false, properties).await;
    until("the other one handles all", || {
        other.handlers.ended().len() == 12
    })
    .await;
    once(&stuck.watch, "it says so", |it| {
        it.apart.is_some() && it.partitions.is_empty()
    })
    .await;
    once(&other.watch, "the other one has all", |it| {
        it.partitions.len() == 4
    })
    .await;
    publish(&connection, names(12)).await;
    until("and goes on", || other.handlers.ended().len() == 24).await;
    assert_eq!(stuck.handlers.begun(), 2);

    stuck.handlers.hang.send_replace(false);
    once(&stuck.watch, "it takes part again", |it| {
        it.apart.is_none() && !it.partitions.is_empty()
    })
    .await;
    publish(&connection, names(24)).await;
    let all = || {
        let mut all = other.handlers.ended();
        for (name, times) in stuck.handlers.ended() {
            *all.entry(name).or_default() += times;
        }
        all
    };
    until("nothing is lost", || all().len() == 36).await;
    let seen = all();
    let reports = [stuck.end().await, other.end().await];
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!(twice.len(), 2, "only what hung is handled twice: {twice:?}");
    assert!(seen.values().all(|times| *times <= 2), "{seen:?}");
    assert!(
        reports.iter().all(|report| report.redelivered == 0),
        "{reports:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_members_go_on_with_the_partitions_of_a_worker_whose_handlers_are_stuck() {
    others_go_on(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_do_with_an_assignor_that_stops_all_members_at_each_rebalance() {
    others_go_on(&[("partition.assignment.strategy", "range")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_do_where_the_brokers_assign_the_partitions() {
    others_go_on(&[("group.protocol", "consumer")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_do_where_members_are_static() {
    others_go_on(&[("group.instance.id", "")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_members_go_on_where_a_handler_blocks_the_only_thread_of_its_worker() {
    let kafka = kafkaesk_client::testing::kafka().await;
    let mut settings = kafka.settings();
    settings.partitions = 4;
    let connection = Connection::open(&settings).await.unwrap();
    let names = |from: usize| (from..from + 12).map(|n| n.to_string());
    publish(&connection, names(0)).await;
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let ended = Arc::<Mutex<Vec<String>>>::default();
    let written = ended.clone();
    let handler = move |event: Content| {
        let _ = begun.send(());
        // No handler should do that. Once nobody can release it any more, it goes on at once.
        let _ = released.lock().unwrap().recv();
        written.lock().unwrap().push(event.foo);
        async {}
    };
    let settings_of_both = [
        ("max.poll.interval.ms", "6000"),
        ("session.timeout.ms", "6000"),
    ];
    let blocking = subscription("content.*", handler)
        .group(format!("{}g", kafka.prefix()))
        .kafka_settings(settings_of_both.map(|(n, v)| (n.into(), v.into())).into());
    let (stop, stopped) = oneshot::channel::<()>();
    let blocked = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let app = App::new().subscribe(blocking);
            app.run(&settings, async { drop(stopped.await) }).await
        })
    });
    tokio::task::spawn_blocking(move || has_begun.recv_timeout(Duration::from_secs(60)))
        .await
        .unwrap()
        .unwrap();
    let other = Worker::start(&kafka, false, &[]).await;
    until("the other one handles all", || {
        other.handlers.ended().len() == 12
    })
    .await;
    once(&other.watch, "the other one has all", |it| {
        it.partitions.len() == 4
    })
    .await;
    drop(release);
    once(&other.watch, "the first one takes part again", |it| {
        it.partitions.len() < 4
    })
    .await;
    publish(&connection, names(12)).await;
    until("nothing is lost", || {
        let mut all: BTreeSet<_> = other.handlers.ended().into_keys().collect();
        all.extend(ended.lock().unwrap().iter().cloned());
        all.len() == 24
    })
    .await;
    stop.send(()).unwrap();
    blocked.join().unwrap().unwrap();
    other.end().await;
}
