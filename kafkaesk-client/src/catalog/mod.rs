//! The catalog: what the cluster holds of the contract (schemas, bindings, streams), asked once and cached.
//!
//! `schemas` reads and writes `__schema__…`, `bindings` `__streams__`; `streams` creates topics; `register` does at
//! start what a program's event types need; `publish_cache` is what a publish looks up, `refresh` compares that with the logs.

mod bindings;
mod log_topics;
mod publish_cache;
mod ready;
mod refresh;
mod register;
mod schemas;
mod streams;
mod suggest;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use kafkaesk_core::{SchemaId, StreamProperties, TopicName};
use kafkaesk_schema::{Document, Validator};
use parking_lot::Mutex;

pub use kafkaesk_settings::StreamSpec;

pub(crate) use self::publish_cache::{BoundStream, EventEntry};
use crate::{Settings, broker::Broker, meter::TopicMeters};

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
    /// Its retention, if one was declared and the topic's settings are visible; `None` also if records are kept for
    /// ever.
    pub retention: Option<Duration>,
    /// The topic is new.
    pub created: bool,
    /// The binding is new.
    pub bound: bool,
    /// The properties that it has, or will have once it is bound.
    pub properties: StreamProperties,
    /// The declared properties that it does not have, as `keys any → none`: [`Catalog::change_streams`] gives them.
    pub changes: Vec<String>,
    /// The differences between the declaration and the existing topic; each names both values.
    pub warnings: Vec<String>,
}

/// What the cluster holds of the contract.
#[derive(Debug)]
pub struct Catalog {
    settings: Settings,
    broker: Arc<dyn Broker>,
    /// Itself, for the task that refreshes it.
    own: Weak<Self>,
    /// Versions never change, and a withdrawn version never comes back, so entries stay.
    schemas: Mutex<HashMap<SchemaId, Found>>,
    /// Absent versions, each with the time of the look-up and the remedy. They are looked up again after
    /// [`NEGATIVE_CACHE_TTL`].
    absent: Mutex<HashMap<SchemaId, (Instant, String)>>,
    /// Log topics whose settings were seen to be right.
    checked: Mutex<HashSet<TopicName>>,
    /// Held while a log is read or written for a publish, so that a burst of publishes reads it once.
    log_lock: tokio::sync::Mutex<()>,
    /// Publishes that wait for their streams.
    wanted: Mutex<Vec<ready::Wanted>>,
    /// The bindings log, as far as it was read.
    bindings: bindings::BindingsLog,
    /// What publishing looks up.
    publish_cache: Arc<publish_cache::PublishCache>,
    /// What was published, by topic.
    meters: TopicMeters,
    /// Keeps the publish cache fresh.
    refresher: refresh::Refresher,
}

/// What a log held for a version.
#[derive(Clone, Debug)]
enum Found {
    Stored(Arc<StoredSchema>),
    Withdrawn,
}

/// How long a version that was not found counts as absent, before the log is read again.
const NEGATIVE_CACHE_TTL: Duration = Duration::from_secs(1);
/// At most this many absent versions are remembered.
const ABSENT_BOUND: usize = 256;

impl Catalog {
    pub(crate) fn new(settings: Settings, broker: Arc<dyn Broker>) -> Arc<Self> {
        let publish_cache = Arc::<publish_cache::PublishCache>::default();
        // Not the whole catalog: if a producer's thread dropped the last reference to it, it would wait for itself.
        let heard = Arc::downgrade(&publish_cache);
        broker.listen(Arc::new(move |topic, news| {
            if let Some(cache) = heard.upgrade() {
                cache.heard(topic, news);
            }
        }));
        Arc::new_cyclic(|own| Self {
            own: own.clone(),
            settings,
            broker,
            schemas: Mutex::default(),
            absent: Mutex::default(),
            checked: Mutex::default(),
            log_lock: tokio::sync::Mutex::default(),
            wanted: Mutex::default(),
            bindings: bindings::BindingsLog::default(),
            publish_cache,
            meters: TopicMeters::default(),
            refresher: refresh::Refresher::default(),
        })
    }

    /// What was published, by topic.
    pub(crate) fn meters(&self) -> &TopicMeters {
        &self.meters
    }

    pub(crate) fn replication_factor(&self, brokers: usize) -> u16 {
        self.settings
            .replication_factor
            .unwrap_or_else(|| brokers.clamp(1, 3) as u16)
    }
}
