//! Names: every metric with its name, kind, unit, labels and help text. The only place that declares one; `docs/metrics.md`
//! is made of it.

/// A metric.
#[derive(Debug)]
pub struct Family {
    /// The name. A counter is exposed with `_total` at its end.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// What it counts or measures in.
    pub unit: &'static str,
    /// Its labels, in order.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
    /// How values with equal labels become one: those of several subscriptions, or of several partitions where
    /// `metrics-detail` leaves the partition out.
    pub(super) join: Join,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It never goes back while the process runs.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Observations by upper bounds.
    Histogram,
}

impl Kind {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// How two values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Their sum.
    Sum,
    /// The larger one.
    Max,
    /// The smaller one.
    Min,
    /// Nothing sensible: a place in one partition's log. Left out where the partition is.
    Place,
}

macro_rules! families {
    ($($id:ident: $kind:ident $join:ident $name:literal [$($label:literal),*] $unit:literal $help:literal;)*) => {
        /// A metric's place in [`FAMILIES`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Id { $($id),* }

        /// Every metric, in the order of their exposition.
        pub const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
            join: Join::$join,
        }),*];

        impl Id {
            pub(super) const ALL: &[Self] = &[$(Self::$id),*];
        }
    };
}

families! {
    Consumed: Counter Sum "kafkaesk_consumed_messages" ["stream_id", "partition", "group_id", "error"]
        "attempts" "Attempts that ended, by how: none, retry, reject, skip, mismatch, panic, timeout or abort.";
    Retries: Counter Sum "kafkaesk_consumer_retries" ["stream_id", "partition", "group_id"]
        "attempts" "Attempts that another one follows.";
    Finished: Counter Sum "kafkaesk_consumer_finished_messages" ["stream_id", "partition", "group_id"]
        "messages" "Messages that ended: handled, passed over, or written as dead letters.";
    ConsumedOffset: Gauge Place "kafkaesk_consumed_topic_offset" ["stream_id", "partition", "group_id"]
        "offset" "The last offset before which everything is finished.";
    Elapsed: Histogram Sum "kafkaesk_consumed_message_elapsed_time" ["stream_id", "group_id"]
        "seconds" "How long attempts took. Handlers that end at once are measured sixteen at a time.";
    Lead: Histogram Sum "kafkaesk_message_lead_time" ["stream_id", "group_id"]
        "seconds" "How old records were when they were read.";
    BatchSize: Histogram Sum "kafkaesk_consumed_messages_batch_size" ["stream_id", "group_id"]
        "records" "How many records came from the Kafka client at a time.";
    Rebalanced: Counter Sum "kafkaesk_consumer_rebalanced" ["group_id", "event"]
        "partitions" "Partitions that came and went: assigned, revoked or lost.";
    Health: Gauge Min "kafkaesk_consumer_health" ["group_id"]
        "0 or 1" "1 while nothing of the group needs a restart, as /livez says.";
    Called: Counter Sum "kafkaesk_publish_messages" ["stream_id", "error"]
        "messages" "Publishes that were called, by how they ended: none (handed over), schema, too_large, full, unavailable, denied or other.";
    CalledTime: Histogram Sum "kafkaesk_publish_messages_time" ["stream_id"]
        "seconds" "How long a publish took until its record was handed over; one of sixteen is measured.";
    Delivered: Counter Sum "kafkaesk_published_messages" ["stream_id", "partition", "error"]
        "messages" "Records by what became of them: none (the brokers have it), or failed, with the partition -1.";
    DeliveredTime: Histogram Sum "kafkaesk_published_messages_time" ["stream_id"]
        "seconds" "How long the brokers took to answer for a record; one of sixteen is measured.";
    ProducedOffset: Gauge Place "kafkaesk_produced_topic_offset" ["stream_id", "partition"]
        "offset" "The offset of the last record that was published here.";
    Action: Counter Sum "kafkaesk_kafka_action" ["type", "error"]
        "questions" "Questions to the brokers, by kind; error is none or failed.";
    ActionTime: Histogram Sum "kafkaesk_kafka_action_time" ["type"]
        "seconds" "How long they took, repetitions by the client included.";
    QueueMessages: Gauge Sum "kafkaesk_publisher_queue_messages" []
        "records" "Records that wait to be sent, or for the brokers' answer.";
    QueueBytes: Gauge Sum "kafkaesk_publisher_queue_bytes" []
        "bytes" "What they hold in memory.";
    LagRecords: Gauge Sum "kafkaesk_consumer_lag_records" ["stream_id", "partition", "group_id"]
        "records" "Records from the committed offset, or from the first one that is still there, to the end. Absent while unknown.";
    LagSeconds: Gauge Max "kafkaesk_consumer_lag_seconds" ["stream_id", "partition", "group_id"]
        "seconds" "The age of the first unfinished record; 0 where everything is finished. Absent while unknown.";
    Committed: Gauge Place "kafkaesk_consumer_committed_offset" ["stream_id", "partition", "group_id"]
        "offset" "The committed offset, as Kafka has it.";
    StreamEnd: Gauge Place "kafkaesk_stream_end_offset" ["stream_id", "partition"]
        "offset" "The end of the partition for readers of committed records.";
    StreamStart: Gauge Place "kafkaesk_stream_start_offset" ["stream_id", "partition"]
        "offset" "The first offset that is still there.";
    Status: Gauge Max "kafkaesk_consumer_status" ["group_id", "status"]
        "0 or 1" "1 for the worst verdict of the group's partitions here: OK, UNKNOWN, WARN, REWIND, PAUSED, HELD, STALL or STOP.";
    Assigned: Gauge Sum "kafkaesk_consumer_assigned_partitions" ["group_id"]
        "partitions" "Partitions that are assigned to this process.";
    Instances: Gauge Sum "kafkaesk_consumer_instances" ["group_id"]
        "consumers" "Consumers of the group that run in this process.";
    Concurrency: Gauge Sum "kafkaesk_consumer_concurrency" ["group_id"]
        "handlers" "Handlers that may run at a time.";
    ScalingDecisions: Counter Sum "kafkaesk_scaling_decisions" ["group_id", "knob", "direction"]
        "decisions" "Changes of a number that follows the load, by direction (up or down): knob is handlers (concurrency = \"auto\"), instances (max-concurrency; with scaling = \"dry-run\" they are counted and not made) or partitions (of a stream that was grown, or whose growth is proposed).";
    ScalingWanted: Gauge Sum "kafkaesk_scaling_wanted" ["group_id", "knob"]
        "members" "What the load needs: knob is instances (of this process, without the bound of max-concurrency) or processes (of the whole group, never more than its partitions can feed; said by the process that holds the group's first partition, and by lag --listen as 1 or 0: something is unread, or nothing). Absent while that is not known.";
    Inflight: Gauge Sum "kafkaesk_consumer_inflight_messages" ["group_id"]
        "messages" "Handlers that run as tasks.";
    OldestInflight: Gauge Max "kafkaesk_consumer_oldest_inflight_seconds" ["group_id"]
        "seconds" "How long the oldest of them has been running; 0 if none runs.";
    Stuck: Gauge Sum "kafkaesk_consumer_stuck_messages" ["group_id"]
        "messages" "Of these, the ones that have been running for longer than max.poll.interval.ms.";
    Custody: Gauge Sum "kafkaesk_consumer_custody_messages" ["group_id"]
        "messages" "Messages whose handler has returned and whose Committer was not finished (commit = manual).";
    OldestCustody: Gauge Max "kafkaesk_consumer_oldest_custody_seconds" ["group_id"]
        "seconds" "How long ago the oldest of them began; 0 without any.";
    Uncommitted: Gauge Sum "kafkaesk_consumer_uncommitted_messages" ["group_id"]
        "messages" "Messages that are finished and wait for their transaction (transaction = true).";
    Waiting: Gauge Sum "kafkaesk_consumer_waiting_messages" ["group_id", "state"]
        "messages" "Messages that wait: ready for a free handler, or backoff behind one that waits for its next attempt.";
    WaitingBytes: Gauge Sum "kafkaesk_consumer_waiting_bytes" ["group_id", "state"]
        "bytes" "What they hold in memory, about.";
    Held: Gauge Sum "kafkaesk_consumer_held_messages" ["group_id"]
        "messages" "Messages that failed and wait for their next attempt.";
    Paused: Gauge Sum "kafkaesk_consumer_paused_partitions" ["group_id", "by"]
        "partitions" "Partitions that are not read, by operator, unavailable (the handler) or flow (too much waits).";
    Pauses: Counter Sum "kafkaesk_consumer_pauses" ["group_id"]
        "pauses" "How often the group paused since its handler was unavailable or too many attempts failed.";
    Heartbeat: Gauge Max "kafkaesk_consumer_heartbeat_seconds" ["group_id"]
        "seconds" "How long ago the group's task or its consumer's thread last gave a sign of life.";
    Commits: Counter Sum "kafkaesk_consumer_commits" ["group_id"]
        "commits" "Offsets handed to the Kafka client for commit, one for each partition.";
    Busy: Counter Sum "kafkaesk_consumer_busy_seconds" ["group_id"]
        "seconds" "Time in which handlers ran, summed over all of them.";
    DeadLetters: Counter Sum "kafkaesk_dead_letters" ["group_id", "reason"]
        "messages" "Dead letters that the brokers have, by reason.";
    Unsettled: Gauge Max "kafkaesk_dead_letters_unsettled" ["group_id"]
        "messages" "Dead letters that nobody redrove or purged yet. Shown where a partition 0 of the group's streams is read; counted once a minute or less often; absent while unknown.";
    UnsettledAge: Gauge Max "kafkaesk_dead_letters_oldest_seconds" ["group_id"]
        "seconds" "How long ago the oldest of them was written; 0 if there is none.";
    LetterRetention: Gauge Max "kafkaesk_dead_letters_retention_seconds" ["group_id"]
        "seconds" "How long the topic keeps a dead letter; absent where it keeps them for ever.";
    Refused: Counter Sum "kafkaesk_schema_refused" ["stream_id", "schema", "side"]
        "messages" "Events that their stored schema refused; side is publish or consume.";
    Brokers: Gauge Min "kafkaesk_brokers_reachable" []
        "0 or 1" "1 while a broker answered within the last 30 seconds.";
    SpansDropped: Counter Sum "kafkaesk_spans_dropped" ["reason"]
        "spans" "Spans that no collector has: queue (too many waited), export (it did not take them) or end (not sent in time). Absent while traces are off.";
    Folded: Gauge Max "kafkaesk_metrics_folded_series" []
        "label sets" "Label sets beyond metrics-max-series, which are counted together as stream_id=\"(other)\".";
    Build: Gauge Max "kafkaesk_build_info" ["version"]
        "1" "The version of kafkaesk.";
    Cpu: Counter Sum "process_cpu_seconds" []
        "seconds" "Processor time of the process.";
    Memory: Gauge Sum "process_resident_memory_bytes" []
        "bytes" "Memory of the process that is in RAM.";
    Files: Gauge Sum "process_open_fds" []
        "files" "Open files and connections of the process.";
    Start: Gauge Max "process_start_time_seconds" []
        "seconds" "When the service started, since 1970.";
}

impl Id {
    pub(super) fn family(self) -> &'static Family {
        &FAMILIES[self as usize]
    }
}
