//! Run: carries a plan out on a cluster, and returns the ledger of it. Judges nothing.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use fastrand::Rng;
use kafkaesk_client::{Connection, Publisher, Settings};
use kafkaesk_core::TopicPrefix;
use parking_lot::Mutex;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use super::{
    OPEN_TRANSACTION, STREAM,
    book::{Book, Outages},
    cluster::Cluster,
    commits::CommitReader,
    copies,
    fleet::{Fleet, group},
    letters::Letters,
    plan::{Action, Plan, Refusal, Step},
    proxy::Weather,
    scenarios::restore,
    stream::{OFFSETS, RECORDS, Stream, first_offsets, records, superseded},
};
use crate::{
    ledger::{FaultKind, Ledger, Unacknowledged},
    line::now,
    places,
    work::Work,
};

/// How long a run waits while no worker says anything, beside the session: longer than the law of progress allows.
const TIMEOUT: Duration = Duration::from_secs(20);
/// After so long without a word the suite looks whether what is missing is still in the log, in microseconds.
const QUIET: i64 = 3_000_000;
/// How long a publisher may take to create its stream's topic again.
const CREATED_AGAIN: Duration = Duration::from_secs(30);
/// How long the first message may take.
const START: Duration = Duration::from_secs(60);

/// Carries it out. Worker logs go to the folder.
pub(super) async fn run(plan: &Plan, cluster: &mut Cluster, folder: PathBuf) -> Result<Ledger> {
    let prefix = format!("{}-{}-{:x}.", plan.scenario, plan.seed, now());
    let book = Arc::new(Mutex::new(Book::default()));
    let servers = match plan.proxied {
        true => &cluster.proxied,
        false => &cluster.servers,
    };
    let mut settings = Settings::new(match plan.publisher_proxied {
        true => &cluster.proxied,
        false => &cluster.servers,
    });
    settings.topic_prefix = TopicPrefix::new(&prefix)?;
    settings.partitions = plan.partitions;
    let topic = format!("{prefix}{STREAM}");
    let observer = Connection::open(&Settings::new(&cluster.servers)).await?;
    let config = plan.stream.as_deref().unwrap_or_default();
    let stream = Stream::new(observer.clone(), &topic, plan.partitions, config)?;
    if plan.stream.is_some() {
        stream.create().await?;
    }
    let creating = Publisher::connect(&settings).await?;
    let letters = match plan.attempts {
        Some(_) => {
            let mut settings = Settings::new(&cluster.servers);
            settings.topic_prefix = TopicPrefix::new(&prefix)?;
            let connection = Connection::open(&settings).await?;
            Some(Letters::create(&connection, &group(&prefix)).await?)
        }
        None => None,
    };
    let mut commits = CommitReader::new(observer, &group(&prefix), cluster.commits_from.clone())?;
    // What other runs committed is passed over.
    commits.read().await?;
    let mut run = Run {
        fleet: Fleet::new(plan, servers, &prefix, folder, book.clone())?,
        topic,
        stream: Arc::new(stream),
        recreated_by_publisher: plan.stream.is_none(),
        cluster,
        outages: Outages::new(book.clone()),
        book,
        weather: Weather::default(),
        letters,
        letters_away: None,
        stream_away: None,
        retention: None,
        compacted: config.contains(&("cleanup.policy", "compact")),
    };
    // The stream is there, and bound, before anybody looks for it.
    let first = creating
        .publish(STREAM, &Work::default())
        .key("first")
        .await?;
    let publisher = match plan.stream {
        Some(_) => {
            settings.auto_create_streams = false;
            Publisher::connect(&settings).await?
        }
        None => creating,
    };
    run.book.lock().published(&first, "first", 0, None);
    let ran = run.carry_out(plan, publisher).await;
    run.fleet.end().await;
    ran?;
    run.read_letters().await?;
    run.look_at_the_log()?;
    let copies = match plan.copies {
        true => {
            let mut settings = Settings::new(&run.cluster.servers);
            settings.topic_prefix = TopicPrefix::new(&prefix)?;
            Some(copies::read(&Connection::open(&settings).await?).await?)
        }
        false => None,
    };
    let mut ledger = std::mem::take(&mut run.book.lock().ledger);
    ledger.copies = copies;
    std::fs::write(
        run.fleet.folder.join("brokers.log"),
        run.cluster.logs(&prefix),
    )?;
    // The log holds every commit of the run, however many there were between two looks.
    ledger.commits = commits.read().await?;
    if plan.copies {
        commits.await_open(&mut ledger).await?;
    }
    places::settle(&mut ledger);
    Ok(ledger)
}

struct Run<'a> {
    fleet: Fleet,
    topic: String,
    stream: Arc<Stream>,
    recreated_by_publisher: bool,
    cluster: &'a mut Cluster,
    book: Arc<Mutex<Book>>,
    weather: Weather,
    /// Faults that last until something is restored or started.
    outages: Outages,
    letters: Option<Letters>,
    /// The fault, while their topic is gone.
    letters_away: Option<usize>,
    /// The fault, while the stream's topic is gone.
    stream_away: Option<usize>,
    /// The fault, once the topic's retention was short.
    retention: Option<usize>,
    /// Whether compaction takes records of the topic.
    compacted: bool,
}

impl Run<'_> {
    async fn carry_out(&mut self, plan: &Plan, publisher: Publisher) -> Result<()> {
        for number in 0..plan.workers {
            self.fleet.start(number)?;
        }
        let begun = Instant::now();
        while self.book.lock().done() == 0 {
            if begun.elapsed() > START {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let publishing = tokio::spawn(publish(plan.clone(), publisher, self.book.clone()));
        let publishing = AbortOnDrop(publishing);
        let begun = Instant::now();
        for step in &plan.steps {
            sleep_until(begun + step.after).await;
            self.take(step).await?;
        }
        sleep_until(begun + plan.length).await;
        for step in restore(plan) {
            self.take(&step).await?;
        }
        self.cluster.settled().await?;
        publishing.over().await??;
        self.everything_is_handled(plan).await?;
        self.book.lock().ledger.ended = now();
        Ok(())
    }

    /// Waits until every acknowledged message is done, or nobody says anything for too long.
    async fn everything_is_handled(&self, plan: &Plan) -> Result<()> {
        let timeout = i64::try_from((plan.session + TIMEOUT).as_micros()).unwrap_or(i64::MAX);
        let timeout = timeout + if plan.copies { OPEN_TRANSACTION } else { 0 };
        let begun = now();
        let mut looked = 0;
        loop {
            self.read_letters().await?;
            let (pending, heard) = {
                let book = self.book.lock();
                (book.pending(), book.heard.max(begun))
            };
            if pending == 0 || now() - heard > timeout {
                return Ok(());
            }
            if now() - heard > QUIET && looked < heard {
                looked = now();
                self.look_at_the_log()?;
            }
            let pause = match self.letters {
                None => Duration::from_millis(20),
                Some(_) => Duration::from_millis(500),
            };
            sleep(pause).await;
        }
    }

    async fn read_letters(&self) -> Result<()> {
        if let Some(letters) = &self.letters {
            let found = letters.read().await.context("reading the dead letters")?;
            self.book.lock().letters(found);
        }
        Ok(())
    }

    async fn take(&mut self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Start(number) => self.fleet.start(*number)?,
            Action::Kill(number) => self.fleet.kill(*number).await?,
            Action::Terminate(number) => self.fleet.terminate(*number),
            Action::Stop(number) => self.fleet.stop(*number),
            Action::Continue(number) => self.fleet.go_on(*number),
            Action::Hang(number) => self.fleet.hang(*number),
            Action::Release(number) => self.fleet.release(*number),
            Action::KillBroker(index) => self.cluster.halt(*index, true, self.outages.clone()),
            Action::EndBroker(index) => self.cluster.halt(*index, false, self.outages.clone()),
            Action::StartBroker(index) => self.cluster.restart(*index, self.outages.clone()),
            Action::KillCoordinator => self.cluster.kill_coordinator(self.outages.clone()),
            Action::StartCoordinator => self.cluster.restart_coordinator(self.outages.clone()),
            Action::Cut => self.change(FaultKind::Outage, |weather| weather.cut = true),
            Action::Hole => self.change(FaultKind::Outage, |weather| weather.hole = true),
            Action::Delay(delay) => {
                self.change(FaultKind::Slow, |weather| weather.delay = *delay);
            }
            Action::Throttle(rate) => self.change(FaultKind::Slow, |weather| weather.rate = *rate),
            Action::Restore => {
                if self.weather != Weather::default() {
                    self.weather = Weather::default();
                    self.cluster.weather(self.weather);
                    self.outages.over();
                }
            }
            Action::Grow(partitions) => {
                self.book.lock().fault(FaultKind::Other);
                let partitions = partitions.to_string();
                self.cluster.tool(
                    "org.apache.kafka.tools.TopicCommand",
                    &[
                        "--alter",
                        "--topic",
                        &self.topic,
                        "--partitions",
                        &partitions,
                    ],
                )?;
            }
            Action::AbortedTransaction => {
                self.book.lock().fault(FaultKind::Other);
                self.abort_a_transaction()?;
            }
            Action::DeleteStream => {
                let fault = self.book.lock().fault(FaultKind::StreamAway);
                self.stream.delete().await?;
                self.book.lock().deleted();
                match self.recreated_by_publisher {
                    true => self.await_the_publisher(fault),
                    false => self.stream_away = Some(fault),
                }
            }
            Action::CreateStream => {
                if let Some(fault) = self.stream_away.take() {
                    self.stream.create().await?;
                    self.book.lock().fault_is_over(fault);
                }
            }
            Action::ShortRetention => {
                self.retention = Some(self.book.lock().fault(FaultKind::Retention));
                let (class, args) = configure(&self.topic, &["--add-config", "retention.ms=500"]);
                self.cluster.tool_in_turn(class, args, |_| ());
            }
            Action::LongRetention => {
                let (class, args) = configure(&self.topic, &["--delete-config", "retention.ms"]);
                self.cluster.tool_in_turn(class, args, |_| ());
                if let Some(fault) = self.retention {
                    let (book, (class, args)) = (self.book.clone(), self.look(OFFSETS));
                    self.cluster.tool_in_turn(class, args, move |printed| {
                        let mut book = book.lock();
                        book.fault_is_over(fault);
                        // The end of the run looks again.
                        expire(&mut book, fault, printed).unwrap_or_default();
                    });
                }
            }
            Action::DeleteLetters => {
                if let Some(letters) = &mut self.letters {
                    letters.delete().await?;
                    let fault = self.book.lock().fault(FaultKind::LettersAway);
                    self.letters_away = Some(fault);
                }
            }
            Action::CreateLetters => {
                if let (Some(letters), Some(fault)) = (&self.letters, self.letters_away.take()) {
                    letters.create_again().await?;
                    self.book.lock().fault_is_over(fault);
                }
            }
            Action::RefuseLetters(refusal) => {
                if let Some(letters) = &self.letters {
                    let (class, args) = refuse(letters.name(), *refusal);
                    let fault = self.book.lock().fault(FaultKind::LettersAway);
                    self.letters_away = Some(fault);
                    self.cluster.tool_in_turn(class, args, |_| ());
                }
            }
            Action::TakeLetters(refusal) => {
                if let (Some(letters), Some(fault)) = (&self.letters, self.letters_away.take()) {
                    let (class, args) = take(letters.name(), *refusal);
                    let book = self.book.clone();
                    self.cluster
                        .tool_in_turn(class, args, move |_| book.lock().fault_is_over(fault));
                }
            }
        }
        Ok(())
    }

    /// The topic is away until the publisher created it again.
    fn await_the_publisher(&self, fault: usize) {
        let (stream, book) = (self.stream.clone(), self.book.clone());
        tokio::spawn(async move {
            let until = Instant::now() + CREATED_AGAIN;
            while Instant::now() < until && !stream.is_there().await.unwrap_or(false) {
                sleep(Duration::from_millis(50)).await;
            }
            book.lock().fault_is_over(fault);
        });
    }

    /// A tool of Kafka's that looks at the topic.
    fn look<const N: usize>(
        &self,
        (class, args): (&'static str, [&str; N]),
    ) -> (&'static str, Vec<String>) {
        let topic = ["--topic", &self.topic];
        (class, owned(&[&topic, &args[..]].concat()))
    }

    /// Finds what left the topic's log, where something could.
    fn look_at_the_log(&self) -> Result<()> {
        let tool = |(class, args): (&str, Vec<String>)| {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            self.cluster.tool(class, &args)
        };
        if let Some(fault) = self.retention {
            let printed = tool(self.look(OFFSETS))?;
            expire(&mut self.book.lock(), fault, &printed)?;
        }
        if self.compacted {
            let there = records(&tool(self.look(RECORDS))?);
            let mut book = self.book.lock();
            let superseded = superseded(&book.ledger.published);
            book.removed(|it| {
                let place = (it.place.partition, it.place.offset);
                superseded
                    .get(&place)
                    .copied()
                    .filter(|_| !there.contains(&place))
            });
        }
        Ok(())
    }

    fn change(&mut self, what: FaultKind, change: impl FnOnce(&mut Weather)) {
        self.outages.begin_as(what);
        change(&mut self.weather);
        self.cluster.weather(self.weather);
    }

    /// A producer writes in a transaction that its broker ends after 3 s.
    fn abort_a_transaction(&self) -> Result<()> {
        let mut command = self.cluster.tool_command(
            "org.apache.kafka.tools.ProducerPerformance",
            &[
                "--topic",
                &self.topic,
                "--num-records",
                "600",
                "--throughput",
                "100",
                "--record-size",
                "60",
                "--transactional-id",
                &self.topic,
                "--transaction-duration-ms",
                "60000",
                "--command-property",
                "transaction.timeout.ms=3000",
            ],
        )?;
        // Its end is an error: its transaction is gone.
        tokio::task::spawn_blocking(move || xtask::command::output(&mut command));
        Ok(())
    }
}

/// What lies before the first offsets that this fault left.
fn expire(book: &mut Book, fault: usize, printed: &str) -> Result<()> {
    let (first, at) = (first_offsets(printed)?, book.ledger.faults[fault].at);
    book.removed(|it| {
        let first = first.get(&it.place.partition)?;
        (it.place.offset < *first).then_some(at)
    });
    Ok(())
}

const CONFIGS: &str = "kafka.admin.ConfigCommand";
const ACLS: &str = "org.apache.kafka.tools.AclCommand";

/// What has a topic take nothing.
fn refuse(topic: &str, refusal: Refusal) -> (&'static str, Vec<String>) {
    match refusal {
        Refusal::TooLarge => configure(topic, &["--add-config", "max.message.bytes=100"]),
        // A topic with a rule is closed to everybody else.
        Refusal::Denied => rules(topic, &["--add"]),
    }
}

/// What has it take everything again.
fn take(topic: &str, refusal: Refusal) -> (&'static str, Vec<String>) {
    match refusal {
        Refusal::TooLarge => configure(topic, &["--delete-config", "max.message.bytes"]),
        Refusal::Denied => rules(topic, &["--remove", "--force"]),
    }
}

/// Kafka's tool that changes a topic's configuration.
fn configure(topic: &str, change: &[&str]) -> (&'static str, Vec<String>) {
    let args = ["--alter", "--entity-type", "topics", "--entity-name", topic];
    (CONFIGS, owned(&[&args, change].concat()))
}

/// Kafka's tool that changes who may do what to a topic: read it, but not write it.
fn rules(topic: &str, change: &[&str]) -> (&'static str, Vec<String>) {
    let mut args = vec!["--topic", topic, "--allow-principal", "User:*"];
    for operation in [
        "Read",
        "Describe",
        "DescribeConfigs",
        "AlterConfigs",
        "Delete",
    ] {
        args.extend(["--operation", operation]);
    }
    (ACLS, owned(&[change, &args].concat()))
}

fn owned(args: &[&str]) -> Vec<String> {
    args.iter().map(|&arg| arg.to_owned()).collect()
}

/// Publishes the plan's messages, evenly over its length, and writes what is acknowledged into the book.
async fn publish(plan: Plan, publisher: Publisher, book: Arc<Mutex<Book>>) -> Result<()> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut answers = JoinSet::new();
    let begun = Instant::now();
    for seq in 1..plan.messages {
        let due = plan.length.mul_f64(seq as f64 / plan.messages as f64);
        if begun.elapsed() < due {
            sleep_until(begun + due).await;
        }
        let work = plan.mix.work(&mut rng, seq);
        let key = format!("key-{}", rng.u64(..plan.keys));
        let at = now();
        let failed = move |error: kafkaesk_client::ClientError| Unacknowledged {
            at,
            error: error.to_string(),
        };
        let queued = publisher.publish(STREAM, &work).key(&key).enqueue().await;
        let delivery = match queued {
            Ok(delivery) => delivery,
            Err(error) => {
                book.lock().ledger.unacknowledged.push(failed(error));
                continue;
            }
        };
        let book = book.clone();
        answers.spawn(async move {
            match delivery.await {
                Ok(receipt) => book.lock().published(&receipt, &key, seq, work.poison()),
                Err(error) => book.lock().ledger.unacknowledged.push(failed(error)),
            }
        });
        while answers.try_join_next().is_some() {}
    }
    while answers.join_next().await.is_some() {}
    Ok(())
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> AbortOnDrop<T> {
    async fn over(mut self) -> Result<T> {
        (&mut self.0).await.context("the publisher panicked")
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
