//! What publishing remembers in, compared with the logs once in [`REFRESH`]: so a running publisher follows a withdrawal
//! and a stream that was bound anew. Never on a publish's way: it goes by what is known until that is replaced.

use std::{sync::Weak, time::Duration};

use kafkaesk_core::SchemaId;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::Catalog;
use crate::ClientError;

/// How old a publisher's knowledge gets before the logs are read again (contract/README.md §8).
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
        for ids in self.hot.published().chunk_by(|a, b| a.name() == b.name()) {
            self.refresh_schema(ids).await?;
        }
        Ok(())
    }

    async fn refresh_streams(&self) -> Result<(), ClientError> {
        let _asking = self.asking.lock().await;
        let bindings = self.bindings().await?;
        for known in self.hot.streams() {
            let Some(binding) = bindings.streams.get(&known.stream) else {
                if bindings.unbound.contains_key(&known.stream) {
                    tracing::warn!(stream = %known.stream, was = %known.schema, "the stream was unbound");
                    self.hot.forget_stream(&known.stream);
                }
                continue;
            };
            if binding.schema != known.schema {
                tracing::warn!(
                    stream = %known.stream,
                    was = %known.schema,
                    schema = %binding.schema,
                    "the stream was bound to another schema"
                );
                self.remember(&known.stream, &known.topic, &binding.schema, known.batch);
            }
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
                self.hot.forget(id);
            }
        }
        Ok(())
    }
}
