//! Consuming: one ordered stream of events, rebalances included (architecture.md, "Consume").
//!
//! The rebalance callbacks become entries of that stream. `Revoked` carries an acknowledgement: whoever reads the
//! stream stops taking, drains, and answers with what to commit; the partition is released after that commit.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use kafkaesk_core::{NextOffset, Pattern, Record, Source};
use tokio::sync::{mpsc, oneshot};

use crate::{ClientError, broker::BoxFuture};

/// How many events wait between the polling thread and the reader, at most.
pub const EVENT_BOUND: usize = 16;
/// How many records one event carries, at most.
pub const BATCH_RECORDS: usize = 512;
/// How many bytes of records one event carries, at most (a single larger record goes alone).
pub const BATCH_BYTES: usize = 256 * 1024;

/// How long a close waits for the brokers, at most, where nothing else is said.
pub const CLOSE: Duration = Duration::from_secs(20);

/// Where a group without offsets starts (decisions.md 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The first record that there is.
    #[default]
    Earliest,
    /// What comes after the group's first start; partitions that appear later begin at their earliest. A start that finds
    /// no matching topic leaves no trace, so the first that finds one is the group's first.
    Latest,
    /// What is younger than this.
    Back(Duration),
}

/// What to consume.
#[derive(Clone, Debug)]
pub struct ConsumerSpec {
    /// The group, as sent to Kafka; `None` reads without one.
    pub group: Option<String>,
    /// Which streams.
    pub pattern: Pattern,
    /// Where a group without offsets starts.
    pub start: Start,
    /// How long a revoke waits for its acknowledgement, at most.
    pub drain: Duration,
    /// librdkafka properties of this subscription; beat the connection's.
    pub kafka_settings: BTreeMap<String, String>,
}

/// Offsets to commit.
pub type Commits = Vec<(Arc<Source>, NextOffset)>;

/// One entry of the stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// These partitions are ours from here on. Their `Arc<Source>` is the one that their records carry.
    Assigned(Vec<Arc<Source>>),
    /// Records of one partition, in offset order. Never of a partition that was revoked before.
    Records(Vec<Record>),
    /// These partitions go: stop, drain, acknowledge.
    Revoked(Vec<Arc<Source>>, RevokeAck),
    /// These partitions are gone already: drop what is in flight, commit nothing.
    Lost(Vec<Arc<Source>>),
    /// A partition was read to the end seen at start (readers without a group only).
    End(Arc<Source>),
    /// Something that a person should know; reading goes on.
    Warning(String),
    /// Reading cannot go on; the stream ends.
    Failed(ClientError),
}

/// The answer that a revoke waits for. Dropping it commits nothing.
#[derive(Debug)]
pub struct RevokeAck(pub(crate) oneshot::Sender<Commits>);

impl RevokeAck {
    /// An acknowledgement and the side that waits for it, for whoever implements [`crate::broker::Broker`].
    pub fn new() -> (Self, oneshot::Receiver<Commits>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Lets the partitions go after committing these.
    pub fn release(self, commits: Commits) {
        let _ = self.0.send(commits);
    }
}

/// What a consumer can be asked besides its events.
pub trait ConsumerControl: fmt::Debug + Send + Sync {
    /// Commits without waiting. A refusal is logged, and what was refused is committed again with the next commit, after
    /// five seconds at the latest, while the partition is ours.
    fn commit(&self, commits: Commits);

    /// Stops fetching these partitions, without blocking. What is in the event stream already still arrives, so a
    /// reader that pauses everything can read on, within the stream's bound, and never misses a `Revoked`.
    /// A partition that is not ours (any more) is ignored; a newly assigned one is never paused.
    fn pause(&self, sources: &[Arc<Source>]);

    /// Fetches these partitions again, from behind the last record that entered the event stream.
    fn resume(&self, sources: &[Arc<Source>]);

    /// Commits, leaves the group, ends the stream. Resolves when it is done, after [`CLOSE`] at most.
    fn close(&self, commits: Commits) -> BoxFuture<'_, Result<(), ClientError>> {
        self.close_within(commits, CLOSE)
    }

    /// The same, after `patience` at most. A commit that is not answered by then is an error. A group that does not
    /// answer is left all the same: while it rebalances that takes librdkafka up to 5 s, and goes on behind.
    fn close_within(
        &self,
        commits: Commits,
        patience: Duration,
    ) -> BoxFuture<'_, Result<(), ClientError>>;
}

/// A running consumer. Dropping it closes it without a commit.
#[derive(Debug)]
pub struct Consumer {
    pub(crate) events: mpsc::Receiver<ConsumerEvent>,
    pub(crate) control: Arc<dyn ConsumerControl>,
}

impl Consumer {
    /// A consumer from its parts, for whoever implements [`crate::broker::Broker`]. The channel's bound should be
    /// [`EVENT_BOUND`].
    pub fn new(events: mpsc::Receiver<ConsumerEvent>, control: Arc<dyn ConsumerControl>) -> Self {
        Self { events, control }
    }

    /// The next event; `None` after the end. Cancel safe.
    pub async fn next(&mut self) -> Option<ConsumerEvent> {
        self.events.recv().await
    }

    /// The consumer's other side; outlives the borrow of [`Self::next`].
    pub fn control(&self) -> Arc<dyn ConsumerControl> {
        self.control.clone()
    }
}
