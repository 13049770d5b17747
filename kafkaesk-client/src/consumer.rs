//! Consuming: one ordered stream of events, rebalances included (ARCHITECTURE.md, "Consume").
//!
//! The rebalance callbacks become entries of that stream. `Revoked` carries an acknowledgement: the reader of the
//! stream stops taking, drains, and answers with what to commit; the partition is released after that commit.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use kafkaesk_core::{
    Completions, NextOffset, Offset, Pattern, Record, RecordPlace, Source, TopicName, TopicPrefix,
};
use tokio::sync::{mpsc, oneshot};

use crate::{ClientError, transaction::MemberOffsets};

/// At most this many parcels of events wait between the polling thread and the reader. One has the events of
/// [`BATCH_RECORDS`] records at most, whose partitions may be as many.
pub const EVENT_BOUND: usize = 16;
/// Events that are handed over together.
pub(crate) type Events = VecDeque<ConsumerEvent>;
/// One event carries at most this many records.
pub const BATCH_RECORDS: usize = 512;
/// How many bytes of records one event carries, at most (a single larger record goes alone).
pub const BATCH_BYTES: usize = 256 * 1024;

/// How long a consumer may go without a poll, from its `max.poll.interval.ms`; librdkafka's default, five minutes, where that
/// is not set.
pub fn max_poll_interval(property: Option<&str>) -> Duration {
    let millis = property.and_then(|text| text.parse().ok());
    Duration::from_millis(millis.unwrap_or(300_000))
}

/// The default for how long a close waits for the brokers.
pub const CLOSE: Duration = Duration::from_secs(20);

/// Where a group without offsets starts (docs/decisions.md, start).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The first record that there is.
    #[default]
    Earliest,
    /// Records that are written after the group's first start. Partitions that appear later begin at their earliest
    /// record. A start that finds no matching topic does not count as the first.
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
    /// An additional topic, by its whole name: the group's retry topic, which no pattern matches. It may be absent;
    /// once it exists, it is read from its earliest record. Without a group, only this topic is read, and the pattern
    /// is ignored.
    pub retry_topic: Option<TopicName>,
    /// Where a group without offsets starts.
    pub start: Start,
    /// A revoke waits at most this long for its acknowledgement.
    pub drain: Duration,
    /// librdkafka properties of this subscription; beat the connection's.
    pub kafka_settings: BTreeMap<String, String>,
    /// Records to pass over. Each must be the next record that the group reads in its partition when that is first
    /// assigned to this consumer. A warning reports the result for each.
    pub skip: Vec<RecordPlace>,
    /// Whether what the group finished must be known before a partition is read: for exactly once. Without it, an assignment
    /// that finds no answer within its time goes on, and some records may come again. With it, the assignment waits for a
    /// third of `max.poll.interval.ms`, and then the stream ends with an error. Records are committed ones only
    /// (`isolation.level`), whatever the settings say.
    pub exact: bool,
    /// Reads one partition of each topic instead of all; without a group alone.
    pub partition: Option<OnePartition>,
}

/// The one partition of each topic that a reader without a group reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnePartition {
    /// Its number. A topic that has no such partition is not read.
    pub partition: i32,
    /// The first offset to read, instead of [`ConsumerSpec::start`]. It holds for topics that exist at the start; later ones
    /// are read from their beginning. An offset that is not in the log is reset as in any reading, with a warning.
    pub from: Option<Offset>,
}

impl ConsumerSpec {
    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// [`ClientError::Setting`].
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        if self.group.is_some() && self.partition.is_some() {
            return Err(ClientError::Setting(
                "a group assigns partitions to its members; read one partition without a group"
                    .into(),
            ));
        }
        Ok(())
    }

    /// Whether it reads this partition of its topics.
    pub(crate) fn takes_partition(&self, partition: i32) -> bool {
        self.partition
            .is_none_or(|only| only.partition == partition)
    }

    /// The offset where reading starts, if it is given.
    pub(crate) fn first_offset(&self) -> Option<Offset> {
        self.partition.and_then(|only| only.from)
    }

    /// Reads one of a group's own topics from its beginning, without a group, and committed records only, whatever the
    /// settings say.
    pub(crate) fn of_topic(topic: TopicName) -> Result<Self, ClientError> {
        let committed = ("isolation.level".to_owned(), "read_committed".to_owned());
        Ok(Self {
            group: None,
            pattern: Pattern::new("*").map_err(|error| ClientError::Setting(error.to_string()))?,
            retry_topic: Some(topic),
            start: Start::Earliest,
            drain: Duration::ZERO,
            kafka_settings: BTreeMap::from([committed]),
            skip: Vec::new(),
            exact: false,
            partition: None,
        })
    }

    /// The only topic that it reads, where it reads no pattern.
    pub(crate) fn only(&self) -> Option<&TopicName> {
        self.retry_topic.as_ref().filter(|_| self.group.is_none())
    }

    /// What it reads, in words.
    pub(crate) fn wanted(&self) -> &str {
        match self.only() {
            Some(topic) => topic.as_str(),
            None => self.pattern.as_str(),
        }
    }

    /// Whether it reads this topic.
    pub(crate) fn takes(&self, prefix: &TopicPrefix, topic: &str) -> bool {
        if let Some(only) = self.only() {
            return only.as_str() == topic;
        }
        self.is_retry_topic(topic) || self.pattern.matches_topic(prefix, topic)
    }

    /// Whether this is its group's retry topic.
    pub(crate) fn is_retry_topic(&self, topic: &str) -> bool {
        self.retry_topic
            .as_ref()
            .is_some_and(|retry| retry.as_str() == topic)
    }
}

/// A group's progress in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The offset to commit: all before it is finished.
    pub next: NextOffset,
    /// The finished records beyond it. The commit's metadata contains them, so that the next member need not repeat
    /// them.
    pub finished: Completions,
}

impl From<NextOffset> for Position {
    /// Nothing is finished beyond this offset.
    fn from(next: NextOffset) -> Self {
        Self {
            next,
            finished: Completions::default(),
        }
    }
}

/// What to commit of each partition.
pub type Commits = Vec<(Arc<Source>, Position)>;

/// Why a commit is not known to be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotCommitted {
    /// The partition is not assigned to this consumer any more.
    #[error("the partition was given up before its commit was written")]
    NotAssigned,
    /// The brokers refused the commit, or did not answer it.
    #[error("the commit was refused: {0}")]
    Refused(ClientError),
}

/// How each of several commits ended, in their order.
pub type CommitResults = Vec<Result<(), NotCommitted>>;

/// One entry of the stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// These partitions are assigned to us from here on. Their records carry the same `Arc<Source>`.
    Assigned(Vec<Arc<Source>>),
    /// In a partition that was just assigned, these records beyond its committed offset are finished already. They are
    /// still read; the reader of this stream passes them over.
    Finished(Arc<Source>, Completions),
    /// Records of one partition, in offset order. Never of a partition that was revoked before.
    Records(Batch),
    /// These partitions go: stop, drain, acknowledge.
    Revoked(Vec<Arc<Source>>, RevokeAck),
    /// These partitions are gone already: drop what is in flight, commit nothing.
    Lost(Vec<Arc<Source>>),
    /// A partition was read to the end seen at start (readers without a group only).
    End(Arc<Source>),
    /// A partition stands still, since its next record cannot be read. The event is repeated after each try, in the end
    /// every 30 s; the partition's next [`Self::Records`] show that it goes on. Other partitions go on.
    Stalled(Stalled),
    /// Something that a person should know; reading goes on.
    Warning(String),
    /// Reading cannot go on; the stream ends.
    Failed(ClientError),
}

/// Records of one partition, and how far they reach.
#[derive(Debug)]
#[non_exhaustive]
pub struct Batch {
    /// Their partition.
    pub source: Arc<Source>,
    /// The records, in offset order. Empty where only the position moved: past the marks of transactions, aborted
    /// records, or deleted records.
    pub records: Vec<Record>,
    /// The offset to commit once everything of this partition up to here is finished.
    pub next: NextOffset,
}

impl Batch {
    /// A batch from its parts.
    pub(crate) fn new(source: Arc<Source>, records: Vec<Record>, next: NextOffset) -> Self {
        Self {
            source,
            records,
            next,
        }
    }
}

/// A partition that does not move.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stalled {
    /// The partition.
    pub source: Arc<Source>,
    /// The offset that cannot be read, or the first offset of its batch.
    pub offset: Offset,
    /// Why, in the client library's words.
    pub reason: String,
    /// The setting or the command that helps.
    pub help: String,
    /// Since when.
    pub since: Instant,
    /// How often reading was tried.
    pub tries: u32,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{source} stands still at offset {offset} for {seconds} s, tried {tries} time(s): the record cannot be read: \
             {reason}; {help}; or step over it with `kafkaesk-cli groups skip GROUP {stream}[{partition}]@{offset}`",
            source = self.source,
            offset = self.offset,
            seconds = self.since.elapsed().as_secs(),
            tries = self.tries,
            reason = self.reason,
            help = self.help,
            stream = self.source.stream,
            partition = self.source.partition,
        )
    }
}

/// The answer that a revoke waits for. Dropping it commits nothing.
#[derive(Debug)]
pub struct RevokeAck {
    answer: oneshot::Sender<Commits>,
    deadline: Instant,
}

impl RevokeAck {
    /// An acknowledgement, and the receiver that waits for it until the deadline.
    pub(crate) fn new(deadline: Instant) -> (Self, oneshot::Receiver<Commits>) {
        let (answer, receiver) = oneshot::channel();
        (Self { answer, deadline }, receiver)
    }

    /// The deadline of the acknowledgement; a later one commits nothing. It may be earlier than
    /// [`ConsumerSpec::drain`]: a group waits for a third of `max.poll.interval.ms` at most.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Lets the partitions go after committing these.
    pub fn release(self, commits: Commits) {
        let _ = self.answer.send(commits);
    }
}

/// Control requests to a consumer.
pub trait ConsumerControl: fmt::Debug + Send + Sync {
    /// Commits without waiting. A refused commit is logged and sent again with the next commit, after five seconds at
    /// the latest, while the partition is assigned to us.
    fn commit(&self, commits: Commits);

    /// Commits, and resolves once each of these positions, or a later one of its assignment, is on the brokers, or is known
    /// not to be. A commit that is refused since the group rebalances is made again first. It is served while a `Revoked`
    /// waits for its acknowledgement, too. Dropping the future does not withdraw the commits.
    fn commit_acknowledged(&self, commits: Commits) -> BoxFuture<'static, CommitResults>;

    /// These positions as offsets of this member in its group, for a transaction that commits them together with records
    /// ([`Transaction::commit_with`](crate::Transaction::commit_with)). `None` if one of the partitions is not assigned to it
    /// any more, or if it has no group. Never blocks.
    fn offsets(&self, _commits: &Commits) -> Option<MemberOffsets> {
        None
    }

    /// Stops fetching these partitions, without blocking. What is in the event stream already still arrives, so a
    /// reader that pauses everything can read on, within the stream's bound, and never misses a `Revoked`. A partition
    /// that is not assigned to us is ignored; a newly assigned one is never paused.
    fn pause(&self, sources: &[Arc<Source>]);

    /// Fetches these partitions again, from after the last record that entered the event stream.
    fn resume(&self, sources: &[Arc<Source>]);

    /// Whether the consumer takes part in its group. `false` leaves the group and keeps the stream: what is assigned goes
    /// as in any rebalance, to the other members, and nothing is assigned until `true` joins the group again. The last
    /// call counts, at once and without blocking. A consumer without a group ignores it.
    ///
    /// The brokers keep the partitions of a static member (`group.instance.id`) with `group.protocol=consumer` until its
    /// session times out.
    fn take_part(&self, takes_part: bool);

    /// Whether its user turns a loop of its own. After `true` it has to say so again within `max.poll.interval.ms`: a user
    /// that does not is stuck, and the consumer takes no part in its group until the next call. After `false`, and before
    /// the first call, nothing is expected. Never blocks. A consumer in memory, or without a group, ignores it.
    fn expect_turn(&self, _expected: bool) {}

    /// How long the consumer's thread has not turned its loop, to the millisecond. It turns at least every 20 ms, except
    /// while it commits what is revoked or looks up what was finished: then each request to Kafka may take 5 s. While it
    /// waits for the acknowledgement of a `Revoked`, and after its end, it is not silent. Zero for a consumer in memory.
    fn silent_for(&self) -> Duration;

    /// Whether nothing is missing between this consumer and its group: it is a member and took part in a rebalance, even if
    /// it got no partition, or no topic matches its pattern so far. May be true for up to a second after the group lost
    /// the member. True for a reader without a group; false while it takes no part, and after the end.
    fn is_joined(&self) -> bool;

    /// Commits, leaves the group, ends the stream. Resolves when it is done, after [`CLOSE`] at most.
    fn close(&self, commits: Commits) -> BoxFuture<'_, Result<(), ClientError>> {
        self.close_within(commits, CLOSE)
    }

    /// The same, after `timeout` at most. A commit without an answer by then is an error. The consumer leaves even if
    /// the group does not answer: during a rebalance librdkafka takes up to 5 s for it, and continues in the
    /// background.
    fn close_within(
        &self,
        commits: Commits,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<(), ClientError>>;
}

/// A running consumer. Dropping it closes it without a commit.
#[derive(Debug)]
pub struct Consumer {
    pub(crate) parcels: mpsc::Receiver<Events>,
    /// The rest of the last parcel.
    rest: Events,
    control: Arc<dyn ConsumerControl>,
}

impl Consumer {
    /// A consumer from its parts. The channel's bound should be [`EVENT_BOUND`].
    pub(crate) fn new(parcels: mpsc::Receiver<Events>, control: Arc<dyn ConsumerControl>) -> Self {
        Self {
            parcels,
            rest: Events::new(),
            control,
        }
    }

    /// The next event; `None` after the end. Cancel safe.
    pub async fn next(&mut self) -> Option<ConsumerEvent> {
        loop {
            if let Some(event) = self.rest.pop_front() {
                return Some(event);
            }
            self.rest = self.parcels.recv().await?;
        }
    }

    /// The consumer's other side; outlives the borrow of [`Self::next`].
    pub fn control(&self) -> Arc<dyn ConsumerControl> {
        self.control.clone()
    }
}

/// The message for an offset that is not in its log, which reaches from `low` to `high`; reading goes on at `taken`.
pub(crate) fn out_of_range(
    place: &str,
    wanted: i64,
    (low, high): (i64, i64),
    taken: i64,
) -> String {
    let records = |count: i64, one: &str, many: &str| match count {
        1 => format!("1 record {one}"),
        count => format!("{} records {many}", count.max(0)),
    };
    if taken >= wanted {
        format!(
            "{place}: offset {wanted} is not in the log any more, reading goes on at offset {taken}: {} deleted or \
             passed over before being read (the log begins at offset {low}: the topic's retention, or \
             deleted records)",
            records(taken - wanted, "between was", "between were")
        )
    } else {
        format!(
            "{place}: offset {wanted} lies beyond the end of the log at offset {high}, reading goes on at offset \
             {taken}: {} read, perhaps for the second time (the log was truncated, or the topic was deleted and \
             created again)",
            records(high - taken, "is", "are")
        )
    }
}

/// The words for a topic that was deleted and created again.
pub(crate) fn created_again(topic: &str) -> String {
    format!(
        "topic {topic} was deleted and created again: it is read from its first record, and what was committed for the \
         deleted topic does not count"
    )
}

/// The same for a partition of a group that did not see it happen, where an offset of the deleted topic was committed.
pub(crate) fn created_again_before(source: &Source, committed: NextOffset) -> String {
    format!(
        "topic {} was deleted and created again: {source} is read from its first record, and offset {committed}, which was \
         committed for the deleted topic, does not count",
        source.topic
    )
}
