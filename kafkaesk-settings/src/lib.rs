//! Settings: how to reach Kafka and how to behave there, as plain data. `Loader` and `Settings::load` (feature `load`)
//! read them from files, environment and flags. Opens no connection.
#![cfg_attr(feature = "load", doc = "")]
#![cfg_attr(feature = "load", doc = include_str!("../README.md"))]
#![forbid(unsafe_code)]

mod files;
mod kafka_settings;
#[cfg(feature = "load")]
mod load;
mod nearest;
mod oidc;
mod operate;
mod property;
mod redact;
mod stream_spec;

#[cfg(test)]
mod tests;

use std::time::Duration;

use kafkaesk_core::{StreamId, TopicPrefix};

pub use files::{MAX_FILE_BYTES, read_file};
pub use kafka_settings::{KafkaSettings, group_instance_id, shown_property};
#[cfg(feature = "load")]
pub use load::{
    Effective, Loaded, Loader, Origin, SchemaDeclaration, Section, SettingsError, Span,
    StreamDeclaration, Texts, Whole,
};
pub use nearest::nearest;
pub use oidc::{OidcError, OidcSettings};
pub use operate::{MetricsDetail, OperateSettings};
pub use property::{
    Property, PropertyError, Role, ValueKind, ValueProblem, canonical_property, check_property,
    properties, property_warning,
};
pub use redact::{REDACTED, without_secrets, without_user_info};
pub use stream_spec::StreamSpec;

/// How to reach Kafka and how to behave there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// `host:port` of the bootstrap brokers. Default `localhost:9092`.
    pub kafka_servers: Vec<String>,
    /// The start of every topic's name. Default empty.
    pub topic_prefix: TopicPrefix,
    /// The start of every consumer group's name. Default empty.
    pub group_prefix: String,
    /// The replication factor of topics that kafkaesk creates. Default min(brokers, 3).
    pub replication_factor: Option<u16>,
    /// Partitions of a stream that is created without a declaration. Default 7.
    pub partitions: u32,
    /// Register absent versions of Rust event types. Default true.
    pub auto_register: bool,
    /// Create and bind streams at first publish. Default true; false where `[[streams]]` are declared, so that a misspelt
    /// name creates no stream.
    pub auto_create_streams: bool,
    /// The streams that the configuration declares, for "did you mean …?". Default none.
    pub declared_streams: Vec<StreamId>,
    /// If a stored version differs from a type's own document, the start fails instead of logging a warning. Default
    /// false.
    pub strict: bool,
    /// How long the first answer of a broker may take. Default 10 s.
    pub connect_timeout: Duration,
    /// The bound of a publish while the brokers are unreachable, and of the wait for room in the queue before it.
    /// Default 120 s.
    pub delivery_timeout: Duration,
    /// The bound of a worker's whole shutdown (handlers, last commits, publishes, hooks), at least one second. Also the
    /// bound of a drain of revoked partitions. Default 25 s, less than Kubernetes' 30.
    pub shutdown_timeout: Duration,
    /// How often patterns look for new topics. Default 2 s.
    pub discovery_interval: Duration,
    /// How many bytes of key, value and headers a record may have for a consumer. The value of a larger one is dropped
    /// before it is copied, and the record is a mismatch. Default 16 MiB.
    pub max_message_bytes: usize,
    /// Whether consumer groups keep given-up messages in a topic of dead letters. Default true. With `false` there is
    /// no policy `dead-letter`: a message that used up its attempts is held, and a rejected one is logged and passed
    /// over.
    pub dead_letters: bool,
    /// Partitions of a group's topic of dead letters. Default 7.
    pub dead_letter_partitions: u32,
    /// How long dead letters are kept. Default 14 days.
    pub dead_letter_retention: Duration,
    /// The headers of a dead letter besides `kafkaesk-dead-…`.
    pub dead_letter_headers: DeadLetterHeaders,
    /// Whether the number of consumer instances of a subscription follows its load, up to its `max-concurrency`. Default
    /// [`Scaling::On`].
    pub scaling: Scaling,
    /// Within how long a backlog is to be worked off, for scaling. Default 10 min.
    pub catch_up: Duration,
    /// Any librdkafka property.
    pub kafka_settings: KafkaSettings,
}

/// Whether the number of consumer instances of a subscription follows its load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "load", derive(serde::Deserialize))]
#[cfg_attr(feature = "load", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Scaling {
    /// Instances are added and removed.
    #[default]
    On,
    /// Decisions are made, logged and shown, and change nothing.
    DryRun,
    /// Nothing is decided.
    Off,
}

impl Scaling {
    /// The word of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::DryRun => "dry-run",
            Self::Off => "off",
        }
    }
}

/// Which headers a dead letter has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "load", derive(serde::Deserialize))]
#[cfg_attr(feature = "load", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum DeadLetterHeaders {
    /// Those of the contract alone.
    #[default]
    Kafkaesk,
    /// Those of Spring Kafka as well (`kafka_dlt-…`), which existing consoles show.
    Spring,
}

impl DeadLetterHeaders {
    /// The word of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kafkaesk => "kafkaesk",
            Self::Spring => "spring",
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kafka_servers: vec!["localhost:9092".into()],
            topic_prefix: TopicPrefix::default(),
            group_prefix: String::new(),
            replication_factor: None,
            partitions: 7,
            auto_register: true,
            auto_create_streams: true,
            declared_streams: Vec::new(),
            strict: false,
            connect_timeout: Duration::from_secs(10),
            delivery_timeout: Duration::from_secs(120),
            shutdown_timeout: Duration::from_secs(25),
            discovery_interval: Duration::from_secs(2),
            max_message_bytes: 16 * 1024 * 1024,
            dead_letters: true,
            dead_letter_partitions: 7,
            dead_letter_retention: Duration::from_secs(14 * 24 * 60 * 60),
            dead_letter_headers: DeadLetterHeaders::default(),
            scaling: Scaling::default(),
            catch_up: Duration::from_secs(600),
            kafka_settings: KafkaSettings::default(),
        }
    }
}

impl Settings {
    /// The defaults, towards these bootstrap brokers (comma separated).
    pub fn new(kafka_servers: &str) -> Self {
        Self {
            kafka_servers: kafka_servers
                .split(',')
                .map(|s| s.trim().to_owned())
                .collect(),
            ..Self::default()
        }
    }
}
