//! Clients: makes the clients that answer single questions, and keeps one idle client of each kind for the next question.
//!
//! A new client connects and asks for metadata before it can do anything. A program that publishes to a thousand new
//! streams asks thousands of questions, so a client stays for [`IDLE`] after its last use.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    admin::AdminClient,
    consumer::{BaseConsumer, Consumer as _},
    producer::{BaseProducer, Producer as _},
};
use tokio::sync::Semaphore;

use super::{
    config::{Role, batch_bytes, client_config},
    context::{Context, Shared},
    delivery::{Deliveries, News},
};
use crate::{ClientError, Settings};

/// How long an idle client is kept.
const IDLE: Duration = Duration::from_secs(10);

/// One connection's clients for single questions.
pub(super) struct Clients {
    pub(super) settings: Arc<Settings>,
    pub(super) shared: Arc<Shared>,
    reader: Spare<BaseConsumer<Context>>,
    writer: Spare<BaseProducer<Deliveries>>,
    admin: Spare<AdminClient<Context>>,
}

impl Clients {
    pub(super) fn new(settings: Arc<Settings>, shared: Arc<Shared>) -> Self {
        Self {
            settings,
            shared,
            reader: Spare::default(),
            writer: Spare::default(),
            admin: Spare::default(),
        }
    }

    /// Reads partitions without a group, committed records only. Blocks where a token must be fetched.
    pub(super) fn reader(&self) -> Result<BaseConsumer<Context>, ClientError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let mut config = client_config(&self.settings, Role::Reader);
                // Overrides the settings: an aborted record does not count.
                config.set("isolation.level", "read_committed");
                // A connection answers in order: the next request waits behind a fetch that waits for records.
                config.set("fetch.wait.max.ms", "1");
                // An offset that is gone must not silently become another one.
                config.set("auto.offset.reset", "error");
                config
                    .create_with_context(Context(self.shared.clone()))
                    .map_err(unusable)?
            }
        };
        self.shared.log_in(reader.client(), &self.settings)?;
        Ok(reader)
    }

    /// Keeps a reader that did its work. One that failed is dropped by its user instead.
    pub(super) fn keep_reader(&self, reader: BaseConsumer<Context>) {
        self.reader.put(reader);
    }

    /// Appends to logs. Blocks where a token must be fetched.
    pub(super) fn writer(&self) -> Result<BaseProducer<Deliveries>, ClientError> {
        let writer: BaseProducer<Deliveries> = match self.writer.take() {
            Some(writer) => writer,
            None => client_config(&self.settings, Role::LogWriter)
                .create_with_context(Deliveries::new(
                    Context(self.shared.clone()),
                    Arc::new(Semaphore::new(0)),
                    batch_bytes(&self.settings),
                    News::default(),
                ))
                .map_err(unusable)?,
        };
        self.shared.log_in(writer.client(), &self.settings)?;
        Ok(writer)
    }

    /// Keeps a writer that did its work.
    pub(super) fn keep_writer(&self, writer: BaseProducer<Deliveries>) {
        self.writer.put(writer);
    }

    /// Creates topics and reads their settings.
    pub(super) async fn admin(self: &Arc<Self>) -> Result<AdminClient<Context>, ClientError> {
        let admin: AdminClient<Context> = match self.admin.take() {
            Some(admin) => admin,
            None => client_config(&self.settings, Role::Admin)
                .create_with_context(Context(self.shared.clone()))
                .map_err(unusable)?,
        };
        if self.shared.tokens.is_none() {
            return Ok(admin);
        }
        // No thread polls this handle's events, so it could not request a token itself.
        let clients = self.clone();
        super::blocking("fetching a token", move || {
            clients.shared.log_in(admin.inner(), &clients.settings)?;
            Ok(admin)
        })
        .await
    }

    /// Keeps an admin client that did its work.
    pub(super) fn keep_admin(&self, admin: AdminClient<Context>) {
        self.admin.put(admin);
    }

    /// Serves the events of idle clients and drops those that were idle for [`IDLE`]. To be called several times a second.
    pub(super) fn tend(&self) {
        self.shared.take_time();
        self.shared.still_away();
        self.reader.tend(|reader| {
            // No group: nothing but events comes out.
            let _ = reader.poll(Duration::ZERO);
        });
        self.writer.tend(|writer| {
            writer.poll(Duration::ZERO);
        });
        self.admin.tend(|_| {});
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

fn unusable(error: rdkafka::error::KafkaError) -> ClientError {
    ClientError::Setting(format!("kafka-settings: {error}"))
}

/// At most one idle client, and since when it is idle.
struct Spare<T>(Mutex<Option<(T, Instant)>>);

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Spare<T> {
    fn take(&self) -> Option<T> {
        Some(self.0.lock().take()?.0)
    }

    fn put(&self, client: T) {
        // The replaced client is dropped after the lock is released, since the drop takes a while.
        let _replaced = self.0.lock().replace((client, Instant::now()));
    }

    fn tend(&self, serve: impl FnOnce(&T)) {
        let mut slot = self.0.lock();
        match &*slot {
            Some((_, since)) if since.elapsed() > IDLE => {
                let idle = slot.take();
                drop(slot);
                drop(idle);
            }
            Some((client, _)) => serve(client),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_idle_client_is_kept_and_the_newest() {
        let spare = Spare::default();
        assert!(spare.take().is_none());
        spare.put(1);
        spare.put(2);
        let mut served = 0;
        spare.tend(|client| served = *client);
        assert_eq!(served, 2);
        assert_eq!(spare.take(), Some(2));
        assert_eq!(spare.take(), None);
    }
}
