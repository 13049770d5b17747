//! Input: a table `kafka-settings`. Output: librdkafka properties by role, with checked names, roles and values.

use std::{collections::BTreeMap, path::Path};

use figment::value::Value;

use super::{SettingsError, json_text, node::Node, typed::Scalar};
use crate::{
    KafkaSettings, MAX_FILE_BYTES, PropertyError, REDACTED, Role, check_property,
    files::check_file, kafka_settings::check_for,
};

/// A property as a layer sets it.
#[derive(Clone)]
pub(super) struct Property {
    /// As written, perhaps an alias.
    pub(super) name: String,
    pub(super) node: Node,
}

impl Property {
    fn new(name: String, node: Node) -> Self {
        let key = format!("kafka-settings.{name}");
        Self {
            name,
            node: Node { key, ..node },
        }
    }

    /// The property as figment merges it: a list, which a later layer replaces whole.
    pub(super) fn into_value(self) -> Value {
        let reference = self.node.reference.map(Value::from);
        let parts = [Value::from(self.name), self.node.value];
        Value::from(parts.into_iter().chain(reference).collect::<Vec<_>>())
    }

    /// The inverse of [`Self::into_value`]; `None` if a later layer unset the property.
    pub(super) fn from_value(node: Node) -> Option<Self> {
        let (name, value, reference) = match node.value.as_array()? {
            [name, value] => (name, value, None),
            [name, value, reference] => (name, value, reference.as_str()),
            _ => return None,
        };
        let mut inner = node.with(value.clone());
        inner.reference = reference.map(str::to_owned);
        Some(Self::new(name.as_str()?.to_owned(), inner))
    }

    fn refused(&self, problem: PropertyError) -> SettingsError {
        SettingsError::Property {
            origin: self.node.origin(),
            problem,
        }
    }
}

/// Properties by scope and canonical name.
pub(super) type Properties = BTreeMap<(Scope, &'static str), Property>;

/// The table that a property is set in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Common,
    Consumer,
    Producer,
}

impl Scope {
    pub(super) const ALL: [Scope; 3] = [Scope::Common, Scope::Consumer, Scope::Producer];

    pub(super) fn name(self) -> &'static str {
        match self {
            Scope::Common => "common",
            Scope::Consumer => "consumer",
            Scope::Producer => "producer",
        }
    }

    fn role(self) -> Role {
        match self {
            Scope::Common => Role::Both,
            Scope::Consumer => Role::Consumer,
            Scope::Producer => Role::Producer,
        }
    }
}

/// Checks and resolves a whole table for consumers only; its `consumer` table wins.
pub(super) fn read_consumer(node: Node) -> Result<BTreeMap<String, String>, SettingsError> {
    let mut settings = KafkaSettings::default();
    for ((scope, _), property) in flatten(node)? {
        let role = check_property(&property.name).map_or(Role::Both, |known| known.role);
        if scope == Scope::Producer || !role.applies_to(Role::Consumer) {
            return Err(property.node.error("it is for producers, and a subscription has none; set it in the configuration's own `kafka-settings.producer`"));
        }
        insert(&mut settings, scope, property)?;
    }
    let mut properties = settings.common;
    properties.extend(settings.consumer);
    Ok(properties)
}

/// Resolves the value of one property, checks it, and adds it.
pub(super) fn insert(
    settings: &mut KafkaSettings,
    scope: Scope,
    property: Property,
) -> Result<(), SettingsError> {
    let table = match scope {
        Scope::Common => &mut settings.common,
        Scope::Consumer => &mut settings.consumer,
        Scope::Producer => &mut settings.producer,
    };
    let unread = property.node.context.unread_security && is_security(&property.name);
    if unread && property.node.is_reference() {
        table.insert(property.name, REDACTED.to_owned());
        return Ok(());
    }
    let node = property.node.clone().resolved()?;
    let Scalar(text) = node.clone().read()?;
    check_for(scope.role(), &property.name, &text).map_err(|mut problem| {
        if let (PropertyError::Value { problem, .. }, Some(_)) = (&mut problem, &node.reference) {
            problem.value = None;
        }
        property.refused(problem)
    })?;
    check_path(&property.name, &text).map_err(|problem| node.error(problem))?;
    table.insert(property.name, text);
    Ok(())
}

/// librdkafka and OpenSSL read these files to the end, and a device has none.
fn check_path(name: &str, path: &str) -> Result<(), String> {
    let names_a_file = [".location", ".keytab", ".file"]
        .iter()
        .any(|end| name.ends_with(end));
    if !names_a_file {
        return Ok(());
    }
    let may_be_folder = name.ends_with("ca.location");
    check_file(Path::new(path), MAX_FILE_BYTES, may_be_folder)
        .map_err(|error| format!("cannot read the file {path:?}: {error}"))
}

fn is_security(name: &str) -> bool {
    ["security.", "sasl.", "ssl."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Every property with its place. Quoted dotted names, nested tables and aliases give the same property. Checks names
/// and roles, but not yet values.
pub(super) fn flatten(node: Node) -> Result<Properties, SettingsError> {
    let mut properties = Properties::new();
    for (scope, name, leaf) in scoped(table(node)?)? {
        let property = Property::new(name, leaf);
        let known = check_property(&property.name).map_err(|problem| property.refused(problem))?;
        if !known.role.applies_to(scope.role()) {
            return Err(property.refused(PropertyError::Role {
                name: property.name.clone(),
                is: known.role,
                wanted: scope.role(),
            }));
        }
        if let Some(other) = properties.get(&(scope, known.canonical)) {
            let problem = format!(
                "the same property is set at {} as `{}`; keep one",
                other.node.origin(),
                other.name
            );
            return Err(SettingsError::Value {
                key: property.name,
                origin: property.node.origin(),
                problem,
            });
        }
        properties.insert((scope, known.canonical), property);
    }
    Ok(properties)
}

fn scoped(table: Node) -> Result<Vec<(Scope, String, Node)>, SettingsError> {
    let mut leaves = Vec::new();
    for (name, leaf) in table.leaves() {
        let (scope, name) = match name.split_once('.').unwrap_or((&name, "")) {
            ("consumer" | "producer", "") => {
                return Err(leaf.expected("a table of librdkafka properties"));
            }
            ("consumer", name) => (Scope::Consumer, name),
            ("producer", name) => (Scope::Producer, name),
            _ => (Scope::Common, &*name),
        };
        leaves.push((scope, name.to_owned(), leaf));
    }
    Ok(leaves)
}

/// The table itself. A variable, a flag or a reference holds it as JSON.
fn table(node: Node) -> Result<Node, SettingsError> {
    let node = node.resolved()?;
    match &node.value {
        Value::Dict(..) => Ok(node),
        Value::String(_, text) if node.is_untyped() => {
            let table = json_text::parse_object(&node, text)?;
            Ok(node.with(table.into()))
        }
        _ => Err(node.expected("a table of librdkafka properties")),
    }
}
