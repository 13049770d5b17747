//! Document: the form of `/stats`. Its comments become the descriptions of its JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// What a process does, at one moment. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Stats {
    /// When.
    pub(crate) at: String,
    /// The version of kafkaesk.
    pub(crate) version: &'static str,
    /// The worst verdict of all subscriptions.
    pub(crate) verdict: &'static str,
    /// The most important thing to know, in one sentence.
    pub(crate) sentence: String,
    /// Whether it has a connection.
    pub(crate) connected: bool,
    /// How many seconds ago a broker last answered.
    pub(crate) answered_seconds: Option<f64>,
    /// When the shutdown began.
    pub(crate) shutdown: Option<String>,
    /// What is wrong, worst first: 50 at most.
    pub(crate) problems: Vec<Problem>,
    /// How many problems there are.
    pub(crate) problems_total: usize,
    /// What runs.
    pub(crate) subscriptions: Vec<Subscription>,
    /// How many subscriptions there are, those that are not listed included.
    pub(crate) subscriptions_total: usize,
    /// How many entries each list of a subscription has, at most.
    pub(crate) listed: usize,
    /// What was published.
    pub(crate) publisher: Publisher,
    /// The effective settings, if they were asked for (`?settings=true`): 300 at most.
    pub(crate) settings: Option<Vec<Setting>>,
}

/// A setting. Secrets are redacted.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Setting {
    /// Its name.
    pub(crate) key: String,
    /// Its value, 200 characters at most.
    pub(crate) value: String,
    /// Where it comes from, such as `kafkaesk.toml:3` or `default`.
    pub(crate) source: String,
}

/// Something that is wrong.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// The group; absent for the process.
    pub(crate) group: Option<String>,
    /// The partition, such as `orders.placed[3]`; absent for the group or the process.
    pub(crate) partition: Option<String>,
    /// `OK`, `UNKNOWN`, `WARN`, `REWIND`, `PAUSED`, `HELD`, `STALL` or `STOP`.
    pub(crate) verdict: &'static str,
    /// What happened, and what to do.
    pub(crate) sentence: String,
}

/// One subscription.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Subscription {
    /// The group, as Kafka knows it.
    pub(crate) group: String,
    /// The group as commands name it.
    pub(crate) name: String,
    /// The pattern of its streams.
    pub(crate) pattern: String,
    /// `joining`, `running`, `ending` or `ended`.
    pub(crate) state: &'static str,
    /// The worst verdict of its partitions here.
    pub(crate) verdict: &'static str,
    /// Why.
    pub(crate) sentence: String,
    /// Records that it is behind in its partitions here; absent while unknown.
    pub(crate) lag_records: Option<u64>,
    /// The age of its first unfinished record, in seconds; absent while unknown.
    pub(crate) lag_seconds: Option<f64>,
    /// Messages that it finished a second, over the last half minute.
    pub(crate) finished_per_second: Option<f64>,
    /// The last five minutes, oldest first.
    pub(crate) history: Vec<Moment>,
    /// Consumer instances that run.
    pub(crate) instances: u32,
    /// How that number follows the load; absent where it does not.
    pub(crate) scaled_instances: Option<ScaledInstances>,
    /// How many processes its group needs; absent where another process says it, or a figure is missing.
    pub(crate) wanted_processes: Option<WantedProcesses>,
    /// Its streams that have too few partitions; absent where there is none and nothing was decided.
    pub(crate) scaled_partitions: Option<ScaledPartitions>,
    /// Handlers that may run at a time, in all instances.
    pub(crate) concurrency: u32,
    /// How that number follows the load; absent for a fixed one.
    pub(crate) scaled: Option<Scaled>,
    /// Handlers that run as tasks.
    pub(crate) running: usize,
    /// Of these, the ones that run for longer than `max.poll.interval.ms`.
    pub(crate) stuck: usize,
    /// The handlers that run longest.
    pub(crate) oldest_running: Vec<Running>,
    /// Messages whose handler has returned and whose `Committer` was not finished.
    pub(crate) custody: usize,
    /// The oldest of these.
    pub(crate) oldest_in_custody: Option<Running>,
    /// Messages that are finished and wait for their transaction, or are on their way with one (`transaction = true`).
    pub(crate) uncommitted: usize,
    /// Why the last transaction failed; absent once one is committed again.
    pub(crate) transaction_error: Option<String>,
    /// Messages that wait for a free handler or for their key.
    pub(crate) ready: usize,
    /// Messages that wait behind one that failed, that one included.
    pub(crate) backing_off: usize,
    /// Messages that failed and wait for their next attempt.
    pub(crate) held_total: usize,
    /// Of these, the ones that failed first.
    pub(crate) held: Vec<Held>,
    /// Why no handler starts.
    pub(crate) pause: Option<Pause>,
    /// Messages that may start a second.
    pub(crate) throttle: Option<u32>,
    /// Attempts by how they ended; `none` is without an error.
    pub(crate) attempts: BTreeMap<&'static str, u64>,
    /// Attempts that another one follows.
    pub(crate) retries: u64,
    /// Messages that ended.
    pub(crate) finished: u64,
    /// Dead letters by reason.
    pub(crate) dead_letters: BTreeMap<String, u64>,
    /// Those that nobody redrove or purged yet; absent where they are not known: another process may count them.
    pub(crate) unsettled_dead_letters: Option<u64>,
    /// When the oldest of these was written.
    pub(crate) oldest_dead_letter: Option<String>,
    /// The last ones of this process, newest first: ten at most.
    pub(crate) recent_dead_letters: Vec<DeadLetter>,
    /// The command that returns this group's dead letters to it, if there are any.
    pub(crate) dead_letters_command: Option<String>,
    /// Events that their stored schema refused.
    pub(crate) schema_refused: u64,
    /// Offsets handed to the Kafka client for commit.
    pub(crate) commits: u64,
    /// Seconds that its task or its consumer's thread has given no sign of life.
    pub(crate) silent_seconds: f64,
    /// How many partitions it has.
    pub(crate) partitions_total: usize,
    /// Its partitions, worst verdict first, then furthest behind.
    pub(crate) partitions: Vec<Partition>,
    /// The last distinct errors, newest first.
    pub(crate) errors: Vec<Error>,
    /// The last rebalances, newest first.
    pub(crate) rebalances: Vec<Rebalance>,
}

/// A moment of the last five minutes.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Moment {
    /// How long ago.
    pub(crate) seconds_ago: f64,
    /// Messages finished until then.
    pub(crate) finished: u64,
    /// Records that it was behind; absent while unknown.
    pub(crate) lag_records: Option<u64>,
}

/// A number of handlers that follows the load (`concurrency = "auto"`).
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Scaled {
    /// The fewest handlers.
    pub(crate) min: u32,
    /// The most.
    pub(crate) max: u32,
    /// How often the number was raised.
    pub(crate) raised: u64,
    /// How often it was lowered.
    pub(crate) lowered: u64,
    /// What is done now, or why nothing is.
    pub(crate) state: String,
    /// The last changes, newest first: ten at most.
    pub(crate) changes: Vec<Change>,
}

/// A number of instances that follows the load (`max-concurrency`).
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ScaledInstances {
    /// Whether decisions are carried out (`scaling = "on"`), or only shown (`"dry-run"`).
    pub(crate) acts: bool,
    /// The most instances.
    pub(crate) max: u32,
    /// How many the present load needs, without that bound; absent while unknown.
    pub(crate) wanted: Option<u32>,
    /// How often the number was raised.
    pub(crate) raised: u64,
    /// How often it was lowered.
    pub(crate) lowered: u64,
    /// What is done now, or why nothing is.
    pub(crate) state: String,
    /// The last decisions, newest first: ten at most.
    pub(crate) changes: Vec<Change>,
}

/// How many processes a group needs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct WantedProcesses {
    /// Processes; never more than the partitions can feed.
    pub(crate) wanted: u32,
    /// Instances that each of them is expected to run.
    pub(crate) instances: u32,
    /// Partitions of all streams that the subscription reads.
    pub(crate) partitions: usize,
    /// What that means, or why more would not help.
    pub(crate) state: String,
}

/// Streams that have too few partitions.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ScaledPartitions {
    /// The streams, by name: 20 at most.
    pub(crate) short: Vec<ShortStream>,
    /// How many there are.
    pub(crate) short_total: usize,
    /// How often this process added partitions to a stream, or proposed it.
    pub(crate) decisions: u64,
    /// The last decisions, newest first: ten at most.
    pub(crate) changes: Vec<Change>,
}

/// A stream each of whose partitions keeps a member of the group busy.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ShortStream {
    /// Which.
    pub(crate) stream: String,
    /// Its partitions.
    pub(crate) partitions: u32,
    /// For how many seconds that has been so.
    pub(crate) seconds: f64,
    /// The number that is proposed, if one is.
    pub(crate) wanted: Option<u32>,
    /// What is proposed, or why nothing is.
    pub(crate) state: String,
}

/// A change of a number that follows the load.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Change {
    /// When.
    pub(crate) at: String,
    /// The former number.
    pub(crate) from: u32,
    /// The new one.
    pub(crate) to: u32,
    /// Why.
    pub(crate) reason: String,
}

/// A handler that runs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Running {
    /// The message, such as `orders.placed[3]@4711`.
    pub(crate) message: String,
    /// Its key, 100 characters at most, if it has one and `operate-show-keys` is on.
    pub(crate) key: Option<String>,
    /// 1 for the first attempt.
    pub(crate) attempt: u32,
    /// How long ago it began.
    pub(crate) seconds: f64,
    /// How many messages its batch has, of which this is the first; 1 without batches.
    pub(crate) messages: u32,
}

/// A message that failed and waits for its next attempt.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Held {
    /// The message, such as `orders.placed[3]@4711`.
    pub(crate) message: String,
    /// Its key, 100 characters at most, if it has one and `operate-show-keys` is on.
    pub(crate) key: Option<String>,
    /// How many attempts failed.
    pub(crate) attempts: u32,
    /// When the first one failed.
    pub(crate) since: String,
    /// When the next one starts.
    pub(crate) next: String,
    /// How the last one ended.
    pub(crate) end: &'static str,
    /// Its error; absent where it may quote the message.
    pub(crate) error: Option<String>,
    /// Messages that wait behind it.
    pub(crate) waiting: usize,
}

/// Why no handler starts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Pause {
    /// `operator` or `unavailable`.
    pub(crate) by: &'static str,
    /// In words.
    pub(crate) reason: String,
    /// Since when.
    pub(crate) since: String,
    /// When it ends by itself.
    pub(crate) until: Option<String>,
}

/// A partition.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Partition {
    /// The stream.
    pub(crate) stream: String,
    /// Its number.
    pub(crate) partition: i32,
    /// How it does.
    pub(crate) verdict: &'static str,
    /// Why.
    pub(crate) sentence: String,
    /// Records that it is behind; absent while unknown.
    pub(crate) lag_records: Option<u64>,
    /// The age of the first unfinished record; absent while unknown.
    pub(crate) lag_seconds: Option<f64>,
    /// The committed offset.
    pub(crate) committed: Option<i64>,
    /// The offset before which everything is finished.
    pub(crate) position: Option<i64>,
    /// The first offset that is still there.
    pub(crate) start: Option<i64>,
    /// The end, for readers of committed records.
    pub(crate) end: Option<i64>,
    /// Handlers that run as tasks.
    pub(crate) running: usize,
    /// Messages that wait.
    pub(crate) waiting: usize,
    /// Whether it is not read, since too much waits.
    pub(crate) paused: bool,
    /// Since when it is assigned.
    pub(crate) since: String,
}

/// An error, with how often it occurred in a row of equal ones.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Error {
    /// How the attempts ended.
    pub(crate) end: &'static str,
    /// The error; absent where it may quote the message.
    pub(crate) error: Option<String>,
    /// The last message that it occurred with.
    pub(crate) message: String,
    /// How often.
    pub(crate) count: u64,
    /// When it first occurred.
    pub(crate) first: String,
    /// When it last occurred.
    pub(crate) last: String,
}

/// A message that became a dead letter.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct DeadLetter {
    /// The message, such as `orders.placed[3]@4711`.
    pub(crate) message: String,
    /// When the brokers had it.
    pub(crate) at: String,
    /// Why it was given up.
    pub(crate) reason: &'static str,
    /// How many attempts failed.
    pub(crate) attempts: u32,
    /// Its error; absent where it may quote the message.
    pub(crate) error: Option<String>,
}

/// A rebalance.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Rebalance {
    /// When.
    pub(crate) at: String,
    /// `assigned`, `revoked` or `lost`.
    pub(crate) event: &'static str,
    /// How many partitions.
    pub(crate) partitions: usize,
    /// How many it had afterwards.
    pub(crate) left: usize,
}

/// What was published.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Publisher {
    /// Publishes that were called.
    pub(crate) called: u64,
    /// Records that the brokers have.
    pub(crate) delivered: u64,
    /// Records that failed, or of which nobody knows.
    pub(crate) failed: u64,
    /// Records that wait to be sent, or for the brokers' answer.
    pub(crate) queue_records: u64,
    /// What they hold in memory.
    pub(crate) queue_bytes: u64,
    /// Streams that were published to, those with failures first, then those with the most records: 20 at most.
    pub(crate) streams: Vec<PublishedStream>,
    /// How many there are.
    pub(crate) streams_total: usize,
}

/// What was published to one stream.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct PublishedStream {
    /// The stream.
    pub(crate) stream: String,
    /// The schema ids that were published, such as `OrderPlaced:2`, newest version first: five at most.
    pub(crate) schemas: Vec<String>,
    /// Publishes that were called.
    pub(crate) called: u64,
    /// Records that the brokers have.
    pub(crate) delivered: u64,
    /// Records that failed, or of which nobody knows.
    pub(crate) failed: u64,
    /// Publishes that were refused since the event does not fit its schema, by schema.
    pub(crate) refused: BTreeMap<String, u64>,
}
