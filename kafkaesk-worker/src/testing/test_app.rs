//! An application that runs over an in-memory broker until its test is over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use kafkaesk_client::{
    Connection, DeadLetters, Publisher, Receipt, Settings,
    catalog::StreamSpec,
    memory::MemoryBroker,
    publisher::{IntoJson, Publish},
    schema::Event,
    settings::Scaling,
};
use kafkaesk_core::{DeadLetter, Headers, Pattern, Record, StreamId};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    handled::{GivenUp, Handled, HandledMessage, Published, TestError},
    results::{ATTEMPTS, Ended, Place, Results},
};
use crate::{App, AppError, Control, RunReport, subscription};

/// How long the application may take to become quiet.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An application under test: the same publisher, subscriptions, lanes and validation as on Kafka, in memory.
///
/// Schemas are registered as on Kafka too: those of [`App::event`] at start, and a type's own with its first
/// [`publish`](Self::publish). The producer registers a type that handlers only consume; to publish it as JSON or to
/// `validate` it, declare it with [`App::event`].
///
/// Retries do not wait: a message is tried as often as its subscription says and then becomes a dead letter. What would be
/// held for ever is tried three times. A batch gathers what is published until [`Self::settle`], or its subscription's bounds are
/// reached. A handler's own sleeping takes its time; use
/// `#[tokio::test(start_paused = true)]` to have tokio's clock jump over it. The application ends with this value.
///
/// ```
/// use kafkaesk_worker::prelude::*;
///
/// #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// #[event(name = "Content", version = 1)]
/// struct Content {
///     foo: String,
/// }
///
/// #[subscribe("content.*", group = "index")]
/// async fn index(data: Content, publisher: Publisher) -> Result<(), HandlerError> {
///     publisher.publish("indexed", &data).await?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let app = TestApp::start(App::new().subscribe(index)).await;
/// app.publish("content.edited", &Content { foo: "bar".into() }).await.unwrap();
/// let handled = app.settle().await;
/// assert_eq!(handled.outcomes(), [Outcome::Done]);
/// assert_eq!(app.published("indexed")[0].event::<Content>().foo, "bar");
/// # }
/// ```
#[derive(Debug)]
pub struct TestApp {
    connection: Connection,
    publisher: Publisher,
    broker: Arc<MemoryBroker>,
    results: Arc<Results>,
    /// Group and pattern of each subscription, in the order of registration.
    subscriptions: Vec<(String, Pattern)>,
    /// The groups whose messages wait for a transaction when their handlers have ended.
    in_transactions: Vec<String>,
    control: Control,
    /// The groups with batches, without prefix.
    gathering: Vec<String>,
    shutdown: watch::Sender<bool>,
    running: Mutex<Option<JoinHandle<Result<RunReport, AppError>>>>,
    /// Messages that used up their attempts are expected.
    expect_dead_letters: AtomicBool,
    /// Where the broker's records begin that no `settle` has returned yet.
    settled: Mutex<u64>,
}

impl TestApp {
    /// Starts an application with default settings.
    ///
    /// # Panics
    /// When the application cannot start.
    pub async fn start(app: App) -> Self {
        Self::start_with(app, Settings::default()).await
    }

    /// Starts an application with these settings (prefixes, `auto-register`, …; servers are not contacted). Nothing scales.
    ///
    /// # Panics
    /// When the application cannot start.
    pub async fn start_with(app: App, mut settings: Settings) -> Self {
        settings.scaling = Scaling::Off;
        let broker = Arc::new(MemoryBroker::with_prefix(settings.topic_prefix.clone()));
        let connection = Connection::with_broker(settings, broker.clone());
        let subscriptions = match prepare(&app, &connection) {
            Ok(subscriptions) => subscriptions,
            Err(error) => panic!("the application cannot start: {error}"),
        };
        let prefix = &connection.settings().group_prefix;
        let in_transactions = app.subscriptions().iter();
        let in_transactions = in_transactions
            .filter(|it| it.options.in_transactions())
            .filter_map(|it| Some(format!("{prefix}{}", it.group_name()?)))
            .collect();
        let results = Arc::new(Results::default());
        let control = app.control();
        let gathering = app
            .chosen()
            .filter(|subscription| subscription.options.gathers().is_some())
            .filter_map(|subscription| Some(subscription.group_name()?.to_owned()))
            .collect();
        let shutdown = watch::Sender::new(false);
        let mut ended = shutdown.subscribe();
        let run = app.observed_by(results.clone()).immediate(ATTEMPTS).run_on(
            connection.clone(),
            async move {
                // Without a sender the test is over as well.
                let _ = ended.wait_for(|ended| *ended).await;
            },
        );
        let app = Self {
            publisher: connection.publisher(),
            connection,
            broker,
            results,
            subscriptions,
            in_transactions,
            control,
            gathering,
            shutdown,
            running: Mutex::new(Some(tokio::spawn(run))),
            expect_dead_letters: AtomicBool::new(false),
            settled: Mutex::new(0),
        };
        app.started().await
    }

    /// Waits until every group has its member.
    async fn started(self) -> Self {
        loop {
            let changed = self.broker.changed();
            let groups = self.broker.groups();
            if self.subscriptions.iter().all(|(g, _)| groups.contains(g)) {
                return self;
            }
            if let Some(error) = self.ended().await {
                panic!("the application cannot start: {error}");
            }
            let _ = tokio::time::timeout(Duration::from_millis(10), changed).await;
        }
    }

    /// Publishes an event, as [`Publisher::publish`] does: it is checked, and its stream is created.
    pub fn publish<T: Event>(&self, stream: &str, event: &T) -> Publish {
        self.publisher.publish(stream, event)
    }

    /// Publishes raw JSON, as [`Publisher::publish_json`] does: its schema must be registered.
    pub fn publish_json(
        &self,
        stream: &str,
        schema: impl AsRef<str>,
        data: impl IntoJson,
    ) -> Publish {
        self.publisher.publish_json(stream, schema, data)
    }

    /// Publishes a tombstone, as [`Publisher::tombstone`] does: its stream must be bound.
    pub fn tombstone(&self, stream: &str, key: impl AsRef<[u8]>) -> Publish {
        self.publisher.tombstone(stream, key)
    }

    /// Writes a record's value as it is, unchecked, to see how the application takes a record that holds no event.
    ///
    /// # Panics
    /// When the stream's name is invalid.
    pub async fn publish_raw(&self, stream: &str, value: impl Into<Bytes>) -> Receipt {
        match self.write_raw(stream, value.into()).await {
            Ok(receipt) => receipt,
            Err(error) => panic!("stream {stream:?}: {error}"),
        }
    }

    async fn write_raw(
        &self,
        stream: &str,
        value: Bytes,
    ) -> Result<Receipt, kafkaesk_client::ClientError> {
        let stream = StreamId::new(stream)?;
        let outcome = self
            .connection
            .catalog()
            .ensure_stream(&StreamSpec::new(stream))
            .await?;
        self.broker
            .append_raw(&outcome.topic, None, Some(value), Headers::new())
    }

    /// Waits until everything published so far is handled, what handlers publish included, and says how it ended
    /// since the last call.
    ///
    /// # Panics
    /// With the handler's own error when a message used up its attempts (see [`Self::expect_dead_letters`]) or is held; when the application ended with an error; when a
    /// handler or a committer takes more than a minute.
    pub async fn settle(&self) -> Handled {
        match self.try_settle().await {
            Ok(handled) => handled,
            Err(error) => panic!("{error}"),
        }
    }

    /// The same, as a result.
    ///
    /// # Errors
    /// [`TestError`].
    pub async fn try_settle(&self) -> Result<Handled, TestError> {
        let deadline = Instant::now() + TIMEOUT;
        let mut next = *self.settled.lock();
        // Every record with every subscription that takes it; all before `open` have ended. So each is checked once,
        // however often this wakes.
        let (mut expected, mut open) = (Vec::new(), 0);
        loop {
            let (ended, published) = (self.results.changed.notified(), self.broker.changed());
            let mut ended = std::pin::pin!(ended);
            // From here on no end is missed.
            ended.as_mut().enable();
            let (records, after) = self.broker.records_since(next);
            next = after;
            for record in records {
                for subscription in &self.subscriptions {
                    if subscription.1.matches(record.stream()) {
                        expected.push((subscription, record.clone()));
                    }
                }
            }
            while expected
                .get(open)
                .is_some_and(|(subscription, record)| self.result(subscription, record).is_some())
            {
                open += 1;
            }
            let unfinished = match expected.get(open) {
                Some(unfinished) => unfinished,
                None => {
                    let handled = self.handled(&expected)?;
                    let awaits =
                        |it: &&(&(String, Pattern), Record)| !self.is_committed(it.0, &it.1);
                    match expected.iter().find(awaits) {
                        Some(awaits) => awaits,
                        None => {
                            *self.settled.lock() = next;
                            return Ok(handled);
                        }
                    }
                }
            };
            let (subscription, record) = unfinished;
            if let Some(error) = self.ended().await {
                return Err(TestError::Ended(error));
            }
            // All that the test published is there: a batch need not wait for more.
            for group in &self.gathering {
                self.control.hurry(group).await;
            }
            tokio::select! {
                () = ended => {}
                () = published => {}
                // The end of the application itself wakes no waiter.
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
                () = sleep_until(deadline) => return Err(self.stuck(subscription, record)),
            }
        }
    }

    /// Whether a message needs no transaction any more.
    fn is_committed(&self, (group, _): &(String, Pattern), record: &Record) -> bool {
        if !self.in_transactions.contains(group) {
            return true;
        }
        let partition = record.partition();
        let committed = self.broker.committed(group, record.topic(), partition);
        committed.is_some_and(|next| record.offset.0 < next.0)
    }

    /// The messages of a group that are in custody, as topic, partition and offset: their handlers have returned, and their
    /// committers were not finished (`commit = "manual"`). [`Self::settle`] waits for them.
    pub fn in_custody(&self, group: &str) -> Vec<String> {
        let prefix = &self.connection.settings().group_prefix;
        self.in_custody_of(&format!("{prefix}{group}"))
    }

    fn in_custody_of(&self, group: &str) -> Vec<String> {
        let of_group = || self.subscriptions.iter().filter(|(it, _)| it == group);
        let is_kept =
            |record: &&Record| of_group().any(|it| self.results.is_kept(&place(it, record)));
        let records = self.broker.all_records();
        let kept = records.iter().filter(is_kept);
        kept.map(|record| format!("{}@{}", record.source, record.offset))
            .collect()
    }

    /// What does not end.
    fn stuck(&self, subscription: &(String, Pattern), record: &Record) -> TestError {
        let group = subscription.0.clone();
        match self.results.is_kept(&place(subscription, record)) {
            true => TestError::InCustody {
                messages: self.in_custody_of(&group),
                group,
                waited: TIMEOUT,
            },
            false => TestError::Stuck {
                group,
                topic: record.topic().to_owned(),
                partition: record.partition(),
                offset: record.offset.0,
                waited: TIMEOUT,
            },
        }
    }

    fn handled(&self, expected: &[(&(String, Pattern), Record)]) -> Result<Handled, TestError> {
        let mut handled = Handled::default();
        for (subscription, record) in expected {
            let Some(ended) = self.result(subscription, record) else {
                continue;
            };
            let group = subscription.0.clone();
            let expected = ended.is_dead && self.expect_dead_letters.load(Ordering::Relaxed);
            if let Some(error) = ended.failed.filter(|_| !expected) {
                return Err(TestError::Handler {
                    group,
                    topic: record.topic().to_owned(),
                    partition: record.partition(),
                    offset: record.offset.0,
                    attempts: ended.attempts,
                    error,
                });
            }
            handled.messages.push(HandledMessage {
                group,
                record: record.clone(),
                outcome: ended.outcome,
                attempts: ended.attempts,
            });
        }
        Ok(handled)
    }

    /// From now on, a message that used up its attempts and became a dead letter does not fail [`Self::settle`].
    pub fn expect_dead_letters(&self) {
        self.expect_dead_letters.store(true, Ordering::Relaxed);
    }

    /// What the application gave up so far, rejected messages included, oldest first; of all of its groups.
    pub fn dead_letters(&self) -> Vec<GivenUp> {
        let topics: Vec<String> = self
            .subscriptions
            .iter()
            .filter_map(|(group, _)| DeadLetters::of(&self.connection, group).ok())
            .map(|dead_letters| dead_letters.topic().to_string())
            .collect();
        let records = self.broker.all_records().into_iter();
        records
            .filter(|record| topics.iter().any(|topic| record.topic() == topic))
            .filter_map(|record| {
                let letter = DeadLetter::read(&record.headers).ok()?;
                Some(GivenUp { letter, record })
            })
            .collect()
    }

    /// The records of a stream so far, oldest first.
    pub fn published(&self, stream: &str) -> Vec<Published> {
        let records = self.broker.all_records().into_iter();
        records
            .filter(|record| record.stream() == stream)
            .map(Published)
            .collect()
    }

    /// The connection that the application runs on.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The broker, to look at offsets and groups.
    pub fn broker(&self) -> &MemoryBroker {
        &self.broker
    }

    /// Shuts the application down as a worker does: drained, committed, its hooks run.
    ///
    /// # Errors
    /// As [`App::run`].
    pub async fn stop(self) -> Result<RunReport, AppError> {
        self.shutdown.send_replace(true);
        let running = self.running.lock().take();
        match running {
            Some(running) => joined(running).await,
            None => Ok(RunReport::default()),
        }
    }

    /// The application's error, once, if it has ended with one.
    async fn ended(&self) -> Option<AppError> {
        let running = {
            let mut running = self.running.lock();
            if !running.as_ref().is_some_and(JoinHandle::is_finished) {
                return None;
            }
            running.take()
        };
        joined(running?).await.err()
    }

    /// How a record ended for a subscription; `None` before its end.
    fn result(&self, subscription: &(String, Pattern), record: &Record) -> Option<Ended> {
        self.results.of(&place(subscription, record))
    }
}

fn place((group, pattern): &(String, Pattern), record: &Record) -> Place {
    (
        group.clone(),
        pattern.as_str().to_owned(),
        record.topic().to_owned(),
        record.partition(),
        record.offset.0,
    )
}

/// Checks the application; group (with its prefix) and pattern of each subscription.
fn prepare(app: &App, connection: &Connection) -> Result<Vec<(String, Pattern)>, AppError> {
    app.check()?;
    let prefix = &connection.settings().group_prefix;
    app.chosen()
        .map(|s| {
            let group = format!("{prefix}{}", s.group_name().unwrap_or_default());
            Ok((group, subscription::check(s)?))
        })
        .collect()
}

async fn joined(running: JoinHandle<Result<RunReport, AppError>>) -> Result<RunReport, AppError> {
    match running.await {
        Ok(ended) => ended,
        Err(error) => Err(AppError::Internal {
            group: "(of the application)".to_owned(),
            message: error.to_string(),
        }),
    }
}
