//! Origin: the place that a value came from, as users know it.

use std::fmt;

use figment::{Metadata, Profile};

/// The name of a flag's layer in figment.
pub(super) const FLAG: &str = "flag";

/// The place that a value came from. `Display` names it: `kafkaesk.toml:12`, `environment KAFKAESK_PARTITIONS`,
/// `flag --partitions`, `default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    place: String,
    is_flag: bool,
}

impl Origin {
    /// The place of the value with these keys in a layer.
    pub(super) fn in_layer(layer: &Metadata, keys: &[String]) -> Self {
        let place = layer.interpolate(&Profile::Default, keys);
        Self::named(place, layer.name == FLAG)
    }

    pub(super) fn default() -> Self {
        Self::named("default".to_owned(), false)
    }

    pub(super) fn environment(variable: &str) -> Self {
        Self::named(format!("environment {variable}"), false)
    }

    pub(super) fn flag(flag: &str) -> Self {
        Self::named(format!("flag {flag}"), true)
    }

    fn named(place: String, is_flag: bool) -> Self {
        Self { place, is_flag }
    }

    /// Whether the value came from a command-line flag.
    pub fn is_flag(&self) -> bool {
        self.is_flag
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}
