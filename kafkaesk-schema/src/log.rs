//! Schema log. Input: records of one `__schema__<Name>` topic. Output: the versions that they decide. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafkaesk_core::{SchemaName, schema_id::parse_version};

use crate::Document;

/// The most ignored records that are kept with their reason; the rest are counted.
pub const MAX_IGNORED: usize = 1000;

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

impl LogRecord {
    /// How many bytes its key and value take.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len)
    }
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
    /// What did not count; at most [`MAX_IGNORED`].
    pub ignored: Vec<Ignored>,
    /// How many more did not count.
    pub more_ignored: u64,
}

impl SchemaLog {
    /// An empty log.
    pub fn new(name: SchemaName) -> Self {
        Self {
            name,
            versions: BTreeMap::new(),
            ignored: Vec::new(),
            more_ignored: 0,
        }
    }

    /// Takes the next record. The first document of a version defines that version for ever. A null value after it
    /// withdraws the version for ever. Every other record changes nothing and is listed as ignored.
    pub fn apply(&mut self, record: &LogRecord) {
        if let Err(reason) = self.take(record) {
            if self.ignored.len() < MAX_IGNORED {
                self.ignored.push(Ignored {
                    offset: record.offset,
                    reason,
                });
            } else {
                self.more_ignored += 1;
            }
        }
    }

    fn take(&mut self, record: &LogRecord) -> Result<(), String> {
        let version = version_of(record.key.as_deref())?;
        let Some(value) = &record.value else {
            let decided = self
                .versions
                .get_mut(&version)
                .ok_or_else(|| format!("version {version} has no document to withdraw"))?;
            if decided.withdrawn {
                return Err(format!("version {version} is withdrawn already"));
            }
            decided.withdrawn = true;
            return Ok(());
        };
        let document = Document::parse(value.clone()).map_err(|error| error.to_string())?;
        if let Some(first) = self.versions.get(&version) {
            let what = if first.document.same_as(&document) {
                "the same document again"
            } else {
                "another document"
            };
            let offset = first.offset;
            return Err(format!(
                "{what} for version {version}, which offset {offset} decided"
            ));
        }
        self.versions.insert(
            version,
            Version {
                document,
                offset: record.offset,
                withdrawn: false,
            },
        );
        Ok(())
    }
}

fn version_of(key: Option<&[u8]>) -> Result<u32, String> {
    let key = key.ok_or("no key; it should be the version")?;
    std::str::from_utf8(key)
        .ok()
        .and_then(parse_version)
        .ok_or_else(|| {
            let shown = String::from_utf8_lossy(&key[..key.len().min(40)]);
            format!("the key {shown:?} is not a version from 1 to 2147483647 without leading zeros")
        })
}
