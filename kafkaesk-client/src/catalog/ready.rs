//! Makes streams ready for their first record: finds them, or creates and binds them. The slow path of a publish.
//!
//! Kafka takes some 30 ms to create one topic, and no longer for fifty. So the first publish that waits for a new
//! stream also serves all publishes that came meanwhile.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use kafkaesk_core::{DeclaredProperties, SchemaName, StreamId, TopicName};
use tokio::sync::oneshot;

use super::{
    BoundStream, Catalog, EventEntry, NEGATIVE_CACHE_TTL, StreamSpec, publish_cache::admits,
};
use crate::{
    ClientError,
    broker::{BatchLimit, TopicNews},
};

/// How long smaller batches of a topic wait for the larger batches before them.
const SWITCH: Duration = Duration::from_secs(10);

/// A publish that waits for its stream.
#[derive(Debug)]
pub(super) struct Wanted {
    stream: StreamId,
    schema: SchemaName,
    retention: Option<Duration>,
    properties: DeclaredProperties,
    is_keyed: bool,
    answer: oneshot::Sender<Result<Arc<BoundStream>, ClientError>>,
}

impl Wanted {
    /// A publish that was dropped meanwhile needs no answer.
    fn answer(self, ready: Result<Arc<BoundStream>, ClientError>) {
        let _ = self.answer.send(ready);
    }
}

/// An error cannot be cloned: the first publish gets it, and the others try again themselves.
fn refuse_first(wanted: Vec<Wanted>, error: ClientError) {
    if let Some(first) = wanted.into_iter().next() {
        first.answer(Err(error));
    }
}

impl Catalog {
    /// A stream ready for this schema's events: found, or created and bound (if `auto_create_streams`). A stream that
    /// is there and bound needs no right to create or to see settings.
    pub(crate) async fn ready_stream(
        &self,
        stream: &StreamId,
        entry: &EventEntry,
        is_keyed: bool,
    ) -> Result<Arc<BoundStream>, ClientError> {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.wanted.lock().push(Wanted {
                stream: stream.clone(),
                schema: entry.id.name().clone(),
                retention: entry.event.as_ref().and_then(|event| event.retention),
                properties: entry
                    .event
                    .as_ref()
                    .map_or(DeclaredProperties::NONE, |event| event.properties),
                is_keyed,
                answer,
            });
            let _log = self.log_lock.lock().await;
            if let Ok(ready) = answered.try_recv() {
                return ready;
            }
            // It is this publish's turn: it serves itself and all that wait by now.
            let wanted = mem::take(&mut *self.wanted.lock());
            self.serve(wanted).await;
            if let Ok(ready) = answered.try_recv() {
                return ready;
            }
            // The serving publish was dropped, or failed for another stream: try again.
        }
    }

    /// Answers each. A common error goes to the first one, and the others try again themselves.
    async fn serve(&self, wanted: Vec<Wanted>) {
        let mut left: Vec<Wanted> = wanted
            .into_iter()
            .filter(|wanted| !wanted.answer.is_closed())
            .collect();
        while !left.is_empty() {
            // One for each stream: the next finds what the first one made ready.
            let mut streams = HashSet::new();
            let (now, later) = left
                .into_iter()
                .partition(|wanted| streams.insert(wanted.stream.clone()));
            left = later;
            self.serve_distinct(now).await;
        }
    }

    async fn serve_distinct(&self, wanted: Vec<Wanted>) {
        let mut unknown = Vec::new();
        for wanted in wanted {
            match self.remembered(&wanted) {
                Some(found) => wanted.answer(found),
                None => unknown.push(wanted),
            }
        }
        if unknown.is_empty() {
            return;
        }
        if let Err(error) = self.follow_bindings(None).await {
            return refuse_first(unknown, error);
        }
        let mut new = Vec::new();
        for wanted in unknown {
            match self.found(&wanted).await.transpose() {
                Some(found) => wanted.answer(found),
                None => new.push(wanted),
            }
        }
        if !new.is_empty() {
            self.create(new).await;
        }
    }

    /// The cached answer for the stream, if there is one.
    fn remembered(&self, wanted: &Wanted) -> Option<Result<Arc<BoundStream>, ClientError>> {
        match self.bound_stream(wanted.stream.as_str()) {
            Some(known) if known.schema == wanted.schema => Some(Ok(known)),
            Some(other) if other.is_younger_than(NEGATIVE_CACHE_TTL) => {
                Some(Err(ClientError::BoundElsewhere {
                    stream: wanted.stream.clone(),
                    bound: other.schema.clone(),
                    given: wanted.schema.clone(),
                }))
            }
            _ => None,
        }
    }

    /// A stream that is there and bound; `None` for one to create or to bind.
    async fn found(&self, wanted: &Wanted) -> Result<Option<Arc<BoundStream>>, ClientError> {
        let Wanted { stream, schema, .. } = wanted;
        let topic = self.settings.topic_prefix.topic(stream)?;
        let bound = match self.is_bound(stream, schema) {
            Err(ClientError::BoundElsewhere { bound: other, .. }) => {
                // Remembered, so that a burst of wrong events does not ask for each.
                let bound = (&other, self.properties(stream).keys);
                self.remember(stream, &topic, bound, BatchLimit::default());
                return Err(ClientError::BoundElsewhere {
                    stream: stream.clone(),
                    bound: other,
                    given: schema.clone(),
                });
            }
            other => other?,
        };
        let now = self.properties(stream);
        let keys = match bound {
            true => now.keys,
            false => wanted.properties.over(now).keys,
        };
        // Before anything is created for it.
        admits(keys, stream, wanted.is_keyed)?;
        if bound && self.broker.topic(&topic, "Write").await?.is_some() {
            let news = self.follow_news(&topic).await?;
            let batch = self.batch_limit(&topic, news).await?;
            return Ok(Some(self.remember(stream, &topic, (schema, keys), batch)));
        }
        if !self.settings.auto_create_streams {
            let exists = !bound && self.broker.topic(&topic, "Write").await?.is_some();
            let near = self.near_stream(stream.as_str()).await;
            return Err(self.no_stream(stream, topic, schema, exists, near));
        }
        Ok(None)
    }

    /// Creates and binds streams, and answers for each.
    async fn create(&self, wanted: Vec<Wanted>) {
        let specs: Vec<StreamSpec> = wanted
            .iter()
            .map(|wanted| StreamSpec {
                schema: Some(wanted.schema.clone()),
                retention: wanted.retention,
                properties: wanted.properties,
                ..StreamSpec::new(wanted.stream.clone())
            })
            .collect();
        let outcomes = match self.ensure_unbound(&specs).await {
            Ok(outcomes) => outcomes,
            Err(error) => return refuse_first(wanted, error),
        };
        for (wanted, outcome) in wanted.into_iter().zip(outcomes) {
            let ready = match outcome {
                Ok(outcome) => {
                    for warning in &outcome.warnings {
                        tracing::warn!("{warning}");
                    }
                    self.created(&wanted, &outcome.topic, outcome.created).await
                }
                Err(error) => Err(error),
            };
            wanted.answer(ready);
        }
    }

    async fn created(
        &self,
        wanted: &Wanted,
        topic: &TopicName,
        is_new: bool,
    ) -> Result<Arc<BoundStream>, ClientError> {
        let news = self.follow_news(topic).await?;
        if is_new && news == Some(TopicNews::Unknown) {
            tracing::warn!(%topic, "the topic was gone and is created again");
        }
        let of_new = is_new.then(|| self.publish_cache.of_new_topics()).flatten();
        let batch = match of_new {
            // The cached cluster default: it saves a request for each new stream.
            Some(batch) if news.is_none() => batch,
            _ => {
                let batch = self.batch_limit(topic, news).await?;
                if is_new {
                    self.publish_cache.set_of_new_topics(batch);
                }
                batch
            }
        };
        let bound = (&wanted.schema, self.properties(&wanted.stream).keys);
        Ok(self.remember(&wanted.stream, topic, bound, batch))
    }

    /// Takes the news from delivery reports about a ready topic, and acts on them.
    async fn follow_news(&self, topic: &TopicName) -> Result<Option<TopicNews>, ClientError> {
        let news = self.publish_cache.take_news(topic);
        if news == Some(TopicNews::Unknown) {
            self.broker.rediscover(topic).await?;
        }
        Ok(news)
    }

    /// By the topic's `max.message.bytes` where it may be seen, else by what was refused.
    pub(crate) async fn batch_limit(
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
        // Records in larger batches may still be in flight, and smaller batches would overtake them.
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
        let _log = self.log_lock.lock().await;
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
        // A tombstone has a key.
        admits(binding.properties.keys, stream, true)?;
        if self.broker.topic(&topic, "Write").await?.is_none() {
            return Err(ClientError::NoStream {
                stream: stream.clone(),
                topic,
                remedy: "it was bound, but its topic was deleted; an event creates it again, a tombstone does not".to_owned(),
            });
        }
        let news = self.follow_news(&topic).await?;
        let batch = self.batch_limit(&topic, news).await?;
        let bound = (&binding.schema, binding.properties.keys);
        Ok(self.remember(stream, &topic, bound, batch))
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
