//! Isolates `dev`. Input: the project's settings. Output: settings that reach this machine alone, and what was left out.

use std::collections::BTreeMap;

use kafkaesk_client::Settings;

use crate::configuration::SubscriptionSettings;

/// Where the dev broker listens when the settings name no loopback address.
const DEFAULT_ADDRESS: &str = "127.0.0.1:9092";

/// Settings for `dev`.
#[derive(Debug)]
pub(super) struct Isolated {
    /// Where to listen: `host:port` on loopback.
    pub(super) address: String,
    /// The settings without remote servers and without their security settings.
    pub(super) settings: Settings,
    /// What was left out, for people.
    pub(super) notes: Vec<String>,
    /// Whether security settings were left out: a command in another terminal must leave them out as well.
    pub(super) hides_security: bool,
}

/// Removes everything that leads to another machine, also from the subscriptions' settings.
pub(super) fn isolate(settings: &Settings, subscriptions: &mut [SubscriptionSettings]) -> Isolated {
    let mut settings = settings.clone();
    let mut notes = Vec::new();
    let address = match settings.kafka_servers.iter().find(|s| is_loopback(s)) {
        Some(server) => server.clone(),
        None => {
            notes.push(format!(
                "note: kafka-servers {} is not on this machine and is not contacted; the dev broker stands in for it",
                settings.kafka_servers.join(",")
            ));
            DEFAULT_ADDRESS.to_owned()
        }
    };
    let kafka = &mut settings.kafka_settings;
    let tables = [&mut kafka.common, &mut kafka.consumer, &mut kafka.producer]
        .into_iter()
        .chain(subscriptions.iter_mut().map(|it| &mut it.kafka_settings));
    let hides_security = tables.fold(false, |hides, table| drop_security(table) | hides);
    if hides_security {
        notes.push(
            "note: security.*, sasl.* and ssl.* of kafka-settings are left out; the dev broker has none".into(),
        );
    }
    Isolated {
        address,
        settings,
        notes,
        hides_security,
    }
}

/// Whether a `host:port` is on this machine's loopback. Asks no name service.
pub(super) fn is_loopback(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn drop_security(table: &mut BTreeMap<String, String>) -> bool {
    let before = table.len();
    table.retain(|name, _| {
        !["security.", "sasl.", "ssl.", "enable.ssl.", "enable.sasl."]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    });
    table.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_used() {
        for server in ["localhost:9092", "127.0.0.1:1", "127.9.9.9:1", "[::1]:9092"] {
            assert!(is_loopback(server), "{server}");
        }
        for server in ["kafka-1:9093", "10.0.0.1:9092", "localhost.example:9092"] {
            assert!(!is_loopback(server), "{server}");
        }
        let mut settings = Settings::new("kafka-1:9093");
        settings
            .kafka_settings
            .common
            .insert("sasl.password".into(), "secret".into());
        let isolated = isolate(&settings, &mut []);
        assert_eq!(isolated.address, DEFAULT_ADDRESS);
        assert!(isolated.settings.kafka_settings.common.is_empty());
        assert_eq!(isolated.notes.len(), 2);
        assert!(isolated.notes.iter().all(|note| !note.contains("secret")));
    }
}
