//! What the log says of what repeats: over the broker in memory, on tokio's paused clock.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use kafkaesk_client::core::Headers;
use kafkaesk_worker::prelude::*;
use tokio::sync::oneshot;

use crate::{
    events::Content,
    support::{start, start_with},
};

/// What this thread logs, without times.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(crate) fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .without_time()
            .with_ansi(false)
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (log, guard)
    }

    /// Its lines that hold this.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = log.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }
}

async fn typed(_: Content) {}

#[tokio::test(start_paused = true)]
async fn a_message_that_keeps_failing_writes_few_lines_and_is_named_while_it_is_held() {
    async fn fails(_: Content) -> Result<(), HandlerError> {
        Err(HandlerError::msg("not today"))
    }
    let (log, _guard) = Log::capture();
    let endless = subscription("a", fails)
        .group("g")
        .max_attempts(0)
        .failure_limit(None);
    let (_, connection, stop, task) = start(App::new().subscribe(endless));
    let publisher = connection.publisher();
    publisher.publish("a", &Content::new("x")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(570)).await;
    let counts = [1, 2, 4, 8, 16];
    let failed = log.lines("not handled; it is tried again");
    assert_eq!(failed.len(), counts.len(), "{failed:#?}");
    for (line, count) in failed.iter().zip(counts) {
        assert!(line.contains(&format!(" count={count} ")), "{line}");
        assert!(line.contains("not today"), "{line}");
    }
    // After one minute, two, four and eight.
    let reminders = log.lines("messages are held");
    assert_eq!(reminders.len(), 4, "{reminders:#?}");
    for line in &reminders {
        assert!(line.contains("held=1 oldest=a[0]@0 since="), "{line}");
    }
    stop.send(()).unwrap();
    let report = task.await.unwrap().unwrap();
    assert!(report.failed_attempts > 20, "{report:?}");
    assert_eq!(log.lines("held: its last attempt failed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn tombstones_and_empty_values_are_counted_and_other_values_without_an_event_are_said() {
    let (log, _guard) = Log::capture();
    let skips = subscription("a", typed)
        .group("g")
        .on_no_event(OnNoEvent::Skip);
    let (broker, connection, stop, task) = start(App::new().subscribe(skips));
    let publisher = connection.publisher();
    let topic = publisher
        .publish("a", &Content::new("x"))
        .await
        .unwrap()
        .topic;
    let put = |value: Option<&'static [u8]>| {
        let value = value.map(bytes::Bytes::from_static);
        broker
            .append_raw(&topic, None, value, Headers::new())
            .unwrap();
    };
    for value in [None, Some(&b""[..]), Some(b" \n")] {
        put(value);
    }
    let committed = |next: i64| {
        let broker = broker.clone();
        async move {
            let found = || broker.committed("g", "a", 0).is_some_and(|n| n.0 == next);
            tokio::time::timeout(Duration::from_secs(60), async {
                while !found() {
                    broker.changed().await;
                }
            })
            .await
            .unwrap();
        }
    };
    committed(4).await;
    assert_eq!(log.lines(" WARN "), [""; 0]);
    for _ in 0..100 {
        put(Some(b"hello"));
    }
    committed(104).await;
    let said = log.lines(" WARN ");
    assert_eq!(said.len(), 7, "{said:#?}");
    for text in [
        "passed over",
        "stream=\"a\" partition=0 offset=4 ",
        "count=1 ",
        "the record holds no event: no envelope: the text is",
    ] {
        assert!(said[0].contains(text), "{text:?}: {}", said[0]);
    }
    stop.send(()).unwrap();
    let report = task.await.unwrap().unwrap();
    assert_eq!((report.handled, report.without_event), (104, 103));
}

#[tokio::test(start_paused = true)]
async fn partitions_that_are_given_up_say_what_the_next_member_gets_again() {
    async fn holds(data: Content) -> Outcome {
        match data.foo.as_str() {
            "held" => Outcome::retry_after(Duration::from_secs(3_600)),
            _ => Outcome::Done,
        }
    }
    let app = || App::new().subscribe(subscription("a", holds).group("g"));
    let (log, _guard) = Log::capture();
    let connection = Connection::in_memory(Settings::default());
    let publisher = connection.publisher();
    // In each partition one that is held, then nine that are not.
    for text in ["held"].into_iter().chain(["done"; 9]) {
        for partition in 0..7 {
            let publish = publisher.publish("a", &Content::new(text));
            publish.partition(partition).await.unwrap();
        }
    }
    let run = || {
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        (
            stop,
            tokio::spawn(app().run_on(connection.clone(), shutdown)),
        )
    };
    let (_stop, _task) = run();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(log.lines("given up before everything was handled").len(), 0);
    let (_stop, _task) = run();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let said = log.lines("given up before everything was handled");
    let figure = |line: &str, name: &str| -> usize {
        let rest = line.split_once(name).unwrap().1;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
        digits.unwrap().parse().unwrap()
    };
    let held: usize = said.iter().map(|line| figure(line, "held=")).sum();
    let redelivered: usize = said.iter().map(|line| figure(line, "redelivered=")).sum();
    assert!(held >= 3, "{said:#?}");
    // What is finished behind them travels in the commit.
    assert_eq!(redelivered, 0, "{said:#?}");
}

/// The count on each of these lines.
fn counts(lines: &[String]) -> Vec<u64> {
    let count = |line: &String| {
        let (_, rest) = line.split_once(" count=")?;
        rest.split(' ').next()?.parse().ok()
    };
    lines.iter().filter_map(count).collect()
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_written_at_1_2_4_8_repeats_about_each_partition_apart() {
    async fn fails(data: Content) -> Result<(), HandlerError> {
        Err(HandlerError::msg(data.foo))
    }
    let (log, _guard) = Log::capture();
    let endless = subscription("a", fails)
        .group("g")
        .max_attempts(0)
        .failure_limit(None);
    let (_, connection, stop, task) = start_with(App::new().subscribe(endless), |settings| {
        settings.partitions = 2
    });
    let publisher = connection.publisher();
    let publish = |text, partition| {
        publisher
            .publish("a", &Content::new(text))
            .partition(partition)
    };
    publish("the first poison", 0).await.unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(counts(&log.lines("the first poison")), [1, 2, 4, 8, 16]);
    publish("the second poison", 1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(counts(&log.lines("the second poison"))[0], 1);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_tried_once_in_a_long_while_repeats_its_line_at_1_2_4_8_as_well() {
    async fn later(_: Content) -> Result<(), HandlerError> {
        Err::<(), _>("not today").or_retry_after(Duration::from_secs(600))?;
        Ok(())
    }
    let (log, _guard) = Log::capture();
    let app = App::new().subscribe(subscription("a", later).group("g"));
    let (_, connection, stop, task) = start(app);
    let publisher = connection.publisher();
    publisher.publish("a", &Content::new("x")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6_100)).await;
    assert_eq!(counts(&log.lines("it is tried again")), [1, 2, 4, 8]);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_kept_nowhere_are_said_at_1_2_4_8_with_their_count() {
    async fn rejects(data: Content) -> Outcome {
        Outcome::reject(data.foo)
    }
    let (log, _guard) = Log::capture();
    let rejects = subscription("a", rejects)
        .group("g")
        .on_reject(OnReject::Skip);
    let (_, connection, stop, task) = start(App::new().subscribe(rejects));
    let publisher = connection.publisher();
    for _ in 0..100 {
        let event = Content::new("wrong");
        publisher.publish("a", &event).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let said = log.lines(" WARN ");
    assert_eq!(counts(&said), [1, 2, 4, 8, 16, 32, 64], "{said:#?}");
    stop.send(()).unwrap();
    assert_eq!(task.await.unwrap().unwrap().handled, 100);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_message_in_custody_is_named_at_one_two_four_eight_times_stuck_after() {
    let (custody, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |_: Content, committer: Committer| {
        let custody = custody.clone();
        async move { drop(custody.send(committer)) }
    };
    let by_hand = subscription("a", handler).group("g");
    let by_hand = by_hand
        .commit(Commit::Manual)
        .stuck_after(Duration::from_secs(1));
    let (log, _guard) = Log::capture();
    let (_broker, connection, stop, task) = start(App::new().subscribe(by_hand));
    let publisher = connection.publisher();
    for _ in 0..3 {
        publisher.publish("a", &Content::new("x")).await.unwrap();
    }
    let mut committers = Vec::new();
    while committers.len() < 3 {
        committers.push(taken.recv().await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(12)).await;
    let said = log.lines("longer than stuck-after");
    assert_eq!(said.len(), 4, "{said:#?}");
    for text in [
        "offset=0 ",
        "in_custody=3",
        "its committer was not finished",
    ] {
        assert!(said[0].contains(text), "{text:?}: {}", said[0]);
    }
    for committer in committers {
        drop(committer.done());
    }
    stop.send(()).unwrap();
    assert_eq!(task.await.unwrap().unwrap().handled, 3);
}
