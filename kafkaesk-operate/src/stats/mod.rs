//! Stats: all that a process does, as one JSON document for pages and scripts. `document` is its form, `build` fills it.
//!
//! The form is stable: members are only added. It has no message's content and no key.

mod build;
mod document;
pub(crate) mod scaling;

#[cfg(test)]
mod tests;

use schemars::generate::SchemaSettings;
use serde::Deserialize;

pub(crate) use self::build::build;
pub(crate) use self::document::Stats;
use crate::view::View;

/// The bytes of a document, at most.
pub(crate) const BYTES: usize = 1024 * 1024;

/// What is asked for, as the query of `/stats`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wish {
    /// Only this group.
    pub(crate) group: Option<String>,
    /// Only those whose group, pattern or partitions contain this, whatever the case. If only partitions do, only these are
    /// listed.
    pub(crate) search: Option<String>,
    /// The order of the subscriptions.
    pub(crate) sort: Sort,
    /// How many subscriptions, at most.
    pub(crate) limit: Option<usize>,
    /// How many of them are left out at the start.
    pub(crate) skip: usize,
    /// Whether the effective settings are wanted.
    pub(crate) settings: bool,
}

/// The order of the subscriptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sort {
    /// Worst verdict first, then the largest lag.
    #[default]
    Verdict,
    /// The largest lag first.
    Lag,
    /// By group and pattern.
    Group,
}

/// The document as text, within [`BYTES`]: where it would be larger, lists are shortened, then subscriptions are left out, and
/// the document says so.
pub(crate) fn text(view: &View, wish: &Wish) -> String {
    for (listed, limit) in [(50, 200), (10, 200), (2, 100), (0, 50), (0, 10)] {
        let limit = wish.limit.map_or(limit, |wanted| wanted.min(limit));
        let stats = build(view, wish, limit, listed);
        let text = serde_json::to_string(&stats).unwrap_or_default();
        if text.len() < BYTES {
            return text + "\n";
        }
    }
    String::new()
}

/// The JSON Schema of the document, as in `contract/stats.schema.json`.
pub fn schema() -> String {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Stats>();
    schema.insert("title".to_owned(), "kafkaesk /stats".into());
    let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text + "\n"
}
