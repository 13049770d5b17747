//! The schema log: records of one `__schema__<Name>` topic in, the versions they decide out. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafkaesk_core::SchemaName;

use crate::Document;

/// One record of a log topic, partition 0, in offset order, read committed.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// Its offset.
    pub offset: i64,
    /// The key's bytes.
    pub key: Option<Bytes>,
    /// The value's bytes.
    pub value: Option<Bytes>,
}

/// What one version is by its log.
#[derive(Clone, Debug)]
pub struct Version {
    /// The first document that the log holds for it.
    pub document: Document,
    /// Where it stands.
    pub offset: i64,
    /// A null value came later: publishers refuse it, consumers go on.
    pub withdrawn: bool,
}

/// A record that does not count, and why. Reported, never fatal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its offset.
    pub offset: i64,
    /// Why, in words.
    pub reason: String,
}

/// The replayed state of one schema's log.
#[derive(Clone, Debug)]
pub struct SchemaLog {
    /// Whose log.
    pub name: SchemaName,
    /// Version to document.
    pub versions: BTreeMap<u32, Version>,
    /// What did not count.
    pub ignored: Vec<Ignored>,
}

impl SchemaLog {
    /// An empty log.
    pub fn new(name: SchemaName) -> Self {
        Self {
            name,
            versions: BTreeMap::new(),
            ignored: Vec::new(),
        }
    }

    /// Takes the next record (decisions.md 12 and 20).
    pub fn apply(&mut self, _record: &LogRecord) {}
}
