//! View: everything that the service shows, at one moment. `observer` makes one each second; metrics, health, stats and page
//! only read it.

use std::{sync::Arc, time::SystemTime};

use kafkaesk_client::{broker::Bounds, lag::Verdict, meter::Published};
use kafkaesk_core::{NextOffset, Source};
use kafkaesk_worker::snapshot::Snapshot;

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// The moment.
    pub at: SystemTime,
    /// When the process began.
    pub started: SystemTime,
    /// What the application's subscriptions do.
    pub snapshot: Snapshot,
    /// How far each of them is behind, in the order of `snapshot.subscriptions`.
    pub lag: Vec<SubscriptionLag>,
    /// What the process published; `None` before it is connected.
    pub published: Option<Published>,
    /// Whether brokers answer.
    pub brokers: Brokers,
}

/// Whether brokers answer.
#[derive(Clone, Debug, Default)]
pub struct Brokers {
    /// When one answered last.
    pub answered: Option<SystemTime>,
    /// How many the cluster had then.
    pub count: usize,
    /// Why none answers, if the last question failed.
    pub error: Option<String>,
}

/// How far a subscription is behind in its partitions.
#[derive(Clone, Debug)]
pub struct SubscriptionLag {
    /// The worst of its partitions, or of the subscription itself.
    pub verdict: Verdict,
    /// What is so, in one sentence.
    pub sentence: String,
    /// What to do.
    pub advice: String,
    /// Records not read or not finished, over all partitions of which that is known.
    pub records: u64,
    /// The age of the oldest unfinished record, in seconds, as far as it is known.
    pub seconds: Option<f64>,
    /// Its assigned partitions, furthest behind first.
    pub partitions: Vec<PartitionLag>,
}

/// How far a subscription is behind in one partition.
#[derive(Clone, Debug)]
pub struct PartitionLag {
    /// The partition.
    pub source: Arc<Source>,
    /// What the group committed, as Kafka has it.
    pub committed: Option<NextOffset>,
    /// Where the partition begins and ends; `None` where its leader did not answer.
    pub bounds: Option<Bounds>,
    /// Records from the committed offset (or the first one that is still there) to the end.
    pub records: Option<u64>,
    /// The age of the first unfinished record, in seconds. `None` where that record was not read yet, and where nothing is unfinished.
    pub seconds: Option<f64>,
    /// How it does.
    pub verdict: Verdict,
    /// What is so, in one sentence.
    pub sentence: String,
}
