//! What counts and where it came from, as `config show` prints it. Secrets are redacted here, once for every output.

use std::{collections::BTreeMap, sync::Arc};

use kafkaesk_core::span::format_span;

use super::{
    context::{Context, Field},
    kafka::Scope,
    keys::{KAFKA_SETTINGS, KEYS},
    layers::Winner,
    resolve::Resolver,
    value::{Data, Value},
};
use crate::settings::{REDACTED, Settings, shown_property, without_user_info};

/// One setting's effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effective {
    /// `topic-prefix`, `kafka-settings.consumer.fetch.min.bytes`.
    pub key: String,
    /// As it may be shown: sensitive properties, values of files and variables, and user info in URLs are redacted.
    pub value: String,
    /// `kafkaesk.toml:3`, `environment KAFKAESK_TOPIC_PREFIX`, `flag --topic-prefix`, `default`; for a reference,
    /// what it leads to in addition.
    pub source: String,
}

pub(super) fn list(resolver: &Resolver<'_>, settings: &Settings) -> Vec<Effective> {
    let defaults = in_words(settings);
    let mut list = Vec::new();
    for key in KEYS.iter().filter(|key| **key != KAFKA_SETTINGS) {
        let field = resolver.field(key);
        let Some(field) = field else {
            if let Some(value) = defaults.get(key) {
                list.push(Effective {
                    key: (*key).to_owned(),
                    value: value.clone(),
                    source: "default".to_owned(),
                });
            }
            continue;
        };
        list.push(of_setting(key, field, defaults.get(key)));
    }
    list.extend(
        resolver
            .properties()
            .map(|(scope, winner)| of_property(resolver.context, scope, winner)),
    );
    list
}

fn of_setting(key: &str, field: Field, typed: Option<&String>) -> Effective {
    let source = source(&field.value, &field);
    let hidden = holds_reference(&field.value);
    let value = match typed {
        _ if hidden => REDACTED.to_owned(),
        Some(value) => without_user_info(value),
        None => summary(&field.value),
    };
    Effective {
        key: key.to_owned(),
        value,
        source,
    }
}

fn of_property(context: &Arc<Context>, scope: Scope, winner: &Winner) -> Effective {
    let name = &winner.setting.name;
    let value = &winner.setting.value;
    let field = Field::new(context, name.clone(), value.clone());
    let key = match scope {
        Scope::Common => format!("{KAFKA_SETTINGS}.{name}"),
        _ => format!("{KAFKA_SETTINGS}.{}.{name}", scope.name()),
    };
    let source = source(value, &field);
    let shown = if value.is_reference() || value.reference.is_some() {
        REDACTED.to_owned()
    } else {
        field
            .scalar_text()
            .map_or_else(|_| REDACTED.to_owned(), |text| shown_property(name, &text))
    };
    Effective {
        key,
        value: shown,
        source,
    }
}

fn source(value: &Value, field: &Field) -> String {
    let led = field
        .clone()
        .resolved()
        .ok()
        .and_then(|f| f.value.reference);
    match led {
        Some(reference) => format!("{} ({reference})", value.origin),
        None => value.origin.to_string(),
    }
}

fn holds_reference(value: &Value) -> bool {
    value.is_reference()
        || matches!(&value.data, Data::List(items) if items.iter().any(|item| {
            item.is_reference() && !matches!(&item.data, Data::Table(table) if names_schema(table))
        }))
}

/// In `schemas`, `{ file = … }` declares a schema and holds no secret.
fn names_schema(table: &super::value::Table) -> bool {
    table.get("file").is_some_and(|file| match &file.data {
        Data::Text(path) => path.ends_with(".json"),
        _ => false,
    })
}

/// Tables are counted, not shown: `config show` is about settings.
fn summary(value: &Value) -> String {
    match &value.data {
        Data::List(items) => items
            .iter()
            .map(|item| match &item.data {
                Data::Table(table) => ["name", "file", "group", "pattern"]
                    .iter()
                    .find_map(|key| match table.get(*key).map(|v| &v.data) {
                        Some(Data::Text(text)) => Some(text.clone()),
                        _ => None,
                    })
                    .unwrap_or_else(|| "(table)".to_owned()),
                Data::Text(text) | Data::Untyped(text) => text.clone(),
                _ => item.describe(),
            })
            .collect::<Vec<_>>()
            .join(", "),
        Data::Text(text) | Data::Untyped(text) => without_user_info(text),
        _ => value.describe(),
    }
}

/// The typed settings in words, spelled so that they could be set so.
fn in_words(settings: &Settings) -> BTreeMap<&'static str, String> {
    let replication = match settings.replication_factor {
        Some(factor) => factor.to_string(),
        None => "min(brokers, 3)".to_owned(),
    };
    BTreeMap::from([
        ("kafka-servers", settings.kafka_servers.join(",")),
        ("topic-prefix", settings.topic_prefix.to_string()),
        ("group-prefix", settings.group_prefix.clone()),
        ("replication-factor", replication),
        ("partitions", settings.partitions.to_string()),
        ("auto-register", settings.auto_register.to_string()),
        (
            "auto-create-streams",
            settings.auto_create_streams.to_string(),
        ),
        ("strict", settings.strict.to_string()),
        ("connect-timeout", format_span(settings.connect_timeout)),
        ("delivery-timeout", format_span(settings.delivery_timeout)),
        ("shutdown-timeout", format_span(settings.shutdown_timeout)),
        (
            "discovery-interval",
            format_span(settings.discovery_interval),
        ),
    ])
}
