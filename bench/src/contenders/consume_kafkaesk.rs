//! A kafkaesk application out of the box, until it handled the backlog; then its commits are checked.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use kafkaesk_client::core::TopicPrefix;
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
    fn saw(&self, reading: &Reading) {
        self.ids.fetch_add(reading.id, Relaxed);
        let messages = self.messages.fetch_add(1, Relaxed) + 1;
        if messages == 1 || messages == self.wanted {
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
    seen.saw(&reading);
}

pub(super) fn run(job: &Job) -> Result<()> {
    let mut settings = Settings::new(&job.servers);
    settings.topic_prefix = TopicPrefix::new(&job.prefix)?;
    let seen = std::sync::Arc::new(Seen {
        wanted: job.count,
        ..Seen::default()
    });
    let app = App::new()
        .state(seen.clone())
        .subscribe(subscription(&job.stream, handle).group(&job.run));
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(async {
        let all = async {
            let _ = tokio::time::timeout(Duration::from_secs(120), seen.all.notified()).await;
        };
        app.run(&settings, all).await
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
