//! Ledger: what happened in a run, as the suite saw it from outside of the workers. Plain data; judges nothing (`checker`
//! does).

use std::sync::Arc;

use serde::Serialize;

use crate::line::{Change, Ended, Micros, Report};

/// A worker process of the run; a restarted one is another.
pub(crate) type WorkerId = usize;

/// A partition.
pub(crate) type Partition = (Arc<str>, i32);

/// A record's place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(crate) struct Place {
    #[serde(serialize_with = "text")]
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}

/// A publish that the brokers acknowledged.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Published {
    pub(crate) place: Place,
    #[serde(serialize_with = "text")]
    pub(crate) key: Arc<str>,
    pub(crate) seq: u64,
    /// Why it can never be handled, if so.
    pub(crate) poison: Option<Poison>,
    pub(crate) at: Micros,
}

/// Why a message must become a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Poison {
    /// Its handler fails each time.
    Fails,
    /// Its handler rejects it.
    Rejects,
}

/// A dead letter, as it stands in the group's topic of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Letter {
    /// The record that was given up.
    pub(crate) origin: Place,
    /// The contract's word.
    pub(crate) reason: String,
    pub(crate) attempts: u32,
    /// When the broker wrote it: the millisecond's beginning.
    pub(crate) at: Micros,
}

/// A message that a handler published for another one, in a transaction: what readers of committed records see of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Copy {
    pub(crate) place: Place,
    #[serde(serialize_with = "text")]
    pub(crate) key: Arc<str>,
    /// The number of the message that it is a copy of.
    pub(crate) seq: u64,
}

/// A record that left its log: its topic was deleted, its retention is over, or compaction took it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Removed {
    pub(crate) place: Place,
    /// From when on.
    pub(crate) at: Micros,
}

/// What a worker warned of: records that it could not read any more, or a topic that was created again.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Warning {
    pub(crate) worker: WorkerId,
    pub(crate) at: Micros,
    pub(crate) text: String,
}

/// A publish that failed, or whose fate is unknown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Unacknowledged {
    /// When it began.
    pub(crate) at: Micros,
    pub(crate) error: String,
}

/// A handler's run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attempt {
    pub(crate) worker: WorkerId,
    pub(crate) place: Place,
    #[serde(serialize_with = "text")]
    pub(crate) key: Arc<str>,
    pub(crate) seq: u64,
    pub(crate) attempt: u32,
    pub(crate) start: Micros,
    /// With manual commit: when its handler returned, and its message went into custody.
    pub(crate) kept: Option<Micros>,
    /// `None` where its worker was killed first. With manual commit, what the sink did just before it said so to the committer.
    pub(crate) end: Option<(Micros, Ended)>,
    /// With manual commit: when `done` resolved, and so a commit covers the message.
    pub(crate) confirmed: Option<Micros>,
    /// With manual commit: when `done` answered that it changed nothing.
    pub(crate) stale: Option<Micros>,
}

/// A change of a worker's partitions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Move {
    pub(crate) worker: WorkerId,
    #[serde(serialize_with = "text")]
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) change: Change,
    pub(crate) at: Micros,
}

/// A commit, by the broker's own log and time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Commit {
    #[serde(serialize_with = "text")]
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) next: i64,
    pub(crate) at: Micros,
}

/// A worker process.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) started: Micros,
    /// When it was asked to end.
    pub(crate) asked: Option<Micros>,
    /// When it was killed.
    pub(crate) killed: Option<Micros>,
    pub(crate) exited: Option<Micros>,
    /// Its exit status; `None` for a signal.
    pub(crate) status: Option<i32>,
    /// The most memory that it had, in KiB.
    pub(crate) peak_kib: u64,
    pub(crate) report: Option<Report>,
}

/// What the suite did to the run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fault {
    pub(crate) what: FaultKind,
    pub(crate) at: Micros,
    /// When it was over; the same for what takes no time.
    pub(crate) until: Micros,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum FaultKind {
    /// A worker got SIGKILL.
    Killed(WorkerId),
    /// A worker was stopped, then continued.
    Stopped(WorkerId),
    /// A worker's handlers hung: those that began meanwhile, until it was over or a little longer.
    Hung(WorkerId),
    /// A worker was asked to end.
    Asked(WorkerId),
    /// A worker was started.
    Started(WorkerId),
    /// Brokers or the way to them were away.
    Outage,
    /// The group's topic of dead letters was gone.
    LettersAway,
    /// The stream's topic was deleted and not there again.
    StreamAway,
    /// Records were deleted by the topic's retention.
    Retention,
    /// The way to the brokers was slow.
    Slow,
    /// Something else, which must disturb nobody.
    Other,
}

/// A run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Ledger {
    pub(crate) published: Vec<Published>,
    pub(crate) unacknowledged: Vec<Unacknowledged>,
    pub(crate) removed: Vec<Removed>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) moves: Vec<Move>,
    pub(crate) commits: Vec<Commit>,
    pub(crate) letters: Vec<Letter>,
    /// Where handlers publish a copy of each message: all of them, in the order of their places.
    pub(crate) copies: Option<Vec<Copy>>,
    /// Records among the dead letters that are none.
    pub(crate) strange: Vec<String>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) faults: Vec<Fault>,
    /// When everything was handled, or the suite waited no longer.
    pub(crate) ended: Micros,
}

/// What the checker measures a run by.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// How soon a group goes on.
    pub(crate) progress: Micros,
    /// How long the group waits for a killed or stopped member.
    pub(crate) session: Micros,
    /// `shutdown-timeout`.
    pub(crate) drain: Micros,
    /// `max.poll.interval.ms`.
    pub(crate) max_poll: Micros,
    /// How soon a member notices that a topic was created again.
    pub(crate) notices: Micros,
    /// `max-attempts`.
    pub(crate) attempts: u32,
    /// The memory of one worker.
    pub(crate) memory_kib: u64,
}

impl Bounds {
    /// How long a revoke waits for handlers.
    pub(crate) fn revoke(&self) -> Micros {
        self.drain.min(self.max_poll / 3) / 10 * 9
    }
}

/// serde's own way needs a feature that would change it for every crate of the workspace.
fn text<S: serde::Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}
