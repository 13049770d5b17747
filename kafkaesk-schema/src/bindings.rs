//! The bindings log: records of `__streams__` in, which schema name each stream is bound to out. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafkaesk_core::{SchemaName, StreamId};

use crate::log::{Ignored, LogRecord};

/// What one stream is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The schema name.
    pub schema: SchemaName,
    /// Counts rebindings; the first is 1.
    pub epoch: u64,
}

/// The replayed state of `__streams__`.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// Stream to binding.
    pub streams: BTreeMap<StreamId, Binding>,
    /// What did not count.
    pub ignored: Vec<Ignored>,
}

impl Bindings {
    /// Takes the next record (decisions.md 20): a record with epoch = current + 1 wins, the first if there are two.
    pub fn apply(&mut self, _record: &LogRecord) {}

    /// The record that binds a stream: key and value.
    pub fn record(stream: &StreamId, binding: &Binding) -> (Bytes, Bytes) {
        let value = serde_json::json!({"schema": binding.schema.as_str(), "epoch": binding.epoch});
        (
            Bytes::copy_from_slice(stream.as_str().as_bytes()),
            value.to_string().into(),
        )
    }
}
