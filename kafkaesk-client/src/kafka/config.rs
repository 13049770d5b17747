//! Settings in, librdkafka's configuration of one client out. Knows our defaults by role; reads no files.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

use crate::{ClientError, Settings};

/// What a librdkafka client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Publishes events.
    Producer,
    /// Appends to `__schema__…` and `__streams__`: acks=all whatever the settings say.
    LogWriter,
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
        matches!(self, Self::Producer | Self::LogWriter | Self::Admin)
    }
}

/// What every client has.
const COMMON: &[(&str, &str)] = &[
    ("client.id", "kafkaesk"),
    // A quiet connection that the broker closes is no event.
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
    ("batch.size", "1000000"),
    ("batch.num.messages", "100000"),
    // Asking must not create.
    ("allow.auto.create.topics", "false"),
];

/// Fetching that is not asleep and stays small: with librdkafka's own defaults a full local queue stops fetching for a
/// second, and 64 MiB of queue make no consumer faster.
const CONSUMER: &[(&str, &str)] = &[
    ("fetch.queue.backoff.ms", "2"),
    ("queued.max.messages.kbytes", "12288"),
    ("queued.min.messages", "1000000"),
    ("fetch.message.max.bytes", "524288"),
    ("fetch.wait.max.ms", "100"),
    ("allow.auto.create.topics", "false"),
    ("isolation.level", "read_committed"),
    ("auto.offset.reset", "earliest"),
    ("partition.assignment.strategy", "cooperative-sticky"),
];

/// What no setting may change, since acknowledgement rests on it.
const CONSUMER_FIXED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
];

/// The configuration of one client. `refine` beats the connection's settings (a subscription's own).
pub(super) fn client_config(
    settings: &Settings,
    role: Role,
    refine: &BTreeMap<String, String>,
) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    set_all(&mut config, COMMON);
    set_all(
        &mut config,
        if role.produces() { PRODUCER } else { CONSUMER },
    );
    config.set("bootstrap.servers", settings.kafka_servers.join(","));
    let user = user_settings(settings, role, refine);
    if user
        .get("security.protocol")
        .is_some_and(|protocol| protocol.to_ascii_lowercase().ends_with("ssl"))
    {
        // The vendored OpenSSL's own folder does not exist on the machine that runs it.
        config.set("ssl.ca.location", "probe");
    }
    if user.contains_key("ssl.ca.pem") {
        config.remove("ssl.ca.location");
    }
    for (name, value) in &user {
        config.set(name, value);
    }
    match role {
        Role::Producer => producer_bounds(&mut config, settings, &user),
        Role::LogWriter => {
            set_all(&mut config, PRODUCER);
            config.remove("transactional.id");
            config.set("linger.ms", "0");
            config.set(
                "message.timeout.ms",
                millis(settings.connect_timeout).to_string(),
            );
        }
        Role::Admin => {
            config.remove("transactional.id");
        }
        Role::Lookup | Role::Reader => {
            set_all(&mut config, CONSUMER_FIXED);
            config.remove("group.id");
            config.remove("group.instance.id");
            config.set(
                "enable.partition.eof",
                if role == Role::Reader {
                    "true"
                } else {
                    "false"
                },
            );
        }
        Role::Member => {
            set_all(&mut config, CONSUMER_FIXED);
            config.set("enable.partition.eof", "false");
            if user
                .get("group.protocol")
                .is_some_and(|protocol| protocol == "consumer")
            {
                // KIP-848 leaves the assignor to the broker and refuses to be told.
                config.remove("partition.assignment.strategy");
            }
        }
    }
    config
}

/// How many KiB of records may wait in the producer, at most.
pub(super) fn producer_kbytes(settings: &Settings) -> usize {
    user_settings(settings, Role::Producer, &BTreeMap::new())
        .get("queue.buffering.max.kbytes")
        .and_then(|text| text.parse().ok())
        .unwrap_or(64 * 1024)
}

/// Our own bound is the one that is met (see `producer.rs`), so librdkafka's stands a little above it.
fn producer_bounds(
    config: &mut ClientConfig,
    settings: &Settings,
    user: &BTreeMap<String, String>,
) {
    let kbytes = producer_kbytes(settings);
    config.set(
        "queue.buffering.max.kbytes",
        (kbytes + kbytes / 4 + 1024).to_string(),
    );
    if !user.contains_key("queue.buffering.max.messages") {
        config.set("queue.buffering.max.messages", "0");
    }
    if !user.contains_key("message.timeout.ms") && !user.contains_key("delivery.timeout.ms") {
        config.set(
            "message.timeout.ms",
            millis(settings.delivery_timeout).to_string(),
        );
    }
}

/// The user's properties for a role, the closer one winning.
pub(super) fn user_settings(
    settings: &Settings,
    role: Role,
    refine: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let of_role = if role.produces() {
        &settings.kafka_settings.producer
    } else {
        &settings.kafka_settings.consumer
    };
    let mut user = settings.kafka_settings.common.clone();
    user.extend(of_role.clone());
    user.extend(refine.clone());
    user
}

/// Refuses what librdkafka refuses, before any client is made.
pub(super) fn check(settings: &Settings) -> Result<(), ClientError> {
    for role in [Role::Producer, Role::Reader] {
        client_config(settings, role, &BTreeMap::new())
            .create_native_config()
            .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
    }
    Ok(())
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(i32::MAX as u64)
}

fn set_all(config: &mut ClientConfig, pairs: &[(&str, &str)]) {
    for (name, value) in pairs {
        config.set(*name, *value);
    }
}
