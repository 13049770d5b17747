//! The settings' names: one each, spelled alike in the file, in the environment and on the command line.

use super::{Origin, SettingsError, error::hint, value::Table};

/// Before every variable.
pub(super) const VARIABLE_PREFIX: &str = "KAFKAESK_";

/// What may stand at the top of a file and in a profile.
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
    KAFKA_SETTINGS,
    "schemas",
    "streams",
    "subscriptions",
];

/// Merged by key; every other setting is replaced whole.
pub(super) const KAFKA_SETTINGS: &str = "kafka-settings";

/// Tables that no variable or flag could hold.
pub(super) const FILE_ONLY: &[&str] = &["streams", "subscriptions"];

/// `topic-prefix` → `KAFKAESK_TOPIC_PREFIX`.
pub(super) fn variable_of(key: &str) -> String {
    format!(
        "{VARIABLE_PREFIX}{}",
        key.to_ascii_uppercase().replace('-', "_")
    )
}

/// Refuses the first unknown key of a file or profile, in the file's order.
pub(super) fn check_known(table: &Table, around: &str, root: bool) -> Result<(), SettingsError> {
    let known = KEYS.iter().copied().chain(root.then_some("profile"));
    let unknown = table
        .iter()
        .filter(|(key, _)| !known.clone().any(|known| known == key.as_str()))
        .min_by_key(|(_, value)| match value.origin {
            Origin::File { line, .. } => line,
            _ => 0,
        });
    match unknown {
        None => Ok(()),
        Some((key, value)) => Err(SettingsError::UnknownKey {
            key: format!("{around}{key}"),
            origin: value.origin.clone(),
            hint: hint(key, known),
        }),
    }
}
