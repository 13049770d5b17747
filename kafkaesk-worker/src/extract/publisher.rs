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
///
/// With `batch(transaction = true)` nothing is sent while the handler runs: each event is checked, and its record is kept for
/// the transaction that commits the message, also if it is published by the client's publisher behind this one. A publish
/// resolves once its record is kept; its [`Receipt`](kafkaesk_client::Receipt) names no offset, and no partition but one that
/// the publish named. What an attempt published that does not end well is dropped. One message may publish 16 MiB; more is
/// [`ClientError::OutboxFull`], and a publish after the end of the attempt is [`ClientError::OutboxClosed`]. Outside of the
/// transaction is what goes another way: a publisher in a `State`, or one of [`Delivery::connection`].
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
        let publisher = delivery.connection().publisher();
        Ok(Self {
            inner: match delivery.outbox() {
                Some(outbox) => publisher.into_outbox(outbox),
                None => publisher,
            },
            trace: delivery.trace(),
        })
    }
}
