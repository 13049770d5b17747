//! Input: the merged values. Output: [`Settings`]. The only place with the type and bounds of each setting.

use std::time::Duration;

use kafkaesk_core::TopicPrefix;
use serde::{Deserialize, Deserializer, de::value::MapDeserializer};

use super::{
    Origin, SettingsError, kafka,
    keys::KEYS,
    layers::Merged,
    limits::{
        DAY, HOUR, MAX_GROUP_PREFIX, MAX_MESSAGE, MAX_PARTITIONS, MAX_REPLICATION, MAX_RETENTION,
        MIN_MESSAGE, MINUTE, SECOND,
    },
    node::Node,
    typed::{Span, Whole},
};
use crate::{KafkaSettings, Settings};

/// The settings of one value each, as serde reads them.
#[derive(Deserialize)]
#[serde(
    remote = "Settings",
    default = "Settings::default",
    rename_all = "kebab-case"
)]
struct Plain {
    #[serde(skip)]
    kafka_servers: Vec<String>,
    #[serde(skip)]
    topic_prefix: TopicPrefix,
    #[serde(skip)]
    group_prefix: String,
    #[serde(deserialize_with = "replication_factor")]
    replication_factor: Option<u16>,
    #[serde(deserialize_with = "whole::<1, MAX_PARTITIONS, _, _>")]
    partitions: u32,
    auto_register: bool,
    auto_create_streams: bool,
    #[serde(skip)]
    declared_streams: Vec<kafkaesk_core::StreamId>,
    strict: bool,
    #[serde(deserialize_with = "span::<SECOND, HOUR, _>")]
    connect_timeout: Duration,
    #[serde(deserialize_with = "span::<SECOND, DAY, _>")]
    delivery_timeout: Duration,
    #[serde(deserialize_with = "span::<0, HOUR, _>")]
    shutdown_timeout: Duration,
    #[serde(deserialize_with = "span::<{ SECOND / 10 }, HOUR, _>")]
    discovery_interval: Duration,
    #[serde(deserialize_with = "whole::<MIN_MESSAGE, MAX_MESSAGE, _, _>")]
    max_message_bytes: usize,
    dead_letters: bool,
    #[serde(deserialize_with = "whole::<1, MAX_PARTITIONS, _, _>")]
    dead_letter_partitions: u32,
    #[serde(deserialize_with = "span::<MINUTE, MAX_RETENTION, _>")]
    dead_letter_retention: Duration,
    dead_letter_headers: crate::DeadLetterHeaders,
    scaling: crate::Scaling,
    #[serde(deserialize_with = "span::<SECOND, DAY, _>")]
    catch_up: Duration,
    #[serde(skip)]
    kafka_settings: KafkaSettings,
}

fn whole<'de, const LEAST: i64, const MOST: i64, T: TryFrom<i64>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Whole::<T, LEAST, MOST>::deserialize(deserializer).map(|whole| whole.0)
}

fn span<'de, const LEAST: u64, const MOST: u64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    Span::<LEAST, MOST>::deserialize(deserializer).map(|span| span.0)
}

fn replication_factor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    whole::<1, MAX_REPLICATION, _, _>(deserializer).map(Some)
}

pub(super) fn settings(
    merged: &Merged,
    warnings: &mut Vec<String>,
) -> Result<Settings, SettingsError> {
    let values = KEYS
        .iter()
        .filter_map(|key| Some((*key, merged.setting(key)?)));
    let mut settings = Plain::deserialize(MapDeserializer::new(values))
        .map_err(|problem| problem.at(&merged.root))?;
    if let Some(node) = merged.setting("kafka-servers") {
        settings.kafka_servers = servers(node)?;
    }
    if let Some(node) = merged.setting("topic-prefix") {
        settings.topic_prefix = TopicPrefix::new(node.clone().read::<String>()?)
            .map_err(|error| node.error(error.to_string()))?;
    }
    if let Some(node) = merged.setting("group-prefix") {
        settings.group_prefix = group_prefix(node)?;
    }
    settings.kafka_settings = kafka_settings(merged, warnings)?;
    Ok(settings)
}

fn kafka_settings(
    merged: &Merged,
    warnings: &mut Vec<String>,
) -> Result<KafkaSettings, SettingsError> {
    let mut settings = KafkaSettings::default();
    let properties = merged.properties();
    let origin = |name: &str| {
        let property = properties
            .iter()
            .rfind(|(_, property)| property.name == name);
        property.map(|(_, property)| property.node.origin())
    };
    for (scope, property) in properties.clone() {
        kafka::insert(&mut settings, scope, property)?;
    }
    for (name, warning) in settings.warnings() {
        if let Some(origin) = origin(&name) {
            warnings.push(format!("{origin}: `{name}`: {warning}"));
        }
    }
    settings.oidc().map_err(|problem| SettingsError::Oidc {
        origin: ["sasl.mechanism", "sasl.mechanisms"]
            .into_iter()
            .find_map(origin)
            .unwrap_or_else(Origin::default),
        problem,
    })?;
    Ok(settings)
}

fn servers(node: Node) -> Result<Vec<String>, SettingsError> {
    const ADDRESS: &str = "write `host:port`, such as \"localhost:9092\"";
    let mut servers = Vec::new();
    for item in node.clone().items(true)? {
        let item = item.resolved()?;
        // A reference in a list may itself hold several.
        for server in item.clone().read::<String>()?.split(',').map(str::trim) {
            if !is_server(server) {
                return Err(item.expected(&format!("a broker address; {ADDRESS}")));
            }
            servers.push(server.to_owned());
        }
    }
    match servers.is_empty() {
        true => Err(node.error(format!("there is no broker in it; {ADDRESS}"))),
        false => Ok(servers),
    }
}

/// `host`, `host:port` or `[v6]:port`; without a port librdkafka takes 9092.
fn is_server(server: &str) -> bool {
    let (host, port) = match server.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((host, "")) => return host.parse::<std::net::Ipv6Addr>().is_ok(),
            Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("v6", rest.strip_prefix(':'))
            }
            _ => return false,
        },
        None => match server.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => return is_host(server),
        },
    };
    is_host(host)
        && port.is_some_and(|port| {
            port.bytes().all(|b| b.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn group_prefix(node: Node) -> Result<String, SettingsError> {
    let prefix: String = node.clone().read()?;
    if prefix.len() > MAX_GROUP_PREFIX || prefix.chars().any(char::is_control) {
        return Err(node.error(format!(
            "a group prefix has at most {MAX_GROUP_PREFIX} bytes and no control characters"
        )));
    }
    Ok(prefix)
}
