//! Scaled: how the numbers of a subscription follow its load, as plain data.

use std::time::{Duration, SystemTime};

use kafkaesk_core::StreamId;

/// How the number of handlers follows the load, with [`Concurrency::Between`](crate::Concurrency::Between).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScaledHandlers {
    /// The fewest handlers.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// How often the number was raised since the start.
    pub raised: u64,
    /// How often it was lowered.
    pub lowered: u64,
    /// What is done now, or why nothing is, in words.
    pub state: String,
    /// The last changes, newest first, [`ScaledHandlers::RECENT`] at most.
    pub recent: Vec<ScaleDecision>,
}

impl ScaledHandlers {
    /// How many changes are kept.
    pub const RECENT: usize = 10;
}

/// One change of a number by scaling.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScaleDecision {
    /// When.
    pub at: SystemTime,
    /// The former number.
    pub from: u32,
    /// The new one.
    pub to: u32,
    /// Why, in words.
    pub reason: String,
}

/// How the number of consumer instances follows the load, with `max-concurrency` above 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScaledInstances {
    /// Whether decisions are carried out (`scaling = "on"`), or only shown (`"dry-run"`).
    pub acts: bool,
    /// The most instances (`max-concurrency`).
    pub max: u32,
    /// How many instances the present load needs, without that bound; `None` while that is not known.
    pub wanted: Option<u32>,
    /// How often an instance was added or, with `"dry-run"`, would have been.
    pub raised: u64,
    /// How often one was removed or, with `"dry-run"`, would have been.
    pub lowered: u64,
    /// What is done now, or why nothing is, in words.
    pub state: String,
    /// The last decisions, newest first, [`ScaledHandlers::RECENT`] at most.
    pub recent: Vec<ScaleDecision>,
}

/// How many processes the whole group needs for a subscription. One process of a group says it: the one that holds the first
/// partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WantedProcesses {
    /// Processes; never more than the partitions can feed.
    pub wanted: u32,
    /// Instances that each of them is expected to run.
    pub instances: u32,
    /// Partitions of all streams that the subscription reads.
    pub partitions: usize,
    /// What that means, or why more would not help, in words.
    pub state: String,
}

/// Streams of a subscription that have too few partitions. One process of a group says it: the one that holds the first
/// partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScaledPartitions {
    /// The streams, by name; [`ScaledPartitions::LISTED`] at most.
    pub short: Vec<ShortStream>,
    /// How many there are.
    pub short_total: usize,
    /// How often this process added partitions to a stream, or proposed it, since its start.
    pub decisions: u64,
    /// The last of these, newest first, [`ScaledHandlers::RECENT`] at most.
    pub recent: Vec<ScaleDecision>,
}

impl ScaledPartitions {
    /// How many streams are listed.
    pub const LISTED: usize = 20;
}

/// A stream each of whose partitions keeps a member of the group busy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShortStream {
    /// Which.
    pub stream: StreamId,
    /// Its partitions.
    pub partitions: u32,
    /// For how long that has been so.
    pub lasting: Duration,
    /// The number that is proposed, if one is.
    pub wanted: Option<u32>,
    /// What is proposed, or why nothing is, in words.
    pub state: String,
}
