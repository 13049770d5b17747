//! Contenders: runs the one that the command line names, in this process.

mod consume_kafkaesk;
mod consume_raw;
mod publish_kafkaesk;
mod publish_raw;

use anyhow::Result;
use clap::ValueEnum;

use consume_kafkaesk::Way;

use crate::streams;

/// One way to do one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contender {
    /// kafkaesk-worker out of the box: typed handler, key lanes, tracked commits.
    ConsumeKafkaesk,
    /// The same, with its service on and its metrics scraped every second.
    ConsumeShown,
    /// The same, with manual commit: `done` is called for 500 messages at once.
    ConsumeManual,
    /// With interval commit, and a handler that collects 500 numbers as the manual one collects committers.
    ConsumeCollected,
    /// kafkaesk-worker with a handler of batches of 500.
    ConsumeBatches,
    /// kafkaesk-worker with a pattern that matches many streams.
    ConsumeStreams,
    /// rdkafka's BaseConsumer with its own defaults and a typed decode.
    ConsumeRaw,
    /// kafkaesk's publisher: each event validated against the stored schema.
    PublishKafkaesk,
    /// rdkafka's ThreadedProducer with serde_json, the same guarantees towards the broker.
    PublishRaw,
}

/// Where and how much.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) servers: String,
    pub(crate) prefix: String,
    /// The stream to consume; a publisher makes its own.
    pub(crate) stream: String,
    pub(crate) count: u64,
    /// Unique for each run: names its group and what it publishes to.
    pub(crate) run: String,
}

impl Contender {
    pub(crate) fn run(self, job: &Job) -> Result<()> {
        match self {
            Self::ConsumeKafkaesk => consume_kafkaesk::run(job, Way::Plain),
            Self::ConsumeShown => consume_kafkaesk::run(job, Way::Shown),
            Self::ConsumeManual => consume_kafkaesk::run(job, Way::Manual),
            Self::ConsumeCollected => consume_kafkaesk::run(job, Way::Collected),
            Self::ConsumeBatches => consume_kafkaesk::run(job, Way::Batches),
            Self::ConsumeStreams => streams::run(job),
            Self::ConsumeRaw => consume_raw::run(job),
            Self::PublishKafkaesk => publish_kafkaesk::run(job),
            Self::PublishRaw => publish_raw::run(job),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ConsumeKafkaesk => "consume-kafkaesk",
            Self::ConsumeShown => "consume-shown",
            Self::ConsumeManual => "consume-manual",
            Self::ConsumeCollected => "consume-collected",
            Self::ConsumeBatches => "consume-batches",
            Self::ConsumeStreams => "consume-streams",
            Self::ConsumeRaw => "consume-raw",
            Self::PublishKafkaesk => "publish-kafkaesk",
            Self::PublishRaw => "publish-raw",
        }
    }
}
