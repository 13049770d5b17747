//! A connection: settings, a broker and what we know of its contract. Cheap to clone; everything else starts here.

use std::sync::{Arc, OnceLock};

use crate::{ClientError, Settings, broker::Broker, catalog::Catalog, trace::Tracer};

/// One process's connection to one cluster.
#[derive(Clone, Debug)]
pub struct Connection {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    broker: Arc<dyn Broker>,
    catalog: Arc<Catalog>,
    tracer: OnceLock<Arc<dyn Tracer>>,
}

impl Connection {
    /// Connects to Apache Kafka; returns after a broker answered.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] within `connect_timeout`, [`ClientError::Authentication`], [`ClientError::Setting`].
    pub async fn open(settings: &Settings) -> Result<Self, ClientError> {
        let broker = crate::kafka::connect(settings).await?;
        Ok(Self::with_broker(settings.clone(), broker))
    }

    /// Opens a connection over a new broker in memory, for tests. Needs the feature `memory`, which is on by default.
    #[cfg(feature = "memory")]
    pub fn in_memory(settings: Settings) -> Self {
        let broker = crate::memory::MemoryBroker::with_prefix(settings.topic_prefix.clone());
        Self::with_broker(settings, Arc::new(broker))
    }

    /// Over any broker.
    pub fn with_broker(settings: Settings, broker: Arc<dyn Broker>) -> Self {
        let catalog = Catalog::new(settings.clone(), broker.clone());
        Self {
            inner: Arc::new(Inner {
                settings,
                broker,
                catalog,
                tracer: OnceLock::new(),
            }),
        }
    }

    /// The settings that it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The broker.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.inner.broker
    }

    /// Schemas and bindings.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// Traces what is published over this connection and its clones, and what a worker handles over it, from now on. The
    /// first tracer stays; a further one is ignored with a warning.
    pub fn trace_with(&self, tracer: Arc<dyn Tracer>) {
        if self.inner.tracer.set(tracer).is_err() {
            tracing::warn!("this connection is traced already; the second tracer is ignored");
        }
    }

    /// What traces it, if anything does.
    pub fn tracer(&self) -> Option<&dyn Tracer> {
        self.inner.tracer.get().map(|tracer| &**tracer)
    }
}
