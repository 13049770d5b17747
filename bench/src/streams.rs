//! Streams: how a worker behaves whose pattern matches many streams: declaring them, the first message, the pace, a new stream
//! among them, and what it costs when nothing happens.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use kafkaesk_client::{
    catalog::StreamSpec,
    core::{SchemaName, StreamId, TopicPrefix},
};
use kafkaesk_worker::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::sleep};

use crate::{
    backlog,
    contenders::{Contender, Job},
    event::Reading,
    process,
};

/// Streams that are declared with one call.
const DECLARED: usize = 500;
/// How long a worker without work is watched.
const IDLE: Duration = Duration::from_secs(30);
/// How often a new stream is made.
const NEW: usize = 3;
/// The longest wait for anything.
const LONGEST: Duration = Duration::from_secs(300);

/// What a worker's process saw.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    first_seconds: f64,
    per_second: f64,
    idle_share: f64,
    new_seconds: f64,
    peak_mib: f64,
}

/// Prints a row for each number of streams. The same number of messages is spread over all of them.
pub(crate) fn measure(job: &Job, numbers: &[usize]) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    println!(
        "| streams | declaring, s | first message, s | msg/s | of the first row | idle, % of a core | a new stream, s | peak MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut base = None;
    for number in numbers {
        let job = Job {
            prefix: format!("{}{number}.", job.prefix),
            ..job.clone()
        };
        let names: Vec<String> = (0..*number).map(|at| format!("s.{at:05}")).collect();
        let declared = runtime.block_on(declare(&job, &names))?;
        let topics: Vec<String> = names
            .iter()
            .map(|it| format!("{}{it}", job.prefix))
            .collect();
        backlog::spread(&job.servers, &topics, job.count)?;
        let seen = child(&job)?;
        let base = *base.get_or_insert(seen.per_second);
        println!(
            "| {number} | {:.1} | {:.1} | {:.0} | {:.2} | {:.1} | {:.2} | {:.0} |",
            declared.as_secs_f64(),
            seen.first_seconds,
            seen.per_second,
            seen.per_second / base,
            seen.idle_share * 100.0,
            seen.new_seconds,
            seen.peak_mib
        );
        backlog::delete(&job.servers, &job.prefix)?;
    }
    Ok(())
}

fn settings(job: &Job) -> Result<Settings> {
    let mut settings = Settings::new(&job.servers);
    settings.topic_prefix = TopicPrefix::new(&job.prefix)?;
    Ok(settings)
}

fn spec(name: &str) -> Result<StreamSpec> {
    let mut spec = StreamSpec::new(StreamId::new(name)?);
    spec.schema = Some(SchemaName::new("Reading")?);
    Ok(spec)
}

async fn declare(job: &Job, names: &[String]) -> Result<Duration> {
    let connection = Connection::open(&settings(job)?).await?;
    // The schema's version is stored.
    connection
        .publisher()
        .publish("other", &Reading::new(0))
        .await?;
    let began = Instant::now();
    for names in names.chunks(DECLARED) {
        let specs: Vec<_> = names.iter().map(|it| spec(it)).collect::<Result<_>>()?;
        for outcome in connection.catalog().ensure_streams(&specs).await? {
            outcome?;
        }
    }
    Ok(began.elapsed())
}

fn child(job: &Job) -> Result<Seen> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--servers", &job.servers])
        .args(["--contender", Contender::ConsumeStreams.name()])
        .args(["--prefix", &job.prefix])
        .args(["--stream", "s.*"])
        .args(["--count", &job.count.to_string()])
        .args(["--run", &job.run])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "the worker's process failed: {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("what the worker's process said")
}

async fn handle(_: Reading, seen: State<Arc<AtomicU64>>) {
    seen.fetch_add(1, Relaxed);
}

/// A worker's process.
pub(crate) fn run(job: &Job) -> Result<()> {
    let (counted, settings) = (Arc::new(AtomicU64::new(0)), settings(job)?);
    let own = subscription(&job.stream, handle).group(&job.run);
    let app = App::new().state(counted.clone()).subscribe(own);
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Runtime::new()?;
    let seen = runtime.block_on(async {
        let began = Instant::now();
        let on = settings.clone();
        let worker = tokio::spawn(async move { app.run(&on, async { drop(stopped.await) }).await });
        let first = until(&counted, 1).await?;
        let all = until(&counted, job.count).await?;
        // What follows the last message, such as its commit, is not idle.
        sleep(Duration::from_secs(5)).await;
        let cpu = process::cpu()?;
        sleep(IDLE).await;
        let idle = process::cpu()?.saturating_sub(cpu);
        let peak_kib = process::peak_kib()?;
        let new = new_streams(&settings, &counted, job.count).await?;
        drop(stop);
        worker.await??;
        anyhow::Ok(Seen {
            first_seconds: (first - began).as_secs_f64(),
            per_second: job.count as f64 / (all - first).as_secs_f64(),
            idle_share: idle.as_secs_f64() / IDLE.as_secs_f64(),
            new_seconds: new.as_secs_f64(),
            peak_mib: peak_kib as f64 / 1024.0,
        })
    })?;
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

async fn until(counted: &AtomicU64, wanted: u64) -> Result<Instant> {
    let began = Instant::now();
    while counted.load(Relaxed) < wanted {
        ensure!(
            began.elapsed() < LONGEST,
            "{} of {wanted} messages within {LONGEST:?}",
            counted.load(Relaxed)
        );
        sleep(Duration::from_millis(2)).await;
    }
    Ok(Instant::now())
}

/// The longest time from the first publish to a stream that is not there until its handler has it.
async fn new_streams(settings: &Settings, counted: &AtomicU64, count: u64) -> Result<Duration> {
    let connection = Connection::open(settings).await?;
    let mut longest = Duration::ZERO;
    for new in 0..NEW {
        let publisher = connection.publisher();
        let name = format!("s.new{new}");
        publisher.publish(&name, &Reading::new(0)).await?;
        let began = Instant::now();
        let wanted = u64::try_from(new)? + 1 + count;
        let seen = until(counted, wanted)
            .await
            .map_err(|error| anyhow!("{name}: {error}"))?;
        longest = longest.max(seen - began);
        sleep(Duration::from_secs(3)).await;
    }
    Ok(longest)
}
