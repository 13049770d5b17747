//! Laws of manual commit: a message counts as finished when its committer says so, whenever that is. Each law runs over the broker
//! in memory and over a real Kafka.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering as Atomic},
    },
    time::Duration,
};

use kafkaesk_worker::{RunReport, Subscription, Watch, prelude::*, subscription};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    bed::{Bed, laws},
    events::Content,
};

const LONG: Duration = Duration::from_secs(60);

laws! {
    nothing_is_committed_before_done_and_done_resolves_after_the_commit,
    a_handler_may_wait_for_its_own_commit,
    the_lane_is_free_when_the_handler_returns,
    what_is_not_done_is_delivered_again_and_what_was_done_out_of_order_is_not,
    a_clean_end_after_done_out_of_order_repeats_nothing,
    a_committer_that_is_dropped_or_fails_is_a_failed_attempt,
    messages_of_a_key_that_fail_in_custody_come_back_in_their_order,
    the_error_of_a_handler_counts_more_than_its_committer,
    a_committer_of_a_former_assignment_is_stale_and_changes_nothing,
    a_revoke_lets_a_sink_flush_and_repeats_nothing,
    custody_pauses_its_partition_at_its_bound_and_goes_on,
    a_shutdown_with_messages_in_custody_ends_in_time_and_names_them,
    a_shutdown_lets_a_sink_flush,
}

/// What the laws of this file do on a bed.
pub(crate) trait ByHand {
    async fn publish(&self, texts: impl IntoIterator<Item = String>, key: Option<&str>);

    /// The committed offset of the only partition.
    async fn committed(&self) -> Option<i64>;

    async fn start(&self) -> Worker;

    async fn start_with(&self, change: impl FnOnce(Subscription) -> Subscription) -> Worker;
}

impl ByHand for Bed {
    async fn publish(&self, texts: impl IntoIterator<Item = String>, key: Option<&str>) {
        let connection = self.connection().await;
        let publisher = connection.publisher();
        for text in texts {
            let event = Content::new(&text);
            let publish = publisher.publish("content.a", &event);
            publish.key(key.unwrap_or(&text)).await.unwrap();
        }
    }

    async fn committed(&self) -> Option<i64> {
        let topic = format!("{}content.a", self.settings.topic_prefix.as_str());
        let connection = self.connection().await;
        let broker = connection.broker();
        let offsets = broker.group_offsets(&self.group, None).await.unwrap();
        offsets.get(&(topic, 0)).map(|next| next.0)
    }

    async fn start(&self) -> Worker {
        self.start_with(|it| it).await
    }

    async fn start_with(&self, change: impl FnOnce(Subscription) -> Subscription) -> Worker {
        let (custody, taken) = mpsc::unbounded_channel();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let handler = move |event: Content, committer: Committer| {
            counted.fetch_add(1, Atomic::Relaxed);
            let custody = custody.clone();
            async move {
                if event.foo.starts_with("error") {
                    custody.send((event.foo, committer)).unwrap();
                    return Err(HandlerError::msg("the handler's own error"));
                }
                // After the end of a test nobody takes it.
                drop(custody.send((event.foo, committer)));
                Ok(())
            }
        };
        let subscription = subscription("content.*", handler)
            .group(&self.group)
            .commit(Commit::Manual)
            .retry_backoff(Duration::from_millis(1), Duration::from_millis(2));
        let app = App::new().subscribe(change(subscription));
        let watch = app.watch();
        let (stop, stopped) = oneshot::channel();
        let connection = self.connection().await;
        let task = tokio::spawn(app.run_on(connection, async { drop(stopped.await) }));
        Worker {
            taken: Mutex::new(taken),
            calls,
            watch,
            stop,
            task,
        }
    }
}

/// One worker whose handler hands its committers to the test.
pub(crate) struct Worker {
    pub(crate) taken: Mutex<mpsc::UnboundedReceiver<(String, Committer)>>,
    calls: Arc<AtomicUsize>,
    watch: Watch,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<Result<RunReport, AppError>>,
}

impl Worker {
    async fn next(&self) -> (String, Committer) {
        let mut taken = self.taken.lock().await;
        let next = tokio::time::timeout(LONG, taken.recv());
        next.await.expect("no message").unwrap()
    }

    async fn next_of(&self, count: usize) -> BTreeMap<String, Committer> {
        let mut all = BTreeMap::new();
        while all.len() < count {
            let (text, committer) = self.next().await;
            assert!(
                all.insert(text.clone(), committer).is_none(),
                "{text} twice"
            );
        }
        all
    }

    fn calls(&self) -> usize {
        self.calls.load(Atomic::Relaxed)
    }

    /// Waits until so many messages are in custody: a handler hands its committer over before it returns.
    async fn until_in_custody(&self, wanted: usize) {
        let reached = async {
            while self.in_custody().await != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = tokio::time::timeout(LONG, reached).await;
        reached.unwrap_or_else(|_| panic!("{wanted} messages were never in custody"));
    }

    async fn in_custody(&self) -> usize {
        let snapshot = self.watch.snapshot(LONG).await;
        snapshot.subscriptions.first().map_or(0, |it| it.custody)
    }

    pub(crate) async fn end(self) -> RunReport {
        self.stop.send(()).unwrap();
        let ended = tokio::time::timeout(LONG, self.task).await;
        ended.expect("it does not end").unwrap().unwrap()
    }
}

pub(crate) fn numbers(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|number| format!("{number:04}"))
}

async fn nothing_is_committed_before_done_and_done_resolves_after_the_commit(bed: Bed) {
    bed.publish(numbers(0..3), None).await;
    let worker = bed.start().await;
    let mut custody = worker.next_of(3).await;
    // Longer than the interval of commits.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        (worker.in_custody().await, bed.committed().await),
        (3, None)
    );
    for (at, text) in ["0000", "0001", "0002"].into_iter().enumerate() {
        custody.remove(text).unwrap().done().await.unwrap();
        assert_eq!(bed.committed().await, Some(at as i64 + 1));
    }
    assert_eq!(worker.in_custody().await, 0);
    let report = worker.end().await;
    assert_eq!((report.handled, report.unfinished_total), (3, 0));
}

async fn a_handler_may_wait_for_its_own_commit(bed: Bed) {
    bed.publish(numbers(0..20), Some("one key")).await;
    let (results, mut written) = mpsc::unbounded_channel();
    let handler = move |event: Content, committer: Committer| {
        let results = results.clone();
        async move {
            results.send((event.foo, committer.done().await)).unwrap();
            // The message is done, whatever follows.
            Err::<(), _>(HandlerError::msg("too late"))
        }
    };
    let by_hand = subscription("content.*", handler).commit(Commit::Manual);
    let app = App::new().subscribe(by_hand.group(&bed.group));
    let (stop, stopped) = oneshot::channel::<()>();
    let connection = bed.connection().await;
    let task = tokio::spawn(app.run_on(connection, async { drop(stopped.await) }));
    for number in 0..20 {
        let next = tokio::time::timeout(LONG, written.recv());
        assert_eq!(next.await.unwrap(), Some((format!("{number:04}"), Ok(()))));
        // The lane has gone on meanwhile.
        assert!(bed.committed().await >= Some(number + 1));
    }
    stop.send(()).unwrap();
    let report = task.await.unwrap().unwrap();
    assert_eq!((report.handled, report.unfinished_total), (20, 0));
}

async fn the_lane_is_free_when_the_handler_returns(bed: Bed) {
    bed.publish(numbers(0..500), Some("one key")).await;
    let worker = bed.start().await;
    let custody = worker.next_of(500).await;
    worker.until_in_custody(500).await;
    let done: Vec<_> = custody.into_values().map(Committer::done).collect();
    for one in done {
        one.await.unwrap();
    }
    assert_eq!(bed.committed().await, Some(500));
    worker.end().await;
}

async fn what_is_not_done_is_delivered_again_and_what_was_done_out_of_order_is_not(bed: Bed) {
    bed.publish(numbers(0..6), None).await;
    let worker = bed.start().await;
    let mut custody = worker.next_of(6).await;
    for text in ["0005", "0001", "0003"] {
        custody.remove(text).unwrap().done().await.unwrap();
    }
    // As a killed process does: nothing is said to the group any more.
    worker.task.abort();
    drop(worker);
    for (_, committer) in custody {
        committer.done().await.unwrap_err();
    }
    let next = bed.start().await;
    let again: Vec<_> = next.next_of(3).await.into_keys().collect();
    assert_eq!(again, ["0000", "0002", "0004"]);
    next.stop.send(()).unwrap();
}

async fn a_clean_end_after_done_out_of_order_repeats_nothing(bed: Bed) {
    bed.publish(numbers(0..6), None).await;
    let worker = bed.start().await;
    let mut custody = worker.next_of(6).await;
    for text in ["0005", "0001", "0003", "0000", "0004", "0002"] {
        // Its commit is not awaited: the message is done all the same.
        drop(custody.remove(text).unwrap().done());
    }
    let report = worker.end().await;
    assert_eq!((report.handled, report.redelivered), (6, 0));
    assert_eq!(bed.committed().await, Some(6));
}

async fn a_committer_that_is_dropped_or_fails_is_a_failed_attempt(bed: Bed) {
    bed.publish(
        ["dropped", "failed", "rejected", "again"].map(str::to_owned),
        None,
    )
    .await;
    let few = |it: Subscription| it.max_attempts(3).failure_limit(None);
    let worker = bed.start_with(few).await;
    let mut seen = BTreeMap::<String, usize>::new();
    for _ in 0..3 + 3 + 1 + 2 {
        let (text, committer) = worker.next().await;
        let times = seen.entry(text.clone()).or_default();
        *times += 1;
        match text.as_str() {
            "dropped" => drop(committer),
            "failed" => committer.fail("the sink is full"),
            "rejected" => committer.fail(HandlerError::reject("never")),
            _ if *times == 1 => committer.fail("once"),
            _ => committer.done().await.unwrap(),
        }
    }
    let counts = ["again", "dropped", "failed", "rejected"].map(str::to_owned);
    assert_eq!(seen, counts.into_iter().zip([2, 3, 3, 1]).collect());
    let end = Instant::now() + LONG;
    while bed.committed().await != Some(4) {
        assert!(Instant::now() < end, "{:?}", bed.committed().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let snapshot = worker.watch.snapshot(LONG).await;
    let letters = &snapshot.subscriptions[0].recent_letters;
    let mut errors: Vec<_> = letters.iter().map(|it| it.error.clone()).collect();
    errors.sort();
    assert_eq!(
        errors,
        [
            "its committer was dropped before the message was done",
            "never",
            "the sink is full"
        ]
    );
    let report = worker.end().await;
    assert_eq!((report.handled, report.dead_letters), (4, 3));
}

async fn messages_of_a_key_that_fail_in_custody_come_back_in_their_order(bed: Bed) {
    bed.publish(numbers(0..50), Some("one key")).await;
    let worker = bed.start_with(|it| it.failure_limit(None)).await;
    let mut custody = worker.next_of(50).await;
    // What was done of the key meanwhile stays done.
    drop(custody.remove("0030").unwrap().done());
    for (_, committer) in custody.into_iter().rev() {
        committer.fail("the flush failed");
    }
    let mut again = Vec::new();
    while again.len() < 49 {
        let (text, committer) = worker.next().await;
        drop(committer.done());
        again.push(text);
    }
    let expected: Vec<_> = numbers(0..50).filter(|it| it != "0030").collect();
    assert_eq!(again, expected);
    let report = worker.end().await;
    assert_eq!((report.handled, report.unfinished_total), (50, 0));
}

async fn the_error_of_a_handler_counts_more_than_its_committer(bed: Bed) {
    bed.publish(["error".to_owned()], None).await;
    let worker = bed.start_with(|it| it.max_attempts(2)).await;
    let (_, first) = worker.next().await;
    let (_, second) = worker.next().await;
    let end = Instant::now() + LONG;
    while bed.committed().await != Some(1) {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(first.done().await, Err(CommitError::Stale));
    second.fail("too late");
    let report = worker.end().await;
    assert_eq!((report.handled, report.dead_letters), (1, 1));
}

async fn a_committer_of_a_former_assignment_is_stale_and_changes_nothing(mut bed: Bed) {
    bed.settings.shutdown_timeout = Duration::from_secs(2);
    bed.publish(numbers(0..2), None).await;
    let worker = bed.start().await;
    let mut custody = worker.next_of(2).await;
    let kept = custody.remove("0000").unwrap();
    custody.remove("0001").unwrap().done().await.unwrap();
    let begun = Instant::now();
    let report = worker.end().await;
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(report.in_custody, 1);
    let next = bed.start().await;
    let (text, again) = next.next().await;
    assert_eq!(text, "0000");
    assert_eq!(kept.done().await, Err(CommitError::Stale));
    assert_eq!(bed.committed().await, Some(0));
    again.done().await.unwrap();
    assert_eq!(bed.committed().await, Some(2));
    next.end().await;
}

async fn a_revoke_lets_a_sink_flush_and_repeats_nothing(mut bed: Bed) {
    bed.settings.partitions = 4;
    bed.publish(numbers(0..200), None).await;
    let first = bed.start().await;
    let mut custody = first.next_of(200).await;
    // The sink waits for a revoke, and then finishes its messages one after the other.
    let flushed = tokio::spawn(async move {
        let revoked: Vec<_> = custody.values().map(|it| Box::pin(it.revoked())).collect();
        futures_util::future::select_all(revoked).await;
        let mut results = Vec::new();
        while let Some((_, committer)) = custody.pop_first() {
            results.push(committer.done().await);
        }
        results
    });
    let second = bed.start().await;
    let results = tokio::time::timeout(LONG, flushed).await.unwrap().unwrap();
    assert_eq!(results, vec![Ok(()); 200]);
    let end = Instant::now() + LONG;
    while second.watch.snapshot(LONG).await.subscriptions[0]
        .partitions
        .is_empty()
    {
        assert!(Instant::now() < end, "it gets no partition");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bed.publish(numbers(200..240), None).await;
    let mut seen = Vec::new();
    while seen.len() < 40 {
        let (mut a, mut b) = (first.taken.lock().await, second.taken.lock().await);
        let next = tokio::time::timeout(LONG, async {
            tokio::select! { it = a.recv() => it, it = b.recv() => it }
        });
        let (text, committer) = next.await.unwrap().unwrap();
        drop((a, b));
        drop(committer.done());
        seen.push(text);
    }
    seen.sort();
    assert_eq!(seen, numbers(200..240).collect::<Vec<_>>());
    assert!(second.calls() > 0);
    for report in [first.end().await, second.end().await] {
        assert_eq!((report.redelivered, report.unfinished_total), (0, 0));
    }
}

async fn custody_pauses_its_partition_at_its_bound_and_goes_on(bed: Bed) {
    bed.publish(numbers(0..300), None).await;
    let worker = bed.start_with(|it| it.max_uncommitted(100)).await;
    let mut all = Vec::new();
    for step in 1..=3 {
        let custody = worker.next_of(100).await;
        // Nothing further starts.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(
            (worker.calls(), worker.in_custody().await),
            (step * 100, 100)
        );
        all.extend(custody.keys().cloned());
        for one in custody
            .into_values()
            .map(Committer::done)
            .collect::<Vec<_>>()
        {
            one.await.unwrap();
        }
    }
    all.sort();
    assert_eq!(all, numbers(0..300).collect::<Vec<_>>());
    assert_eq!(bed.committed().await, Some(300));
    worker.end().await;
}

async fn a_shutdown_with_messages_in_custody_ends_in_time_and_names_them(mut bed: Bed) {
    bed.settings.shutdown_timeout = Duration::from_secs(3);
    bed.publish(numbers(0..3), None).await;
    let worker = bed.start().await;
    let mut custody = worker.next_of(3).await;
    custody.remove("0001").unwrap().done().await.unwrap();
    let begun = Instant::now();
    let report = worker.end().await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!((report.handled, report.in_custody), (1, 2));
    assert_eq!((report.unfinished_total, report.interrupted), (2, 2));
    let mut offsets: Vec<_> = report.unfinished.iter().map(|it| it.offset).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 2]);
    assert!(report.unfinished.iter().all(|it| it.in_custody && !it.held));
    let (_, one) = custody.pop_first().unwrap();
    assert_eq!(one.done().await, Err(CommitError::Stale));
}

async fn a_shutdown_lets_a_sink_flush(bed: Bed) {
    bed.publish(numbers(0..20), None).await;
    let worker = bed.start().await;
    let custody = worker.next_of(20).await;
    let flushed = tokio::spawn(async move {
        custody.values().next().unwrap().revoked().await;
        let mut results = Vec::new();
        for committer in custody.into_values() {
            results.push(committer.done().await);
        }
        results
    });
    let report = worker.end().await;
    assert_eq!(flushed.await.unwrap(), vec![Ok(()); 20]);
    assert_eq!((report.handled, report.unfinished_total), (20, 0));
    assert_eq!(bed.committed().await, Some(20));
}

/// A revoke on a real Kafka, with this property of its consumers.
async fn a_revoke_with(name: &str, value: &str) {
    let mut bed = Bed::kafka().await;
    let properties = &mut bed.settings.kafka_settings.consumer;
    properties.insert(name.to_owned(), value.to_owned());
    a_revoke_lets_a_sink_flush_and_repeats_nothing(bed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_flushes_with_an_assignor_that_stops_all_members_at_each_rebalance() {
    a_revoke_with("partition.assignment.strategy", "range").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_flushes_where_the_brokers_assign_the_partitions() {
    a_revoke_with("group.protocol", "consumer").await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_in_custody_is_shown_with_its_age() {
    let bed = Bed::memory();
    bed.publish(numbers(0..2), None).await;
    let worker = bed.start().await;
    let mut custody = worker.next_of(2).await;
    drop(custody.remove("0000").unwrap().done());
    tokio::time::sleep(Duration::from_secs(90)).await;
    let snapshot = worker.watch.snapshot(LONG).await;
    let it = &snapshot.subscriptions[0];
    assert_eq!(
        (it.custody, it.partitions[0].custody, it.running),
        (1, 1, 0)
    );
    let oldest = it.oldest_in_custody.as_ref().unwrap();
    assert_eq!((oldest.offset, oldest.attempt), (1, 1));
    assert!(oldest.age >= Duration::from_secs(90), "{:?}", oldest.age);
    drop(custody);
    worker.stop.send(()).unwrap();
}
