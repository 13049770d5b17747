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
    STREAM,
    book::{Book, Outages},
    cluster::Cluster,
    commits::CommitReader,
    fleet::{Fleet, group},
    letters::Letters,
    plan::{Action, Plan, Step},
    proxy::Weather,
    scenarios::restore,
};
use crate::{
    ledger::{FaultKind, Ledger},
    line::now,
    work::Work,
};

/// How long a run waits while no worker says anything, beside the session: longer than the law of progress allows.
const TIMEOUT: Duration = Duration::from_secs(20);
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
    let publisher = Publisher::connect(&settings).await?;
    let observer = Connection::open(&Settings::new(&cluster.servers)).await?;
    let letters = match plan.attempts {
        Some(_) => {
            let mut settings = Settings::new(&cluster.servers);
            settings.topic_prefix = TopicPrefix::new(&prefix)?;
            let connection = Connection::open(&settings).await?;
            Some(Letters::create(&connection, &group(&prefix)).await?)
        }
        None => None,
    };
    let mut commits = CommitReader::new(observer, &group(&prefix))?;
    // What other runs committed is passed over.
    commits.read().await?;
    let mut run = Run {
        fleet: Fleet::new(plan, servers, &prefix, folder, book.clone())?,
        topic: format!("{prefix}{STREAM}"),
        cluster,
        outages: Outages::new(book.clone()),
        book,
        weather: Weather::default(),
        letters,
        letters_away: None,
    };
    // The stream is there before anybody looks for it.
    let first = publisher
        .publish(STREAM, &Work::default())
        .key("first")
        .await?;
    run.book.lock().published(&first, "first", 0, None);
    let ran = run.carry_out(plan, publisher).await;
    run.fleet.end().await;
    ran?;
    run.read_letters().await?;
    let mut ledger = std::mem::take(&mut run.book.lock().ledger);
    std::fs::write(
        run.fleet.folder.join("brokers.log"),
        run.cluster.logs(&prefix),
    )?;
    // The log holds every commit of the run, however many there were between two looks.
    ledger.commits = commits.read().await?;
    Ok(ledger)
}

struct Run<'a> {
    fleet: Fleet,
    topic: String,
    cluster: &'a mut Cluster,
    book: Arc<Mutex<Book>>,
    weather: Weather,
    /// Faults that last until something is restored or started.
    outages: Outages,
    letters: Option<Letters>,
    /// The fault, while their topic is gone.
    letters_away: Option<usize>,
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
        let begun = now();
        loop {
            self.read_letters().await?;
            {
                let book = self.book.lock();
                let quiet = now() - book.heard.max(begun);
                if book.pending() == 0 || quiet > timeout {
                    return Ok(());
                }
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
        let queued = publisher.publish(STREAM, &work).key(&key).enqueue().await;
        let delivery = match queued {
            Ok(delivery) => delivery,
            Err(error) => {
                book.lock().ledger.unacknowledged.push(error.to_string());
                continue;
            }
        };
        let book = book.clone();
        answers.spawn(async move {
            match delivery.await {
                Ok(receipt) => book.lock().published(&receipt, &key, seq, work.poison()),
                Err(error) => book.lock().ledger.unacknowledged.push(error.to_string()),
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
