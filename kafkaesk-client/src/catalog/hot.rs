//! What a publish looks up, without a question to the cluster and without a look at the clock: its event's schema and
//! its stream's topic. Entries are never changed; `refresh` replaces those that the logs no longer bear out.

use std::{
    any::TypeId,
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use kafkaesk_core::{EnvelopePrefix, SchemaId, SchemaName, StreamId, TopicName};
use kafkaesk_schema::{Event, EventSchema};

use super::{AGAIN, Catalog, StoredSchema, lock, streams::undeclared};
use crate::{
    ClientError,
    broker::{BatchLimit, TopicNews},
};

/// How many streams and how many schema ids are remembered, at most; beyond that they are asked for anew.
const REMEMBERED: usize = 100_000;

/// How long a topic's smaller batches wait for the larger ones before them.
const SWITCH: Duration = Duration::from_secs(10);

/// A stream that exists and is bound.
#[derive(Debug)]
pub(crate) struct BoundStream {
    pub(crate) stream: StreamId,
    pub(crate) topic: TopicName,
    pub(crate) schema: SchemaName,
    /// How large its batches may get.
    pub(crate) batch: BatchLimit,
    /// When the cluster was asked.
    seen: Instant,
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
pub(super) struct Hot {
    streams: RwLock<HashMap<Box<str>, Arc<BoundStream>>>,
    types: RwLock<HashMap<TypeId, Arc<EventEntry>>>,
    ids: RwLock<HashMap<Box<str>, Arc<EventEntry>>>,
    /// What records told of topics that must be looked for again.
    news: Mutex<HashMap<TopicName, TopicNews>>,
    /// The limit of topics that were created without one of their own.
    of_new_topics: Mutex<Option<BatchLimit>>,
}

impl Hot {
    /// The streams that were published to.
    pub(super) fn streams(&self) -> Vec<Arc<BoundStream>> {
        read(&self.streams).values().cloned().collect()
    }

    /// The versions that were published, by name and version.
    pub(super) fn published(&self) -> Vec<SchemaId> {
        let (types, ids) = (read(&self.types), read(&self.ids));
        let entries = types.values().chain(ids.values());
        let published: BTreeSet<&SchemaId> = entries
            .filter(|entry| entry.stored.get().is_some())
            .map(|entry| &entry.id)
            .collect();
        published.into_iter().cloned().collect()
    }

    /// The next publish to this topic asks the catalog again.
    pub(super) fn heard(&self, topic: &TopicName, news: TopicNews) {
        let mut all = lock(&self.news);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        let first = all.insert(topic.clone(), news) != Some(news);
        // Every record of a refused batch says so, one line does.
        if first && matches!(news, TopicNews::BatchRefused(_)) {
            tracing::warn!(
                %topic,
                "the brokers refused a batch as larger than the topic takes; its events were not written, and the next batches of this topic are smaller"
            );
        }
        write(&self.streams).retain(|_, stream| stream.topic != *topic);
    }

    /// The next publish to this stream asks the catalog again.
    pub(super) fn forget_stream(&self, stream: &StreamId) {
        write(&self.streams).remove(stream.as_str());
    }

    /// The next publish of this version asks the catalog again.
    pub(super) fn forget(&self, id: &SchemaId) {
        write(&self.types).retain(|_, entry| entry.id != *id);
        write(&self.ids).retain(|_, entry| entry.id != *id);
    }
}

impl Catalog {
    /// The entry of a type.
    pub(crate) fn entry_of<T: Event>(&self) -> Result<Arc<EventEntry>, ClientError> {
        let key = TypeId::of::<T>();
        if let Some(entry) = get(&self.hot.types, &key) {
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
        put(&self.hot.types, key, entry.clone());
        Ok(entry)
    }

    /// The entry of a schema id in text.
    pub(crate) fn entry_of_id(&self, id: &str) -> Result<Arc<EventEntry>, ClientError> {
        if let Some(entry) = get(&self.hot.ids, id) {
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
        put(&self.hot.ids, id.into(), entry.clone());
        Ok(entry)
    }

    /// A stream that was published to before.
    pub(crate) fn bound_stream(&self, stream: &str) -> Option<Arc<BoundStream>> {
        get(&self.hot.streams, stream)
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

    /// A stream ready for this schema's events: found, or created and bound (if `auto_create_streams`). A stream that
    /// is there and bound needs no right to create or to see settings.
    pub(crate) async fn ready_stream(
        &self,
        stream: &StreamId,
        entry: &EventEntry,
    ) -> Result<Arc<BoundStream>, ClientError> {
        let schema = entry.id.name();
        let _asking = self.asking.lock().await;
        match self.bound_stream(stream.as_str()) {
            Some(known) if known.schema == *schema => return Ok(known),
            Some(other) if other.seen.elapsed() < AGAIN => {
                return Err(ClientError::BoundElsewhere {
                    stream: stream.clone(),
                    bound: other.schema.clone(),
                    given: schema.clone(),
                });
            }
            _ => {}
        }
        let topic = self.settings.topic_prefix.topic(stream)?;
        self.follow_bindings(None).await?;
        let bound = match self.is_bound(stream, schema) {
            Err(ClientError::BoundElsewhere { bound, .. }) => {
                // Remembered, so that a burst of wrong events does not ask for each.
                self.remember(stream, &topic, &bound, BatchLimit::default());
                return Err(ClientError::BoundElsewhere {
                    stream: stream.clone(),
                    bound,
                    given: schema.clone(),
                });
            }
            other => other?,
        };
        if bound && self.broker.topic(&topic, "Write").await?.is_some() {
            let news = self.follow_news(&topic).await?;
            let batch = self.batch_limit(&topic, news).await?;
            return Ok(self.remember(stream, &topic, schema, batch));
        }
        if !self.settings.auto_create_streams {
            let exists = !bound && self.broker.topic(&topic, "Write").await?.is_some();
            let near = self.near_stream(stream.as_str()).await;
            return Err(self.no_stream(stream, topic, schema, exists, near));
        }
        let retention: Option<Duration> = entry.event.as_ref().and_then(|e| e.retention);
        let spec = undeclared(stream, schema, retention);
        let mut created = false;
        for outcome in self.ensure_unbound(&[spec]).await? {
            let outcome = outcome?;
            created = outcome.created;
            for warning in &outcome.warnings {
                tracing::warn!("{warning}");
            }
        }
        let news = self.follow_news(&topic).await?;
        if created && news == Some(TopicNews::Unknown) {
            tracing::warn!(%topic, "the topic was gone and is created again");
        }
        let of_new = created.then(|| *lock(&self.hot.of_new_topics)).flatten();
        let batch = match of_new {
            // The cluster's default, seen before: one question less for each new stream.
            Some(batch) if news.is_none() => batch,
            _ => {
                let batch = self.batch_limit(&topic, news).await?;
                if created {
                    *lock(&self.hot.of_new_topics) = Some(batch);
                }
                batch
            }
        };
        Ok(self.remember(stream, &topic, schema, batch))
    }

    /// What records told of a topic since it was ready, with what follows from it done.
    async fn follow_news(&self, topic: &TopicName) -> Result<Option<TopicNews>, ClientError> {
        let news = lock(&self.hot.news).remove(topic);
        if news == Some(TopicNews::Unknown) {
            self.broker.rediscover(topic).await?;
        }
        Ok(news)
    }

    /// By the topic's `max.message.bytes` where it may be seen, else by what was refused.
    async fn batch_limit(
        &self,
        topic: &TopicName,
        news: Option<TopicNews>,
    ) -> Result<BatchLimit, ClientError> {
        let config = self.broker.topic_config(topic).await?.unwrap_or_default();
        let known = config
            .get("max.message.bytes")
            .and_then(|bytes| bytes.parse().ok())
            .map(|bytes| BatchLimit::fitting(self.broker.batch_bytes(), bytes));
        let Some(TopicNews::BatchRefused(refused)) = news else {
            return Ok(known.unwrap_or_default());
        };
        // Records in larger batches may still be on their way, and the smaller ones would overtake them.
        if let Err(error) = self.broker.flush(SWITCH).await {
            tracing::warn!(
                %topic,
                %error,
                "events of this topic that are still queued may be written after later ones"
            );
        }
        Ok(known.unwrap_or_default().max(refused.halved()))
    }

    /// A stream that is there and bound, to whatever schema. Creates and binds nothing.
    ///
    /// # Errors
    /// [`ClientError::NotBound`], [`ClientError::NoStream`] where its topic is gone.
    pub(crate) async fn existing_stream(
        &self,
        stream: &StreamId,
    ) -> Result<Arc<BoundStream>, ClientError> {
        let _asking = self.asking.lock().await;
        if let Some(known) = self.bound_stream(stream.as_str()) {
            return Ok(known);
        }
        let topic = self.settings.topic_prefix.topic(stream)?;
        self.follow_bindings(None).await?;
        let Some(binding) = self.binding(stream) else {
            return Err(ClientError::NotBound {
                stream: stream.clone(),
            });
        };
        if self.broker.topic(&topic, "Write").await?.is_none() {
            return Err(ClientError::NoStream {
                stream: stream.clone(),
                topic,
                remedy: "it was bound, but its topic was deleted; an event creates it again, a tombstone does not".to_owned(),
            });
        }
        let news = self.follow_news(&topic).await?;
        let batch = self.batch_limit(&topic, news).await?;
        Ok(self.remember(stream, &topic, &binding.schema, batch))
    }

    pub(super) fn remember(
        &self,
        stream: &StreamId,
        topic: &TopicName,
        schema: &SchemaName,
        batch: BatchLimit,
    ) -> Arc<BoundStream> {
        let ready = Arc::new(BoundStream {
            stream: stream.clone(),
            topic: topic.clone(),
            schema: schema.clone(),
            batch,
            seen: Instant::now(),
        });
        put(&self.hot.streams, stream.as_str().into(), ready.clone());
        self.refresher.start(&self.own);
        ready
    }

    fn no_stream(
        &self,
        stream: &StreamId,
        topic: TopicName,
        schema: &SchemaName,
        exists: bool,
        near: Option<StreamId>,
    ) -> ClientError {
        let is_declared = self.settings.declared_streams.contains(stream);
        let what = match (exists, is_declared, near) {
            (true, ..) => "it is there but not bound to a schema".to_owned(),
            (false, true, _) => "it is declared and not created yet".to_owned(),
            (false, false, None) => "`auto-create-streams` is off".to_owned(),
            (false, false, Some(near)) => {
                format!("did you mean `{near}`? `auto-create-streams` is off")
            }
        };
        ClientError::NoStream {
            stream: stream.clone(),
            topic,
            remedy: format!(
                "{what}; declare it under [[streams]] with schema = \"{schema}\" and run `kafkaesk-cli schema push`, or let the first publish create it with `auto-create-streams = true`"
            ),
        }
    }
}

fn get<K: std::hash::Hash + Eq + std::borrow::Borrow<Q>, Q: std::hash::Hash + Eq + ?Sized, V>(
    map: &RwLock<HashMap<K, Arc<V>>>,
    key: &Q,
) -> Option<Arc<V>> {
    read(map).get(key).cloned()
}

fn put<K: std::hash::Hash + Eq, V>(map: &RwLock<HashMap<K, Arc<V>>>, key: K, value: Arc<V>) {
    let mut map = write(map);
    if map.len() >= REMEMBERED {
        map.clear();
    }
    map.insert(key, value);
}

fn read<T>(map: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    map.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(map: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    map.write().unwrap_or_else(PoisonError::into_inner)
}
