//! Every [`REFRESH`], compares the publish cache with the logs and replaces stale entries, so that a running publisher
//! follows withdrawn versions and streams that are bound to another schema. Never on the path of a publish.

use std::{sync::Weak, time::Duration};

use kafkaesk_core::SchemaId;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::Catalog;
use crate::ClientError;

/// The largest age of a publisher's cache before the logs are read again (contract/README.md §8).
const REFRESH: Duration = Duration::from_secs(60);

/// The task that compares; ends when dropped.
#[derive(Debug, Default)]
pub(super) struct Refresher(Mutex<Option<JoinHandle<()>>>);

impl Refresher {
    /// Begins with the first publish, and again where the runtime that it ran on is gone.
    pub(super) fn start(&self, catalog: &Weak<Catalog>) {
        let mut task = self.0.lock();
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(run(catalog.clone())));
        }
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        if let Some(task) = self.0.lock().take() {
            task.abort();
        }
    }
}

async fn run(catalog: Weak<Catalog>) {
    loop {
        tokio::time::sleep(REFRESH).await;
        let Some(catalog) = catalog.upgrade() else {
            return;
        };
        if let Err(error) = catalog.refresh().await {
            tracing::warn!(
                %error,
                "the logs could not be read again; publishing goes on by what was known"
            );
        }
    }
}

impl Catalog {
    async fn refresh(&self) -> Result<(), ClientError> {
        self.refresh_streams().await?;
        for ids in self
            .publish_cache
            .published()
            .chunk_by(|a, b| a.name() == b.name())
        {
            self.refresh_schema(ids).await?;
        }
        Ok(())
    }

    async fn refresh_streams(&self) -> Result<(), ClientError> {
        let _log = self.log_lock.lock().await;
        let bindings = self.bindings().await?;
        for known in self.publish_cache.streams() {
            let Some(binding) = bindings.streams.get(&known.stream) else {
                if bindings.unbound.contains_key(&known.stream) {
                    tracing::warn!(stream = %known.stream, was = %known.schema, "the stream was unbound");
                    self.publish_cache.forget_stream(&known.stream);
                }
                continue;
            };
            let keys = binding.properties.keys;
            if binding.schema != known.schema {
                tracing::warn!(
                    stream = %known.stream,
                    was = %known.schema,
                    schema = %binding.schema,
                    "the stream was bound to another schema"
                );
            } else if keys != known.keys {
                tracing::warn!(stream = %known.stream, was = %known.keys, keys = %keys, "the stream's keys were declared otherwise");
            } else {
                continue;
            }
            let bound = (&binding.schema, keys);
            self.remember(&known.stream, &known.topic, bound, known.batch);
        }
        Ok(())
    }

    /// Versions of one name.
    async fn refresh_schema(&self, ids: &[SchemaId]) -> Result<(), ClientError> {
        let Some(first) = ids.first() else {
            return Ok(());
        };
        let log = self.log(first.name()).await?;
        for id in ids {
            let stored = log.versions.get(&id.version());
            if stored.is_some_and(|stored| stored.withdrawn) {
                tracing::warn!(schema = %id, "the version was withdrawn");
                self.withdraw(id);
                self.publish_cache.forget(id);
            }
        }
        Ok(())
    }
}
