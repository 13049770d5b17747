//! Names of OpenTelemetry: the span attributes of the messaging conventions, all in the state "Development", and our own.

/// The version of the conventions.
pub(super) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

pub(super) const SYSTEM: &str = "messaging.system";
pub(super) const KAFKA: &str = "kafka";
pub(super) const OPERATION_NAME: &str = "messaging.operation.name";
pub(super) const OPERATION_TYPE: &str = "messaging.operation.type";
pub(super) const SEND: &str = "send";
pub(super) const PROCESS: &str = "process";
/// The whole topic name.
pub(super) const DESTINATION: &str = "messaging.destination.name";
/// The subscription's pattern behind the topics' prefix, where it has wildcards.
pub(super) const TEMPLATE: &str = "messaging.destination.template";
/// As text.
pub(super) const PARTITION: &str = "messaging.destination.partition.id";
pub(super) const OFFSET: &str = "messaging.kafka.offset";
pub(super) const GROUP: &str = "messaging.consumer.group.name";
pub(super) const CLIENT: &str = "messaging.client.id";
/// Left out until a broker named it.
pub(super) const CLUSTER: &str = "messaging.kafka.cluster.id";
/// The event's own identity, `kafkaesk-id`.
pub(super) const MESSAGE_ID: &str = "messaging.message.id";
/// Only of a batch.
pub(super) const MESSAGES: &str = "messaging.batch.message_count";
/// Only with `operate-show-keys`, and only where it is text.
pub(super) const KEY: &str = "messaging.kafka.message.key";
/// One word of a closed list.
pub(super) const ERROR: &str = "error.type";

/// Our own: the event's schema id.
pub(super) const SCHEMA: &str = "kafkaesk.schema";
/// Our own: 1 for the first attempt in this process.
pub(super) const ATTEMPT: &str = "kafkaesk.attempt";
