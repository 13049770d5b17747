//! Laws of batches, each over the broker in memory and over a real Kafka: nothing is lost or handled twice, keys keep their order.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering as Atomic},
    },
    time::Duration,
};

use futures_util::future::join_all;
use kafkaesk_client::memory::MemoryBroker;
use kafkaesk_worker::{Control, RunReport, Watch, prelude::*};
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    bed::{Bed, laws},
    events::Content,
};

const LONG: Duration = Duration::from_secs(60);

laws! {
    one_poison_among_500_stands_alone_and_the_others_are_handled_once,
    keys_keep_their_order_when_messages_fail_and_others_go_on,
    with_ordering_by_partition_the_partition_waits_for_the_message_that_fails,
    a_batch_waits_no_longer_than_it_may_and_has_no_more_bytes,
    what_gathers_when_its_partition_is_revoked_is_handled_once_and_later,
    a_batch_that_runs_at_the_shutdown_is_awaited_and_committed,
}

/// What the laws of this file do on a bed.
trait Batching {
    /// Publishes texts, each under the key before its first `-`, in order.
    async fn publish(&self, texts: impl IntoIterator<Item = String>);

    async fn start(&self, change: impl FnOnce(Subscription) -> Subscription) -> Worker;
}

impl Batching for Bed {
    async fn publish(&self, texts: impl IntoIterator<Item = String>) {
        let connection = self.connection().await;
        let publisher = connection.publisher();
        let events: Vec<Content> = texts.into_iter().map(Content::new).collect();
        let publish = |event| {
            let event: &Content = event;
            let key = event.foo.split('-').next().unwrap_or_default();
            publisher.publish("content.a", event).key(key).into_future()
        };
        // The first one alone prepares the stream; then each is queued by its first poll, in order.
        let (first, others) = events.split_first().unwrap();
        publish(first).await.unwrap();
        for published in join_all(others.iter().map(publish)).await {
            published.unwrap();
        }
    }

    async fn start(&self, change: impl FnOnce(Subscription) -> Subscription) -> Worker {
        let seen = Arc::new(Seen::default());
        let of_handler = seen.clone();
        let handler = move |batch: Batch<Content>| {
            let seen = of_handler.clone();
            async move { seen.handle(&batch).await }
        };
        let subscription = subscription("content.*", handler)
            .group(&self.group)
            .retry_backoff(Duration::from_millis(1), Duration::from_millis(2));
        let app = App::new().subscribe(change(subscription));
        let (watch, control) = (app.watch(), app.control());
        let (stop, stopped) = oneshot::channel();
        let connection = self.connection().await;
        let task = tokio::spawn(app.run_on(connection, async { drop(stopped.await) }));
        Worker {
            group: self.group.clone(),
            seen,
            watch,
            control,
            stop,
            task,
        }
    }
}

/// What a handler saw. A text that ends with `fails N` fails its first N batches that have it alone, and all others.
#[derive(Debug)]
struct Seen {
    /// What was handled, in order.
    done: Mutex<Vec<String>>,
    /// The number of messages and bytes of each batch.
    sizes: Mutex<Vec<(usize, usize)>>,
    alone: Mutex<BTreeMap<String, usize>>,
    calls: AtomicUsize,
    /// A batch waits for one of these.
    gate: Semaphore,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            done: Mutex::default(),
            sizes: Mutex::default(),
            alone: Mutex::default(),
            calls: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }
}

impl Seen {
    async fn handle(&self, batch: &Batch<Content>) -> Result<(), HandlerError> {
        self.calls.fetch_add(1, Atomic::Relaxed);
        let bytes = batch
            .records()
            .map(kafkaesk_client::core::Record::size)
            .sum();
        self.sizes.lock().push((batch.len(), bytes));
        self.gate.acquire().await?.forget();
        for content in batch {
            let Some((_, fails)) = content.foo.split_once("fails ") else {
                continue;
            };
            let most: usize = fails.parse()?;
            let mut alone = self.alone.lock();
            let times = alone.entry(content.foo.clone()).or_default();
            if batch.len() > 1 && *times < most {
                return Err(HandlerError::msg("one of these fails"));
            }
            *times += 1;
            if *times <= most {
                return Err(HandlerError::msg("this fails"));
            }
        }
        let texts = batch.iter().map(|content| content.foo.clone());
        self.done.lock().extend(texts);
        Ok(())
    }

    fn done(&self) -> Vec<String> {
        self.done.lock().clone()
    }

    fn calls(&self) -> usize {
        self.calls.load(Atomic::Relaxed)
    }
}

struct Worker {
    group: String,
    seen: Arc<Seen>,
    watch: Watch,
    control: Control,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<RunReport, AppError>>,
}

impl Worker {
    async fn until(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let begun = Instant::now();
        while !holds(&self.seen) {
            assert!(
                begun.elapsed() < LONG,
                "{what} did not happen: {:?}",
                self.seen.calls()
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many messages wait in lanes.
    async fn waiting(&self) -> usize {
        let snapshot = self.watch.snapshot(LONG).await;
        let partitions = snapshot.subscriptions.iter().flat_map(|it| &it.partitions);
        partitions.map(|it| it.waiting).sum()
    }

    async fn until_waiting(&self, messages: usize) {
        let begun = Instant::now();
        while self.waiting().await != messages {
            assert!(begun.elapsed() < LONG, "{messages} do not wait");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) -> (RunReport, Arc<Seen>) {
        self.stop.send(()).unwrap();
        let ended = tokio::time::timeout(LONG, self.task).await;
        (ended.expect("it does not end").unwrap().unwrap(), self.seen)
    }
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts
}

/// What was handled of a key, in order.
fn of_key(done: &[String], key: &str) -> Vec<String> {
    let of_key = done
        .iter()
        .filter(|text| text.split('-').next() == Some(key));
    of_key.cloned().collect()
}

async fn one_poison_among_500_stands_alone_and_the_others_are_handled_once(bed: Bed) {
    let all: Vec<String> = (0..500)
        .map(|i| match i {
            123 => format!("k{i}-fails 99"),
            _ => format!("k{i}-"),
        })
        .collect();
    bed.publish(all.clone()).await;
    let worker = bed
        .start(|it| it.batch(BatchOptions::new()).max_attempts(3))
        .await;
    worker
        .until("499 messages", |seen| seen.done().len() >= 499)
        .await;
    worker
        .until("its attempts", |seen| {
            seen.alone.lock().values().any(|it| *it == 3)
        })
        .await;
    let (report, seen) = worker.end().await;
    let expected = all.iter().filter(|text| !text.contains("fails"));
    assert_eq!(sorted(seen.done()), sorted(expected.cloned().collect()));
    assert_eq!((report.handled, report.dead_letters), (500, 1));
    // Each batch in which it was read is halved at most nine times; then it is tried twice more.
    let batches = seen
        .sizes
        .lock()
        .iter()
        .filter(|(messages, _)| *messages > 0)
        .count();
    assert!(batches <= 500 / 16 + 2 * 9 + 3, "{batches}");
}

async fn keys_keep_their_order_when_messages_fail_and_others_go_on(bed: Bed) {
    let all: Vec<String> = (0..200)
        .map(|i| match i % 37 {
            5 => format!("k{}-{i:03} fails 3", i % 5),
            _ => format!("k{}-{i:03}", i % 5),
        })
        .collect();
    bed.publish(all.clone()).await;
    let worker = bed.start(|it| it.batch(BatchOptions::new().max(50))).await;
    worker.until("all", |seen| seen.done().len() >= 200).await;
    let (_, seen) = worker.end().await;
    let done = seen.done();
    assert_eq!(done.len(), 200);
    for key in ["k0", "k1", "k2", "k3", "k4"] {
        assert_eq!(of_key(&done, key), of_key(&all, key));
    }
}

async fn with_ordering_by_partition_the_partition_waits_for_the_message_that_fails(bed: Bed) {
    let all: Vec<String> = (0..60)
        .map(|i| match i {
            7 | 30 => format!("k{i}-{i:03} fails 2"),
            _ => format!("k{i}-{i:03}"),
        })
        .collect();
    bed.publish(all.clone()).await;
    let batch = BatchOptions::new().max(20);
    let worker = bed
        .start(|it| it.batch(batch).ordering(Ordering::Partition))
        .await;
    worker.until("all", |seen| seen.done().len() >= 60).await;
    let (_, seen) = worker.end().await;
    assert_eq!(seen.done(), all);
}

async fn a_batch_waits_no_longer_than_it_may_and_has_no_more_bytes(bed: Bed) {
    let text = |i: usize| format!("k{i}-{}", "x".repeat(1000));
    bed.publish((0..9).map(text)).await;
    let batch = BatchOptions::new()
        .bytes(4096)
        .wait(Duration::from_millis(300));
    let worker = bed.start(|it| it.batch(batch)).await;
    worker.until("all", |seen| seen.done().len() >= 9).await;
    let (_, seen) = worker.end().await;
    let sizes = seen.sizes.lock().clone();
    assert!(sizes.iter().all(|(_, bytes)| *bytes <= 4096), "{sizes:?}");
    assert!(
        sizes.iter().any(|(messages, _)| *messages == 3),
        "{sizes:?}"
    );
}

async fn what_gathers_when_its_partition_is_revoked_is_handled_once_and_later(bed: Bed) {
    let all: Vec<String> = (0..20).map(|i| format!("k{i}-")).collect();
    bed.publish(all.clone()).await;
    let batch = BatchOptions::new().max(30).wait(Duration::from_secs(10));
    let worker = bed.start(|it| it.batch(batch)).await;
    worker.until_waiting(20).await;
    assert_eq!(worker.control.rejoin(&worker.group).await, 1);
    let more: Vec<String> = (20..30).map(|i| format!("k{i}-")).collect();
    bed.publish(more.clone()).await;
    worker.until("all", |seen| seen.done().len() >= 30).await;
    let (report, seen) = worker.end().await;
    assert_eq!(sorted(seen.done()), sorted([all, more].concat()));
    assert_eq!(report.handled, 30);
}

async fn a_batch_that_runs_at_the_shutdown_is_awaited_and_committed(bed: Bed) {
    let all: Vec<String> = (0..20).map(|i| format!("k{i}-")).collect();
    bed.publish(all.clone()).await;
    let batch = BatchOptions::new().max(20);
    let worker = bed.start(|it| it.batch(batch)).await;
    worker.seen.gate.forget_permits(Semaphore::MAX_PERMITS);
    worker.until("a batch", |seen| seen.calls() > 0).await;
    let snapshot = worker.watch.snapshot(LONG).await;
    let running: Vec<_> = snapshot.subscriptions[0].oldest_running.iter().collect();
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].messages as usize, worker.seen.sizes.lock()[0].0);
    let seen = worker.seen.clone();
    let ending = tokio::spawn(worker.end());
    sleep(Duration::from_millis(50)).await;
    seen.gate.add_permits(1000);
    let (report, _) = ending.await.unwrap();
    let handled = seen.done().len();
    assert_eq!(report.handled as usize, handled);
    assert!(handled > 0);
    // The next one gets the others alone.
    let next = bed.start(|it| it.batch(batch)).await;
    bed.publish(["last-".to_owned()]).await;
    next.until("the last", |seen| seen.done().contains(&"last-".to_owned()))
        .await;
    next.until("all", |next| next.done().len() + handled > 20)
        .await;
    let (_, next) = next.end().await;
    let both = [seen.done(), next.done()].concat();
    assert_eq!(
        sorted(both),
        sorted([all, vec!["last-".to_owned()]].concat())
    );
}

#[tokio::test(start_paused = true)]
async fn partitions_whose_batches_stay_small_go_on_when_reading_slows_down() {
    let mut bed = Bed::memory();
    bed.settings.partitions = 40;
    let broker = MemoryBroker::with_prefix(bed.settings.topic_prefix.clone());
    bed.memory = Some(Arc::new(broker));
    bed.publish((0..8000).map(|i| format!("k{i}-"))).await;
    let batch = BatchOptions::new().wait(Duration::from_secs(10));
    let begun = Instant::now();
    let worker = bed.start(|it| it.batch(batch)).await;
    // No partition has 500 messages, so without the hurry nothing would start for ten seconds.
    worker
        .until("half of them", |seen| seen.done().len() >= 4000)
        .await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    worker.until("all", |seen| seen.done().len() >= 8000).await;
    let (report, seen) = worker.end().await;
    assert_eq!((report.handled, seen.done().len()), (8000, 8000));
}
