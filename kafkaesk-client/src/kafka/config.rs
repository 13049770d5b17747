//! Input: settings. Output: librdkafka's configuration of one client, with our defaults for its role. Reads no files.

use std::time::Duration;

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

use crate::{ClientError, Settings, broker::LOG_RECORD_BYTES, settings::Role as PropertyRole};

/// The bound for writing the records of a transaction that stays open for so long, and again for committing it: both together
/// fit into that.
pub(super) fn transaction_step(open: Duration) -> Duration {
    open.mul_f64(5.0 / 12.0)
}
/// The largest batch. A larger record is sent alone, so that a topic with a small `max.message.bytes` refuses only
/// records that are too large themselves.
pub(super) const TRANSACTION_BATCH_BYTES: usize = 64 * 1024;

/// What a librdkafka client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Publishes events.
    Producer,
    /// Appends to `__schema__…` and `__streams__`: acks=all whatever the settings say.
    LogWriter,
    /// Writes in transactions: acks=all and idempotent whatever the settings say.
    Transactional,
    /// Creates topics and reads their settings.
    Admin,
    /// Asks for metadata; has no group.
    Lookup,
    /// Reads without a group.
    Reader,
    /// A group's member.
    Member,
}

impl Role {
    fn produces(self) -> bool {
        matches!(
            self,
            Self::Producer | Self::LogWriter | Self::Transactional | Self::Admin
        )
    }
}

/// What every client has.
const COMMON: &[(&str, &str)] = &[
    ("client.id", "kafkaesk"),
    // Do not log that the broker closes an idle connection.
    ("log.connection.close", "false"),
    ("socket.nagle.disable", "true"),
    // The first reconnects decide how long a start takes.
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "2000"),
];

/// The contract's half of these (murmur2, no compression) is what lets every language read along.
const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("compression.type", "none"),
    ("partitioner", "murmur2_random"),
    ("linger.ms", "5"),
    ("batch.num.messages", "100000"),
    // Asking must not create.
    ("allow.auto.create.topics", "false"),
    // The interval for noticing added partitions and deleted topics. With librdkafka's default of five minutes, two
    // programs could send one key to two partitions. With the answer it takes less than `growth::PUBLISHERS_FOLLOW`.
    ("topic.metadata.refresh.interval.ms", "1500"),
    // A publish finds its topic in metadata first. So a topic that is missing there was deleted, or a broker is
    // slightly late. With librdkafka's default, records would wait 30 s for the error.
    ("topic.metadata.propagation.max.ms", "5000"),
];

/// `batch.size` unless the settings name another.
const BATCH_BYTES: usize = 1_000_000;

/// `message.max.bytes` unless the settings name another: librdkafka's own.
const RECORD_BYTES: usize = 1_000_000;

/// Fetching without pauses, in a small queue: with librdkafka's defaults, a full local queue stops fetching for a
/// second, and a queue of 64 MiB does not make a consumer faster.
const CONSUMER: &[(&str, &str)] = &[
    ("fetch.queue.backoff.ms", "2"),
    ("queued.max.messages.kbytes", "12288"),
    ("queued.min.messages", "100000"),
    ("fetch.message.max.bytes", "524288"),
    ("fetch.wait.max.ms", "100"),
    // A member learns of a rebalance at its next heartbeat, so a rebalance takes at least this long.
    ("heartbeat.interval.ms", "1000"), // HEARTBEAT_MS
    ("allow.auto.create.topics", "false"),
    ("isolation.level", "read_committed"),
    ("auto.offset.reset", "earliest"),
    ("partition.assignment.strategy", "cooperative-sticky"),
];

/// A member's heartbeats are this far apart.
const HEARTBEAT_MS: u32 = 1000;

/// Settings that users cannot change, since at-least-once delivery depends on them.
const CONSUMER_FORCED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
];

/// How long a fetch waits for records: longer the more partitions there are, as librdkafka names all of them in each fetch and
/// looks at all of them for each piece of an answer. A partition that joins waits so long where no other has records. `None`
/// where the settings say it.
pub(super) fn fetch_wait(settings: &Settings, partitions: u32) -> Option<String> {
    let given = settings
        .kafka_settings
        .get(PropertyRole::Consumer, "fetch.wait.max.ms");
    let wait = (partitions / 10).clamp(100, 1000);
    given.is_none().then(|| wait.to_string())
}

/// The configuration of one client.
pub(super) fn client_config(settings: &Settings, role: Role) -> ClientConfig {
    let servers = settings.kafka_servers.join(",");
    let mut forced = vec![("bootstrap.servers", servers.as_str())];
    let mut properties = if role.produces() {
        if role == Role::LogWriter {
            forced.extend(PRODUCER);
            forced.push(("linger.ms", "0"));
            // A duplicate record changes nothing, and a new idempotent client would wait 500 ms for its id.
            forced.push(("enable.idempotence", "false"));
            // It needs idempotence. Left out otherwise: librdkafka warns of it whatever its value is.
            let gapless = "enable.gapless.guarantee";
            if settings
                .kafka_settings
                .get(PropertyRole::Producer, gapless)
                .is_some()
            {
                forced.push((gapless, "false"));
            }
        }
        if role == Role::Transactional {
            forced.extend([("enable.idempotence", "true"), ("acks", "all")]);
        }
        settings
            .kafka_settings
            .for_producer(&[COMMON, PRODUCER].concat(), &forced)
    } else {
        forced.extend(CONSUMER_FORCED);
        settings
            .kafka_settings
            .for_consumer(&[COMMON, CONSUMER].concat(), &forced)
    };
    let mut set = |name: &str, value: String| {
        properties.insert(name.to_owned(), value);
    };
    match role {
        Role::Producer => producer_bounds(settings, &mut set),
        Role::LogWriter => {
            set(
                "message.timeout.ms",
                millis(settings.connect_timeout).to_string(),
            );
            // The topic's own limit is the bound: see the catalog.
            set("message.max.bytes", LOG_RECORD_BYTES.to_string());
        }
        Role::Transactional => {
            set("batch.size", TRANSACTION_BATCH_BYTES.to_string());
            // A topic has accepted these records before, so the brokers decide.
            set("message.max.bytes", "1000000000".into());
        }
        Role::Reader => {
            consumer_looks(settings, &mut set);
            set("enable.partition.eof", "true".into());
        }
        Role::Member => {
            consumer_looks(settings, &mut set);
            fitting_heartbeat(settings, &mut set);
            set("enable.partition.eof", "false".into());
        }
        Role::Lookup => set("enable.partition.eof", "false".into()),
        Role::Admin => {}
    }
    if matches!(role, Role::LogWriter | Role::Admin) {
        properties.remove("transactional.id");
    }
    if matches!(role, Role::Lookup | Role::Reader) {
        properties.remove("group.id");
        properties.remove("group.instance.id");
    }
    if properties
        .get("group.protocol")
        .is_some_and(|protocol| protocol == "consumer")
    {
        // KIP-848 leaves the assignor and the timeouts to the broker and takes no setting for them.
        for name in [
            "partition.assignment.strategy",
            "session.timeout.ms",
            "heartbeat.interval.ms",
            "group.protocol.type",
        ] {
            properties.remove(name);
        }
    }
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    for (name, value) in properties {
        config.set(name, value);
    }
    config
}

/// The configuration of a client that writes under a transactional id.
pub(super) fn transactional_config(settings: &Settings, id: &str, open: Duration) -> ClientConfig {
    let mut config = client_config(settings, Role::Transactional);
    config.set("transaction.timeout.ms", millis(open).to_string());
    config.set(
        "message.timeout.ms",
        millis(transaction_step(open)).to_string(),
    );
    config.set("transactional.id", id);
    config
}

/// A consumer learns of added partitions by librdkafka's own look at its topics, every 5 minutes by default.
fn consumer_looks(settings: &Settings, set: &mut impl FnMut(&str, String)) {
    const NAME: &str = "topic.metadata.refresh.interval.ms";
    if settings
        .kafka_settings
        .get(PropertyRole::Consumer, NAME)
        .is_none()
    {
        set(
            NAME,
            millis(settings.discovery_interval).max(1000).to_string(),
        );
    }
}

/// Heartbeats that fit a short session: if the settings name a session and no heartbeat interval, three heartbeats fit
/// into the session.
fn fitting_heartbeat(settings: &Settings, set: &mut impl FnMut(&str, String)) {
    let given = |name| settings.kafka_settings.get(PropertyRole::Consumer, name);
    let session: Option<u32> = given("session.timeout.ms").and_then(|text| text.parse().ok());
    if let Some(session) = session
        && session < 3 * HEARTBEAT_MS
        && given("heartbeat.interval.ms").is_none()
    {
        set("heartbeat.interval.ms", (session / 3).max(1).to_string());
    }
}

/// The largest number of KiB of records that wait in the producer.
pub(super) fn producer_kbytes(settings: &Settings) -> usize {
    settings
        .kafka_settings
        .get(PropertyRole::Producer, "queue.buffering.max.kbytes")
        .and_then(|text| text.parse().ok())
        .unwrap_or(64 * 1024)
}

/// How many bytes a batch of the producer may have.
pub(super) fn batch_bytes(settings: &Settings) -> usize {
    settings
        .kafka_settings
        .get(PropertyRole::Producer, "batch.size")
        .and_then(|text| text.parse().ok())
        .unwrap_or(BATCH_BYTES)
}

/// How many bytes a record of the producer may have.
pub(super) fn record_bytes(settings: &Settings) -> usize {
    settings
        .kafka_settings
        .get(PropertyRole::Producer, "message.max.bytes")
        .and_then(|text| text.parse().ok())
        .unwrap_or(RECORD_BYTES)
}

/// Our own bound applies (see `producer.rs`), so librdkafka's is slightly larger.
fn producer_bounds(settings: &Settings, set: &mut impl FnMut(&str, String)) {
    let given = |name| {
        settings
            .kafka_settings
            .get(PropertyRole::Producer, name)
            .is_some()
    };
    let kbytes = producer_kbytes(settings);
    set(
        "queue.buffering.max.kbytes",
        (kbytes + kbytes / 4 + 1024).to_string(),
    );
    if !given("queue.buffering.max.messages") {
        set("queue.buffering.max.messages", "0".into());
    }
    if !given("message.timeout.ms") {
        set(
            "message.timeout.ms",
            millis(settings.delivery_timeout).to_string(),
        );
    }
}

/// Refuses what would break delivery and what librdkafka refuses, before any client is made.
pub(super) fn check(settings: &Settings) -> Result<(), ClientError> {
    settings
        .kafka_settings
        .check()
        .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
    for role in [Role::Producer, Role::Member] {
        client_config(settings, role)
            .create_native_config()
            .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
    }
    Ok(())
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(i32::MAX as u64)
}
