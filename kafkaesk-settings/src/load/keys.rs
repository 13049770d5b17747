//! The names of the settings. File, environment and command line share them.

/// The start of every variable's name.
pub(super) const VARIABLE_PREFIX: &str = "KAFKAESK_";

/// The keys at the top of a file and in a profile.
pub(super) const KEYS: &[&str] = &[
    "kafka-servers",
    "topic-prefix",
    "group-prefix",
    "replication-factor",
    "partitions",
    "auto-register",
    "auto-create-streams",
    "strict",
    "connect-timeout",
    "delivery-timeout",
    "shutdown-timeout",
    "discovery-interval",
    "max-message-bytes",
    "dead-letters",
    "dead-letter-partitions",
    "dead-letter-retention",
    "dead-letter-headers",
    "scaling",
    "catch-up",
    "operate-listen",
    "operate-token",
    "operate-linger",
    "operate-show-keys",
    "metrics-detail",
    "metrics-max-series",
    "metrics-file",
    "lag-interval",
    "lag-window",
    "lag-allowed",
    "alive-within",
    "otel-endpoint",
    "trace-parent-max-age",
    "stall-after",
    KAFKA_SETTINGS,
    "schemas",
    "streams",
    "subscriptions",
];

/// Merged by key; every other setting is replaced whole.
pub(super) const KAFKA_SETTINGS: &str = "kafka-settings";

/// Tables, which no variable or flag can hold.
pub(super) const FILE_ONLY: &[&str] = &["streams", "subscriptions"];

/// `topic-prefix` → `KAFKAESK_TOPIC_PREFIX`.
pub(super) fn variable_of(key: &str) -> String {
    format!(
        "{VARIABLE_PREFIX}{}",
        key.to_ascii_uppercase().replace('-', "_")
    )
}
