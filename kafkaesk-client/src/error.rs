//! What can go wrong between us and Kafka: each names the thing and the remedy.

use std::time::Duration;

use kafkaesk_core::{NameError, Offset, SchemaId, SchemaName, StreamId, TopicName};
use kafkaesk_schema::{DocumentError, Violation};
use thiserror::Error;

/// The underlying library's error, boxed so that its type does not leak.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Everything that connecting, publishing, reading and bookkeeping can answer with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No broker answered in time.
    #[error(
        "no Kafka broker answered at {servers} within {waited:?}: {reason}; check `kafka-servers` and that the broker is up"
    )]
    Unreachable {
        /// As configured, comma separated.
        servers: String,
        /// How long was waited.
        waited: Duration,
        /// librdkafka's last word.
        reason: String,
    },
    /// Wrong credentials or mechanism.
    #[error(
        "{servers} refused the credentials: {reason}; check `security.protocol` and the `sasl.*` settings in `kafka-settings`"
    )]
    Authentication {
        /// As configured.
        servers: String,
        /// The broker's words.
        reason: String,
    },
    /// An ACL is missing.
    #[error(
        "not allowed: {operation} on {resource}; grant it with an ACL (contract/README.md lists what each operation needs)"
    )]
    Unauthorized {
        /// Kafka's name of the operation: Read, Write, Create, Describe, DescribeConfigs.
        operation: &'static str,
        /// `topic shop.orders`, `group billing`, `cluster`.
        resource: String,
    },
    /// A group went on without its member before the member's transaction was decided: nothing of it is written.
    #[error(
        "group {group} gave the partitions to another member before the transaction was decided: nothing of it is written, and its messages are delivered again"
    )]
    MemberGone {
        /// The group.
        group: String,
    },
    /// A name that Kafka or the contract refuses.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The version is not in the log.
    #[error("schema {id} is not in {topic}; {remedy}")]
    UnknownSchema {
        /// What was asked for.
        id: SchemaId,
        /// Its log.
        topic: TopicName,
        /// The command that would push it, or the versions that there are.
        remedy: String,
    },
    /// A null value withdrew the version.
    #[error("schema {id} was withdrawn in {topic}; publish a later version")]
    WithdrawnSchema {
        /// What was asked for.
        id: SchemaId,
        /// Its log.
        topic: TopicName,
    },
    /// Another document already stands for this version.
    #[error(
        "schema {id} is already in {topic} with another document, and schemas are constant; give yours a new version\n{diff}"
    )]
    SchemaConflict {
        /// The version.
        id: SchemaId,
        /// Its log.
        topic: TopicName,
        /// `-` what the log holds, `+` what was pushed.
        diff: String,
    },
    /// A document is not a schema.
    #[error("schema {id}: {source}")]
    Document {
        /// The version.
        id: SchemaId,
        /// What is wrong and where.
        source: DocumentError,
    },
    /// The stream belongs to another schema.
    #[error(
        "stream {stream} is bound to schema {bound}, not to {given}; one stream carries one schema: publish {given} to another stream"
    )]
    BoundElsewhere {
        /// The stream.
        stream: StreamId,
        /// What it is bound to.
        bound: SchemaName,
        /// What was published.
        given: SchemaName,
    },
    /// The event breaks its schema; nothing was sent.
    #[error(
        "the event does not fit {schema}; nothing was published{}",
        list(violations)
    )]
    Invalid {
        /// The schema.
        schema: SchemaId,
        /// The stream it was for.
        stream: StreamId,
        /// Every broken rule.
        violations: Vec<Violation>,
    },
    /// The data is not JSON that the contract takes; nothing was sent.
    #[error("nothing was published to {stream}: {message}")]
    Malformed {
        /// The stream it was for.
        stream: StreamId,
        /// What and where.
        message: String,
    },
    /// The stream does not exist and may not be created.
    #[error("stream {stream} does not exist (topic {topic}); {remedy}")]
    NoStream {
        /// The stream.
        stream: StreamId,
        /// Its topic.
        topic: TopicName,
        /// The command or the setting.
        remedy: String,
    },
    /// A tombstone for a stream that carries no events.
    #[error(
        "stream {stream} is not bound to a schema, and a tombstone binds nothing; nothing was published. Publish an event to it first, or declare it under [[streams]] with its schema and run `kafkaesk-cli schema push`"
    )]
    NotBound {
        /// The stream.
        stream: StreamId,
    },
    /// A key for a stream that takes none.
    #[error(
        "stream {stream} takes no keys (keys = \"none\"), and the event has one; nothing was published. Publish it without a key, or declare keys = \"any\" for the stream under [[streams]] and run `kafkaesk-cli schema push`"
    )]
    KeyRefused {
        /// The stream.
        stream: StreamId,
    },
    /// Kafka cannot hold both names.
    #[error(
        "topic {topic} cannot be created beside {existing}: Kafka takes names that differ only in `.` and `_` for one; choose another {}",
        kind(topic)
    )]
    Collision {
        /// The new name.
        topic: TopicName,
        /// The one that is there.
        existing: String,
    },
    /// The brokers take no topic with such settings.
    #[error(
        "topic {topic} cannot be created with {wrong}: the brokers know no such setting, or not this value for it"
    )]
    TopicSettings {
        /// The topic.
        topic: TopicName,
        /// `name=value, …`
        wrong: String,
    },
    /// A bookkeeping topic has settings that endanger the contract.
    #[error(
        "topic {topic} has {found}, the contract needs {needed}; fix it with kafka-configs.sh before going on (too many partitions can only be fixed by recreating the topic)"
    )]
    LogSettings {
        /// The topic.
        topic: TopicName,
        /// `cleanup.policy=compact, partitions=4`
        found: String,
        /// What it must be.
        needed: String,
    },
    /// A schema's document is larger than its topic takes. Nothing was created or written for it.
    #[error(
        "schema {id} is too large for topic {topic}: the document has {bytes} bytes{limit}; raise `max.message.bytes` of that topic to at least {needed}, or `message.max.bytes` of the brokers, which is the default of every topic"
    )]
    SchemaTooLarge {
        /// The version.
        id: SchemaId,
        /// Its log.
        topic: TopicName,
        /// The document's length.
        bytes: usize,
        /// The topic's bound in words, where it may be seen.
        limit: String,
        /// What the bound must be at least.
        needed: usize,
    },
    /// Larger than the producer or the broker takes.
    #[error(
        "the event for {topic} is too large ({bytes} bytes): {reason}; raise `message.max.bytes` in kafka-settings and the topic's `max.message.bytes`, or send less"
    )]
    TooLarge {
        /// The topic.
        topic: TopicName,
        /// The value's length.
        bytes: usize,
        /// Who refused.
        reason: String,
    },
    /// The brokers refused a whole batch as larger than the topic's limit, and this event was in it. The event alone may
    /// well be small enough.
    #[error(
        "the brokers refused the batch with this event ({bytes} bytes) as larger than topic {topic} takes; the record was not written; the next batches of this topic are smaller, so publish it again, or raise the topic's `max.message.bytes`"
    )]
    BatchTooLarge {
        /// The topic.
        topic: TopicName,
        /// This event's length.
        bytes: usize,
    },
    /// A publish that failed for certain: the record is not in the log.
    #[error("publishing to {topic} failed, the record was not written: {reason}")]
    NotDelivered {
        /// The topic.
        topic: TopicName,
        /// librdkafka's word.
        reason: String,
    },
    /// A publish that found no room in the local queue in time: the record was not sent.
    #[error("publishing to {topic} failed, the record was not written: {reason}")]
    QueueFull {
        /// The topic.
        topic: TopicName,
        /// Whose queue, and for how long.
        reason: String,
    },
    /// A publish with an unknown result: the record may be in the log.
    #[error(
        "publishing to {topic} ended without an answer, the record may or may not be written: {reason}"
    )]
    DeliveryUnknown {
        /// The topic.
        topic: TopicName,
        /// librdkafka's word.
        reason: String,
    },
    /// The group has members with other assignors.
    #[error(
        "group {group} has members that assign partitions in another way, as the Python library's do; either stop all of them first, or set `partition.assignment.strategy=roundrobin` in kafka-settings while you move"
    )]
    GroupProtocol {
        /// The group.
        group: String,
    },
    /// Another member came with the same `group.instance.id`.
    #[error(
        "group {group} has another member with this `group.instance.id`; give each instance its own"
    )]
    Fenced {
        /// The group.
        group: String,
    },
    /// The end of a log was not reached in time.
    #[error(
        "{topic} could not be read to its end within {waited:?}: {reason}; raise `connect-timeout` or look at that topic's leader"
    )]
    LogTimeout {
        /// The topic.
        topic: TopicName,
        /// How long was waited.
        waited: Duration,
        /// How far it came, and librdkafka's last word.
        reason: String,
    },
    /// A record that was appended to a log cannot be read yet, so it is unknown whether it counts.
    #[error(
        "the record at {topic}@{offset} was written, but is not readable after {waited:?}: a transaction of another program is open on that topic and holds the log back; what is in the log is unknown until it ends, so run this again then"
    )]
    LogHeldBack {
        /// The topic.
        topic: TopicName,
        /// Where the record is.
        offset: Offset,
        /// How long was waited.
        waited: Duration,
    },
    /// A log holds more than a reader takes.
    #[error(
        "{topic} holds {what}, more than a program reads of a log: a program writes records to it that do not belong there; restrict Write on that topic, and move to another name (a schema) or another topic prefix (the bindings)"
    )]
    LogTooLarge {
        /// The topic.
        topic: TopicName,
        /// The excess in words, with the bound.
        what: String,
    },
    /// A record that stands in Kafka cannot be read.
    #[error(
        "reading {topic}[{partition}] failed at offset {offset}: the record cannot be read: {reason}; {help}"
    )]
    Unreadable {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// The record's offset, or the first offset of its batch.
        offset: Offset,
        /// Why, in the client library's words.
        reason: String,
        /// The setting that helps.
        help: String,
    },
    /// A group that has members cannot be moved.
    #[error(
        "group {group} has members, and only a group without members can be moved: {members}; stop them first (for a running group, start a worker with `--skip`)"
    )]
    GroupHasMembers {
        /// The group.
        group: String,
        /// Who they are.
        members: String,
    },
    /// A publish of a handler with `transaction = true` after its attempt was over: it belongs to no transaction.
    #[error(
        "nothing was published to {topic}: the attempt is over, and its transaction takes no more; await every publish before the handler returns, or publish with a `Publisher` of your own, outside of the transaction"
    )]
    OutboxClosed {
        /// The topic.
        topic: TopicName,
    },
    /// One message's records for its transaction are too many.
    #[error(
        "nothing was published to {topic}: the records of one message for one transaction may have {most} bytes together; publish less for each message, or handle it without a transaction"
    )]
    OutboxFull {
        /// The topic.
        topic: TopicName,
        /// The bound in bytes.
        most: usize,
    },
    /// Another program took over the transactional id.
    #[error(
        "another program took over the transactional id {id} (another redrive or purge of this group, or a transaction that stayed open for too long), so this one stopped: what it had committed by then stays, and what it had not is not written; let the other one end, then run this again for what is left"
    )]
    TransactionFenced {
        /// The id.
        id: String,
    },
    /// The brokers did not say how a transaction ended.
    #[error(
        "it is unknown whether the last transaction of {id} was committed: {reason}; run this again: it finds that out first and repeats no committed transaction"
    )]
    TransactionUnknown {
        /// The id.
        id: String,
        /// librdkafka's word.
        reason: String,
    },
    /// No member of the group reads the retry topic.
    #[error(
        "no member of group {group} reads {topic} (waited {waited:?}), so redriven messages would reach nobody; nothing was redriven. Start a worker with this group, for example `kafkaesk-cli worker`, let it run, and try again (without Describe on the group its members are not seen)"
    )]
    NoRetryReader {
        /// The group.
        group: String,
        /// Its retry topic.
        topic: TopicName,
        /// How long was waited.
        waited: Duration,
    },
    /// A flush took longer than it was given.
    #[error(
        "the producer's queue did not empty within {waited:?}: {outstanding} record(s) are unanswered; each one's own delivery still resolves"
    )]
    FlushTimeout {
        /// How long was waited.
        waited: Duration,
        /// How many records are unanswered.
        outstanding: usize,
    },
    /// A setting that cannot be used.
    #[error("{0}")]
    Setting(String),
    /// Anything else that Kafka answered.
    #[error("{action} failed: {source}")]
    Kafka {
        /// What was being done, to what.
        action: String,
        /// librdkafka's word.
        source: Source,
    },
    /// The connection was closed while this waited.
    #[error("the connection to Kafka is closed")]
    Closed,
}

impl ClientError {
    /// Whether it passes by itself, as an outage does: the same may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::LogTimeout { .. }
            | Self::NotDelivered { .. }
            | Self::DeliveryUnknown { .. } => true,
            Self::Kafka { source, .. } => crate::kafka::errors::passes(source),
            _ => false,
        }
    }
}

#[cfg(feature = "settings")]
impl From<kafkaesk_settings::SettingsError> for ClientError {
    fn from(error: kafkaesk_settings::SettingsError) -> Self {
        ClientError::Setting(error.to_string())
    }
}

/// What decides a topic's name.
fn kind(topic: &TopicName) -> &'static str {
    if topic.as_str().contains("__schema__") {
        "schema name"
    } else if topic.as_str().ends_with("__streams__") {
        "topic prefix"
    } else {
        "stream id"
    }
}

fn list(violations: &[Violation]) -> String {
    violations
        .iter()
        .map(|v| {
            format!(
                "\n  {}: {}   (rule {})",
                if v.pointer.is_empty() {
                    "(root)"
                } else {
                    &v.pointer
                },
                v.message,
                v.rule
            )
        })
        .collect()
}
