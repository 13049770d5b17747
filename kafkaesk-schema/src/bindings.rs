//! Bindings log. Input: records of `__streams__`. Output: the schema name that each stream is bound to. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafkaesk_core::{Keys, PartitionGrowth, SchemaName, StreamId, StreamProperties};

use crate::{
    document::MAX_DOCUMENT_LEVELS,
    json::{Node, parse},
    log::{Ignored, LogRecord, MAX_IGNORED},
};

/// What one stream is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The schema name.
    pub schema: SchemaName,
    /// Counts rebindings and changes of its properties; the first is 1.
    pub epoch: u64,
    /// Whether it takes keys, and how it grows.
    pub properties: StreamProperties,
}

/// The replayed state of `__streams__`.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// Stream to binding.
    pub streams: BTreeMap<StreamId, Binding>,
    /// The epochs of streams that were unbound and are not bound again.
    pub unbound: BTreeMap<StreamId, u64>,
    /// What did not count; at most [`MAX_IGNORED`].
    pub ignored: Vec<Ignored>,
    /// How many more did not count.
    pub more_ignored: u64,
}

impl Bindings {
    /// Takes the next record. A record counts if its epoch is the current one plus 1; a stream that was never bound has
    /// epoch 0. It binds the stream, or unbinds it if its schema is null. Every other record changes nothing and is
    /// listed as ignored.
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
        let stream = stream_of(record.key.as_deref())?;
        let value = record
            .value
            .as_deref()
            .ok_or("a null value; a binding is replaced or undone by a higher epoch")?;
        let Value {
            schema,
            epoch,
            properties,
        } = Value::read(value)?;
        let current = self.epoch(&stream);
        if current.checked_add(1) != Some(epoch) {
            return Err(format!(
                "epoch {epoch} for stream {stream}, whose epoch is {current}"
            ));
        }
        match schema {
            Some(schema) => {
                self.unbound.remove(&stream);
                let binding = Binding {
                    schema,
                    epoch,
                    properties,
                };
                self.streams.insert(stream, binding);
            }
            None => {
                if self.streams.remove(&stream).is_none() {
                    return Err(format!("it unbinds stream {stream}, which is not bound"));
                }
                self.unbound.insert(stream, epoch);
            }
        }
        Ok(())
    }

    /// The epoch of a stream: how often it was bound or unbound; 0 for one that was never bound.
    pub fn epoch(&self, stream: &StreamId) -> u64 {
        match self.streams.get(stream) {
            Some(binding) => binding.epoch,
            None => self.unbound.get(stream).copied().unwrap_or(0),
        }
    }

    /// The record that unbinds a stream, with the epoch after its own: key and value.
    pub fn unbinding(stream: &StreamId, epoch: u64) -> (Bytes, Bytes) {
        let value = serde_json::json!({"schema": null, "epoch": epoch});
        (
            Bytes::copy_from_slice(stream.as_str().as_bytes()),
            value.to_string().into(),
        )
    }

    /// The record that binds a stream: key and value. Properties that are the default are left out.
    pub fn record(stream: &StreamId, binding: &Binding) -> (Bytes, Bytes) {
        let mut value =
            serde_json::json!({"schema": binding.schema.as_str(), "epoch": binding.epoch});
        let StreamProperties {
            keys,
            partition_growth,
        } = binding.properties;
        if keys != Keys::default() {
            value[KEYS] = keys.as_str().into();
        }
        if partition_growth != PartitionGrowth::default() {
            value[PARTITION_GROWTH] = partition_growth.as_str().into();
        }
        (
            Bytes::copy_from_slice(stream.as_str().as_bytes()),
            value.to_string().into(),
        )
    }
}

fn stream_of(key: Option<&[u8]>) -> Result<StreamId, String> {
    let key = key.ok_or("no key; it should be the stream id")?;
    let key = std::str::from_utf8(key).map_err(|_| "the key is not UTF-8")?;
    StreamId::new(key).map_err(|error| error.to_string())
}

/// The members of a binding's properties.
const KEYS: &str = "keys";
const PARTITION_GROWTH: &str = "partition-growth";

/// What the value of a record says.
struct Value {
    /// None where the record unbinds.
    schema: Option<SchemaName>,
    epoch: u64,
    properties: StreamProperties,
}

impl Value {
    fn read(value: &[u8]) -> Result<Self, String> {
        let node = parse(value, MAX_DOCUMENT_LEVELS)
            .map_err(|malformed| format!("byte {}: {}", malformed.at, malformed.message))?;
        let Node::Object(object) = &node else {
            return Err("the value is not a JSON object".to_owned());
        };
        let schema = match object.get("schema") {
            Some(Node::String(schema)) => {
                Some(SchemaName::new(schema).map_err(|error| error.to_string())?)
            }
            Some(Node::Null) => None,
            _ => return Err("the value has no member \"schema\" with a string or null".to_owned()),
        };
        let epoch = match object.get("epoch") {
            None => 1,
            Some(Node::Number(number)) if number.is_written_as_integer() => {
                number.u64().unwrap_or(0)
            }
            Some(_) => 0,
        };
        if epoch == 0 {
            return Err("\"epoch\" is not a positive whole number".to_owned());
        }
        // What is not a value of a property is the default: readers that know no properties count the record all the same, and
        // every reader must come to the same bindings.
        let text = |name| match object.get(name) {
            Some(Node::String(text)) => Some(text),
            _ => None,
        };
        let keys = text(KEYS).and_then(|text| Keys::parse(text).ok());
        let growth = text(PARTITION_GROWTH).and_then(|text| PartitionGrowth::parse(text).ok());
        Ok(Self {
            schema,
            epoch,
            properties: StreamProperties {
                keys: keys.unwrap_or_default(),
                partition_growth: growth.unwrap_or_default(),
            },
        })
    }
}
