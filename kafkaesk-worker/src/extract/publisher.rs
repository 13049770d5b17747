//! `publisher: Publisher`: publishes over the worker's connection, carrying the trace on.

use std::ops::Deref;

use kafkaesk_client::{
    ClientError, Settings,
    publisher::{IntoJson, Publish},
    schema::Event,
};
use kafkaesk_core::Headers;

use crate::{Delivery, FromDelivery, Rejection};

/// Publishes from a handler. What it publishes carries the trace (`traceparent`, `tracestate`) of the record that is
/// being handled, or the attempt's own span where the connection is traced ([`Delivery::trace`]). Derefs to the client's publisher, whose own methods carry nothing.
#[derive(Clone, Debug)]
pub struct Publisher {
    inner: kafkaesk_client::Publisher,
    /// The trace that goes on.
    trace: Headers,
}

impl Publisher {
    /// Connects a publisher of its own, outside of any handler; see [`kafkaesk_client::Publisher::connect`].
    ///
    /// # Errors
    /// As the client's.
    pub async fn connect(settings: &Settings) -> Result<Self, ClientError> {
        Ok(Self {
            inner: kafkaesk_client::Publisher::connect(settings).await?,
            trace: Headers::new(),
        })
    }

    /// Publishes an event; see [`kafkaesk_client::Publisher::publish`].
    pub fn publish<T: Event>(&self, stream: &str, event: &T) -> Publish {
        self.inner.publish(stream, event).trace_from(&self.trace)
    }

    /// Publishes raw JSON; see [`kafkaesk_client::Publisher::publish_json`].
    pub fn publish_json(
        &self,
        stream: &str,
        schema: impl AsRef<str>,
        data: impl IntoJson,
    ) -> Publish {
        self.inner
            .publish_json(stream, schema, data)
            .trace_from(&self.trace)
    }

    /// Publishes a tombstone; see [`kafkaesk_client::Publisher::tombstone`].
    pub fn tombstone(&self, stream: &str, key: impl AsRef<[u8]>) -> Publish {
        self.inner.tombstone(stream, key).trace_from(&self.trace)
    }
}

impl Deref for Publisher {
    type Target = kafkaesk_client::Publisher;

    fn deref(&self) -> &kafkaesk_client::Publisher {
        &self.inner
    }
}

impl FromDelivery for Publisher {
    fn from_delivery(delivery: &Delivery) -> Result<Self, Rejection> {
        Ok(Self {
            inner: delivery.connection().publisher(),
            trace: delivery.trace(),
        })
    }
}
