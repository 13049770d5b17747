//! Laws of exactly once: what handlers publish and the offsets of their messages are committed together. Each law runs over the
//! broker in memory and over a real Kafka, and reads its output as committed records.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering as Atomic},
    },
    time::Duration,
};

use kafkaesk_client::{
    consumer::{ConsumerEvent, ConsumerSpec, Start},
    core::Pattern,
};
use kafkaesk_worker::{RunReport, Subscription, Watch, prelude::*, subscription};
use tokio::{
    sync::{Mutex, Notify, oneshot},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    bed::{Bed, laws},
    events::Content,
};

const LONG: Duration = Duration::from_secs(60);

laws! {
    what_is_published_appears_once_and_in_the_order_of_its_key,
    what_a_failed_attempt_published_never_appears,
    nothing_appears_before_its_handler_has_ended,
    a_publish_after_the_end_of_its_attempt_is_an_error,
    what_was_finished_beyond_a_held_message_appears_once_and_is_not_repeated,
    a_worker_that_dies_leaves_nothing_twice,
    members_that_come_and_go_leave_nothing_twice,
    at_the_end_everything_is_committed,
}

/// What the handlers of a test share.
#[derive(Default)]
struct Shared {
    calls: AtomicUsize,
    /// Messages "wait…" do not end before.
    open: AtomicBool,
    opened: Notify,
    /// Publishers of attempts that are over.
    kept: Mutex<Vec<Publisher>>,
}

impl Shared {
    fn go_on(&self) {
        self.open.store(true, Atomic::Relaxed);
        self.opened.notify_waiters();
    }
}

/// Copies a message, as its text says.
async fn copy(
    event: Content,
    record: Record,
    attempt: Attempt,
    publisher: Publisher,
    shared: State<Arc<Shared>>,
) -> Result<Outcome, HandlerError> {
    shared.calls.fetch_add(1, Atomic::Relaxed);
    let key = record.key.clone().unwrap_or_default();
    let receipt = publisher.publish("out.a", &event).key(&key).await?;
    assert_eq!(receipt.offset, None);
    if event.foo.starts_with("keep") {
        shared.kept.lock().await.push(publisher.clone());
    }
    if event.foo.starts_with("wait") {
        loop {
            let opened = shared.opened.notified();
            if shared.open.load(Atomic::Relaxed) {
                break;
            }
            opened.await;
        }
    }
    match event.foo.as_str() {
        it if it.starts_with("fails") && attempt.0 < 3 => Err(HandlerError::msg("as it says")),
        it if it.starts_with("panics") && attempt.0 < 3 => panic!("as it says"),
        it if it.starts_with("rejects") => Ok(Outcome::reject("as it says")),
        it if it.starts_with("held") => Ok(Outcome::retry_after(Duration::from_secs(3600))),
        _ => Ok(Outcome::Done),
    }
}

/// What the laws of this file do on a bed.
trait Copying {
    async fn publish<T: Into<String>>(&self, texts: impl IntoIterator<Item = T>, keys: usize);

    /// All that readers of committed records see of the output by now, by key.
    async fn output(&self) -> BTreeMap<String, Vec<String>>;

    async fn output_texts(&self) -> Vec<String>;

    /// Waits until the output has so many records.
    async fn output_of(&self, count: usize) -> Vec<String>;

    fn app(&self, shared: &Arc<Shared>, change: impl FnOnce(Subscription) -> Subscription) -> App;

    async fn start(&self) -> Worker;

    async fn start_with(&self, change: impl FnOnce(Subscription) -> Subscription) -> Worker;
}

impl Copying for Bed {
    async fn publish<T: Into<String>>(&self, texts: impl IntoIterator<Item = T>, keys: usize) {
        let connection = self.connection().await;
        let publisher = connection.publisher();
        let mut answers = Vec::new();
        for (n, text) in texts.into_iter().enumerate() {
            let publish = publisher.publish("in.a", &Content::new(text.into()));
            let publish = publish.key(format!("k{}", n % keys));
            answers.push(publish.enqueue().await.unwrap());
        }
        for answer in answers {
            answer.await.unwrap();
        }
    }

    async fn output(&self) -> BTreeMap<String, Vec<String>> {
        let connection = self.connection().await;
        let topic = format!("{}out.a", self.settings.topic_prefix.as_str());
        let spec = ConsumerSpec {
            group: None,
            pattern: Pattern::new("out.a").unwrap(),
            retry_topic: None,
            start: Start::Earliest,
            drain: Duration::from_secs(5),
            kafka_settings: BTreeMap::new(),
            skip: Vec::new(),
            exact: false,
            partition: None,
        };
        let cluster = connection.broker().cluster().await.unwrap();
        let mut open = cluster.topics.get(&topic).map_or(0, |it| it.partitions);
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if open == 0 {
            return found;
        }
        let mut consumer = connection.broker().consume(spec).await.unwrap();
        while open > 0 {
            let event = tokio::time::timeout(LONG, consumer.next()).await.unwrap();
            match event.unwrap() {
                ConsumerEvent::End(_) => open -= 1,
                ConsumerEvent::Records(batch) => {
                    for record in batch.records {
                        let key = record.key.clone().unwrap_or_default();
                        let text = String::from_utf8_lossy(record.value()).into_owned();
                        let from = text.split("\"foo\":\"").nth(1).unwrap();
                        let text = from.split('"').next().unwrap().to_owned();
                        let key = String::from_utf8_lossy(&key).into_owned();
                        found.entry(key).or_default().push(text);
                    }
                }
                _ => {}
            }
        }
        found
    }

    async fn output_texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.output().await.into_values().flatten().collect();
        texts.sort();
        texts
    }

    async fn output_of(&self, count: usize) -> Vec<String> {
        let end = Instant::now() + LONG;
        loop {
            let texts = self.output_texts().await;
            if texts.len() >= count {
                return texts;
            }
            assert!(Instant::now() < end, "{} of {count}", texts.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn app(&self, shared: &Arc<Shared>, change: impl FnOnce(Subscription) -> Subscription) -> App {
        let batch = BatchOptions::new().max(50).wait(Duration::from_millis(20));
        let subscription = subscription("in.*", copy)
            .group(&self.group)
            .batch(batch.transaction(true))
            .retry_backoff(Duration::from_millis(1), Duration::from_millis(2));
        App::new()
            .state(shared.clone())
            .subscribe(change(subscription))
    }

    async fn start(&self) -> Worker {
        self.start_with(|it| it).await
    }

    async fn start_with(&self, change: impl FnOnce(Subscription) -> Subscription) -> Worker {
        let shared = Arc::<Shared>::default();
        let app = self.app(&shared, change);
        let watch = app.watch();
        let (stop, stopped) = oneshot::channel();
        let connection = self.connection().await;
        let task = tokio::spawn(app.run_on(connection, async { drop(stopped.await) }));
        Worker {
            shared,
            watch,
            stop,
            task,
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    watch: Watch,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<RunReport, AppError>>,
}

impl Worker {
    async fn called(&self, times: usize) {
        let end = Instant::now() + LONG;
        while self.shared.calls.load(Atomic::Relaxed) < times {
            assert!(Instant::now() < end, "it is not called");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(self) -> RunReport {
        self.stop.send(()).unwrap();
        let ended = tokio::time::timeout(LONG, self.task).await;
        ended.expect("it does not end").unwrap().unwrap()
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{n:05}")).collect()
}

async fn what_is_published_appears_once_and_in_the_order_of_its_key(mut bed: Bed) {
    bed.settings.partitions = 3;
    bed.publish(numbers(0..500), 7).await;
    let worker = bed.start().await;
    assert_eq!(bed.output_of(500).await, numbers(0..500));
    for texts in bed.output().await.into_values() {
        assert!(texts.is_sorted(), "{texts:?}");
    }
    let report = worker.end().await;
    assert_eq!((report.handled, report.redelivered), (500, 0));
    assert_eq!(bed.output_texts().await, numbers(0..500));
}

async fn what_a_failed_attempt_published_never_appears(bed: Bed) {
    bed.publish(["fails", "panics", "rejects", "good"], 4).await;
    let worker = bed.start().await;
    assert_eq!(bed.output_of(3).await, ["fails", "good", "panics"]);
    let report = worker.end().await;
    assert_eq!((report.handled, report.dead_letters), (4, 1));
    assert_eq!(bed.output_texts().await, ["fails", "good", "panics"]);
}

async fn nothing_appears_before_its_handler_has_ended(bed: Bed) {
    bed.publish(["wait", "quick"], 2).await;
    let worker = bed.start().await;
    assert_eq!(bed.output_of(1).await, ["quick"]);
    worker.called(2).await;
    assert_eq!(bed.output_texts().await, ["quick"]);
    worker.shared.go_on();
    assert_eq!(bed.output_of(2).await, ["quick", "wait"]);
    worker.end().await;
}

async fn a_publish_after_the_end_of_its_attempt_is_an_error(bed: Bed) {
    bed.publish(["keep"], 1).await;
    let worker = bed.start().await;
    assert_eq!(bed.output_of(1).await, ["keep"]);
    let kept = worker.shared.kept.lock().await.pop().unwrap();
    let event = Content::new("late");
    for publish in [
        kept.publish("out.a", &event),
        (*kept).publish("out.a", &event),
    ] {
        let error = publish.await.unwrap_err().to_string();
        assert!(error.contains("the attempt is over"), "{error}");
    }
    worker.end().await;
    assert_eq!(bed.output_texts().await, ["keep"]);
}

async fn what_was_finished_beyond_a_held_message_appears_once_and_is_not_repeated(bed: Bed) {
    let mut texts = vec!["held".to_owned()];
    texts.extend(numbers(1..200));
    bed.publish(texts, 200).await;
    for start in 0..3 {
        let worker = bed.start().await;
        assert_eq!(bed.output_of(199).await, numbers(1..200));
        worker.called(1).await;
        let shared = worker.shared.clone();
        let report = worker.end().await;
        assert_eq!((report.unfinished_total, report.redelivered), (1, 0));
        if start > 0 {
            assert_eq!(shared.calls.load(Atomic::Relaxed), 1, "only the held one");
        }
    }
    assert_eq!(bed.output_texts().await, numbers(1..200));
}

/// Runs a worker on a runtime of its own, and drops that in the middle.
async fn dies(bed: &Bed) {
    let (shared, settings) = (Arc::<Shared>::default(), bed.settings.clone());
    let app = bed.app(&shared, |it| it);
    let memory = bed.memory.clone();
    let calls = shared.clone();
    let dead = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let connection = match memory {
                Some(broker) => Connection::with_broker(settings, broker),
                None => Connection::open(&settings).await.unwrap(),
            };
            let run = app.run_on(connection, std::future::pending());
            let called = async {
                while calls.calls.load(Atomic::Relaxed) < 400 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::select! { ended = run => drop(ended.unwrap()), () = called => {} }
        });
        runtime.shutdown_background();
    });
    tokio::task::spawn_blocking(move || dead.join().unwrap())
        .await
        .unwrap();
}

async fn a_worker_that_dies_leaves_nothing_twice(mut bed: Bed) {
    bed.settings.partitions = 3;
    // It is missed soon.
    let properties = &mut bed.settings.kafka_settings.consumer;
    properties.insert("session.timeout.ms".to_owned(), "6000".to_owned());
    bed.publish(numbers(0..3000), 50).await;
    for _ in 0..3 {
        dies(&bed).await;
    }
    let worker = bed.start().await;
    assert_eq!(bed.output_of(3000).await, numbers(0..3000));
    worker.end().await;
    assert_eq!(bed.output_texts().await, numbers(0..3000));
    for texts in bed.output().await.into_values() {
        assert!(texts.is_sorted(), "{texts:?}");
    }
}

async fn members_that_come_and_go_leave_nothing_twice(mut bed: Bed) {
    bed.settings.partitions = 4;
    bed.publish(numbers(0..1000), 50).await;
    let first = bed.start().await;
    first.called(100).await;
    let second = bed.start().await;
    bed.publish(numbers(1000..2000), 50).await;
    bed.output_of(1500).await;
    let report = first.end().await;
    assert_eq!(report.redelivered, 0);
    let third = bed.start().await;
    bed.publish(numbers(2000..3000), 50).await;
    assert_eq!(bed.output_of(3000).await, numbers(0..3000));
    for worker in [second, third] {
        assert_eq!(worker.end().await.redelivered, 0);
    }
    assert_eq!(bed.output_texts().await, numbers(0..3000));
}

async fn at_the_end_everything_is_committed(bed: Bed) {
    bed.publish(numbers(0..100), 100).await;
    let batch = BatchOptions::new()
        .max(10_000)
        .wait(Duration::from_secs(10));
    let batch = batch.transaction(true);
    let worker = bed.start_with(|it| it.batch(batch)).await;
    worker.called(100).await;
    let report = worker.end().await;
    assert_eq!((report.handled, report.redelivered), (100, 0));
    assert_eq!(bed.output_texts().await, numbers(0..100));
    let connection = bed.connection().await;
    let topic = format!("{}in.a", bed.settings.topic_prefix.as_str());
    let place = (topic, 0);
    let end = Instant::now() + LONG;
    loop {
        // A transaction is decided before its marks are written.
        let offsets = connection.broker().group_offsets(&bed.group, None).await;
        let committed = offsets.unwrap().get(&place).map(|next| next.0);
        if committed == Some(100) {
            break;
        }
        assert!(Instant::now() < end, "{committed:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_in_doubt_leaves_nothing_twice_and_loses_nothing() {
    for written in [true, false] {
        let mut bed = Bed::memory();
        bed.settings.partitions = 3;
        let broker = bed.memory.clone().unwrap();
        let worker = bed.start().await;
        for from in [0, 500] {
            broker.leave_in_doubt(written);
            bed.publish(numbers(from..from + 500), 20).await;
            let expected = numbers(0..from + 500);
            assert_eq!(bed.output_of(expected.len()).await, expected, "{written}");
        }
        for texts in bed.output().await.into_values() {
            assert!(texts.is_sorted(), "{texts:?}");
        }
        worker.end().await;
        assert_eq!(bed.output_texts().await, numbers(0..1000), "{written}");
        // It gave its partitions up each time: joined, left, joined, left, joined, left.
        assert!(broker.generation(&bed.group) >= 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_partitions_are_lost_writes_nothing_of_them() {
    let bed = Bed::memory();
    bed.publish(numbers(0..300), 300).await;
    let broker = bed.memory.clone().unwrap();
    let batch = BatchOptions::new().max(1000).wait(Duration::from_secs(1));
    let worker = bed.start_with(|it| it.batch(batch.transaction(true))).await;
    for times in 1..=3 {
        worker.called(300 * times).await;
        assert!(bed.output_texts().await.is_empty());
        broker.lose(&bed.group);
    }
    assert_eq!(bed.output_of(300).await, numbers(0..300));
    assert!(worker.shared.calls.load(Atomic::Relaxed) >= 1200);
    worker.end().await;
    assert_eq!(bed.output_texts().await, numbers(0..300));
}

#[tokio::test(start_paused = true)]
async fn while_transactions_fail_a_bounded_number_of_messages_starts_and_none_is_lost() {
    let bed = Bed::memory();
    bed.publish(numbers(0..1), 1).await;
    let broker = bed.memory.clone().unwrap();
    let worker = bed.start().await;
    bed.output_of(1).await;
    // What is published goes nowhere.
    assert!(broker.delete_topic("out.a"));
    bed.publish(numbers(1..1000), 1000).await;
    worker.called(101).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let calls = worker.shared.calls.load(Atomic::Relaxed);
    // Twice as many as a transaction holds, beside the first, and those that ran when so many were finished.
    assert!((101..=101 + 32).contains(&calls), "{calls}");
    let snapshot = worker.watch.snapshot(LONG).await;
    let shown = &snapshot.subscriptions[0];
    assert_eq!(shown.uncommitted, calls - 1);
    let error = shown.transaction_error.as_deref().unwrap();
    assert!(error.contains("out.a"), "{error}");
    let connection = bed.connection().await;
    let publisher = connection.publisher();
    // Creates it again.
    let publish = publisher.publish("out.a", &Content::new("00000"));
    publish.key("again").await.unwrap();
    assert_eq!(bed.output_of(1000).await, numbers(0..1000));
    worker.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_with_transactions_and_committers_is_refused() {
    async fn by_hand(committer: Committer) {
        drop(committer.done());
    }
    let bed = Bed::memory();
    let other = subscription("other.*", by_hand).group("g");
    let app = bed.app(&Arc::default(), |it| it);
    let error = app.subscribe(other.commit(Commit::Manual)).check();
    let error = error.unwrap_err().to_string();
    assert!(error.contains("groups of their own"), "{error}");
    let manual = bed.app(&Arc::default(), |it| it.commit(Commit::Manual));
    assert!(manual.check().is_err());
}

async fn just_copy(
    event: Content,
    record: Record,
    publisher: Publisher,
    calls: State<Arc<Shared>>,
) {
    let key = record.key.clone().unwrap_or_default();
    publisher.publish("out.a", &event).key(key).await.unwrap();
    calls.calls.fetch_add(1, Atomic::Relaxed);
}

/// A measurement: `cargo test -p kafkaesk-worker --test it copying_in_trans -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints what transactions cost, and fails for no figure"]
#[allow(clippy::print_stdout, reason = "a measurement by command")]
async fn copying_in_transactions_beside_copying_at_least_once() {
    const COUNT: usize = 20_000;
    for transaction in [false, true, false, true] {
        let mut bed = Bed::kafka().await;
        bed.settings.partitions = 6;
        bed.publish(numbers(0..COUNT), 500).await;
        let mut subscription = subscription("in.*", just_copy)
            .group(&bed.group)
            .concurrency(256);
        if transaction {
            subscription = subscription.batch(BatchOptions::new().transaction(true));
        }
        let shared = Arc::<Shared>::default();
        let app = App::new().state(shared.clone()).subscribe(subscription);
        let watch = app.watch();
        let (stop, stopped) = oneshot::channel();
        let connection = bed.connection().await;
        let task = tokio::spawn(app.run_on(connection, async { drop(stopped.await) }));
        let worker = Worker {
            shared,
            watch,
            stop,
            task,
        };
        worker.called(1).await;
        let begun = Instant::now();
        worker.called(COUNT).await;
        while worker.watch.snapshot(LONG).await.subscriptions[0].uncommitted > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "transaction = {transaction}: {:.0} messages a second",
            COUNT as f64 / seconds
        );
        worker.end().await;
        assert_eq!(bed.output_texts().await.len(), COUNT);
    }
}
