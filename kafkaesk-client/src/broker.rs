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
    /// What tells this topic from one of the same name that was deleted before; `None` where nobody asked for it, or
    /// the brokers have no topic ids.
    pub id: Option<String>,
    /// How many partitions.
    pub partitions: u32,
    /// The replication factor of partition 0.
    pub replication_factor: u16,
}

/// What metadata says of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
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

/// What came of creating a topic.
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

/// How large a record of a schema log or of the bindings may be, key and all: what the writer sends, and what a topic takes
/// that is created for a long document.
pub(crate) const LOG_RECORD_BYTES: usize = 8 << 20;

/// Takes a log's records, in the order of the log.
pub type LogSink = Box<dyn FnMut(LogRecord) -> Result<(), ClientError> + Send>;

/// Where a group stands in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPosition {
    /// Its members, as a person finds them: client, host, member id.
    pub members: Vec<String>,
    /// What it committed; `None` for nothing.
    pub committed: Option<NextOffset>,
    /// The partition's first offset.
    pub first: NextOffset,
    /// The partition's end.
    pub end: NextOffset,
    /// What it reads next.
    pub upcoming: Upcoming,
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
/// Sealed, so that no other crate can implement it: a broker must keep the order of its events, its bounds and the rules
/// of the logs, which laws check for both brokers. New methods are therefore no breaking change.
pub trait Broker: sealed::Sealed + fmt::Debug + Send + Sync + 'static {
    /// Fresh metadata of all topics, asked through a consumer handle.
    fn cluster(&self) -> BoxFuture<'_, Result<Arc<Cluster>, ClientError>>;

    /// One topic, asked for by its name through a consumer handle; `None` if there is none. A topic that may not be seen
    /// is [`ClientError::Unauthorized`] for the operation that it is asked for, where [`Self::cluster`] leaves it out.
    fn topic<'a>(
        &'a self,
        topic: &'a TopicName,
        operation: &'static str,
    ) -> BoxFuture<'a, Result<Option<TopicInfo>, ClientError>>;

    /// Creates topics. One that is there already is left as it is. Returns once every broker's metadata that we can see
    /// knows them; an answer for each, in the order asked.
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

    /// The groups of which a member reads partitions of this topic now, sorted. Groups that may not be described are left
    /// out.
    fn readers<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<Vec<String>, ClientError>>;

    /// Whether absent topics could be created so: an error for each that could not. Creates nothing. Nobody can say where
    /// Create is denied; that is not an error.
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
    /// Returns where the next reading starts, or `None` if the log ends before `from`: its topic was deleted or created
    /// again, and what was read before counts no longer. Dropped while it reads, it may still hand records to `sink` for a
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

    /// Appends keys and values to partition 0 of a log topic, in order and with acks=all, whatever the settings say; says
    /// where each is. An error says nothing of the others.
    fn append_log<'a>(
        &'a self,
        topic: &'a TopicName,
        records: Vec<(Bytes, Bytes)>,
    ) -> BoxFuture<'a, Result<Vec<Offset>, ClientError>>;

    /// The newest record's value of some partition of a topic, if there is one: what the topic carries, as far as one look
    /// tells (docs/decisions.md, unbound-streams).
    fn last_value<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ClientError>>;

    /// From now on, what records tell of their topics goes to `listener`. One listener for each broker: later ones are
    /// ignored.
    fn listen(&self, _listener: TopicListener) {}

    /// Makes producers forget that a topic was gone, after it was created again.
    fn rediscover<'a>(&'a self, _topic: &'a TopicName) -> BoxFuture<'a, Result<(), ClientError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// The producer's `batch.size`, from which [`BatchLimit`]s are counted.
    fn batch_bytes(&self) -> usize {
        1_000_000
    }

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

    /// A record will soon be sent: what takes long before the first one may begin now. Never waits.
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
    fn send(&self, record: Outgoing) -> Result<Delivery, SendError>;

    /// Queues a record, waiting for room: in the order of the calls, neither sleeping nor spinning, for
    /// `delivery-timeout` at most. Dropped while it waits, it has queued nothing.
    fn queue(&self, record: Outgoing) -> BoxFuture<'_, Result<Delivery, ClientError>>;

    /// Resolves when the queue is empty, so when everything queued before the call is answered, or fails after `timeout`.
    fn flush(&self, timeout: Duration) -> BoxFuture<'_, Result<(), ClientError>>;

    /// Takes a transactional id over: its former owner writes nothing under it any more, and what that one left open
    /// is decided. Takes 25 s at most, or `connect-timeout` where that is longer, after those of this connection that are
    /// under way. Dropped before its end, it may have taken the id over all the same, but not from a later one.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] without Write on the transactional id, and others of [`ClientError`].
    fn transaction<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Transaction, ClientError>>;

    /// Starts a consumer: with a group, or without one (reads every partition, commits nothing, leaves nothing behind).
    fn consume(&self, spec: ConsumerSpec) -> BoxFuture<'_, Result<Consumer, ClientError>>;
}
