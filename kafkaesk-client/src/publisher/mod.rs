//! Publishing: value → schema check → envelope → producer → delivery report.
//!
//! `request` holds what one publish collects, `publish` its builder, `future` the named futures, and `json` what counts
//! as JSON.

mod future;
mod json;
mod outbox;
mod publish;
mod request;

use std::time::Duration;

use kafkaesk_schema::Event;

use self::request::Request;
pub use self::{
    future::{Enqueue, Publishing},
    json::IntoJson,
    outbox::{Collected, Outbox},
    publish::Publish,
};
pub use crate::delivery::{Delivery, Receipt};
use crate::{ClientError, Connection, Settings};

impl Connection {
    /// A publisher over this connection.
    pub fn publisher(&self) -> Publisher {
        Publisher {
            connection: self.clone(),
            outbox: None,
        }
    }
}

/// Publishes under the contract. Cheap to clone; all clones share one connection, one producer and its queue.
///
/// When the last handle of a connection goes, what was queued is waited for, five seconds at most, and the thread that
/// dropped it is blocked so long: in async code call [`flush`](Self::flush) before, which blocks nobody.
#[derive(Clone, Debug)]
pub struct Publisher {
    connection: Connection,
    /// Where records are kept instead of being sent.
    outbox: Option<Outbox>,
}

impl Publisher {
    /// Connects; returns after a broker answered.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] within `connect_timeout`, [`ClientError::Authentication`], [`ClientError::Setting`].
    pub async fn connect(settings: &Settings) -> Result<Self, ClientError> {
        Ok(Connection::open(settings).await?.publisher())
    }

    /// The connection behind it.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A publisher whose records are kept in this outbox instead of being sent: everything is checked as always, a stream that
    /// is new is created, and a publish resolves once its record is in the outbox. Its receipt names no offset, and the
    /// partition only where the publish did.
    #[must_use]
    pub fn into_outbox(self, outbox: &Outbox) -> Self {
        Self {
            outbox: Some(outbox.clone()),
            ..self
        }
    }

    fn publishing(&self, request: Request) -> Publish {
        Publish::new(request.into_outbox(self.outbox.clone()))
    }

    /// Publishes an event. It is serialized here and now; everything else happens when the answer is awaited, errors
    /// included.
    ///
    /// Awaiting waits for the brokers, and librdkafka collects records for 5 ms (`linger.ms`) before it sends: a loop
    /// of awaited publishes is slow. For many, [`enqueue`](Publish::enqueue) each and await the deliveries later.
    ///
    /// ```no_run
    /// # use kafkaesk_client::{ClientError, Publisher, schema::Event};
    /// # async fn example<T: Event>(kafka: Publisher, event: T) -> Result<(), ClientError> {
    /// let receipt = kafka.publish("content.edited.Resource", &event).key("user-7").await?;
    /// println!("{receipt}"); // topic[partition]@offset
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish<T: Event>(&self, stream: &str, event: &T) -> Publish {
        self.publishing(Request::of_event(self.connection.clone(), stream, event))
    }

    /// Publishes raw JSON (bytes, text or a `Value`) as an event of `schema` (`Name:1`), which must be stored already:
    /// raw JSON registers nothing.
    pub fn publish_json(
        &self,
        stream: &str,
        schema: impl AsRef<str>,
        data: impl IntoJson,
    ) -> Publish {
        self.publishing(Request::of_json(
            self.connection.clone(),
            stream,
            schema.as_ref(),
            &data,
        ))
    }

    /// Publishes a tombstone: a record with this key and a null value, which deletes the key from a compacted topic.
    /// It holds no event, so handlers get it only where they ask for it (`Option<Content>`, `Record`, `Raw`). The
    /// stream must exist and be bound to a schema: a tombstone creates and binds nothing.
    ///
    /// # Errors
    /// Those of [`Publish::enqueue`], when awaited; [`ClientError::NotBound`], [`ClientError::NoStream`].
    pub fn tombstone(&self, stream: &str, key: impl AsRef<[u8]>) -> Publish {
        self.publishing(Request::of_tombstone(
            self.connection.clone(),
            stream,
            key.as_ref(),
        ))
    }

    /// Resolves when everything queued is on the brokers.
    ///
    /// # Errors
    /// [`ClientError::FlushTimeout`] after `timeout`; nothing is dropped by it.
    pub async fn flush(&self, timeout: Duration) -> Result<(), ClientError> {
        self.connection.broker().flush(timeout).await
    }
}
