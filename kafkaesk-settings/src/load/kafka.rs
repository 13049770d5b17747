//! Reads a `kafka-settings` table into librdkafka properties by role: quoted dotted names and nested tables alike,
//! aliases under one name, names and roles checked where they stand.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Origin, SettingsError,
    context::{Context, Field},
    json_text,
    value::{Data, Table, Value},
};
use crate::{
    KafkaSettings, MAX_FILE_BYTES, PropertyError, REDACTED, Role, check_property, files::check_file,
};

/// A property as some place sets it.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// As written, the alias perhaps.
    pub(super) name: String,
    pub(super) value: Value,
}

/// Properties under role and canonical name.
pub(super) type Flat = BTreeMap<(Scope, &'static str), Setting>;

/// Which table a property stands in.
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

/// A whole table for consumers alone, checked and resolved; what its `consumer` table says wins.
pub(super) fn read_consumer(field: Field) -> Result<BTreeMap<String, String>, SettingsError> {
    let context = field.context.clone();
    let mut settings = KafkaSettings::default();
    for ((scope, _), setting) in flatten(field)? {
        let property = check_property(&setting.name);
        let role = property.map_or(Role::Both, |property| property.role);
        if scope == Scope::Producer || !role.applies_to(Role::Consumer) {
            return Err(SettingsError::Value {
                key: format!("kafka-settings.{}", setting.name),
                origin: setting.value.origin,
                problem: "it is for producers, and a subscription has none; set it in the configuration's own `kafka-settings.producer`".to_owned(),
            });
        }
        insert(&mut settings, &context, scope, setting)?;
    }
    let mut properties = settings.common;
    properties.extend(settings.consumer);
    Ok(properties)
}

/// Resolves one property's value, checks it, and adds it.
pub(super) fn insert(
    settings: &mut KafkaSettings,
    context: &Arc<Context>,
    scope: Scope,
    setting: Setting,
) -> Result<(), SettingsError> {
    let table = match scope {
        Scope::Common => &mut settings.common,
        Scope::Consumer => &mut settings.consumer,
        Scope::Producer => &mut settings.producer,
    };
    if context.unread_security && is_security(&setting.name) && setting.value.is_reference() {
        table.insert(setting.name, REDACTED.to_owned());
        return Ok(());
    }
    let origin = setting.value.origin.clone();
    let field = Field::new(
        context,
        format!("kafka-settings.{}", setting.name),
        setting.value,
    )
    .resolved()?;
    let secret = field.value.reference.is_some();
    let key = field.clone();
    let text = field.scalar_text()?;
    crate::kafka_settings::check_for(scope.role(), &setting.name, &text).map_err(
        |mut problem| {
            if let PropertyError::Value { problem, .. } = &mut problem
                && secret
            {
                problem.value = None;
            }
            SettingsError::Property { origin, problem }
        },
    )?;
    check_path(&setting.name, &text).map_err(|problem| key.error(problem))?;
    table.insert(setting.name, text);
    Ok(())
}

/// librdkafka and OpenSSL read these files whole, and would never end with a device.
fn check_path(name: &str, path: &str) -> Result<(), String> {
    let names_a_file = [".location", ".keytab", ".file"]
        .iter()
        .any(|end| name.ends_with(end));
    if !names_a_file {
        return Ok(());
    }
    check_file(
        std::path::Path::new(path),
        MAX_FILE_BYTES,
        name.ends_with("ca.location"),
    )
    .map_err(|error| format!("cannot read the file {path:?}: {error}"))
}

fn is_security(name: &str) -> bool {
    ["security.", "sasl.", "ssl."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Every property with its place; names and roles are checked, values are not yet.
pub(super) fn flatten(field: Field) -> Result<Flat, SettingsError> {
    let field = field.resolved()?;
    let origin = field.value.origin.clone();
    let reference = field.value.reference.clone();
    let table = match field.value.data {
        Data::Table(table) => table,
        // From a variable, a flag or a reference: JSON.
        Data::Untyped(text) => json_text::parse_object(&field.key, &text, &origin)?,
        _ => return Err(field.expected("a table of librdkafka properties")),
    };
    let mut flat = Flat::new();
    for (name, mut value) in table {
        let scope = match name.as_str() {
            "consumer" => Scope::Consumer,
            "producer" => Scope::Producer,
            _ => {
                value.inherit(reference.as_ref());
                add(&mut flat, Scope::Common, name, value)?;
                continue;
            }
        };
        match value.data {
            Data::Table(table) => {
                let table = inherited(table, reference.as_ref());
                add_all(&mut flat, scope, "", table)?;
            }
            _ => {
                let key = format!("{}.{name}", field.key);
                return Err(Field::new(&field.context, key, value)
                    .expected("a table of librdkafka properties"));
            }
        }
    }
    Ok(flat)
}

fn add_all(flat: &mut Flat, scope: Scope, path: &str, table: Table) -> Result<(), SettingsError> {
    for (name, value) in table {
        add(flat, scope, format!("{path}{name}"), value)?;
    }
    Ok(())
}

fn add(flat: &mut Flat, scope: Scope, name: String, value: Value) -> Result<(), SettingsError> {
    if matches!(value.data, Data::Table(_)) && !value.is_reference() {
        let Data::Table(table) = value.data else {
            return Ok(());
        };
        let table = inherited(table, value.reference.as_ref());
        return add_all(flat, scope, &format!("{name}."), table);
    }
    let origin = value.origin.clone();
    let problem = |problem| SettingsError::Property {
        origin: origin.clone(),
        problem,
    };
    let property = check_property(&name).map_err(problem)?;
    if !property.role.applies_to(scope.role()) {
        return Err(problem(PropertyError::Role {
            name,
            is: property.role,
            wanted: scope.role(),
        }));
    }
    let setting = Setting { name, value };
    if let Some(other) = flat.insert((scope, property.canonical), setting.clone()) {
        return Err(twice(setting, &other));
    }
    Ok(())
}

/// What came out of a file or variable as a whole is as secret as its parts.
fn inherited(mut table: Table, reference: Option<&String>) -> Table {
    for value in table.values_mut() {
        value.inherit(reference);
    }
    table
}

fn twice(setting: Setting, other: &Setting) -> SettingsError {
    let origin: Origin = setting.value.origin;
    SettingsError::Value {
        key: setting.name,
        origin,
        problem: format!(
            "the same property is set at {} as `{}`; keep one",
            other.value.origin, other.name
        ),
    }
}
