//! Laws of pressure: what keeps failing, waits long or ends late holds up nobody else and stays within its bounds.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use kafkaesk_client::{Connection, core::TopicName, testing::TestKafka};
use kafkaesk_worker::{AppError, RunReport, prelude::*, subscription};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use crate::events::Content;

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<RunReport, AppError>>,
}

async fn start(kafka: &TestKafka, timeout: Duration, app: App) -> Running {
    let mut settings = kafka.settings();
    settings.shutdown_timeout = timeout;
    let connection = Connection::open(&settings).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(app.run_on(connection, async {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

type Seen = Arc<Mutex<Vec<String>>>;

fn app(kafka: &TestKafka, seen: &Seen) -> App {
    let seen = seen.clone();
    let handler = move |event: Content| {
        let seen = seen.clone();
        async move {
            let name: String = event.foo.chars().take_while(|c| *c != ' ').collect();
            seen.lock().unwrap().push(name.clone());
            if name.starts_with("bad") {
                return Err(HandlerError::msg("it never works"));
            }
            if name.starts_with("stuck") {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    };
    // What is bad stays so for the whole test.
    let endless = subscription("content.*", handler)
        .group(format!("{}g", kafka.prefix()))
        .max_attempts(0)
        .failure_limit(None);
    App::new().subscribe(endless)
}

async fn until(what: &str, timeout: u64, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < Duration::from_secs(timeout),
            "no {what} within {timeout} s"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

fn rss() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        / 1024
}

/// Waits until a group has committed so many messages of a stream of seven partitions that starts at 0.
async fn until_committed(kafka: &TestKafka, connection: &Connection, stream: &str, count: i64) {
    let group = format!("{}g", kafka.prefix());
    let topic = TopicName::new(format!("{}{stream}", kafka.prefix())).unwrap();
    let begun = Instant::now();
    loop {
        let mut sum = 0;
        for partition in 0..7 {
            let position = connection
                .broker()
                .group_position(&group, &topic, partition);
            sum += position.await.unwrap().committed.map_or(0, |next| next.0);
        }
        if sum == count {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{sum} committed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Publishes these to a stream, with their keys, and waits until the brokers have the last.
async fn publish_all(
    publisher: &kafkaesk_client::Publisher,
    stream: &str,
    events: impl Iterator<Item = (String, Content)>,
) {
    let mut last = None;
    for (key, event) in events {
        last = Some(
            publisher
                .publish(stream, &event)
                .key(key)
                .enqueue()
                .await
                .unwrap(),
        );
    }
    last.unwrap().await.unwrap();
}

/// With these failing in one stream, what is published to another is handled soon.
async fn hold_up_no_other_stream(failing: impl Iterator<Item = (String, Content)>) {
    let kafka = kafkaesk_client::testing::kafka().await;
    let connection = Connection::open(&kafka.settings()).await.unwrap();
    let publisher = connection.publisher();
    publish_all(&publisher, "content.a", failing).await;
    publisher
        .publish("content.b", &Content::new("good0"))
        .key("g")
        .await
        .unwrap();
    let seen = Seen::default();
    let running = start(&kafka, Duration::from_secs(3), app(&kafka, &seen)).await;
    until("bad0", 20, || {
        seen.lock().unwrap().iter().any(|n| n == "bad0")
    })
    .await;
    until("a third attempt of bad0", 20, || {
        seen.lock().unwrap().iter().filter(|n| *n == "bad0").count() >= 3
    })
    .await;
    publisher
        .publish("content.b", &Content::new("good1"))
        .key("g")
        .await
        .unwrap();
    until("good1", 25, || {
        seen.lock().unwrap().iter().any(|n| n == "good1")
    })
    .await;
    let _ = running.stop.send(());
    running.task.await.unwrap().unwrap();
}

/// ARCHITECTURE, Bounds: other partitions go on.
#[tokio::test(flavor = "multi_thread")]
async fn one_failing_key_with_a_large_backlog_holds_up_no_other_stream() {
    let text = "x".repeat(100_000);
    let event = |number| Content::new(format!("bad{number} {text}"));
    hold_up_no_other_stream((0..600).map(|number| ("bad".to_owned(), event(number)))).await;
}

/// The same with many small records: eight failing keys, each with 2,500 records behind it.
#[tokio::test(flavor = "multi_thread")]
async fn some_failing_keys_with_small_backlogs_hold_up_no_other_stream() {
    let event = |number| Content::new(format!("bad{number}"));
    let key = |number| format!("bad{}", number % 8);
    hold_up_no_other_stream((0..20_000).map(|number| (key(number), event(number)))).await;
}

/// Other tests of this process count as well, so the bound is wide; with shared batches it took 360 MiB more.
#[tokio::test(flavor = "multi_thread")]
async fn small_records_that_wait_do_not_keep_their_large_neighbours() {
    let kafka = kafkaesk_client::testing::kafka().await;
    {
        let mut settings = kafka.settings();
        settings.partitions = 1;
        let connection = Connection::open(&settings).await.unwrap();
        let publisher = connection.publisher();
        let text = "x".repeat(20_000);
        let mut last = None;
        for number in 0..1200 {
            for key in 0..12 {
                let event = Content::new(format!("good{number} {text}"));
                drop(
                    publisher
                        .publish("content.a", &event)
                        .key(format!("k{key}"))
                        .enqueue()
                        .await
                        .unwrap(),
                );
            }
            let event = Content::new(format!("bad{number}"));
            last = Some(
                publisher
                    .publish("content.a", &event)
                    .key("bad")
                    .enqueue()
                    .await
                    .unwrap(),
            );
        }
        last.unwrap().await.unwrap();
    }
    let before = rss();
    let seen = Seen::default();
    let running = start(&kafka, Duration::from_secs(3), app(&kafka, &seen)).await;
    let mut most = 0;
    until("good1199", 60, || {
        most = most.max(rss());
        seen.lock().unwrap().iter().any(|n| n == "good1199")
    })
    .await;
    let _ = running.stop.send(());
    running.task.await.unwrap().unwrap();
    assert!(
        most < before + 220,
        "RSS {before} MiB before, {most} MiB at most"
    );
}

/// A revoke that comes while the end waits for a handler: the end keeps its deadline, what is done is committed.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_during_the_last_drain_neither_prolongs_it_nor_loses_commits() {
    let kafka = kafkaesk_client::testing::kafka().await;
    let connection = Connection::open(&kafka.settings()).await.unwrap();
    let publisher = connection.publisher();
    for number in 0..70 {
        let event = Content::new(format!("good{number}"));
        publisher
            .publish("content.a", &event)
            .key(format!("k{number}"))
            .partition(number % 7)
            .await
            .unwrap();
    }
    let seen = Seen::default();
    let timeout = Duration::from_secs(10);
    let first = start(&kafka, timeout, app(&kafka, &seen)).await;
    until("70", 20, || seen.lock().unwrap().len() == 70).await;
    until_committed(&kafka, &connection, "content.a", 70).await;
    for number in 70..140 {
        let event = Content::new(format!("good{number}"));
        drop(
            publisher
                .publish("content.a", &event)
                .key(format!("k{number}"))
                .partition(number % 7)
                .enqueue()
                .await
                .unwrap(),
        );
    }
    for partition in 0..7 {
        let event = Content::new(format!("stuck{partition}"));
        publisher
            .publish("content.a", &event)
            .key("stuck")
            .partition(partition)
            .await
            .unwrap();
    }
    until("all stuck", 20, || {
        seen.lock()
            .unwrap()
            .iter()
            .filter(|n| n.starts_with("stuck"))
            .count()
            == 7
    })
    .await;
    let asked = Instant::now();
    first.stop.send(()).unwrap();
    // The law is about time: a revoke that comes 5 s into the 8 s that handlers have would end after the deadline, if
    // its own drain counted.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let other = Seen::default();
    let second = start(&kafka, Duration::from_secs(2), app(&kafka, &other)).await;
    let _ = first.task.await.unwrap();
    let took = asked.elapsed();
    until("stuck on the second", 40, || {
        other
            .lock()
            .unwrap()
            .iter()
            .filter(|n| n.starts_with("stuck"))
            .collect::<BTreeSet<_>>()
            .len()
            == 7
    })
    .await;
    let repeated = other
        .lock()
        .unwrap()
        .iter()
        .filter(|n| n.starts_with("good"))
        .count();
    let _ = second.stop.send(());
    let _ = second.task.await.unwrap();
    assert!(
        took < timeout + Duration::from_secs(1) && repeated == 0,
        "{took:?}, {repeated} repeated"
    );
}
