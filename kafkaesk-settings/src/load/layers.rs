//! Merges the layers (file, profile, environment, flags) into the winning value of each setting, with its place. figment
//! merges and says which layer won; the layers themselves know the lines.
//!
//! figment sees only which settings a layer has. What they hold stays here, untyped: figment would turn the text `123`
//! into a number, leave JSON in a variable unmerged, and forget lines.

use std::collections::BTreeMap;

use figment::{
    Figment, Metadata, Profile, Provider, Source,
    value::{Dict, Empty, Map, Tag, Value as FigmentValue},
};

use super::{
    SettingsError,
    context::{Context, Field},
    kafka::{self, Scope, Setting},
    keys::KAFKA_SETTINGS,
    value::{Table, Value},
};

/// Where a setting stands: its key, and for a property its scope and canonical name behind that.
pub(super) type Path = Vec<String>;

/// What one source sets.
#[derive(Debug, Default)]
pub(super) struct Layer {
    settings: BTreeMap<Path, Setting>,
}

/// The winner for one setting, and the number of its layer.
#[derive(Clone, Debug)]
pub(super) struct Winner {
    pub(super) layer: usize,
    pub(super) setting: Setting,
}

impl Layer {
    /// A file's or profile's table, its keys checked before.
    pub(super) fn of_table(
        context: &std::sync::Arc<Context>,
        table: Table,
    ) -> Result<Self, SettingsError> {
        let mut layer = Self::default();
        for (key, value) in table {
            layer.set(context, &key, value)?;
        }
        Ok(layer)
    }

    pub(super) fn set(
        &mut self,
        context: &std::sync::Arc<Context>,
        key: &str,
        value: Value,
    ) -> Result<(), SettingsError> {
        if key != KAFKA_SETTINGS {
            let setting = Setting {
                name: key.to_owned(),
                value,
            };
            self.settings.insert(vec![key.to_owned()], setting);
            return Ok(());
        }
        for ((scope, canonical), setting) in kafka::flatten(Field::new(context, key, value))? {
            self.settings.insert(property(scope, canonical), setting);
        }
        Ok(())
    }
}

/// The path of a librdkafka property.
pub(super) fn property(scope: Scope, canonical: &str) -> Path {
    vec![
        KAFKA_SETTINGS.to_owned(),
        scope.name().to_owned(),
        canonical.to_owned(),
    ]
}

/// Which layer's value counts for each setting: the last one's that has it.
pub(super) fn merge(layers: &[Layer]) -> BTreeMap<Path, Winner> {
    let figment = layers
        .iter()
        .enumerate()
        .fold(Figment::new(), |figment, (number, layer)| {
            figment.merge(Named { number, layer })
        });
    // Our providers never fail, and figment has no failure of its own.
    let merged = figment
        .data()
        .ok()
        .and_then(|mut profiles| profiles.remove(&Profile::Default))
        .unwrap_or_default();
    let mut winners = BTreeMap::new();
    collect(&figment, layers, &mut Vec::new(), &merged, &mut winners);
    drop_overruled(&mut winners);
    winners
}

fn collect(
    figment: &Figment,
    layers: &[Layer],
    path: &mut Path,
    merged: &Dict,
    winners: &mut BTreeMap<Path, Winner>,
) {
    for (key, value) in merged {
        path.push(key.clone());
        if let FigmentValue::Dict(_, inner) = value {
            collect(figment, layers, path, inner, winners);
        } else if let Some(winner) = winner(figment, layers, path, value.tag()) {
            winners.insert(path.clone(), winner);
        }
        path.pop();
    }
}

fn winner(figment: &Figment, layers: &[Layer], path: &Path, tag: Tag) -> Option<Winner> {
    let Some(Source::Custom(number)) = figment.get_metadata(tag)?.source.as_ref() else {
        return None;
    };
    let layer: usize = number.parse().ok()?;
    let setting = layers.get(layer)?.settings.get(path)?.clone();
    Some(Winner { layer, setting })
}

/// A property set for every client in a later layer beats the one that an earlier layer set for one role: a flag wins
/// over the file, whichever table the file used.
fn drop_overruled(winners: &mut BTreeMap<Path, Winner>) {
    let overruled: Vec<Path> = winners
        .iter()
        .filter(|(path, winner)| {
            let [_, scope, canonical] = path.as_slice() else {
                return false;
            };
            scope != Scope::Common.name()
                && winners
                    .get(&property(Scope::Common, canonical))
                    .is_some_and(|common| common.layer > winner.layer)
        })
        .map(|(path, _)| path.clone())
        .collect();
    for path in overruled {
        winners.remove(&path);
    }
}

/// A layer as figment sees it.
struct Named<'a> {
    number: usize,
    layer: &'a Layer,
}

impl Provider for Named<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::from("layer", Source::Custom(self.number.to_string()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut root = Dict::new();
        for path in self.layer.settings.keys() {
            insert(&mut root, path);
        }
        Ok(Map::from([(Profile::Default, root)]))
    }
}

/// Nests by the path's steps, so that a dot inside a property's name stays a dot.
fn insert(dict: &mut Dict, path: &[String]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        let leaf = FigmentValue::Empty(Tag::Default, Empty::Unit);
        dict.insert(step.clone(), leaf);
        return;
    }
    let inner = dict
        .entry(step.clone())
        .or_insert_with(|| FigmentValue::Dict(Tag::Default, Dict::new()));
    if let FigmentValue::Dict(_, inner) = inner {
        insert(inner, rest);
    }
}
