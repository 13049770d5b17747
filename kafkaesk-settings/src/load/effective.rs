//! The effective values and their origins, as `config show` prints them. Secrets are redacted here, once for every output.

use std::collections::BTreeMap;

use figment::value::Value;
use kafkaesk_core::span::format_span;

use super::{
    kafka::{Property, Scope},
    keys::{KAFKA_SETTINGS, KEYS},
    layers::Merged,
    node::Node,
    operate,
    typed::Scalar,
};
use crate::{
    OperateSettings, REDACTED, Settings, shown_property, without_secrets, without_user_info,
};

/// One setting's effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effective {
    /// `topic-prefix`, `kafka-settings.consumer.fetch.min.bytes`, `subscriptions[0].start`.
    pub key: String,
    /// The value without secrets. Redacts sensitive properties, values of files and variables, headers, a child's
    /// environment, and user info, path and query of a handler's URL. Keeps the program, the flags and the existing
    /// files of a command.
    pub value: String,
    /// `kafkaesk.toml:3`, `environment KAFKAESK_TOPIC_PREFIX`, `flag --topic-prefix`, `default`; for a reference also
    /// its target.
    pub source: String,
    /// The environment variable that `{ env = … }` names.
    pub variable: Option<String>,
}

impl Effective {
    fn of(node: &Node, value: String) -> Self {
        let resolved = node.clone().resolved().ok();
        let led = resolved.and_then(|node| node.reference);
        Self {
            value,
            source: match &led {
                Some(reference) => format!("{} ({reference})", node.origin()),
                None => node.origin().to_string(),
            },
            variable: led.and_then(|led| Some(led.strip_prefix("variable ")?.to_owned())),
            key: node.key.clone(),
        }
    }
}

pub(super) fn list(
    merged: &Merged,
    settings: &Settings,
    operate: &OperateSettings,
) -> Vec<Effective> {
    let mut defaults = in_words(settings);
    defaults.extend(operate::in_words(operate));
    let mut list = Vec::new();
    for key in KEYS.iter().filter(|key| **key != KAFKA_SETTINGS) {
        match (merged.setting(key), defaults.get(key)) {
            (Some(node), Some(typed)) => list.push(of_setting(&node, typed)),
            (Some(node), None) => declared(node, &mut list),
            (None, Some(value)) => list.push(Effective {
                key: (*key).to_owned(),
                value: value.clone(),
                source: "default".to_owned(),
                variable: None,
            }),
            (None, None) => {}
        }
    }
    let properties = merged.properties().into_iter();
    list.extend(properties.map(|(scope, property)| of_property(scope, property)));
    list
}

/// A value for display; the items of a list are separated by spaces.
pub(super) fn shown(node: &Node) -> String {
    if is_secret(node) {
        return REDACTED.to_owned();
    }
    match &node.value {
        Value::Array(..) if node.key.ends_with(".handler.exec") => command(node),
        Value::Array(..) => joined(node, |_, item| shown(item)),
        Value::String(_, text) if node.key.ends_with(".handler.http") => without_path(text),
        Value::String(_, text) => without_secrets(text),
        Value::Bool(_, value) => value.to_string(),
        Value::Num(..) => node.number(),
        _ => node.description(),
    }
}

fn joined(list: &Node, shown: impl Fn(usize, &Node) -> String) -> String {
    // The items of a secret list are secret.
    let items = list.elements().into_iter().map(|item| Node {
        key: list.key.clone(),
        ..item
    });
    let items = items.enumerate();
    let words: Vec<String> = items.map(|(at, item)| shown(at, &item)).collect();
    words.join(" ")
}

/// A command without possible secrets: its program, its flags and the files that it names.
fn command(list: &Node) -> String {
    joined(list, |at, item| match item.value.as_str() {
        _ if is_secret(item) => REDACTED.to_owned(),
        Some(text) if at == 0 || is_flag(text) || item.path_to(text).is_file() => {
            without_secrets(text)
        }
        _ => "…".to_owned(),
    })
}

/// `-c`, `--verbose`; not `-psecret`, `--password=secret`.
fn is_flag(text: &str) -> bool {
    match text.strip_prefix("--") {
        Some(name) => name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
        None => text.starts_with('-') && text.chars().count() <= 2,
    }
}

/// A URL's scheme, host and port. User info, query and path may be secrets; the path of a webhook is one.
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

/// The content of a file or a variable is never shown.
fn is_secret(node: &Node) -> bool {
    node.is_reference() || node.reference.is_some()
}

fn of_setting(node: &Node, typed: &str) -> Effective {
    let hidden = is_secret(node) || node.elements().iter().any(is_secret);
    let value = match hidden {
        true => REDACTED.to_owned(),
        false => without_user_info(typed),
    };
    Effective::of(node, value)
}

fn of_property(scope: Scope, property: Property) -> Effective {
    let key = match scope {
        Scope::Common => format!("{KAFKA_SETTINGS}.{}", property.name),
        _ => format!("{KAFKA_SETTINGS}.{}.{}", scope.name(), property.name),
    };
    let node = Node {
        key,
        ..property.node
    };
    Effective::of(&node, property_shown(&property.name, &node))
}

fn property_shown(name: &str, node: &Node) -> String {
    match node.clone().read() {
        Ok(Scalar(text)) if !is_secret(node) => shown_property(name, &text),
        _ => REDACTED.to_owned(),
    }
}

/// `schemas`, `[[streams]]`, `[[subscriptions]]`: a row for each value, under the declaration's number.
fn declared(node: Node, list: &mut Vec<Effective>) {
    for item in node.items(true).unwrap_or_default() {
        // A declaration is not a reference, though `{ file = "Order.1.json" }` looks like one.
        match item.value.as_dict() {
            Some(_) => list.extend(item.leaves().iter().map(|(_, leaf)| row(leaf))),
            None => list.push(row(&item)),
        }
    }
}

fn row(node: &Node) -> Effective {
    let value = if let Some((_, name)) = node.key.split_once(".kafka-settings.") {
        let role = ["consumer.", "producer."];
        let name = role
            .iter()
            .find_map(|role| name.strip_prefix(role))
            .unwrap_or(name);
        property_shown(name, node)
    } else if node.key.contains(".headers.") || node.key.contains(".handler.env.") {
        // The usual place of authorization.
        REDACTED.to_owned()
    } else {
        shown(node)
    };
    Effective::of(node, value)
}

/// The typed settings as text, in the form that a setting takes.
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
        ("dead-letters", settings.dead_letters.to_string()),
        (
            "dead-letter-partitions",
            settings.dead_letter_partitions.to_string(),
        ),
        (
            "dead-letter-retention",
            format_span(settings.dead_letter_retention),
        ),
        (
            "dead-letter-headers",
            settings.dead_letter_headers.as_str().to_owned(),
        ),
        ("scaling", settings.scaling.as_str().to_owned()),
        ("catch-up", format_span(settings.catch_up)),
    ])
}
