//! Snapshot: what a running application shows of itself, as plain data. `instance/shown.rs` fills it, `watch.rs` asks for it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use kafkaesk_client::meter::Histogram;
use kafkaesk_core::{NextOffset, Reason, Source, StreamId, TopicName};

pub(crate) use self::merge::merge;
pub use self::scaled::{
    ScaleDecision, ScaledHandlers, ScaledInstances, ScaledPartitions, ShortStream, WantedProcesses,
};

mod merge;
mod scaled;

/// What all subscriptions of an application do, in the order of their start.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// One for each subscription that was started. Those that ended stay, with their last counts.
    pub subscriptions: Vec<Arc<SubscriptionSnapshot>>,
    /// How many subscriptions the run starts; 0 before it runs.
    pub expected: usize,
    /// When the shutdown began, if it did.
    pub shutdown: Option<SystemTime>,
}

/// What one subscription does: all of its instances together.
///
/// Counts begin with the process and never go back, whichever partitions and instances come and go.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscriptionSnapshot {
    /// The group, as sent to Kafka.
    pub group: String,
    /// The group without `group-prefix`, as a configuration and a command name it.
    pub name: String,
    /// The pattern of its streams, as written.
    pub pattern: String,
    /// When this was true.
    pub taken: SystemTime,
    /// How long ago its task last answered a question for a snapshot: since this question, if it did not answer in time.
    /// A handler that blocks its thread, for example, keeps the task from answering.
    pub silent_for: Duration,
    /// How long ago the consumer's thread last turned.
    pub thread_silent_for: Duration,
    /// Where it is in its life.
    pub state: State,
    /// Consumer instances that run: 1, unless scaling added some; 0 after the end.
    pub instances: u32,
    /// How that number follows the load; `None` where it does not (`scaling = "off"`, or `max-concurrency = 1`).
    pub scaled_instances: Option<Box<ScaledInstances>>,
    /// How many processes its group needs; `None` where another process says it, or a figure is missing.
    pub wanted_processes: Option<Box<WantedProcesses>>,
    /// Which of its streams have too few partitions; `None` with `scaling = "off"`.
    pub scaled_partitions: Option<Box<ScaledPartitions>>,
    /// Handlers that may run at a time, in all instances.
    pub concurrency: u32,
    /// How that number was found, of the first instance; `None` for a fixed one.
    pub scaled: Option<ScaledHandlers>,
    /// Handlers that run as tasks. A handler that ends in place is never seen running.
    pub running: usize,
    /// The handlers that have been running longest, oldest first, [`SubscriptionSnapshot::LISTED`] at most.
    pub oldest_running: Vec<RunningHandler>,
    /// How many of the running handlers are older than `max.poll.interval.ms`.
    pub stuck: usize,
    /// Why it takes no part in its group and has no partitions: all of its handlers are stuck.
    pub apart: Option<Apart>,
    /// How many messages are in custody: their handler has returned, and their `Committer` was not finished.
    pub custody: usize,
    /// The one whose attempt began first.
    pub oldest_in_custody: Option<InCustody>,
    /// How many messages are finished and wait for their transaction (`transaction = true`), or are on their way with one.
    pub uncommitted: usize,
    /// Why the last transaction failed, until one is committed again.
    pub transaction_error: Option<String>,
    /// Records that wait for a free handler or for their key.
    pub ready: Waiting,
    /// Records in lanes whose first message waits for its next attempt, that message included.
    pub backing_off: Waiting,
    /// How many messages failed and did not end: those whose next attempt runs included.
    pub held_total: usize,
    /// Of these, the ones that failed first, [`SubscriptionSnapshot::LISTED`] at most.
    pub held: Vec<HeldMessage>,
    /// Why no handler starts, if so.
    pub pause: Option<PauseState>,
    /// How often it paused since its handler was unavailable or too many attempts failed.
    pub pauses: u64,
    /// Messages that may start per second, if that is bounded.
    pub throttle: Option<u32>,
    /// Its partitions.
    pub partitions: Vec<PartitionSnapshot>,
    /// Counts by partition: of all partitions that it ever had, in the order of topic and partition.
    pub counts: Vec<(Arc<Source>, Counts)>,
    /// Counts and times by topic, of all topics that it ever had a partition of.
    pub topics: Vec<(TopicName, TopicMeter)>,
    /// Dead letters that the brokers have, by reason.
    pub dead_letters: Vec<(Reason, u64)>,
    /// The last of them, newest first, [`SubscriptionSnapshot::LETTERS`] at most.
    pub recent_letters: Vec<RecentLetter>,
    /// Events that their stored schema refused, by topic and schema; at most 1,000 pairs, then all others under an empty schema.
    pub refused: Vec<(TopicName, String, u64)>,
    /// Partitions that were assigned, revoked and lost, counted.
    pub rebalanced: Rebalanced,
    /// The last rebalances, newest first, [`SubscriptionSnapshot::RECENT`] at most.
    pub rebalances: Vec<Rebalance>,
    /// The last distinct errors of attempts, newest first, [`SubscriptionSnapshot::RECENT`] at most.
    pub errors: Vec<RecentError>,
    /// Offsets handed to the Kafka client for commit, counted once for each partition and commit.
    pub commits: u64,
    /// Time in which handlers ran, in place and as tasks, summed over all of them.
    pub busy: Duration,
}

impl SubscriptionSnapshot {
    /// A subscription that has done nothing yet.
    pub fn new(group: &str, name: &str, pattern: &str) -> Self {
        Self {
            group: group.to_owned(),
            name: name.to_owned(),
            pattern: pattern.to_owned(),
            taken: SystemTime::now(),
            silent_for: Duration::ZERO,
            thread_silent_for: Duration::ZERO,
            state: State::Joining,
            instances: 1,
            scaled_instances: None,
            wanted_processes: None,
            scaled_partitions: None,
            concurrency: 0,
            scaled: None,
            running: 0,
            oldest_running: Vec::new(),
            stuck: 0,
            apart: None,
            custody: 0,
            oldest_in_custody: None,
            uncommitted: 0,
            transaction_error: None,
            ready: Waiting::default(),
            backing_off: Waiting::default(),
            held_total: 0,
            held: Vec::new(),
            pause: None,
            pauses: 0,
            throttle: None,
            partitions: Vec::new(),
            counts: Vec::new(),
            topics: Vec::new(),
            dead_letters: Vec::new(),
            recent_letters: Vec::new(),
            refused: Vec::new(),
            rebalanced: Rebalanced::default(),
            rebalances: Vec::new(),
            errors: Vec::new(),
            commits: 0,
            busy: Duration::ZERO,
        }
    }

    /// How many messages are listed one by one.
    pub const LISTED: usize = 50;
    /// How many rebalances and errors are kept.
    pub const RECENT: usize = 20;
    /// How many dead letters are kept.
    pub const LETTERS: usize = 10;
}

/// Where a subscription is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It has not joined its group yet.
    Joining,
    /// It has joined: it had an assignment, or its group has no partition for it.
    Running,
    /// Its shutdown began.
    Ending,
    /// It ended: its counts stay, and it has no partitions, handlers or messages any more.
    Ended,
}

impl State {
    /// One word, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Running => "running",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

/// Records that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub records: usize,
    /// What they hold in memory, about.
    pub bytes: usize,
}

/// A handler that runs as a task.
#[derive(Clone, Debug)]
pub struct RunningHandler {
    /// The partition.
    pub source: Arc<Source>,
    /// The offset.
    pub offset: i64,
    /// The message's key. It may be personal: nobody shows it unasked.
    pub key: Option<Bytes>,
    /// 1 for the first attempt, 2 for the second, …
    pub attempt: u32,
    /// How long it has been running.
    pub age: Duration,
    /// Whether it writes the message's dead letter; no handler runs then.
    pub dead_letter: bool,
    /// How many messages its batch has, of which this is the first; 1 without batches.
    pub messages: u32,
}

/// A message whose handler has returned, and whose `Committer` was not finished.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InCustody {
    /// The partition.
    pub source: Arc<Source>,
    /// The offset.
    pub offset: i64,
    /// The message's key. It may be personal: nobody shows it unasked.
    pub key: Option<Bytes>,
    /// 1 for the first attempt, 2 for the second, …
    pub attempt: u32,
    /// How long ago the attempt began.
    pub age: Duration,
}

impl InCustody {
    /// A message in its first attempt.
    pub fn new(source: Arc<Source>, offset: i64, age: Duration) -> Self {
        Self {
            source,
            offset,
            key: None,
            attempt: 1,
            age,
        }
    }
}

/// A message that failed and waits for its next attempt. Nothing behind it in its lane is handled, and nothing behind it in its
/// partition is committed past it.
#[derive(Clone, Debug)]
pub struct HeldMessage {
    /// The partition that it was read from.
    pub source: Arc<Source>,
    /// Its offset there.
    pub offset: i64,
    /// Its key. It may be personal: nobody shows it unasked.
    pub key: Option<Bytes>,
    /// How many attempts failed.
    pub attempts: u32,
    /// When the first of them failed.
    pub since: SystemTime,
    /// When it is tried next.
    pub next: SystemTime,
    /// How the last attempt ended.
    pub end: AttemptEnd,
    /// The last error, 500 characters at most. That of a [`AttemptEnd::Mismatch`] may quote the message.
    pub error: Option<String>,
    /// How many messages wait for it in its lane.
    pub waiting: usize,
}

/// Why no handler starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseState {
    /// Who or what paused it.
    pub by: PausedBy,
    /// Why, in words.
    pub reason: String,
    /// Since when.
    pub since: SystemTime,
    /// When it ends by itself, or tries one message.
    pub until: Option<SystemTime>,
}

/// Who or what pauses a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PausedBy {
    /// A command.
    Operator,
    /// Its handler is unavailable, or too many attempts fail (`failure-limit`).
    Unavailable,
}

impl PausedBy {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Operator, Self::Unavailable];

    /// One word, as in labels and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A subscription that gave up its partitions, since every handler has been running for longer than `max.poll.interval.ms`.
/// It takes part in its group again when a handler ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Apart {
    /// Since when.
    pub since: SystemTime,
    /// How many handlers were stuck then.
    pub handlers: usize,
    /// Which handlers, and what to do, in words.
    pub reason: String,
}

impl Apart {
    /// So many handlers are stuck, since now.
    pub fn new(handlers: usize, reason: &str) -> Self {
        Self {
            since: SystemTime::now(),
            handlers,
            reason: reason.to_owned(),
        }
    }
}

/// One partition that is assigned now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartitionSnapshot {
    /// Which.
    pub source: Arc<Source>,
    /// Since when.
    pub since: SystemTime,
    /// The offset before which everything is finished; `None` while nothing is.
    pub position: Option<NextOffset>,
    /// The offset behind the last record that was read; `None` while none was.
    pub read: Option<NextOffset>,
    /// What was handed to the Kafka client for commit last.
    pub committed: Option<NextOffset>,
    /// The first record that was read and is not finished.
    pub first_unfinished: Option<Unsettled>,
    /// That record, if it failed: nothing is committed past it.
    pub holding: Option<Box<HeldMessage>>,
    /// Records that were read from the first unfinished one on.
    pub uncommitted: usize,
    /// Handlers that run as tasks.
    pub running: usize,
    /// Messages whose handler has returned, and whose `Committer` was not finished.
    pub custody: usize,
    /// Records that wait, those that back off included.
    pub waiting: usize,
    /// Fetching is stopped, since too much waits here.
    pub paused: bool,
    /// It is being given up.
    pub revoking: bool,
    /// Its next record cannot be read: why, and what helps.
    pub stalled: Option<String>,
}

impl PartitionSnapshot {
    /// A partition that was just assigned.
    pub fn new(source: Arc<Source>, since: SystemTime) -> Self {
        Self {
            source,
            since,
            position: None,
            read: None,
            committed: None,
            first_unfinished: None,
            holding: None,
            uncommitted: 0,
            running: 0,
            custody: 0,
            waiting: 0,
            paused: false,
            revoking: false,
            stalled: None,
        }
    }
}

/// A record that was read and is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds since the Unix epoch.
    pub timestamp: Option<i64>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AttemptEnd {
    /// The message was handled.
    Done,
    /// The handler failed, asked for another attempt, or was unavailable.
    Retry,
    /// The handler rejected the message.
    Reject,
    /// The message was passed over: the handler asked for it, or the record holds no event.
    Skip,
    /// The message does not fit the handler or its schema.
    Mismatch,
    /// The handler panicked.
    Panic,
    /// The handler did not end within its timeout.
    Timeout,
    /// The handler stopped the worker.
    Abort,
}

impl AttemptEnd {
    /// All of them, in the order of [`Counts::attempts`].
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Retry,
        Self::Reject,
        Self::Skip,
        Self::Mismatch,
        Self::Panic,
        Self::Timeout,
        Self::Abort,
    ];

    /// One word, as in the label `error`: `none` for a message that was handled.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "none",
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Skip => "skip",
            Self::Mismatch => "mismatch",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Abort => "abort",
        }
    }
}

/// What happened to the messages of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Attempts, by how they ended, in the order of [`AttemptEnd::ALL`].
    pub attempts: [u64; 8],
    /// Of these, attempts that another one follows.
    pub retries: u64,
    /// Messages that ended: handled, passed over, or written as dead letters.
    pub finished: u64,
    /// Dead letters that the brokers have.
    pub dead_letters: u64,
}

impl Counts {
    /// Counts an attempt.
    pub(crate) fn ended(&mut self, end: AttemptEnd) {
        self.all_ended(end, 1);
    }

    /// So many attempts ended like this.
    pub(crate) fn all_ended(&mut self, end: AttemptEnd, attempts: u64) {
        self.attempts[end as usize] += attempts;
    }

    /// Adds another one's counts.
    pub(crate) fn add(&mut self, more: &Self) {
        for (own, more) in self.attempts.iter_mut().zip(more.attempts) {
            *own += more;
        }
        self.retries += more.retries;
        self.finished += more.finished;
        self.dead_letters += more.dead_letters;
    }

    /// How many attempts ended like this.
    pub fn of(&self, end: AttemptEnd) -> u64 {
        self.attempts[end as usize]
    }

    /// All attempts.
    pub fn all_attempts(&self) -> u64 {
        self.attempts.iter().sum()
    }
}

/// Times and sizes of one topic.
#[derive(Clone, Debug)]
pub struct TopicMeter {
    /// The stream that it carries.
    pub stream: StreamId,
    /// How long attempts took, in seconds. Handlers that end in place are measured in windows of 16 and counted with their mean.
    pub elapsed: Histogram,
    /// How old records were when they were read, in seconds.
    pub lead: Histogram,
    /// How many records came at a time.
    pub batches: Histogram,
}

/// Partitions that came and went, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebalanced {
    /// Assigned.
    pub assigned: u64,
    /// Revoked: given up after a drain and a commit.
    pub revoked: u64,
    /// Lost: they belonged to another member already.
    pub lost: u64,
}

/// What a rebalance does to partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebalanceEvent {
    /// They are this member's from here on.
    Assigned,
    /// They are given up after a drain and a commit.
    Revoked,
    /// They belonged to another member already.
    Lost,
}

impl RebalanceEvent {
    /// One word, as in labels and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Revoked => "revoked",
            Self::Lost => "lost",
        }
    }
}

/// One rebalance.
#[derive(Clone, Debug)]
pub struct Rebalance {
    /// When.
    pub at: SystemTime,
    /// What happened to the partitions.
    pub event: RebalanceEvent,
    /// How many partitions.
    pub partitions: usize,
    /// How many it had afterwards.
    pub left: usize,
}

/// An error of attempts, with how often it occurred in a row of equal ones.
#[derive(Clone, Debug)]
pub struct RecentError {
    /// The error, 500 characters at most.
    pub error: String,
    /// How the attempts ended.
    pub end: AttemptEnd,
    /// The partition of the last one.
    pub source: Arc<Source>,
    /// The offset of the last one.
    pub offset: i64,
    /// When it first occurred.
    pub first: SystemTime,
    /// When it last occurred.
    pub last: SystemTime,
    /// How often.
    pub count: u64,
}

/// A message that became a dead letter.
#[derive(Clone, Debug)]
pub struct RecentLetter {
    /// When the brokers had it.
    pub at: SystemTime,
    /// The partition that the message was read from; of a redriven one, its origin.
    pub source: Arc<Source>,
    /// Its offset there.
    pub offset: i64,
    /// Why it was given up.
    pub reason: Reason,
    /// How many attempts failed.
    pub attempts: u32,
    /// The error, 500 characters at most. That of [`Reason::Mismatch`] or [`Reason::NoEvent`] may quote
    /// the message.
    pub error: String,
}
