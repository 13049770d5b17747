//! `__streams__`: which schema name each stream is bound to. The first record of an epoch wins, for every reader.
//!
//! The log is read once from its start, and then from the end of the last reading: otherwise a program that publishes
//! to many new streams would read the whole log for each of them.

use std::sync::Arc;

use kafkaesk_core::{NextOffset, Offset, SchemaName, StreamId, StreamProperties};
use kafkaesk_schema::{Binding, Bindings, LogRecord};
use parking_lot::Mutex;

use super::{
    Catalog,
    log_topics::{check_kept, not_read_back},
};
use crate::{ClientError, broker::LogSink};

/// The bindings log, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct BindingsLog(Mutex<Arc<Mutex<Replay>>>);

impl BindingsLog {
    fn current(&self) -> Arc<Mutex<Replay>> {
        self.0.lock().clone()
    }

    /// Forgets the log. A reading that has not ended fills the discarded replay.
    fn restart(&self) -> Arc<Mutex<Replay>> {
        let fresh = Arc::<Mutex<Replay>>::default();
        *self.0.lock() = fresh.clone();
        fresh
    }
}

#[derive(Debug)]
struct Replay {
    bindings: Bindings,
    next: NextOffset,
    /// Bytes of the records that count.
    kept: usize,
}

impl Default for Replay {
    fn default() -> Self {
        Self {
            bindings: Bindings::default(),
            next: NextOffset(0),
            kept: 0,
        }
    }
}

impl Replay {
    /// Takes a record, unless another reading took it already.
    fn apply(&mut self, record: &LogRecord) {
        if record.offset < self.next.0 {
            return;
        }
        self.next = Offset(record.offset).next();
        let before = self.bindings.ignored.len() as u64 + self.bindings.more_ignored;
        self.bindings.apply(record);
        if self.bindings.ignored.len() as u64 + self.bindings.more_ignored == before {
            self.kept += record.size();
        }
    }
}

impl Catalog {
    /// All bindings, read from the log's start; empty if there are none.
    ///
    /// # Errors
    /// As reading fails; [`ClientError::LogTooLarge`].
    pub async fn bindings(&self) -> Result<Bindings, ClientError> {
        let replay = self.bindings.restart();
        self.read_bindings(replay.clone(), None).await?;
        let bindings = replay.lock().bindings.clone();
        if let Some(first) = bindings.ignored.first() {
            tracing::debug!(
                topic = %self.settings.topic_prefix.bindings_topic()?,
                ignored = bindings.ignored.len() as u64 + bindings.more_ignored,
                offset = first.offset,
                reason = first.reason,
                "records in the bindings log do not count"
            );
        }
        Ok(bindings)
    }

    /// Reads the log on to its end, or to the record at `until` at least.
    pub(super) async fn follow_bindings(&self, until: Option<Offset>) -> Result<(), ClientError> {
        let replay = self.bindings.current();
        if !self.read_bindings(replay, until).await? {
            let replay = self.bindings.restart();
            self.read_bindings(replay, until).await?;
        }
        Ok(())
    }

    /// What a stream is bound to, as far as the log was read.
    pub(super) fn binding(&self, stream: &StreamId) -> Option<Binding> {
        let replay = self.bindings.current();
        replay.lock().bindings.streams.get(stream).cloned()
    }

    /// How often a stream was bound or unbound, as far as the log was read.
    fn epoch(&self, stream: &StreamId) -> u64 {
        let replay = self.bindings.current();
        replay.lock().bindings.epoch(stream)
    }

    /// Unbinds a stream, so that its next publisher may bind it to another schema. Publishers that know the stream see it
    /// within a minute. `None` if it is not bound; else what it was bound to.
    ///
    /// # Errors
    /// Errors of writing and reading; [`ClientError::Kafka`] if another program has bound it again meanwhile.
    pub async fn unbind(&self, stream: &StreamId) -> Result<Option<SchemaName>, ClientError> {
        let _log = self.log_lock.lock().await;
        self.follow_bindings(None).await?;
        let Some(binding) = self.binding(stream) else {
            return Ok(None);
        };
        let topic = self.settings.topic_prefix.bindings_topic()?;
        self.ensure_log_topic(&topic, 0).await?;
        let record = Bindings::unbinding(stream, binding.epoch + 1);
        let own = self.broker.append_log(&topic, vec![record]).await?;
        self.follow_bindings(own.last().copied()).await?;
        match self.binding(stream) {
            None => {
                self.publish_cache.forget_stream(stream);
                Ok(Some(binding.schema))
            }
            Some(now) if now.epoch > binding.epoch => Err(ClientError::Kafka {
                action: format!("unbinding {stream}"),
                source: format!("somebody bound it to {} meanwhile", now.schema).into(),
            }),
            Some(_) => Err(not_read_back(&topic)),
        }
    }

    /// Whether the stream is bound to this schema, as far as the log was read.
    ///
    /// # Errors
    /// It is bound to another.
    pub(super) fn is_bound(
        &self,
        stream: &StreamId,
        schema: &SchemaName,
    ) -> Result<bool, ClientError> {
        match self.binding(stream) {
            None => Ok(false),
            Some(binding) if binding.schema == *schema => Ok(true),
            Some(binding) => Err(ClientError::BoundElsewhere {
                stream: stream.clone(),
                bound: binding.schema,
                given: schema.clone(),
            }),
        }
    }

    /// Reads on to the log's end; `false` if the topic was deleted or created again.
    async fn read_bindings(
        &self,
        replay: Arc<Mutex<Replay>>,
        until: Option<Offset>,
    ) -> Result<bool, ClientError> {
        let topic = self.settings.topic_prefix.bindings_topic()?;
        let from = replay.lock().next;
        if until.is_some_and(|until| until < Offset(from.0)) {
            return Ok(true);
        }
        let (taker, name) = (replay.clone(), topic.clone());
        let sink: LogSink = Box::new(move |record| {
            let mut replay = taker.lock();
            replay.apply(&record);
            check_kept(replay.kept, &name, "bindings")
        });
        let Some(next) = self.broker.read_log(&topic, from, until, sink).await? else {
            return Ok(false);
        };
        let mut replay = replay.lock();
        replay.next = replay.next.max(next);
        Ok(true)
    }

    /// Binds streams that are not bound, or gives bound ones other properties, with one result for each. If another program
    /// was first, its binding decides.
    pub(super) async fn bind(
        &self,
        streams: &[(&StreamId, &SchemaName, StreamProperties)],
    ) -> Result<Vec<Result<(), ClientError>>, ClientError> {
        let topic = self.settings.topic_prefix.bindings_topic()?;
        self.ensure_log_topic(&topic, 0).await?;
        let records = streams
            .iter()
            .map(|(stream, schema, properties)| {
                let binding = Binding {
                    schema: (*schema).clone(),
                    epoch: self.epoch(stream) + 1,
                    properties: *properties,
                };
                Bindings::record(stream, &binding)
            })
            .collect();
        let own = self.broker.append_log(&topic, records).await?;
        self.follow_bindings(own.last().copied()).await?;
        Ok(streams
            .iter()
            .map(|(stream, schema, _)| match self.is_bound(stream, schema)? {
                true => Ok(()),
                false => Err(not_read_back(&topic)),
            })
            .collect())
    }
}
