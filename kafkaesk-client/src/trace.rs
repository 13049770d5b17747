//! Trace: the seam to a tracing system, such as OpenTelemetry. A publish and an attempt each begin one span. Knows no such
//! system, and costs one branch where none is set.

use std::{any::Any, fmt, sync::Arc};

use kafkaesk_core::{Headers, Offset, Record, SchemaId, TopicName};

/// The `error.type` of a span that was dropped before its work had an end: a publish that its caller gave up, or an attempt
/// that the end of the worker cut off.
pub const DROPPED: &str = "dropped";

/// Begins spans. Set once for a connection ([`Connection::trace_with`](crate::Connection::trace_with)).
pub trait Tracer: fmt::Debug + Send + Sync + 'static {
    /// A publish takes its first step; `None` if it is not traced. The span ends with the brokers' answer.
    fn send(&self, sending: &Sending<'_>) -> Option<Arc<dyn Span>>;

    /// An attempt at a record begins; `None` if it is not traced.
    fn process(&self, processing: &Processing<'_>) -> Option<Arc<dyn Span>>;
}

/// A span that has begun. Shared, since a producer that fails gives a record back: it is sent once more in the same span.
/// Dropped without an end, it ends by itself with [`DROPPED`].
pub trait Span: fmt::Debug + Send + Sync {
    /// The span's own context as headers: `traceparent`, and `tracestate` if it has one.
    fn carried(&self) -> Headers;

    /// Its ids for logs; `None` unless the span is sampled.
    fn ids(&self) -> Option<SpanIds>;

    /// Makes it the current context of this thread until the guard is dropped: for one poll.
    fn enter(&self) -> Entered;

    /// Ends it; only the first end counts.
    fn end(&self, end: &SpanEnd<'_>);
}

/// Keeps a span the current one of its thread.
pub type Entered = Box<dyn Any>;

/// The ids of a span, as lower-case hexadecimal text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanIds {
    /// 32 digits.
    pub trace: String,
    /// 16 digits.
    pub span: String,
}

/// A publish at its first step.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sending<'a> {
    /// The whole topic name.
    pub topic: &'a TopicName,
    /// The event's schema; `None` for a tombstone.
    pub schema: Option<&'a SchemaId>,
    /// The headers of the parent: those that the caller gave if a `traceparent` is among them, otherwise the trace of the
    /// record that is handled. Without a `traceparent` the current context of the thread is the parent.
    pub parent: &'a Headers,
    /// The event's own identity, if it has one.
    pub id: Option<&'a str>,
    /// The record's key. It may be a secret.
    pub key: Option<&'a [u8]>,
}

/// An attempt at its begin.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Processing<'a> {
    /// The record; for a redriven message, the original one.
    pub record: &'a Record,
    /// The consumer group, as sent to Kafka.
    pub group: &'a str,
    /// The subscription's pattern, as written.
    pub pattern: &'a str,
    /// 1 for the first attempt in this process, 2 for the second, …
    pub attempt: u32,
    /// Whether it was a dead letter before.
    pub redriven: bool,
    /// Of a batch: how many messages it has; `record` is the first. 1 for a message that comes alone.
    pub messages: usize,
    /// Of a batch: its first records, at most [`LINKED`], to whose traces the span links. It goes on with none of them.
    pub linked: &'a [&'a Record],
}

/// How many records of a batch a span links to.
pub const LINKED: usize = 100;

impl<'a> Processing<'a> {
    /// An attempt at a record for this group and subscription.
    pub fn new(
        record: &'a Record,
        group: &'a str,
        pattern: &'a str,
        attempt: u32,
        redriven: bool,
    ) -> Self {
        Self {
            record,
            group,
            pattern,
            attempt,
            redriven,
            messages: 1,
            linked: &[],
        }
    }

    /// The same, of a batch.
    #[must_use]
    pub fn of_batch(self, messages: usize, linked: &'a [&'a Record]) -> Self {
        Self {
            messages,
            linked,
            ..self
        }
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanEnd<'a> {
    /// One word of a closed list; `None` if all went well. For a publish: those of
    /// [`PublishEnd`](crate::meter::PublishEnd), and `failed` after it was queued.
    pub error: Option<&'static str>,
    /// Where the record was written.
    pub place: Option<(i32, Option<Offset>)>,
    /// The event's schema, where it was learned only now.
    pub schema: Option<&'a str>,
}

impl SpanEnd<'_> {
    /// With this error.
    pub(crate) fn failed(error: &'static str) -> Self {
        Self {
            error: Some(error),
            ..Self::default()
        }
    }

    /// The record was written there.
    pub(crate) fn written(partition: i32, offset: Option<Offset>) -> Self {
        Self {
            place: Some((partition, offset)),
            ..Self::default()
        }
    }
}
