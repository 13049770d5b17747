//! rdkafka's BaseConsumer in a loop, with its own defaults and a typed decode.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
};

use super::Job;
use crate::{
    event::{Envelope, Reading, SCHEMA},
    result::Run,
};

/// How long the whole run may take.
const TIMEOUT: Duration = Duration::from_secs(120);

pub(super) fn run(job: &Job) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &job.servers)
        .set("group.id", &job.run)
        .set("auto.offset.reset", "earliest")
        .create()?;
    consumer.subscribe(&[&format!("{}{}", job.prefix, job.stream)])?;
    let (mut messages, mut ids) = (0, 0);
    let mut first = None;
    let started = Instant::now();
    while messages < job.count {
        // Also `None` after a rebalance was served.
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            ensure!(
                started.elapsed() < TIMEOUT,
                "only {messages} messages within {TIMEOUT:?}"
            );
            continue;
        };
        let message = message?;
        first.get_or_insert_with(Instant::now);
        let value = message.payload().context("a null value")?;
        let envelope: Envelope<&str, Reading> = serde_json::from_slice(value)?;
        ensure!(envelope.schema == SCHEMA, "schema {}", envelope.schema);
        ids += envelope.data.id;
        messages += 1;
    }
    let took = first.context("no message at all")?.elapsed();
    drop(consumer);
    Run::tell(job.count, messages, ids, took)
}
