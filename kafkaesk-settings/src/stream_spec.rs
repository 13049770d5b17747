//! The specification of a stream: what a declaration or a program asks for when the stream's topic is created.

use std::{collections::BTreeMap, time::Duration};

use kafkaesk_core::{SchemaName, StreamId};

/// A stream as somebody declared it.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    /// The stream.
    pub stream: StreamId,
    /// What it is bound to, if declared with a schema.
    pub schema: Option<SchemaName>,
    /// Default: `Settings::partitions`.
    pub partitions: Option<u32>,
    /// Default: `Settings::replication_factor`.
    pub replication_factor: Option<u16>,
    /// `retention.ms`.
    pub retention: Option<Duration>,
    /// Further topic settings.
    pub config: BTreeMap<String, String>,
}

impl StreamSpec {
    /// A stream with defaults.
    pub fn new(stream: StreamId) -> Self {
        Self {
            stream,
            schema: None,
            partitions: None,
            replication_factor: None,
            retention: None,
            config: BTreeMap::new(),
        }
    }
}
