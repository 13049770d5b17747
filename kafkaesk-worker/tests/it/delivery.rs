//! Laws of delivery on a real Kafka: at least once, in order for each key, whatever joins, leaves, fails or panics.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering as Atomic},
    },
    time::Duration,
};

use kafkaesk_client::{Connection, testing::TestKafka};
use kafkaesk_worker::{AppError, RunReport, prelude::*, subscription};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use crate::events::Content;

/// Nothing here takes longer on a machine that is not broken.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A key and its event's text.
type Seen = (Option<String>, String);

/// What handlers saw, in the order in which they began.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<Seen>>>);

impl Ledger {
    fn note(&self, record: &Record, event: &Content) {
        let key = record
            .key
            .as_ref()
            .map(|key| String::from_utf8_lossy(key).into_owned());
        self.0.lock().unwrap().push((key, event.foo.clone()));
    }

    fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    fn distinct(&self) -> BTreeSet<String> {
        self.all().into_iter().map(|(_, text)| text).collect()
    }

    /// Waits until `count` different events were seen.
    async fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + TIMEOUT;
        while self.distinct().len() < count {
            assert!(
                Instant::now() < deadline,
                "only {} of {count} events came",
                self.distinct().len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The first sight of each event of a key is in the order of publishing.
    fn assert_key_order(&self) {
        let mut seen = BTreeSet::new();
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for (key, text) in self.all() {
            if !seen.insert(text.clone()) {
                continue;
            }
            let number: usize = text.parse().unwrap();
            let key = key.expect("every event here has a key");
            if let Some(before) = last.insert(key.clone(), number) {
                assert!(before < number, "key {key}: {number} came after {before}");
            }
        }
    }
}

/// A worker that runs beside the test.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<RunReport, AppError>>,
}

impl Running {
    async fn start(kafka: &TestKafka, app: App) -> Self {
        let connection = Connection::open(&kafka.settings()).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(app.run_on(connection, shutdown));
        Self { stop, task }
    }

    async fn stop(self) -> RunReport {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap()
    }
}

/// An application whose handler notes what it sees after taking its time.
fn noting(kafka: &TestKafka, ledger: &Ledger, takes: Duration) -> App {
    let ledger = ledger.clone();
    let handler = move |record: Record, event: Content| {
        let ledger = ledger.clone();
        async move {
            ledger.note(&record, &event);
            tokio::time::sleep(takes).await;
        }
    };
    App::new()
        .event::<Content>()
        .subscribe(subscription("content.*", handler).group(group(kafka)))
}

fn group(kafka: &TestKafka) -> String {
    format!("{}group", kafka.prefix())
}

/// Publishes `from..to`, spread over ten keys.
async fn publish(kafka: &TestKafka, stream: &str, from: usize, to: usize) {
    let connection = Connection::open(&kafka.settings()).await.unwrap();
    let publisher = connection.publisher();
    let mut deliveries = Vec::new();
    for number in from..to {
        let event = Content::new(number.to_string());
        let key = format!("key-{}", number % 10);
        let publish = publisher.publish(stream, &event).key(key);
        deliveries.push(publish.enqueue().await.unwrap());
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_goes_on_where_the_one_before_it_committed() {
    let kafka = kafkaesk_client::testing::kafka().await;
    publish(&kafka, "content.a", 0, 200).await;
    let first = Ledger::default();
    let running = Running::start(&kafka, noting(&kafka, &first, Duration::ZERO)).await;
    first.wait_for(200).await;
    assert_eq!(running.stop().await.handled, 200);

    publish(&kafka, "content.a", 200, 300).await;
    let second = Ledger::default();
    let running = Running::start(&kafka, noting(&kafka, &second, Duration::ZERO)).await;
    second.wait_for(100).await;
    running.stop().await;
    assert_eq!(second.all().len(), 100, "a clean end repeats nothing");
    assert!(second.distinct().contains("200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_key_keep_their_order_while_others_run_beside_them() {
    let kafka = kafkaesk_client::testing::kafka().await;
    publish(&kafka, "content.a", 0, 300).await;
    let ledger = Ledger::default();
    let running = Running::start(&kafka, noting(&kafka, &ledger, Duration::from_millis(2))).await;
    ledger.wait_for(300).await;
    running.stop().await;
    ledger.assert_key_order();
    assert_eq!(ledger.all().len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_join_and_leave_under_load_lose_nothing_and_keep_key_order() {
    let kafka = kafkaesk_client::testing::kafka().await;
    let ledger = Ledger::default();
    let takes = Duration::from_millis(1);
    publish(&kafka, "content.a", 0, 10).await;
    let stays = Running::start(&kafka, noting(&kafka, &ledger, takes)).await;
    ledger.wait_for(10).await;
    let mut published = 10;
    for _ in 0..3 {
        let guest = Running::start(&kafka, noting(&kafka, &ledger, takes)).await;
        publish(&kafka, "content.a", published, published + 400).await;
        published += 400;
        ledger.wait_for(published - 200).await;
        guest.stop().await;
    }
    ledger.wait_for(published).await;
    stays.stop().await;
    ledger.assert_key_order();
    assert_eq!(
        ledger.all().len(),
        published,
        "members that drain and commit before they let go repeat nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_appears_later_is_found_within_five_seconds() {
    let kafka = kafkaesk_client::testing::kafka().await;
    publish(&kafka, "content.first", 0, 1).await;
    let ledger = Ledger::default();
    let running = Running::start(&kafka, noting(&kafka, &ledger, Duration::ZERO)).await;
    // The worker runs from here on; its start takes time of its own.
    ledger.wait_for(1).await;
    publish(&kafka, "content.later", 1, 2).await;
    let published = Instant::now();
    ledger.wait_for(2).await;
    assert!(
        published.elapsed() < Duration::from_secs(5),
        "it took {:?}",
        published.elapsed()
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_and_a_panic_are_retried_until_they_pass() {
    let kafka = kafkaesk_client::testing::kafka().await;
    publish(&kafka, "content.a", 0, 20).await;
    let ledger = Ledger::default();
    let noted = ledger.clone();
    let handler = move |attempt: Attempt, record: Record, event: Content| {
        let ledger = noted.clone();
        async move {
            match (attempt.0, event.foo.as_str()) {
                (1, "3") => panic!("the third breaks at first"),
                (1 | 2, "4") => return Err(std::io::Error::other("not yet").into()),
                _ => {}
            }
            ledger.note(&record, &event);
            Ok::<_, HandlerError>(())
        }
    };
    let app = App::new().subscribe(subscription("content.*", handler).group(group(&kafka)));
    let running = Running::start(&kafka, app).await;
    ledger.wait_for(20).await;
    assert_eq!(running.stop().await.handled, 20);
    ledger.assert_key_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_what_runs_and_commits_it() {
    let kafka = kafkaesk_client::testing::kafka().await;
    publish(&kafka, "content.a", 0, 5).await;
    let ended = Arc::new(AtomicUsize::new(0));
    let begun = Ledger::default();
    let (ends, begins) = (ended.clone(), begun.clone());
    let handler = move |record: Record, event: Content| {
        let (ended, begun) = (ends.clone(), begins.clone());
        async move {
            begun.note(&record, &event);
            tokio::time::sleep(Duration::from_millis(700)).await;
            ended.fetch_add(1, Atomic::SeqCst);
        }
    };
    let app = App::new().subscribe(subscription("content.*", handler).group(group(&kafka)));
    let running = Running::start(&kafka, app).await;
    begun.wait_for(5).await;
    let report = running.stop().await;
    assert_eq!(ended.load(Atomic::SeqCst), 5);
    assert_eq!(report.handled, 5);
    assert_eq!(report.unfinished, []);

    publish(&kafka, "content.a", 5, 6).await;
    let next = Ledger::default();
    let running = Running::start(&kafka, noting(&kafka, &next, Duration::ZERO)).await;
    next.wait_for(1).await;
    running.stop().await;
    assert_eq!(next.distinct(), BTreeSet::from(["5".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backoff_ends_with_the_worker_and_its_message_comes_again() {
    let kafka = kafkaesk_client::testing::kafka().await;
    publish(&kafka, "content.a", 0, 1).await;
    let tried = Arc::new(AtomicUsize::new(0));
    let tries = tried.clone();
    let handler = move |_: Content| {
        let tried = tries.clone();
        async move {
            tried.fetch_add(1, Atomic::SeqCst);
            Outcome::retry_after(Duration::from_secs(600))
        }
    };
    let app = App::new().subscribe(subscription("content.*", handler).group(group(&kafka)));
    let running = Running::start(&kafka, app).await;
    let deadline = Instant::now() + TIMEOUT;
    while tried.load(Atomic::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the event never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = Instant::now();
    let report = running.stop().await;
    assert_eq!((report.handled, report.unfinished_total), (0, 1));
    assert!(report.unfinished[0].held, "{report:?}");
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "the end waited for a backoff: {:?}",
        asked.elapsed()
    );

    let again = Ledger::default();
    let running = Running::start(&kafka, noting(&kafka, &again, Duration::ZERO)).await;
    again.wait_for(1).await;
    running.stop().await;
}
