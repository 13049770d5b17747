//! What counts and where it came from, as `config show` prints it. Secrets are redacted here, once for every output.

use std::{collections::BTreeMap, sync::Arc};

use kafkaesk_core::span::format_span;

use super::{
    context::{Context, Field},
    kafka::Scope,
    keys::{KAFKA_SETTINGS, KEYS},
    layers::Winner,
    resolve::Resolver,
    value::{Data, Table, Value},
};
use crate::{REDACTED, Settings, redact::without_secrets, shown_property, without_user_info};

/// One setting's effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effective {
    /// `topic-prefix`, `kafka-settings.consumer.fetch.min.bytes`, `subscriptions[0].start`.
    pub key: String,
    /// As it may be shown: sensitive properties, values of files and variables, headers, a child's environment, and user
    /// info, path and query of a handler's URL are redacted. Of a command the program, flags, and names of files that
    /// are there remain.
    pub value: String,
    /// `kafkaesk.toml:3`, `environment KAFKAESK_TOPIC_PREFIX`, `flag --topic-prefix`, `default`; for a reference,
    /// what it leads to in addition.
    pub source: String,
    /// The environment's variable that `{ env = … }` names for it.
    pub variable: Option<String>,
}

pub(super) fn list(resolver: &Resolver<'_>, settings: &Settings) -> Vec<Effective> {
    let defaults = in_words(settings);
    let mut list = Vec::new();
    for key in KEYS.iter().filter(|key| **key != KAFKA_SETTINGS) {
        match (resolver.field(key), defaults.get(key)) {
            (Some(field), Some(typed)) => list.push(of_setting(field, typed)),
            (Some(field), None) => declared(field, &mut list),
            (None, Some(value)) => list.push(Effective {
                key: (*key).to_owned(),
                value: value.clone(),
                source: "default".to_owned(),
                variable: None,
            }),
            (None, None) => {}
        }
    }
    list.extend(
        resolver
            .properties()
            .map(|(scope, winner)| of_property(resolver.context, scope, winner)),
    );
    list
}

/// A value as it may be shown, the items of a list with spaces between them.
pub(super) fn shown(context: &Context, key: &str, value: &Value) -> String {
    if is_secret(value) {
        return REDACTED.to_owned();
    }
    match &value.data {
        Data::List(items) if key.ends_with(".handler.exec") => command(context, items),
        Data::List(items) => {
            let items = items.iter().map(|item| shown(context, key, item));
            items.collect::<Vec<_>>().join(" ")
        }
        Data::Text(text) | Data::Untyped(text) if key.ends_with(".handler.http") => {
            without_path(text)
        }
        Data::Text(text) | Data::Untyped(text) => without_secrets(text),
        Data::Integer(number) => number.to_string(),
        Data::Boolean(value) => value.to_string(),
        Data::Other { text, .. } => text.clone(),
        Data::Table(_) => value.describe(),
    }
}

/// A command without what may be a secret: its program, its flags and the files that it names.
fn command(context: &Context, items: &[Value]) -> String {
    let words = items.iter().enumerate().map(|(at, item)| match &item.data {
        _ if is_secret(item) => REDACTED.to_owned(),
        Data::Text(text) => {
            let is_file = || context.path(&item.origin, text).is_file();
            match at == 0 || is_flag(text) || is_file() {
                true => without_secrets(text),
                false => "…".to_owned(),
            }
        }
        _ => "…".to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `-c`, `--verbose`; not `-psecret`, `--password=secret`.
fn is_flag(text: &str) -> bool {
    match text.strip_prefix("--") {
        Some(name) => name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
        None => text.starts_with('-') && text.chars().count() <= 2,
    }
}

/// A URL's scheme, host and port; the path, like user info and query, may be a secret, as a webhook's is.
fn without_path(url: &str) -> String {
    let shown = without_secrets(url);
    let Some((scheme, rest)) = shown.split_once("://") else {
        return "…".to_owned();
    };
    match rest.find(['/', '?', '#']) {
        Some(end) if rest[end..].len() > 1 => format!("{scheme}://{}/…", &rest[..end]),
        _ => shown,
    }
}

/// What stands in a file or a variable is never shown.
fn is_secret(value: &Value) -> bool {
    value.is_reference() || value.reference.is_some()
}

fn of_setting(field: Field, typed: &str) -> Effective {
    let hidden = is_secret(&field.value)
        || matches!(&field.value.data, Data::List(items) if items.iter().any(is_secret));
    let (source, variable) = source(&field);
    Effective {
        value: if hidden {
            REDACTED.to_owned()
        } else {
            without_user_info(typed)
        },
        source,
        variable,
        key: field.key,
    }
}

fn of_property(context: &Arc<Context>, scope: Scope, winner: &Winner) -> Effective {
    let name = &winner.setting.name;
    let key = match scope {
        Scope::Common => format!("{KAFKA_SETTINGS}.{name}"),
        _ => format!("{KAFKA_SETTINGS}.{}.{name}", scope.name()),
    };
    let field = Field::new(context, key, winner.setting.value.clone());
    let (source, variable) = source(&field);
    Effective {
        value: property_shown(name, &field),
        source,
        variable,
        key: field.key,
    }
}

fn property_shown(name: &str, field: &Field) -> String {
    if is_secret(&field.value) {
        return REDACTED.to_owned();
    }
    field
        .clone()
        .scalar_text()
        .map_or_else(|_| REDACTED.to_owned(), |text| shown_property(name, &text))
}

/// `schemas`, `[[streams]]`, `[[subscriptions]]`: a row for each value, under the declaration's number.
fn declared(field: Field, list: &mut Vec<Effective>) {
    for item in field.items(true).unwrap_or_default() {
        match &item.value.data {
            // A declaration is not a reference, though `{ file = "Order.1.json" }` looks like one.
            Data::Table(table) => members(&item, table, list),
            _ => list.push(row(item)),
        }
    }
}

fn members(around: &Field, table: &Table, list: &mut Vec<Effective>) {
    for (name, value) in table {
        let key = format!("{}.{name}", around.key);
        let field = Field::new(&around.context, key, value.clone());
        match &field.value.data {
            Data::Table(table) if !is_secret(value) => members(&field, table, list),
            _ => list.push(row(field)),
        }
    }
}

fn row(field: Field) -> Effective {
    let value = if let Some((_, name)) = field.key.split_once(".kafka-settings.") {
        let role = ["consumer.", "producer."];
        let name = role
            .iter()
            .find_map(|role| name.strip_prefix(role))
            .unwrap_or(name);
        property_shown(name, &field)
    } else if field.key.contains(".headers.") || field.key.contains(".handler.env.") {
        // Where authorization stands.
        REDACTED.to_owned()
    } else {
        shown(&field.context, &field.key, &field.value)
    };
    let (source, variable) = source(&field);
    Effective {
        value,
        source,
        variable,
        key: field.key,
    }
}

/// Where a value came from, and the variable that it was read from by a reference.
fn source(field: &Field) -> (String, Option<String>) {
    let led = field
        .clone()
        .resolved()
        .ok()
        .and_then(|f| f.value.reference);
    match led {
        Some(reference) => (
            format!("{} ({reference})", field.value.origin),
            reference.strip_prefix("variable ").map(str::to_owned),
        ),
        None => (field.value.origin.to_string(), None),
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
        ("max-message-bytes", settings.max_message_bytes.to_string()),
    ])
}
