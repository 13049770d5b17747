//! Layers: file, profile, environment and flags, each a figment provider. figment merges them; the metadata of a layer
//! names the place of each of its values.
//!
//! figment merges tables key by key, but replaces a list as a whole. A setting must be replaced as a whole, even if it
//! is a table such as `{ file = … }`. So each value is wrapped in a list.

use std::{collections::BTreeMap, sync::Arc};

use figment::{
    Error, Figment, Metadata, Profile, Provider,
    value::{Dict, Empty, Map, Tag, Value},
};

use super::{
    SettingsError,
    kafka::{self, Property, Scope},
    keys::KAFKA_SETTINGS,
    node::Node,
};

/// The settings of one source.
pub(super) struct Layer {
    metadata: Metadata,
    settings: Dict,
}

impl Layer {
    /// The settings in a table, whose keys must be known. Properties are checked by name and role.
    pub(super) fn new(table: &Node, known: &[&str]) -> Result<Self, SettingsError> {
        let mut settings = Dict::new();
        let mut places = BTreeMap::new();
        for (key, node) in table.members() {
            if !known.contains(&&*key) {
                return Err(table.unknown_key(&key, known));
            }
            let value = match &*key {
                KAFKA_SETTINGS => properties(node, &mut places)?,
                _ => vec![node.value].into(),
            };
            settings.insert(key, value);
        }
        Ok(Self {
            metadata: metadata(table, places),
            settings,
        })
    }
}

/// A table for each scope, with the properties under their canonical names. A property for every client unsets the same
/// property that an earlier layer set for one role. So a flag wins over the file, whichever table the file used.
fn properties(
    node: Node,
    places: &mut BTreeMap<Vec<String>, String>,
) -> Result<Value, SettingsError> {
    let mut scopes: BTreeMap<&str, Dict> = BTreeMap::new();
    for ((scope, name), property) in kafka::flatten(node)? {
        places.insert(keys_of(scope, name), property.node.origin().to_string());
        if scope == Scope::Common {
            for role in [Scope::Consumer, Scope::Producer] {
                let unset = Value::Empty(Tag::Default, Empty::Unit);
                scopes
                    .entry(role.name())
                    .or_default()
                    .insert(name.to_owned(), unset);
            }
        }
        let properties = scopes.entry(scope.name()).or_default();
        properties.insert(name.to_owned(), property.into_value());
    }
    Ok(scopes.into())
}

fn keys_of(scope: Scope, name: &str) -> Vec<String> {
    [KAFKA_SETTINGS, scope.name(), name]
        .map(str::to_owned)
        .into()
}

/// The table's own metadata, with the places of properties under their canonical names.
fn metadata(table: &Node, places: BTreeMap<Vec<String>, String>) -> Metadata {
    let (written, around, places) = (table.layer.clone(), table.path.clone(), Arc::new(places));
    let place = move |profile: &Profile, keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        match keys.get(..3).and_then(|keys| places.get(keys)) {
            Some(place) => place.clone(),
            None => written.interpolate(profile, &[&*around, &*keys].concat()),
        }
    };
    let metadata = Metadata::named(table.layer.name.clone()).interpolater(place);
    match table.layer.source.clone() {
        Some(source) => metadata.source(source),
        None => metadata,
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.settings.clone()))
    }
}

/// The effective values: for each setting the value of the last layer that has it.
pub(super) struct Merged {
    pub(super) root: Node,
    figment: Figment,
}

impl Merged {
    /// Later layers win. `root` gives the surroundings.
    pub(super) fn new(root: &Node, layers: Vec<Layer>) -> Self {
        let figment = layers.into_iter().fold(Figment::new(), Figment::merge);
        // Every layer holds its data in memory, so merging cannot fail.
        let profiles = figment.data().unwrap_or_default();
        let settings = profiles.into_values().next().unwrap_or_default();
        Self {
            root: Node {
                value: settings.into(),
                ..root.clone()
            },
            figment,
        }
    }

    /// A setting's value, if a layer sets it.
    pub(super) fn setting(&self, key: &str) -> Option<Node> {
        match self.root.value.as_dict()?.get(key)?.as_array()? {
            [value] => self.node(vec![key.to_owned()], value),
            _ => None,
        }
    }

    /// Every librdkafka property that is set.
    pub(super) fn properties(&self) -> Vec<(Scope, Property)> {
        let table = |key: &str| self.root.value.as_dict()?.get(key)?.as_dict();
        let scopes = table(KAFKA_SETTINGS);
        let mut all = Vec::new();
        for scope in Scope::ALL {
            let properties = scopes.and_then(|scopes| scopes.get(scope.name())?.as_dict());
            for (name, value) in properties.into_iter().flatten() {
                let node = self.node(keys_of(scope, name), value);
                all.extend(node.and_then(Property::from_value).map(|it| (scope, it)));
            }
        }
        all
    }

    fn node(&self, path: Vec<String>, value: &Value) -> Option<Node> {
        let layer = self.figment.get_metadata(value.tag())?.clone();
        Some(Node {
            context: self.root.context.clone(),
            layer: Arc::new(layer),
            key: path.join("."),
            path,
            value: value.clone(),
            reference: None,
        })
    }
}
