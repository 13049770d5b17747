//! `__schema__…`: versions found, planned, stored. A version's first document is the law; verdicts come from reading back.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use kafkaesk_core::{NextOffset, Offset, SchemaId, SchemaName, TopicName};
use kafkaesk_schema::{Document, SchemaLog, Validator};
use parking_lot::Mutex;

use super::{
    ABSENT_BOUND, Catalog, Found, NEGATIVE_CACHE_TTL, Pushed, StoredSchema,
    log_topics::{ALWAYS_TAKEN, RECORD_OVERHEAD, check_kept, not_read_back},
};
use crate::{ClientError, broker::LogSink};

impl Catalog {
    /// A stored version, compiled; cached for the life of the process, since versions never change. A connection that
    /// publishes sees the withdrawal of its own versions within a minute; other withdrawals only affect a new process.
    /// An absent version is looked up again after a second at the earliest. Cancel safe.
    ///
    /// # Errors
    /// [`ClientError::UnknownSchema`], [`ClientError::WithdrawnSchema`], [`ClientError::Document`].
    pub async fn schema(&self, id: &SchemaId) -> Result<Arc<StoredSchema>, ClientError> {
        if let Some(found) = self.known_schema(id)? {
            return Ok(found);
        }
        let _log = self.log_lock.lock().await;
        if let Some(found) = self.known_schema(id)? {
            return Ok(found);
        }
        let topic = self.settings.topic_prefix.schema_topic(id.name())?;
        if let Some((when, remedy)) = self.absent.lock().get(id)
            && when.elapsed() < NEGATIVE_CACHE_TTL
        {
            return Err(ClientError::UnknownSchema {
                id: id.clone(),
                topic,
                remedy: remedy.clone(),
            });
        }
        let log = self.log(id.name()).await?;
        let mut stored = self.stored(id, &log, topic);
        if let Err(ClientError::UnknownSchema { remedy, .. }) = &mut stored
            && log.versions.is_empty()
            && let Some(near) = self.near_schema(id.name()).await
        {
            *remedy = format!("did you mean `{near}`? Else {remedy}");
            self.absent
                .lock()
                .insert(id.clone(), (Instant::now(), remedy.clone()));
        }
        stored
    }

    /// Every schema name that has a log.
    ///
    /// # Errors
    /// As metadata fails.
    pub async fn schema_names(&self) -> Result<Vec<SchemaName>, ClientError> {
        let cluster = self.broker.cluster().await?;
        let prefix = &self.settings.topic_prefix;
        Ok(cluster
            .topics
            .keys()
            .filter_map(|topic| prefix.schema_of(topic))
            .collect())
    }

    /// One schema's log, read from its start; empty if it does not exist. `ignored` lists the records that do not
    /// count.
    ///
    /// # Errors
    /// As reading fails.
    pub async fn log(&self, name: &SchemaName) -> Result<SchemaLog, ClientError> {
        self.log_until(name, None).await
    }

    async fn log_until(
        &self,
        name: &SchemaName,
        until: Option<Offset>,
    ) -> Result<SchemaLog, ClientError> {
        let topic = self.settings.topic_prefix.schema_topic(name)?;
        let replay = Arc::new(Mutex::new((SchemaLog::new(name.clone()), 0)));
        let (taker, log_topic) = (replay.clone(), topic.clone());
        let sink: LogSink = Box::new(move |record| {
            let (log, kept) = &mut *taker.lock();
            let before = log.versions.len();
            log.apply(&record);
            *kept += if log.versions.len() > before {
                record.size()
            } else {
                0
            };
            check_kept(*kept, &log_topic, "documents")
        });
        self.broker
            .read_log(&topic, NextOffset(0), until, sink)
            .await?;
        let log = std::mem::replace(&mut replay.lock().0, SchemaLog::new(name.clone()));
        if let Some(first) = log.ignored.first() {
            tracing::debug!(
                %topic,
                ignored = log.ignored.len(),
                offset = first.offset,
                reason = first.reason,
                "records in a schema log do not count"
            );
        }
        Ok(log)
    }

    /// What [`Self::push`] would do; writes nothing, needs no write rights.
    ///
    /// # Errors
    /// [`ClientError::SchemaConflict`], [`ClientError::WithdrawnSchema`], [`ClientError::Document`];
    /// [`ClientError::LogSettings`] of a topic that is there, [`ClientError::Collision`] of one that is not.
    pub async fn plan_push(
        &self,
        id: &SchemaId,
        document: &Document,
    ) -> Result<Pushed, ClientError> {
        compile(id, document)?;
        let topic = self.settings.topic_prefix.schema_topic(id.name())?;
        let log = self.log(id.name()).await?;
        let held = already_stored(&log, id, document, &topic)?;
        let cluster = self.broker.cluster().await?;
        let exists = self.log_exists(&cluster, &topic).await?;
        if held {
            return Ok(Pushed::Unchanged);
        }
        if exists {
            self.has_room(&topic, id, document).await?;
        }
        Ok(Pushed::New)
    }

    /// Stores a version, and reads the log back to learn whether it counts (docs/decisions.md, log-verdict). Creates
    /// the log's topic if it is absent.
    ///
    /// # Errors
    /// As [`Self::plan_push`]; [`ClientError::LogHeldBack`].
    pub async fn push(&self, id: &SchemaId, document: &Document) -> Result<Pushed, ClientError> {
        if self.plan_push(id, document).await? == Pushed::Unchanged {
            return Ok(Pushed::Unchanged);
        }
        let topic = self.settings.topic_prefix.schema_topic(id.name())?;
        self.ensure_log_topic(&topic, document.bytes().len())
            .await?;
        let key = Bytes::from(id.version().to_string());
        let own = self
            .broker
            .append_log(&topic, vec![(key, document.bytes().clone())])
            .await
            .map_err(|error| match error {
                ClientError::TooLarge { .. } | ClientError::BatchTooLarge { .. } => {
                    too_large(&topic, id, document, None)
                }
                other => other,
            })?;
        let log = self.log_until(id.name(), own.last().copied()).await?;
        self.absent.lock().remove(id);
        if already_stored(&log, id, document, &topic)? {
            return Ok(Pushed::New);
        }
        Err(not_read_back(&topic))
    }

    /// Refuses a document that the topic cannot take, where its settings may be seen.
    async fn has_room(
        &self,
        topic: &TopicName,
        id: &SchemaId,
        document: &Document,
    ) -> Result<(), ClientError> {
        let bytes = document.bytes().len() + RECORD_OVERHEAD;
        if bytes <= ALWAYS_TAKEN {
            return Ok(());
        }
        let config = self.broker.topic_config(topic).await?.unwrap_or_default();
        let limit = config.get("max.message.bytes");
        match limit.and_then(|limit| limit.parse::<usize>().ok()) {
            Some(limit) if limit < bytes => Err(too_large(topic, id, document, Some(limit))),
            _ => Ok(()),
        }
    }

    /// The cached result, which may be [`ClientError::WithdrawnSchema`]; needs no network.
    pub(super) fn known_schema(
        &self,
        id: &SchemaId,
    ) -> Result<Option<Arc<StoredSchema>>, ClientError> {
        match self.schemas.lock().get(id) {
            None => Ok(None),
            Some(Found::Stored(stored)) => Ok(Some(stored.clone())),
            Some(Found::Withdrawn) => Err(ClientError::WithdrawnSchema {
                id: id.clone(),
                topic: self.settings.topic_prefix.schema_topic(id.name())?,
            }),
        }
    }

    /// Never expires: a withdrawn version never comes back.
    pub(super) fn withdraw(&self, id: &SchemaId) {
        self.schemas.lock().insert(id.clone(), Found::Withdrawn);
    }

    /// Compiles a version that a log holds, and keeps it.
    pub(super) fn stored(
        &self,
        id: &SchemaId,
        log: &SchemaLog,
        topic: TopicName,
    ) -> Result<Arc<StoredSchema>, ClientError> {
        let Some(version) = log.versions.get(&id.version()) else {
            let remedy = remedy(id, log);
            let mut absent = self.absent.lock();
            if absent.len() >= ABSENT_BOUND {
                absent.clear();
            }
            absent.insert(id.clone(), (Instant::now(), remedy.clone()));
            return Err(ClientError::UnknownSchema {
                id: id.clone(),
                topic,
                remedy,
            });
        };
        if version.withdrawn {
            self.withdraw(id);
            return Err(ClientError::WithdrawnSchema {
                id: id.clone(),
                topic,
            });
        }
        let stored = Arc::new(StoredSchema {
            id: id.clone(),
            validator: compile(id, &version.document)?,
            document: version.document.clone(),
        });
        self.schemas
            .lock()
            .insert(id.clone(), Found::Stored(stored.clone()));
        Ok(stored)
    }
}

/// Whether the log holds exactly this document for the version.
fn already_stored(
    log: &SchemaLog,
    id: &SchemaId,
    document: &Document,
    topic: &TopicName,
) -> Result<bool, ClientError> {
    let Some(version) = log.versions.get(&id.version()) else {
        return Ok(false);
    };
    if version.withdrawn {
        return Err(ClientError::WithdrawnSchema {
            id: id.clone(),
            topic: topic.clone(),
        });
    }
    if !version.document.same_as(document) {
        return Err(ClientError::SchemaConflict {
            id: id.clone(),
            topic: topic.clone(),
            diff: version.document.diff(document),
        });
    }
    Ok(true)
}

fn too_large(
    topic: &TopicName,
    id: &SchemaId,
    document: &Document,
    limit: Option<usize>,
) -> ClientError {
    let bytes = document.bytes().len();
    ClientError::SchemaTooLarge {
        id: id.clone(),
        topic: topic.clone(),
        bytes,
        limit: limit.map_or_else(String::new, |limit| {
            format!(" (its max.message.bytes is {limit})")
        }),
        needed: bytes + RECORD_OVERHEAD,
    }
}

fn compile(id: &SchemaId, document: &Document) -> Result<Validator, ClientError> {
    Validator::new(document).map_err(|source| ClientError::Document {
        id: id.clone(),
        source,
    })
}

fn remedy(id: &SchemaId, log: &SchemaLog) -> String {
    let push = format!(
        "push it with `kafkaesk-cli schema push FILE` (a file named {}.{}.json), or with the `schema push` of the application that owns it",
        id.name(),
        id.version()
    );
    if log.versions.is_empty() {
        return push;
    }
    let versions: Vec<String> = log.versions.keys().map(u32::to_string).collect();
    format!("it holds version(s) {}; {push}", versions.join(", "))
}
