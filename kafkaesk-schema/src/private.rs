//! Macro support: re-exports and helpers for the code that the derives write. Not public API.

pub use std::{boxed::Box, sync::OnceLock, vec::Vec};

pub use kafkaesk_core as core;
pub use schemars;
pub use serde;
pub use serde_json;

use crate::{DecodeError, Document, DocumentError, Event};

/// A document computed once.
pub type Cell = OnceLock<Result<Document, DocumentError>>;

pub fn cached(
    cell: &'static Cell,
    make: impl FnOnce() -> Result<Document, DocumentError>,
) -> Result<Document, DocumentError> {
    cell.get_or_init(make).clone()
}

/// schemars' *deserialize* contract: what consumers of the type can read.
pub fn derived<T: schemars::JsonSchema>() -> Result<Document, DocumentError> {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<T>();
    let text =
        serde_json::to_vec(&schema).map_err(|error| DocumentError::Malformed(error.to_string()))?;
    Document::parse(text)
}

pub fn parsed(bytes: &'static [u8]) -> Result<Document, DocumentError> {
    Document::parse(bytes)
}

/// Exactly this name and version: `Event::accepts` widens only a bare event argument.
pub fn is<T: Event>(name: &str, version: u32) -> bool {
    name == T::NAME && version == T::VERSION
}

pub fn decode<T: Event>(data: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(data).map_err(|error| DecodeError::Data {
        type_name: std::any::type_name::<T>(),
        message: error.to_string(),
    })
}

pub const fn id<T: Event>() -> (&'static str, u32) {
    (T::NAME, T::VERSION)
}

pub fn unlisted(name: &str, version: u32, listed: &[(&str, u32)]) -> DecodeError {
    let wanted: Vec<String> = listed
        .iter()
        .map(|(name, version)| format!("{name}:{version}"))
        .collect();
    DecodeError::Schema {
        schema: format!("{name}:{version}"),
        wanted: wanted.join(", "),
    }
}

pub const fn assert_distinct(ids: &[(&str, u32)]) {
    let mut first = 0;
    while first < ids.len() {
        let mut second = first + 1;
        while second < ids.len() {
            let same = ids[first].1 == ids[second].1 && equal(ids[first].0, ids[second].0);
            assert!(!same, "two variants take the same schema name and version");
            second += 1;
        }
        first += 1;
    }
}

const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::assert_distinct;

    #[test]
    fn ids_that_differ_in_name_or_version_are_distinct() {
        assert_distinct(&[("A", 1), ("A", 2), ("B", 1), ("AB", 1)]);
    }

    #[test]
    #[should_panic(expected = "two variants take the same schema name and version")]
    fn the_same_id_twice_is_not_distinct() {
        assert_distinct(&[("A", 1), ("B", 1), ("A", 1)]);
    }
}
