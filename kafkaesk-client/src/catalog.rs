//! The catalog: what the cluster holds of the contract (schemas, bindings, streams), asked once and cached.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kafkaesk_core::{SchemaId, SchemaName, StreamId, TopicName};
use kafkaesk_schema::{Bindings, Document, EventSchema, SchemaLog, Validator};

use crate::{ClientError, Settings, broker::Broker};

/// A stored version, compiled.
#[derive(Debug)]
pub struct StoredSchema {
    /// `Name:version`.
    pub id: SchemaId,
    /// The first document of its log.
    pub document: Document,
    /// Compiled once.
    pub validator: Validator,
}

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

/// What was done, or (planning) would be done, for a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is new in the log.
    New,
    /// The log held the same document already.
    Unchanged,
}

/// What was done, or (planning) would be done, for a stream.
#[derive(Clone, Debug)]
pub struct StreamOutcome {
    /// Its topic.
    pub topic: TopicName,
    /// How many partitions it has.
    pub partitions: u32,
    /// The topic is new.
    pub created: bool,
    /// The binding is new.
    pub bound: bool,
    /// Differences between what was asked for and what is there, each naming both values.
    pub warnings: Vec<String>,
}

/// What the cluster holds of the contract.
#[derive(Debug)]
pub struct Catalog {
    settings: Settings,
    broker: Arc<dyn Broker>,
}

impl Catalog {
    pub(crate) fn new(settings: Settings, broker: Arc<dyn Broker>) -> Self {
        Self { settings, broker }
    }

    /// A stored version, compiled; cached for good, since versions never change.
    ///
    /// # Errors
    /// [`ClientError::UnknownSchema`], [`ClientError::WithdrawnSchema`], [`ClientError::Document`].
    pub async fn schema(&self, _id: &SchemaId) -> Result<Arc<StoredSchema>, ClientError> {
        let _ = (&self.settings, &self.broker);
        Err(ClientError::Closed)
    }

    /// Every schema name that has a log.
    ///
    /// # Errors
    /// As metadata fails.
    pub async fn schema_names(&self) -> Result<Vec<SchemaName>, ClientError> {
        Err(ClientError::Closed)
    }

    /// One schema's log, read afresh; empty if there is none.
    ///
    /// # Errors
    /// As reading fails.
    pub async fn log(&self, _name: &SchemaName) -> Result<SchemaLog, ClientError> {
        Err(ClientError::Closed)
    }

    /// What [`Self::push`] would do; writes nothing, needs no write rights.
    ///
    /// # Errors
    /// [`ClientError::SchemaConflict`], [`ClientError::Document`].
    pub async fn plan_push(
        &self,
        _id: &SchemaId,
        _document: &Document,
    ) -> Result<Pushed, ClientError> {
        Err(ClientError::Closed)
    }

    /// Stores a version; judged by reading back (decisions.md 12).
    ///
    /// # Errors
    /// [`ClientError::SchemaConflict`], [`ClientError::Document`], [`ClientError::LogSettings`].
    pub async fn push(&self, _id: &SchemaId, _document: &Document) -> Result<Pushed, ClientError> {
        Err(ClientError::Closed)
    }

    /// All bindings, read afresh.
    ///
    /// # Errors
    /// As reading fails.
    pub async fn bindings(&self) -> Result<Bindings, ClientError> {
        Err(ClientError::Closed)
    }

    /// What [`Self::ensure_stream`] would do; writes nothing.
    ///
    /// # Errors
    /// [`ClientError::BoundElsewhere`], [`ClientError::Collision`].
    pub async fn plan_stream(&self, _spec: &StreamSpec) -> Result<StreamOutcome, ClientError> {
        Err(ClientError::Closed)
    }

    /// Creates the topic if it is absent and binds it if a schema is given. An existing topic is never altered.
    ///
    /// # Errors
    /// [`ClientError::BoundElsewhere`], [`ClientError::Collision`].
    pub async fn ensure_stream(&self, _spec: &StreamSpec) -> Result<StreamOutcome, ClientError> {
        Err(ClientError::Closed)
    }

    /// At start: registers absent versions (if `auto_register`), warns of or (strict) refuses differing ones,
    /// creates and binds declared streams (if `auto_create_streams`).
    ///
    /// # Errors
    /// As [`Self::push`] and [`Self::ensure_stream`].
    pub async fn register(&self, _schemas: &[EventSchema]) -> Result<(), ClientError> {
        Err(ClientError::Closed)
    }
}
