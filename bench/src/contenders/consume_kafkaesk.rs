//! A kafkaesk application out of the box, until it handled the backlog; then its commits are checked.

use std::{
    io::{Read as _, Write as _},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use kafkaesk_client::{core::TopicPrefix, settings::OperateSettings};
use kafkaesk_operate::Operate;
use kafkaesk_worker::prelude::*;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use tokio::sync::Notify;

use super::Job;
use crate::{backlog::PARTITIONS, event::Reading, result::Run};

/// What the handler counts.
#[derive(Debug, Default)]
struct Seen {
    messages: AtomicU64,
    ids: AtomicU64,
    times: Mutex<Option<(Instant, Instant)>>,
    wanted: u64,
    all: Notify,
}

impl Seen {
    /// So many readings, whose ids have this sum.
    fn saw(&self, count: u64, ids: u64) {
        self.ids.fetch_add(ids, Relaxed);
        let messages = self.messages.fetch_add(count, Relaxed) + count;
        if messages == count || messages == self.wanted {
            let now = Instant::now();
            if let Ok(mut times) = self.times.lock() {
                let first = times.map_or(now, |(first, _)| first);
                *times = Some((first, now));
            }
            if messages == self.wanted {
                self.all.notify_one();
            }
        }
    }
}

async fn handle(reading: Reading, seen: State<std::sync::Arc<Seen>>) {
    seen.saw(1, reading.id);
}

/// How many messages a sink with manual commit finishes at once.
const FLUSH: usize = 500;

/// What a sink collects until a flush, and how many there were.
#[derive(Debug)]
struct Held<T>(Mutex<(u64, Vec<T>)>);

impl<T> Held<T> {
    fn new() -> Self {
        Self(Mutex::new((0, Vec::with_capacity(FLUSH))))
    }

    /// What is to be flushed now.
    fn add(&self, one: T, wanted: u64) -> Vec<T> {
        let Ok(mut held) = self.0.lock() else {
            return Vec::new();
        };
        let (count, open) = &mut *held;
        *count += 1;
        open.push(one);
        match open.len() == FLUSH || *count == wanted {
            true => std::mem::replace(open, Vec::with_capacity(FLUSH)),
            false => Vec::new(),
        }
    }
}

async fn hold(
    reading: Reading,
    committer: Committer,
    seen: State<std::sync::Arc<Seen>>,
    held: State<Held<Committer>>,
) {
    for committer in held.add(committer, seen.wanted) {
        drop(committer.done());
    }
    seen.saw(1, reading.id);
}

async fn collect(reading: Reading, seen: State<std::sync::Arc<Seen>>, held: State<Held<u64>>) {
    let flushed = held.add(reading.id, seen.wanted);
    std::hint::black_box(flushed);
    seen.saw(1, reading.id);
}

async fn handle_batch(readings: Batch<Reading>, seen: State<std::sync::Arc<Seen>>) {
    let ids = readings.iter().map(|reading| reading.id).sum();
    seen.saw(readings.len() as u64, ids);
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    /// Its service is on, and its metrics are scraped every second.
    Shown,
    /// Manual commit.
    Manual,
    /// Interval commit, and a handler that collects as well.
    Collected,
    /// A handler of batches of 500.
    Batches,
}

pub(super) fn run(job: &Job, way: Way) -> Result<()> {
    let mut settings = Settings::new(&job.servers);
    settings.topic_prefix = TopicPrefix::new(&job.prefix)?;
    let seen = std::sync::Arc::new(Seen {
        wanted: job.count,
        ..Seen::default()
    });
    let subscription = match way {
        Way::Manual => subscription(&job.stream, hold).commit(Commit::Manual),
        Way::Collected => subscription(&job.stream, collect),
        // The last batch of each partition waits for as long as it may, which is not what is measured.
        Way::Batches => subscription(&job.stream, handle_batch)
            .batch(BatchOptions::new().wait(Duration::from_millis(5))),
        Way::Plain | Way::Shown => subscription(&job.stream, handle),
    };
    let app = App::new()
        .state(seen.clone())
        .state(Held::<Committer>::new())
        .state(Held::<u64>::new())
        .subscribe(subscription.group(&job.run));
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(async {
        let all = async {
            let _ = tokio::time::timeout(Duration::from_secs(120), seen.all.notified()).await;
        };
        if way != Way::Shown {
            return anyhow::Ok(app.run(&settings, all).await?);
        }
        let mut operate = OperateSettings::default();
        operate.listen = Some("127.0.0.1:0".into());
        let mut operate = Operate::start(operate, app.watch(), app.control()).await?;
        let address = operate.address().context("the service does not listen")?;
        std::thread::spawn(move || {
            loop {
                let _ = scrape(address);
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        let connection = Connection::open(&settings).await?;
        operate.connected(&connection);
        let report = app.run_on(connection, all).await?;
        // What is shown may be a second old.
        std::thread::sleep(Duration::from_millis(1_100));
        let last = scrape(address)?;
        ensure!(
            last.contains("kafkaesk_consumer_finished_messages_total"),
            "the last scrape: {last:.300}"
        );
        operate.finish(Duration::ZERO).await;
        Ok(report)
    })?;
    let messages = seen.messages.load(Relaxed);
    ensure!(
        report.handled == messages,
        "the worker reports {} handled, the handler saw {messages}",
        report.handled
    );
    committed(job)?;
    let times = seen.times.lock().ok().and_then(|times| *times);
    let (first, last) = times.context("no message at all")?;
    Run::tell(job.count, messages, seen.ids.load(Relaxed), last - first)
}

/// Reads the metrics, as Prometheus does.
fn scrape(address: std::net::SocketAddr) -> std::io::Result<String> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The group's commits cover the backlog.
fn committed(job: &Job) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &job.servers)
        .set("group.id", &job.run)
        .create()?;
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition(&format!("{}{}", job.prefix, job.stream), partition);
    }
    let committed = consumer.committed_offsets(partitions, Duration::from_secs(10))?;
    let sum: i64 = committed
        .elements()
        .iter()
        .map(|partition| match partition.offset() {
            Offset::Offset(next) => next,
            _ => 0,
        })
        .sum();
    ensure!(
        u64::try_from(sum)? == job.count,
        "commits cover {sum} of {}",
        job.count
    );
    Ok(())
}
