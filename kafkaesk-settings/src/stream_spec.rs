//! The specification of a stream: the schema and topic settings that a declaration or program asks for.

use std::{collections::BTreeMap, time::Duration};

use kafkaesk_core::{DeclaredProperties, SchemaName, StreamId};

/// The specification of a stream.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    /// The stream.
    pub stream: StreamId,
    /// The schema that the stream is bound to, if one is declared.
    pub schema: Option<SchemaName>,
    /// Default: `Settings::partitions`.
    pub partitions: Option<u32>,
    /// Default: `Settings::replication_factor`.
    pub replication_factor: Option<u16>,
    /// `retention.ms`.
    pub retention: Option<Duration>,
    /// Whether it takes keys, and how its partitions grow.
    pub properties: DeclaredProperties,
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
            properties: DeclaredProperties::NONE,
            config: BTreeMap::new(),
        }
    }
}
