//! One publish as its caller builds it: key, headers, partition, timestamp, id.
//!
//! Next: `request` takes the steps.

use std::future::IntoFuture;

use bytes::Bytes;
use kafkaesk_core::{
    Headers,
    headers::{ID, check_user_header},
};

use super::{
    future::{Enqueue, Publishing},
    request::Request,
};
use crate::ClientError;

/// A publish that is not sent yet: await it for the receipt, or [`enqueue`](Self::enqueue) it. Owned and `Send`.
#[derive(Debug)]
#[must_use = "nothing is published until this is awaited"]
pub struct Publish {
    request: Box<Request>,
}

impl Publish {
    pub(super) fn new(request: Request) -> Self {
        Self {
            request: Box::new(request),
        }
    }

    /// The key: its partition is where every language's client would put it, and its records keep their order.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.request.key = Some(Bytes::copy_from_slice(key.as_ref()));
        self
    }

    /// Adds a header; an equal name is kept as well. Names that begin with `kafkaesk-`, in any case, are refused when
    /// awaited.
    pub fn header(self, name: impl Into<String>, value: impl AsRef<str>) -> Self {
        self.header_bytes(name, value.as_ref())
    }

    /// Adds a header whose value need not be UTF-8. The Python library's consumers stop at such a value.
    pub fn header_bytes(self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.push_header(name.into(), Some(Bytes::copy_from_slice(value.as_ref())))
    }

    /// Adds headers as they are, null values included: for copies. Names are checked as in [`Self::header`].
    pub fn headers(mut self, headers: &Headers) -> Self {
        for (name, value) in headers.iter() {
            self = match value {
                Some(value) => self.header_bytes(name, value),
                None => self.null_header(name),
            };
        }
        self
    }

    /// Adds a header without a value. The Python library's consumers stop at such a one.
    pub fn null_header(self, name: impl Into<String>) -> Self {
        self.push_header(name.into(), None)
    }

    /// The event's own identity (`kafkaesk-id`), kept by copies: what a consumer deduplicates by.
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        let id = Bytes::copy_from_slice(id.as_ref().as_bytes());
        self.request.headers.push(ID, Some(id));
        self
    }

    /// A fixed partition instead of the key's; a negative one is an error of this publish.
    pub fn partition(mut self, partition: i32) -> Self {
        if partition < 0 {
            self.request.refuse(ClientError::Setting(format!(
                "partition {partition} does not exist; partitions count from 0"
            )));
        }
        self.request.partition = Some(partition);
        self
    }

    /// The record's timestamp, in milliseconds since the Unix epoch; now if not given. One before it is an error of this
    /// publish: Kafka would keep none at all.
    pub fn timestamp(mut self, millis: i64) -> Self {
        if millis < 0 {
            self.request.refuse(ClientError::Setting(format!(
                "timestamp {millis} lies before 1970; a record cannot have it"
            )));
        }
        self.request.timestamp = Some(millis);
        self
    }

    /// Carries a consumed record's trace on: its last `traceparent` and every `tracestate`, or neither without a
    /// `traceparent` ([`Headers::trace`]). Nothing of it is sent when this publish has a `traceparent` header of its
    /// own, given before or after.
    pub fn trace_from(mut self, headers: &Headers) -> Self {
        self.request.trace = headers.trace();
        self
    }

    /// Resolves when the record is in the local queue; its [`Delivery`](super::Delivery) when the brokers have it.
    /// When the queue is full this waits, without sleeping or spinning. Dropped before it resolves, nothing is sent.
    ///
    /// # Errors
    /// The future's: the event does not fit ([`ClientError::Invalid`], [`ClientError::Malformed`]), the schema or the
    /// stream is not to be used ([`ClientError::UnknownSchema`], [`ClientError::BoundElsewhere`], …).
    pub fn enqueue(self) -> Enqueue {
        Enqueue::new(self.request)
    }

    fn push_header(mut self, name: String, value: Option<Bytes>) -> Self {
        let refused = match check_user_header(&name) {
            Err(reserved) => Some(reserved.to_string()),
            // librdkafka takes names as C strings.
            Ok(()) if name.contains('\0') => Some(format!(
                "header {name:?}: a header's name cannot hold a NUL character"
            )),
            Ok(()) => None,
        };
        if let Some(why) = refused {
            self.request.refuse(ClientError::Setting(why));
            return self;
        }
        self.request.headers.push(name, value);
        self
    }
}

impl IntoFuture for Publish {
    type Output = <Publishing as Future>::Output;
    type IntoFuture = Publishing;

    fn into_future(self) -> Publishing {
        Publishing::new(Enqueue::new(self.request))
    }
}
