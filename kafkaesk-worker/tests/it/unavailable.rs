//! What no message is to blame for, and what is held: over the broker in memory, on tokio's paused clock.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use kafkaesk_worker::{RunReport, prelude::*};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::events::Content;

struct Running {
    connection: Connection,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<RunReport, AppError>>,
}

impl Running {
    fn start(app: App, connection: &Connection) -> Self {
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        Self {
            connection: connection.clone(),
            stop,
            task: tokio::spawn(app.run_on(connection.clone(), shutdown)),
        }
    }

    /// Publishes events `0..count`, each with the key that `key` gives it.
    async fn publish(&self, count: usize, key: impl Fn(usize) -> String) {
        let publisher = self.connection.publisher();
        for number in 0..count {
            let event = Content::new(number.to_string());
            publisher
                .publish("a", &event)
                .key(key(number))
                .await
                .unwrap();
        }
    }

    async fn stop(self) -> RunReport {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap()
    }
}

/// Waits until this holds; the clock runs as fast as nothing happens.
async fn until(holds: impl Fn() -> bool) {
    tokio::time::timeout(Duration::from_secs(3600), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_unavailable_pauses_its_subscription_and_loses_nothing() {
    let away = Arc::new(AtomicBool::new(true));
    let (calls, done) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Mutex::new(BTreeSet::new())),
    );
    let (is_away, count, into) = (away.clone(), calls.clone(), done.clone());
    let handler = move |data: Content| {
        let (is_away, count, into) = (is_away.clone(), count.clone(), into.clone());
        async move {
            count.fetch_add(1, SeqCst);
            if is_away.load(SeqCst) {
                // Through another error type, as in a handler that uses `anyhow`.
                let error = Err::<(), _>("refused").or_unavailable("no database");
                return Err(HandlerError::from(anyhow::Error::from(error.unwrap_err())));
            }
            into.lock().unwrap().insert(data.foo);
            Ok(())
        }
    };
    let app = App::new().subscribe(subscription("a", handler).group("g"));
    let connection = Connection::in_memory(Settings::default());
    let running = Running::start(app, &connection);
    running.publish(1_000, |number| number.to_string()).await;
    until(|| calls.load(SeqCst) > 0).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    // What ran side by side when it was found, then one for each try.
    let tried = calls.load(SeqCst);
    assert!(tried < 32 + 20, "{tried} calls of a handler that is away");
    away.store(false, SeqCst);
    until(|| done.lock().unwrap().len() == 1_000).await;
    let report = running.stop().await;
    assert_eq!(report.handled, 1_000);
    assert_eq!((report.failed_attempts, report.unfinished_total), (0, 0));
    assert_eq!((report.pauses, report.redelivered), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pauses_end_reports_what_was_begun_and_not_the_rest() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let handler = move |_: Content| {
        let count = count.clone();
        async move {
            count.fetch_add(1, SeqCst);
            Err::<(), _>(HandlerError::unavailable("no database"))
        }
    };
    let app = App::new().subscribe(subscription("a", handler).group("g"));
    let connection = Connection::in_memory(Settings::default());
    let running = Running::start(app, &connection);
    running.publish(1_000, |number| number.to_string()).await;
    until(|| calls.load(SeqCst) > 0).await;
    let report = running.stop().await;
    assert_eq!(report.handled, 0);
    let begun = calls.load(SeqCst) as u64;
    assert_eq!(report.unfinished_total, begun);
    assert!((1..=1_000 - begun).contains(&report.waiting), "{report:?}");
    assert_eq!(
        report.unfinished.len(),
        RunReport::LISTED.min(calls.load(SeqCst))
    );
    assert!(report.unfinished.iter().all(|unfinished| unfinished.held));
}

#[tokio::test(start_paused = true)]
async fn the_report_names_what_is_held_what_waits_for_it_and_what_is_delivered_again() {
    let done = Arc::new(AtomicUsize::new(0));
    let count = done.clone();
    let handler = move |data: Content, record: Record| {
        let count = count.clone();
        async move {
            if data.foo == "0" && record.key() == Some(b"key-0") {
                return Err(HandlerError::msg("not this one"));
            }
            count.fetch_add(1, SeqCst);
            Ok(())
        }
    };
    let app = App::new().subscribe(subscription("a", handler).group("g"));
    let mut settings = Settings::default();
    settings.partitions = 1;
    let connection = Connection::in_memory(settings);
    let running = Running::start(app, &connection);
    let begun = std::time::SystemTime::now();
    running
        .publish(100, |number| format!("key-{}", number % 4))
        .await;
    until(|| done.load(SeqCst) == 75).await;
    let report = running.stop().await;
    // What is finished behind the held message travels in the commit.
    assert_eq!((report.handled, report.redelivered), (75, 0));
    assert!(report.failed_attempts > 0);
    assert_eq!(report.unfinished_total, 1);
    let [held] = &report.unfinished[..] else {
        panic!("{report:?}")
    };
    assert_eq!((held.group.as_str(), held.topic.as_str()), ("g", "a"));
    assert_eq!((held.partition, held.offset), (0, 0));
    assert!(held.held && held.attempts >= 1);
    assert_eq!((held.waiting, report.waiting), (24, 24));
    assert!(held.since >= begun - Duration::from_secs(3600));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_while_the_worker_ends_is_reported_as_held() {
    let (begun, go) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(tokio::sync::Notify::new()),
    );
    let (begins, goes) = (begun.clone(), go.clone());
    let handler = move |_: Content| {
        let (begins, goes) = (begins.clone(), goes.clone());
        async move {
            begins.fetch_add(1, SeqCst);
            goes.notified().await;
            Outcome::retry()
        }
    };
    let app = App::new().subscribe(subscription("a", handler).group("g"));
    let connection = Connection::in_memory(Settings::default());
    let running = Running::start(app, &connection);
    running.publish(1, |_| "k".to_owned()).await;
    until(|| begun.load(SeqCst) == 1).await;
    let task = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(100)).await;
    go.notify_one();
    let report = task.await.unwrap();
    assert_eq!((report.handled, report.unfinished_total), (0, 1));
    assert!(report.unfinished[0].held);
    assert_eq!(report.unfinished[0].attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_an_hour_at_most() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let handler = move |_: Content| {
        let count = count.clone();
        async move {
            count.fetch_add(1, SeqCst);
            Outcome::retry_after(Duration::from_secs(86_400))
        }
    };
    let app = App::new().subscribe(subscription("a", handler).group("g"));
    let connection = Connection::in_memory(Settings::default());
    let running = Running::start(app, &connection);
    running.publish(1, |_| "k".to_owned()).await;
    until(|| calls.load(SeqCst) == 1).await;
    tokio::time::sleep(Duration::from_secs(3590)).await;
    assert_eq!(calls.load(SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(calls.load(SeqCst), 2);
    running.stop().await;
}
