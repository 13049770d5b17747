//! Types the winning values into [`Settings`] and declarations. The only place that says what each setting takes.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use kafkaesk_core::TopicPrefix;

use super::{
    Origin, SettingsError,
    context::{Context, Field},
    declarations::{MAX_PARTITIONS, MAX_REPLICATION},
    kafka::{self, Scope},
    keys::KAFKA_SETTINGS,
    layers::{Path, Winner},
};
use crate::Settings;

const SECOND: Duration = Duration::from_secs(1);
/// What a record may have, in bytes: librdkafka takes no more than 2^30 - 1 in one message.
const MESSAGE_BYTES: RangeInclusive<i64> = 1024..=(1 << 30);
const HOUR: Duration = Duration::from_secs(3600);
/// Kafka's own limit on a group's name, shared with topics; a prefix leaves room for a name behind it.
const MAX_GROUP_PREFIX: usize = 200;

/// Winners, looked up by key.
pub(super) struct Resolver<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) winners: &'a BTreeMap<Path, Winner>,
}

impl Resolver<'_> {
    pub(super) fn field(&self, key: &str) -> Option<Field> {
        let winner = self.winners.get(&vec![key.to_owned()])?;
        Some(Field::new(self.context, key, winner.setting.value.clone()))
    }

    pub(super) fn settings(&self, warnings: &mut Vec<String>) -> Result<Settings, SettingsError> {
        let mut settings = Settings::default();
        if let Some(field) = self.field("kafka-servers") {
            settings.kafka_servers = servers(field)?;
        }
        if let Some(field) = self.field("topic-prefix") {
            settings.topic_prefix = TopicPrefix::new(field.clone().text()?)
                .map_err(|error| field.error(error.to_string()))?;
        }
        if let Some(field) = self.field("group-prefix") {
            settings.group_prefix = group_prefix(field)?;
        }
        if let Some(number) = self.integer("replication-factor", 1..=MAX_REPLICATION)? {
            settings.replication_factor = u16::try_from(number).ok();
        }
        if let Some(number) = self.integer("partitions", 1..=MAX_PARTITIONS)? {
            settings.partitions = u32::try_from(number).unwrap_or(settings.partitions);
        }
        if let Some(number) = self.integer("max-message-bytes", MESSAGE_BYTES)? {
            settings.max_message_bytes =
                usize::try_from(number).unwrap_or(settings.max_message_bytes);
        }
        for (key, place) in [
            ("auto-register", &mut settings.auto_register),
            ("auto-create-streams", &mut settings.auto_create_streams),
            ("strict", &mut settings.strict),
        ] {
            if let Some(field) = self.field(key) {
                *place = field.boolean()?;
            }
        }
        for (key, place, range) in [
            (
                "connect-timeout",
                &mut settings.connect_timeout,
                SECOND..=HOUR,
            ),
            (
                "delivery-timeout",
                &mut settings.delivery_timeout,
                SECOND..=24 * HOUR,
            ),
            (
                "shutdown-timeout",
                &mut settings.shutdown_timeout,
                Duration::ZERO..=HOUR,
            ),
            (
                "discovery-interval",
                &mut settings.discovery_interval,
                SECOND / 10..=HOUR,
            ),
        ] {
            if let Some(field) = self.field(key) {
                *place = field.span(range)?;
            }
        }
        self.kafka_settings(&mut settings, warnings)?;
        Ok(settings)
    }

    fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, SettingsError> {
        self.field(key)
            .map(|field| field.integer(range))
            .transpose()
    }

    fn kafka_settings(
        &self,
        settings: &mut Settings,
        warnings: &mut Vec<String>,
    ) -> Result<(), SettingsError> {
        let mut origins = BTreeMap::new();
        for (scope, winner) in self.properties() {
            let setting = winner.setting.clone();
            origins.insert(setting.name.clone(), setting.value.origin.clone());
            kafka::insert(&mut settings.kafka_settings, self.context, scope, setting)?;
        }
        for (name, warning) in settings.kafka_settings.warnings() {
            if let Some(origin) = origins.get(&name) {
                warnings.push(format!("{origin}: `{name}`: {warning}"));
            }
        }
        settings.kafka_settings.oidc().map(drop).map_err(|problem| {
            let origin = ["sasl.mechanism", "sasl.mechanisms"]
                .iter()
                .find_map(|name| origins.get(*name).cloned())
                .unwrap_or(Origin::Default);
            SettingsError::Oidc { origin, problem }
        })
    }

    /// Every property that counts, with its scope.
    pub(super) fn properties(&self) -> impl Iterator<Item = (Scope, &Winner)> {
        self.winners.iter().filter_map(|(path, winner)| {
            let [root, scope, _] = path.as_slice() else {
                return None;
            };
            let scope = Scope::ALL.into_iter().find(|known| known.name() == scope)?;
            (root == KAFKA_SETTINGS).then_some((scope, winner))
        })
    }
}

fn servers(field: Field) -> Result<Vec<String>, SettingsError> {
    let mut servers = Vec::new();
    for item in field.clone().items(true)? {
        let item = item.resolved()?;
        // A reference in a list may itself hold several.
        for server in item.clone().text()?.split(',').map(str::trim) {
            if !is_server(server) {
                return Err(item.error(format!(
                    "{} is not a broker address; write `host:port`, such as \"localhost:9092\"",
                    item.value.describe()
                )));
            }
            servers.push(server.to_owned());
        }
    }
    if servers.is_empty() {
        return Err(
            field.error("there is no broker in it; write `host:port`, such as \"localhost:9092\"")
        );
    }
    Ok(servers)
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

fn group_prefix(field: Field) -> Result<String, SettingsError> {
    let prefix = field.clone().text()?;
    if prefix.len() > MAX_GROUP_PREFIX || prefix.chars().any(char::is_control) {
        return Err(field.error(format!(
            "a group prefix has at most {MAX_GROUP_PREFIX} bytes and no control characters"
        )));
    }
    Ok(prefix)
}
