//! The interface between the contract and a broker: Apache Kafka (`kafka/`) or the broker in memory (`memory/`).
//!
//! No question creates a topic (docs/decisions.md, asking).

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use kafkaesk_core::{NextOffset, Offset, Pattern, Record, TopicName, TopicPrefix};
use kafkaesk_schema::LogRecord;

use crate::{
    ClientError,
    consumer::{Consumer, ConsumerSpec},
    delivery::Delivery,
    meter::{Published, Tally},
    transaction::Transaction,
};

pub(crate) use crate::outgoing::size_of;
pub use crate::outgoing::{BatchLimit, Outgoing};
/// A boxed future: none of the broker's calls that return one is on the hot path.
pub use futures_util::future::BoxFuture;

/// What metadata says of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// The whole topic name.
    pub name: String,
    /// The topic's id, which differs from that of a deleted topic of the same name. `None` if it was not requested, or
    /// if the brokers have no topic ids.
    pub id: Option<String>,
    /// How many partitions.
    pub partitions: u32,
    /// The replication factor of partition 0.
    pub replication_factor: u16,
}

/// What metadata says of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Its own id, if the brokers name one.
    pub id: Option<String>,
    /// Every topic that we may see.
    pub topics: BTreeMap<String, TopicInfo>,
    /// How many brokers.
    pub brokers: usize,
    /// librdkafka's mock cluster (`dev`): no admin calls, auto-creation allowed, partition 0 is the log.
    pub is_dev: bool,
}

impl Cluster {
    /// The topics with this prefix whose streams the pattern matches.
    pub fn matching<'a>(
        &'a self,
        prefix: &'a TopicPrefix,
        pattern: &'a Pattern,
    ) -> impl Iterator<Item = &'a TopicInfo> {
        let topics = self.topics.values();
        topics.filter(|topic| pattern.matches_topic(prefix, &topic.name))
    }
}

/// A topic to create.
#[derive(Clone, Debug)]
pub struct TopicSpec {
    /// The whole topic name.
    pub topic: TopicName,
    /// How many partitions.
    pub partitions: u32,
    /// The replication factor.
    pub replication_factor: u16,
    /// Topic settings: `retention.ms`, `cleanup.policy`, …
    pub config: BTreeMap<String, String>,
}

/// The result of creating a topic.
#[derive(Clone, Debug)]
pub struct Creation {
    /// Whether it is new.
    pub created: bool,
    /// The topic as it is.
    pub topic: TopicInfo,
}

/// What a producer learned of a topic from a refused record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicNews {
    /// The topic is not there any more, or has no such partition.
    Unknown,
    /// The brokers refused a batch that kept to this limit as too large.
    BatchRefused(BatchLimit),
}

/// Takes [`TopicNews`]. Called by a thread that must not wait.
pub type TopicListener = Arc<dyn Fn(&TopicName, TopicNews) + Send + Sync>;

/// Why a record was not taken.
#[derive(Debug)]
pub enum SendError {
    /// Not now: the queue's bound is reached, or its producer failed. [`Broker::queue`] waits for it.
    Full(Outgoing),
    /// It will never be taken.
    Refused(ClientError),
}

/// The largest record of a schema log or of the bindings, key included. The writer sends records of up to this size,
/// and a topic that is created for a long document accepts them.
pub(crate) const LOG_RECORD_BYTES: usize = 8 << 20;

/// How long the brokers keep a transaction open whose program has died. Readers of its topics wait behind it, unless
/// another program takes over the id before.
pub const TRANSACTION_OPEN: Duration = Duration::from_secs(60);

/// Takes a log's records, in the order of the log.
pub type LogSink = Box<dyn FnMut(LogRecord) -> Result<(), ClientError> + Send>;

/// Where a group stands in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPosition {
    /// Its members, as a person finds them: client, host, member id.
    pub members: Vec<String>,
    /// What it committed; `None` for nothing, or only for a deleted topic of that name.
    pub committed: Option<NextOffset>,
    /// The partition's first offset.
    pub first: NextOffset,
    /// The partition's end.
    pub end: NextOffset,
    /// What it reads next.
    pub upcoming: Upcoming,
}

/// Where a partition begins and ends for a reader of committed records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The offset of its first record.
    pub first: NextOffset,
    /// The offset behind its last one.
    pub end: NextOffset,
}

/// Consumer groups by name, and whether anybody is in them; `None` where the brokers do not say.
pub type Groups = BTreeMap<String, Option<bool>>;

/// The groups that read a topic, and how many members of each do.
pub type Readers = BTreeMap<String, usize>;

/// What a group committed, by topic and partition.
pub type GroupOffsets = BTreeMap<(String, i32), NextOffset>;

/// What a group committed in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupCommit {
    /// The offset to read next.
    pub next: NextOffset,
    /// Whether the commit names its topic, as the workers of kafkaesk do (contract/README.md §9).
    pub is_marked: bool,
}

/// What a group reads next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upcoming {
    /// A record.
    Record {
        /// Its offset.
        offset: Offset,
        /// Its key.
        key: Option<Bytes>,
        /// The bytes of its value.
        bytes: usize,
        /// Milliseconds since the Unix epoch.
        timestamp: Option<i64>,
    },
    /// A record that cannot be read.
    Unreadable {
        /// Its offset.
        offset: Offset,
        /// Why.
        reason: String,
    },
    /// Nothing yet.
    Nothing,
}

/// Keeps [`Broker`] sealed: a private supertrait cannot be implemented outside this crate.
pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A broker: Apache Kafka, or the broker in memory.
///
/// Sealed, so that no other crate can implement it: a broker must keep the order of its events, its bounds and the
/// rules of the logs, and tests check that for both brokers only. So a new method does not break other crates.
pub trait Broker: sealed::Sealed + fmt::Debug + Send + Sync + 'static {
    /// Fresh metadata of all topics, asked through a consumer handle.
    fn cluster(&self) -> BoxFuture<'_, Result<Arc<Cluster>, ClientError>>;

    /// One topic, looked up by name through a consumer handle; `None` if it does not exist. Without Describe on it the
    /// result is [`ClientError::Unauthorized`] for the operation that needs it; [`Self::cluster`] leaves such a topic
    /// out.
    fn topic<'a>(
        &'a self,
        topic: &'a TopicName,
        operation: &'static str,
    ) -> BoxFuture<'a, Result<Option<TopicInfo>, ClientError>>;

    /// Creates topics. An existing topic is not altered. Returns when the metadata of every visible broker contains
    /// them, with one result for each, in the order of the request.
    fn create_topics<'a>(
        &'a self,
        specs: &'a [TopicSpec],
    ) -> BoxFuture<'a, Vec<Result<Creation, ClientError>>>;

    /// Creates one topic; `false` if it was there already.
    fn create_topic<'a>(&'a self, spec: &'a TopicSpec) -> BoxFuture<'a, Result<bool, ClientError>> {
        Box::pin(async move {
            let created = self.create_topics(std::slice::from_ref(spec)).await;
            created
                .into_iter()
                .next()
                .unwrap_or(Err(ClientError::Closed))
                .map(|creation| creation.created)
        })
    }

    /// Deletes a topic with all of its records; `false` if there is none.
    fn delete_topic<'a>(&'a self, topic: &'a TopicName)
    -> BoxFuture<'a, Result<bool, ClientError>>;

    /// Adds partitions to a topic until there are `to`, and returns once metadata shows them. With `check_only` it asks the
    /// brokers whether they would, and changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] without Alter on the topic, [`ClientError::Setting`] on the dev broker, and others of
    /// [`ClientError`].
    fn grow_topic<'a>(
        &'a self,
        topic: &'a TopicName,
        to: u32,
        check_only: bool,
    ) -> BoxFuture<'a, Result<(), ClientError>>;

    /// The groups with a member that reads this topic now. Groups without the right Describe are left out.
    fn readers<'a>(&'a self, topic: &'a TopicName) -> BoxFuture<'a, Result<Readers, ClientError>>;

    /// Checks whether absent topics could be created with these settings, with an error for each that could not.
    /// Creates nothing. It cannot detect a missing right Create.
    fn check_topics<'a>(
        &'a self,
        specs: &'a [TopicSpec],
    ) -> BoxFuture<'a, Vec<Result<(), ClientError>>>;

    /// A topic's settings; `None` where DescribeConfigs is denied or not answered.
    fn topic_config<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<Option<BTreeMap<String, String>>, ClientError>>;

    /// Reads partition 0 of a log topic, committed records only, from `from` to its last stable offset, or to the record
    /// at `until` where that is given. Each record goes to `sink`; its error ends the reading. An absent topic is an empty
    /// log.
    ///
    /// Returns where the next reading starts, or `None` if the log ends before `from`: then its topic was deleted or
    /// created again, and records read before no longer count. A dropped future may still pass records to `sink` for a
    /// while.
    ///
    /// # Errors
    /// [`ClientError::LogHeldBack`] where a transaction that stays open keeps `until` out of sight for `connect_timeout`;
    /// [`ClientError::LogTooLarge`] after 1 GiB.
    fn read_log<'a>(
        &'a self,
        topic: &'a TopicName,
        from: NextOffset,
        until: Option<Offset>,
        sink: LogSink,
    ) -> BoxFuture<'a, Result<Option<NextOffset>, ClientError>>;

    /// Appends keys and values to partition 0 of a log topic, in order and always with acks=all. Returns the offset of
    /// each. After an error it is unknown which of them were written.
    fn append_log<'a>(
        &'a self,
        topic: &'a TopicName,
        records: Vec<(Bytes, Bytes)>,
    ) -> BoxFuture<'a, Result<Vec<Offset>, ClientError>>;

    /// The value of the newest record in one partition of a topic, if there is one: a sample of what the topic carries
    /// (docs/decisions.md, unbound-streams).
    fn last_value<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ClientError>>;

    /// Sets the listener for topic news from delivery reports. A broker has one listener; later ones are ignored.
    fn listen(&self, _listener: TopicListener) {}

    /// Makes producers forget that a topic was gone, after it was created again.
    fn rediscover<'a>(&'a self, _topic: &'a TopicName) -> BoxFuture<'a, Result<(), ClientError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// The producer's `batch.size`, from which [`BatchLimit`]s are counted.
    fn batch_bytes(&self) -> usize {
        1_000_000
    }

    /// How many bytes a record may have, at most, whatever its topic says.
    fn record_bytes(&self) -> usize {
        1_000_000
    }

    /// All consumer groups that may be described, and whether anybody is in them, where the brokers say so. None on a
    /// broker that cannot list groups (the dev broker).
    fn groups(&self) -> BoxFuture<'_, Result<Groups, ClientError>>;

    /// What a group committed, by topic and partition: in these partitions, which are distinct, or everything. Joins no group.
    /// Nothing for a group that there is not.
    fn group_offsets<'a>(
        &'a self,
        group: &'a str,
        only: Option<&'a [(TopicName, i32)]>,
    ) -> BoxFuture<'a, Result<GroupOffsets, ClientError>>;

    /// What a group committed in a topic, by partition. What it committed for a deleted topic of that name is left out. Joins no
    /// group. Nothing for a group that there is not.
    fn group_commits<'a>(
        &'a self,
        group: &'a str,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<BTreeMap<i32, GroupCommit>, ClientError>>;

    /// Where these partitions, which are distinct, end for a reader of uncommitted records, in the order asked; `None` as in
    /// [`Self::bounds`].
    fn written_ends<'a>(
        &'a self,
        partitions: &'a [(TopicName, i32)],
    ) -> BoxFuture<'a, Result<Vec<Option<NextOffset>>, ClientError>>;

    /// Where these partitions, which are distinct, begin and end, in the order asked; `None` for one that there is not, and for
    /// one whose leader does not answer within `connect-timeout`. One question to each leader for the beginnings and one for
    /// the ends, however many partitions it leads.
    fn bounds<'a>(
        &'a self,
        partitions: &'a [(TopicName, i32)],
    ) -> BoxFuture<'a, Result<Vec<Option<Bounds>>, ClientError>>;

    /// Where a group stands in a partition. Joins no group.
    fn group_position<'a>(
        &'a self,
        group: &'a str,
        topic: &'a TopicName,
        partition: i32,
    ) -> BoxFuture<'a, Result<GroupPosition, ClientError>>;

    /// The first record of a partition at this offset or after it, as a consumer gets it; `None` if there is none. Takes
    /// `connect-timeout` at most.
    ///
    /// # Errors
    /// [`ClientError::Unreadable`] where it cannot be read, and others of [`ClientError`].
    fn record<'a>(
        &'a self,
        topic: &'a TopicName,
        partition: i32,
        from: Offset,
    ) -> BoxFuture<'a, Result<Option<Record>, ClientError>>;

    /// Commits an offset for a group that has no members.
    ///
    /// [`ClientError::GroupHasMembers`] where it has.
    fn move_group<'a>(
        &'a self,
        group: &'a str,
        topic: &'a TopicName,
        partition: i32,
        next: NextOffset,
    ) -> BoxFuture<'a, Result<(), ClientError>>;

    /// Announces that a record will be sent soon, so that slow preparations of the first one can begin. Never waits.
    fn prepare(&self) {}

    /// Why no broker answers, if none does.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Queues a record without waiting. The answer resolves when the brokers have it.
    ///
    /// # Errors
    /// [`SendError`].
    #[allow(
        clippy::result_large_err,
        reason = "a full queue gives the record back, unboxed on the hot path"
    )]
    fn send(&self, record: Outgoing) -> Result<Delivery, SendError> {
        self.send_counted(record, None)
    }

    /// Queues a record. Waits for room in the order of the calls, without sleeping or spinning, for `delivery-timeout`
    /// at most. If the future is dropped while it waits, nothing was queued.
    ///
    /// # Errors
    /// [`ClientError::QueueFull`] where there was no room in time, and others of [`ClientError`].
    fn queue(&self, record: Outgoing) -> BoxFuture<'_, Result<Delivery, ClientError>> {
        self.queue_counted(record, None)
    }

    /// As [`Self::send`], counted as a publish of this tally from the hand-over on; without one it is not counted.
    #[doc(hidden)]
    #[allow(
        clippy::result_large_err,
        reason = "a full queue gives the record back, unboxed on the hot path"
    )]
    fn send_counted(
        &self,
        record: Outgoing,
        tally: Option<Tally<'_>>,
    ) -> Result<Delivery, SendError>;

    /// As [`Self::queue`], counted as [`Self::send_counted`] counts.
    #[doc(hidden)]
    fn queue_counted<'a>(
        &'a self,
        record: Outgoing,
        tally: Option<Tally<'a>>,
    ) -> BoxFuture<'a, Result<Delivery, ClientError>>;

    /// Shows what the broker's clients know of themselves. Asks nothing.
    #[doc(hidden)]
    fn show(&self, _published: &mut Published) {}

    /// Resolves when the queue is empty, which means that every record queued before has its answer. Fails after
    /// `timeout`.
    fn flush(&self, timeout: Duration) -> BoxFuture<'_, Result<(), ClientError>>;

    /// Takes over a transactional id. Its former owner can no longer write under it, and its open transaction is
    /// committed or aborted. Takes 25 s at most, or `connect-timeout` if that is longer, after earlier calls of this
    /// connection have ended. A call that is dropped before its end may still take over the id, but not from a later
    /// call.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] without Write on the transactional id, and others of [`ClientError`].
    fn transaction<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Transaction, ClientError>> {
        self.transaction_within(id, TRANSACTION_OPEN)
    }

    /// The same, of transactions that the brokers abort once they are open for so long (`transaction.timeout.ms`; brokers look
    /// every 10 s). Five twelfths of that bound each step: writing the records, adding the offsets, and the commit.
    ///
    /// # Errors
    /// As [`Self::transaction`].
    fn transaction_within<'a>(
        &'a self,
        id: &'a str,
        open: Duration,
    ) -> BoxFuture<'a, Result<Transaction, ClientError>>;

    /// Starts a consumer: with a group, or without one (reads every partition, commits nothing, leaves nothing behind).
    fn consume(&self, spec: ConsumerSpec) -> BoxFuture<'_, Result<Consumer, ClientError>>;
}
