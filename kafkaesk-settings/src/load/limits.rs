//! Bounds of settings. The error for a value outside names its bound.

/// The most partitions that a declaration may ask for.
pub(super) const MAX_PARTITIONS: i64 = 10_000;
/// Kafka's replication factor is a 16-bit number.
pub(super) const MAX_REPLICATION: i64 = 32_767;
/// How long a topic may keep its records, in milliseconds: 100 years.
pub(super) const MAX_RETENTION: u64 = 36_500 * DAY;
/// The size of a record, in bytes: librdkafka takes no more than 2^30 - 1 in one message.
pub(super) const MIN_MESSAGE: i64 = 1024;
pub(super) const MAX_MESSAGE: i64 = 1 << 30;
/// Kafka's limit on a topic's name, which we also apply to groups; a prefix leaves room for the name after it.
pub(super) const MAX_GROUP_PREFIX: usize = 200;

/// Spans of time in milliseconds.
pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 3600 * SECOND;
pub(super) const DAY: u64 = 24 * HOUR;
