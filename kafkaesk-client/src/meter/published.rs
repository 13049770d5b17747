//! Published: what a process wrote to Kafka and asked of it, as plain data.

use kafkaesk_core::{Offset, TopicName};

use super::Histogram;

/// What a connection published and asked for, since it was opened. Counts never go back.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// By topic, in the order of their names.
    pub topics: Vec<PublishedTopic>,
    /// Records that wait to be sent, or for their answer.
    pub queued_records: u64,
    /// What they hold in memory, about.
    pub queued_bytes: u64,
    /// What they may hold at most; then `enqueue` waits.
    pub queue_limit_bytes: u64,
    /// Requests to Kafka, by kind.
    pub actions: Vec<Action>,
    /// Events that their stored schema refused, by topic and schema; at most 1,000 pairs, then all others under an empty schema.
    pub refused: Vec<(TopicName, String, u64)>,
}

/// What was published to one topic.
#[derive(Clone, Debug)]
pub struct PublishedTopic {
    /// The topic.
    pub topic: TopicName,
    /// Publishes whose record entered the queue.
    pub queued: u64,
    /// Publishes that ended with an error before that: a refused event, an unknown schema, no room within `delivery-timeout`.
    pub refused: u64,
    /// The time until a record was in the queue, in seconds. One of 16 publishes is measured, and counted 16 times.
    pub queueing: Histogram,
    /// What the brokers have, by partition.
    pub partitions: Vec<PublishedPartition>,
    /// Records that certainly were not written.
    pub failed: u64,
    /// Records of which nobody knows whether they were written.
    pub unknown: u64,
    /// The time from the queue to the brokers' answer, in seconds. One of 16 records is measured, and counted 16 times.
    pub delivery: Histogram,
}

/// What the brokers have of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedPartition {
    /// The partition.
    pub partition: i32,
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// The offset of the last of them, where the brokers told it.
    pub offset: Option<Offset>,
}

/// Requests of one kind.
#[derive(Clone, Debug)]
pub struct Action {
    /// What was asked for: `metadata`, `create_topic`, `read_log`, …
    pub name: &'static str,
    /// How many were answered.
    pub done: u64,
    /// How many failed.
    pub failed: u64,
    /// How long they took, in seconds.
    pub time: Histogram,
}
