//! Bench: measures kafkaesk beside raw rdkafka on one Kafka and prints a table of ratios. Run it by `cargo xtask bench`.
//!
//! Contenders of a job run in turns, each in a process of its own, so that CPU time and peak memory are theirs alone.
//! Every run accounts for every message. Read ratios, not absolute numbers: the broker shares the machine.

mod backlog;
mod contenders;
mod event;
mod instances;
mod process;
mod result;
mod rounds;
mod streams;
mod table;

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};
use clap::Parser;
use serde_json::json;

use crate::{
    contenders::{Contender, Job},
    table::{Contention, Row},
};

#[derive(Debug, Parser)]
struct Args {
    /// Bootstrap brokers, comma separated
    #[arg(long, default_value = "localhost:9092")]
    servers: String,
    /// Three rounds instead of seven
    #[arg(long)]
    quick: bool,
    /// How many messages each run has
    #[arg(long, default_value_t = 450_000)]
    count: u64,
    /// Write the results there as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Exit status 1 if a target is missed
    #[arg(long)]
    check: bool,
    /// Only this job; `instances` (four minutes) and `streams` run only if they are named
    #[arg(long, value_parser = ["consume", "shown", "manual", "batches", "publish", "instances", "streams"])]
    only: Option<String>,
    /// With `--only streams`: how many streams, a row for each
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000")]
    streams: Vec<usize>,
    /// Run one contender in this process
    #[arg(long, hide = true, requires_all = ["prefix", "stream", "run"])]
    contender: Option<Contender>,
    #[arg(long, hide = true)]
    prefix: Option<String>,
    #[arg(long, hide = true)]
    stream: Option<String>,
    #[arg(long, hide = true)]
    run: Option<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let session = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let job = Job {
        servers: args.servers.clone(),
        prefix: args.prefix.clone().unwrap_or(format!("bench-{session}.")),
        stream: args.stream.clone().unwrap_or("backlog".into()),
        count: args.count,
        run: args.run.clone().unwrap_or(format!("bench-{session}")),
    };
    match args.contender {
        Some(contender) => contender.run(&job),
        None => compare(&args, &job),
    }
}

fn compare(args: &Args, job: &Job) -> Result<()> {
    if args.only.as_deref() == Some("instances") {
        return instances::measure(job);
    }
    if args.only.as_deref() == Some("streams") {
        return streams::measure(job, &args.streams);
    }
    let rounds = if args.quick { 3 } else { 7 };
    let wanted = |job: &str| args.only.as_deref().is_none_or(|only| only == job);
    let mut rows = Vec::new();
    let mut contenders = Vec::new();
    if wanted("consume") {
        let topic = format!("{}{}", job.prefix, job.stream);
        let bytes = backlog::fill(&job.servers, &topic, job.count)?;
        eprintln!(
            "{} records of {bytes:.0} bytes, {} partitions",
            job.count,
            backlog::PARTITIONS
        );
        let runs = rounds::measure(
            Contender::ConsumeKafkaesk,
            Contender::ConsumeRaw,
            job,
            rounds,
        )?;
        rows.push(Row::ratio("consume, of BaseConsumer", &runs, 1.5));
        rows.push(Row::peak("consume, peak MiB", &runs.ours, 96.0));
        contenders.push(Contention::of("consume kafkaesk", &runs.ours));
        contenders.push(Contention::of("consume raw", &runs.raw));
    }
    if wanted("shown") {
        // Some seconds, so that there are scrapes.
        let job = Job {
            stream: "shown".into(),
            count: job.count * 4,
            ..job.clone()
        };
        let topic = format!("{}{}", job.prefix, job.stream);
        backlog::fill(&job.servers, &topic, job.count)?;
        let runs = rounds::measure(
            Contender::ConsumeShown,
            Contender::ConsumeKafkaesk,
            &job,
            rounds,
        )?;
        rows.push(Row::ratio(
            "consume, metrics scraped every second, of off",
            &runs,
            0.99,
        ));
        contenders.push(Contention::of("consume, shown", &runs.ours));
        contenders.push(Contention::of("consume, not shown", &runs.raw));
    }
    if wanted("manual") {
        let job = Job {
            stream: "manual".into(),
            count: job.count * 4,
            ..job.clone()
        };
        let topic = format!("{}{}", job.prefix, job.stream);
        backlog::fill(&job.servers, &topic, job.count)?;
        let runs = rounds::measure(
            Contender::ConsumeManual,
            Contender::ConsumeCollected,
            &job,
            rounds,
        )?;
        rows.push(Row::more_cpu(
            "consume, manual commit, CPU µs a message more than interval commit",
            &runs,
            0.3,
        ));
        contenders.push(Contention::of("consume, manual commit", &runs.ours));
        contenders.push(Contention::of("consume, interval commit", &runs.raw));
    }
    if wanted("batches") {
        let job = Job {
            stream: "batches".into(),
            count: job.count * 4,
            ..job.clone()
        };
        let topic = format!("{}{}", job.prefix, job.stream);
        backlog::fill(&job.servers, &topic, job.count)?;
        let runs = rounds::measure(
            Contender::ConsumeBatches,
            Contender::ConsumeKafkaesk,
            &job,
            rounds,
        )?;
        rows.push(Row::ratio(
            "consume in batches of 500, of one by one",
            &runs,
            1.1,
        ));
        contenders.push(Contention::of("consume, batches", &runs.ours));
        contenders.push(Contention::of("consume, one by one", &runs.raw));
    }
    if wanted("publish") {
        let runs = rounds::measure(
            Contender::PublishKafkaesk,
            Contender::PublishRaw,
            job,
            rounds,
        )?;
        rows.push(Row::ratio("publish, of ThreadedProducer", &runs, 0.5));
        contenders.push(Contention::of("publish kafkaesk", &runs.ours));
        contenders.push(Contention::of("publish raw", &runs.raw));
    }

    backlog::delete(&job.servers, &job.prefix)?;
    println!(
        "\n| target | median (lowest–highest) of {rounds} rounds | wanted | |\n|---|---|---|---|"
    );
    rows.iter().for_each(|row| println!("{}", row.line()));
    println!("\n| contender | msg/s | CPU µs a message | peak MiB |\n|---|---|---|---|");
    contenders.iter().for_each(|c| println!("{}", c.line()));
    if let Some(path) = &args.json {
        let all = json!({
            "messages": job.count,
            "rounds": rounds,
            "targets": rows,
            "contenders": contenders,
        });
        std::fs::write(path, serde_json::to_string_pretty(&all)?)?;
    }
    if args.check && rows.iter().any(|row| !row.met) {
        bail!("a target was missed");
    }
    Ok(())
}
