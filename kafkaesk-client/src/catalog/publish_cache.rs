//! The publish cache: the schemas and streams that publishing needs. A look-up needs no network call and no clock read.
//! Entries never change; `refresh` replaces those that the logs contradict.

use std::{
    any::TypeId,
    collections::{BTreeSet, HashMap},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafkaesk_core::{EnvelopePrefix, Keys, SchemaId, SchemaName, StreamId, TopicName};
use kafkaesk_schema::{Event, EventSchema};
use parking_lot::{Mutex, RwLock};

use super::{Catalog, StoredSchema};
use crate::{
    ClientError,
    broker::{BatchLimit, TopicNews},
    meter::{PublishedTopic, TopicMeter},
};

/// At most this many streams and this many schema ids are remembered. One more empties the map.
const REMEMBERED: usize = 100_000;

/// A stream that exists and is bound.
#[derive(Debug)]
pub(crate) struct BoundStream {
    pub(crate) stream: StreamId,
    pub(crate) topic: TopicName,
    pub(crate) schema: SchemaName,
    /// Whether its events may have keys.
    pub(crate) keys: Keys,
    /// How large its batches may get.
    pub(crate) batch: BatchLimit,
    /// Counts its publishes.
    pub(crate) meter: Arc<TopicMeter>,
    /// When the cluster was last asked about it.
    seen: Instant,
}

impl BoundStream {
    /// Whether a record with or without a key may be published to it.
    pub(crate) fn admits(&self, key: Option<&Bytes>) -> Result<(), ClientError> {
        admits(self.keys, &self.stream, key.is_some())
    }

    /// Whether the cluster was asked within this time.
    pub(super) fn is_younger_than(&self, age: Duration) -> bool {
        self.seen.elapsed() < age
    }
}

/// A schema id as publishing needs it.
#[derive(Debug)]
pub(crate) struct EventEntry {
    pub(crate) id: SchemaId,
    pub(crate) prefix: EnvelopePrefix,
    /// The type's own document, for registration; raw JSON has none.
    pub(crate) event: Option<EventSchema>,
    /// Set by the first publish.
    pub(crate) stored: OnceLock<Arc<StoredSchema>>,
}

#[derive(Debug, Default)]
pub(super) struct PublishCache {
    streams: RwLock<HashMap<Box<str>, Arc<BoundStream>>>,
    types: RwLock<HashMap<TypeId, Arc<EventEntry>>>,
    ids: RwLock<HashMap<Box<str>, Arc<EventEntry>>>,
    /// Topics with news from delivery reports; they must be looked up again.
    news: Mutex<HashMap<TopicName, TopicNews>>,
    /// The limit of topics that were created without one of their own.
    of_new_topics: Mutex<Option<BatchLimit>>,
}

impl PublishCache {
    /// The streams that were published to.
    pub(super) fn streams(&self) -> Vec<Arc<BoundStream>> {
        self.streams.read().values().cloned().collect()
    }

    /// The versions that were published, by name and version.
    pub(super) fn published(&self) -> Vec<SchemaId> {
        let (types, ids) = (self.types.read(), self.ids.read());
        let entries = types.values().chain(ids.values());
        let published: BTreeSet<&SchemaId> = entries
            .filter(|entry| entry.stored.get().is_some())
            .map(|entry| &entry.id)
            .collect();
        published.into_iter().cloned().collect()
    }

    /// The next publish to this topic asks the catalog again.
    pub(super) fn heard(&self, topic: &TopicName, news: TopicNews) {
        let mut all = self.news.lock();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        let first = all.insert(topic.clone(), news) != Some(news);
        // Every record of a refused batch reports this; one log line is enough.
        if first && matches!(news, TopicNews::BatchRefused(_)) {
            tracing::warn!(
                %topic,
                "the brokers refused a batch as larger than the topic takes; its events were not written, and the next batches of this topic are smaller"
            );
        }
        self.streams
            .write()
            .retain(|_, stream| stream.topic != *topic);
    }

    /// Takes the news that records brought of a topic since the last call.
    pub(super) fn take_news(&self, topic: &TopicName) -> Option<TopicNews> {
        self.news.lock().remove(topic)
    }

    /// The limit of topics that were created without one of their own, once it was seen.
    pub(super) fn of_new_topics(&self) -> Option<BatchLimit> {
        *self.of_new_topics.lock()
    }

    /// Remembers that limit.
    pub(super) fn set_of_new_topics(&self, limit: BatchLimit) {
        *self.of_new_topics.lock() = Some(limit);
    }

    /// The next publish to this stream asks the catalog again.
    pub(super) fn forget_stream(&self, stream: &StreamId) {
        self.streams.write().remove(stream.as_str());
    }

    /// The next publish of this version asks the catalog again.
    pub(super) fn forget(&self, id: &SchemaId) {
        self.types.write().retain(|_, entry| entry.id != *id);
        self.ids.write().retain(|_, entry| entry.id != *id);
    }
}

impl Catalog {
    /// Adds to each of these topics the versions of its schema that were published, newest first.
    pub(crate) fn name_schemas(&self, topics: &mut [PublishedTopic]) {
        let published = self.publish_cache.published();
        for stream in self.publish_cache.streams() {
            let found = topics.binary_search_by(|shown| shown.topic.cmp(&stream.topic));
            let Ok(at) = found else {
                continue;
            };
            let own = published.iter().rev();
            let own = own.filter(|id| *id.name() == stream.schema);
            topics[at].schemas = own.cloned().collect();
        }
    }

    /// The entry of a type.
    pub(crate) fn entry_of<T: Event>(&self) -> Result<Arc<EventEntry>, ClientError> {
        let key = TypeId::of::<T>();
        if let Some(entry) = get(&self.publish_cache.types, &key) {
            return Ok(entry);
        }
        let event = EventSchema::of::<T>().map_err(|source| {
            ClientError::Setting(format!(
                "{} cannot be published: {source}",
                std::any::type_name::<T>()
            ))
        })?;
        let entry = Arc::new(EventEntry {
            id: event.id.clone(),
            prefix: EnvelopePrefix::new(&event.id),
            event: Some(event),
            stored: OnceLock::new(),
        });
        put(&self.publish_cache.types, key, entry.clone());
        Ok(entry)
    }

    /// The entry of a schema id in text.
    pub(crate) fn entry_of_id(&self, id: &str) -> Result<Arc<EventEntry>, ClientError> {
        if let Some(entry) = get(&self.publish_cache.ids, id) {
            return Ok(entry);
        }
        let parsed: SchemaId = id
            .parse()
            .map_err(|e: kafkaesk_core::SchemaIdError| ClientError::Setting(e.to_string()))?;
        let entry = Arc::new(EventEntry {
            prefix: EnvelopePrefix::new(&parsed),
            id: parsed,
            event: None,
            stored: OnceLock::new(),
        });
        put(&self.publish_cache.ids, id.into(), entry.clone());
        Ok(entry)
    }

    /// A stream that was published to before.
    pub(crate) fn bound_stream(&self, stream: &str) -> Option<Arc<BoundStream>> {
        get(&self.publish_cache.streams, stream)
    }

    /// The stored schema of an entry, registered first if it is a type's and absent (and `auto_register` is on).
    pub(crate) async fn stored_of(
        &self,
        entry: &EventEntry,
    ) -> Result<Arc<StoredSchema>, ClientError> {
        if let Some(stored) = entry.stored.get() {
            return Ok(stored.clone());
        }
        if let (Some(event), None) = (&entry.event, self.known_schema(&entry.id)?) {
            self.register_schema(event).await?;
        }
        let stored = self.schema(&entry.id).await?;
        Ok(entry.stored.get_or_init(|| stored).clone())
    }

    pub(super) fn remember(
        &self,
        stream: &StreamId,
        topic: &TopicName,
        (schema, keys): (&SchemaName, Keys),
        batch: BatchLimit,
    ) -> Arc<BoundStream> {
        let ready = Arc::new(BoundStream {
            stream: stream.clone(),
            topic: topic.clone(),
            schema: schema.clone(),
            keys,
            batch,
            meter: self.meters.of(topic, stream),
            seen: Instant::now(),
        });
        put(
            &self.publish_cache.streams,
            stream.as_str().into(),
            ready.clone(),
        );
        self.refresher.start(&self.own);
        ready
    }
}

/// Refuses a key where the stream takes none.
pub(super) fn admits(keys: Keys, stream: &StreamId, is_keyed: bool) -> Result<(), ClientError> {
    match keys == Keys::None && is_keyed {
        true => Err(ClientError::KeyRefused {
            stream: stream.clone(),
        }),
        false => Ok(()),
    }
}

fn get<K: std::hash::Hash + Eq + std::borrow::Borrow<Q>, Q: std::hash::Hash + Eq + ?Sized, V>(
    map: &RwLock<HashMap<K, Arc<V>>>,
    key: &Q,
) -> Option<Arc<V>> {
    map.read().get(key).cloned()
}

fn put<K: std::hash::Hash + Eq, V>(map: &RwLock<HashMap<K, Arc<V>>>, key: K, value: Arc<V>) {
    let mut map = map.write();
    if map.len() >= REMEMBERED {
        map.clear();
    }
    map.insert(key, value);
}
