//! One publish: what it collects, and the steps that it takes: schema, check, stream, queue.
//!
//! Next: `catalog` for schema and stream, then `kafka/producers.rs`.

use std::{cell::Cell, sync::Arc, time::Duration};

use bytes::Bytes;
use kafkaesk_core::{Headers, SchemaId, StreamId, headers::TRACEPARENT};
use kafkaesk_schema::{Event, InvalidData};

use tokio::time::Instant;

use super::{Delivery, Outbox, json::IntoJson};
use crate::{
    ClientError, Connection,
    broker::{Outgoing, SendError},
    catalog::{BoundStream, EventEntry, StoredSchema},
    meter::{Begun, Tally},
    trace::{Sending, Span, SpanEnd},
};

/// How long a first publish waits before it looks schema and stream up again; each further time twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// At most this long.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

thread_local! {
    /// How long the last envelope was: the next one's buffer is allocated once.
    static LAST_LENGTH: Cell<usize> = const { Cell::new(256) };
}

/// One publish.
#[derive(Debug)]
pub(super) struct Request {
    connection: Connection,
    /// Where it goes; an error waits until it is awaited.
    target: Target,
    content: Content,
    pub(super) key: Option<Bytes>,
    pub(super) headers: Headers,
    /// A consumed record's trace, sent unless `headers` has one.
    pub(super) trace: Headers,
    pub(super) partition: Option<i32>,
    pub(super) timestamp: Option<i64>,
    /// Schema and stream are known and the data fits: only the queue was full.
    checked: bool,
    /// Since its first step on a stream that is known: how it is counted.
    begun: Option<Begun>,
    /// Since its first step, if the connection is traced.
    span: Option<Arc<dyn Span>>,
    /// The first thing that was wrong.
    refused: Option<ClientError>,
    /// Where its record is kept instead of being sent.
    outbox: Option<Outbox>,
}

/// What the record holds.
#[derive(Debug)]
enum Content {
    /// An envelope of this schema.
    Event(Arc<EventEntry>, Bytes),
    /// A null value.
    Tombstone,
    /// Nothing: the request is refused.
    None,
}

#[derive(Debug)]
enum Target {
    /// Published to before: in the publish cache.
    Cached(Arc<BoundStream>),
    /// To be looked up.
    New(StreamId),
    /// The stream's name is invalid; `refused` says why.
    Invalid,
}

/// How a try ended that does not wait.
pub(super) enum TryPublish {
    /// It is in the queue.
    Queued(Delivery),
    /// It never will be.
    Refused(ClientError),
    /// Something must be waited for.
    Wait(Box<Request>),
}

impl Request {
    pub(super) fn of_event<T: Event>(connection: Connection, stream: &str, event: &T) -> Self {
        let entry = connection.catalog().entry_of::<T>();
        Self::new(connection, stream, entry, |buffer| {
            serde_json::to_writer(buffer, event)
        })
    }

    pub(super) fn of_json(
        connection: Connection,
        stream: &str,
        schema: &str,
        data: &impl IntoJson,
    ) -> Self {
        let entry = connection.catalog().entry_of_id(schema);
        Self::new(connection, stream, entry, |buffer| data.write_json(buffer))
    }

    pub(super) fn of_tombstone(connection: Connection, stream: &str, key: &[u8]) -> Self {
        let mut request = Self::to(connection, stream);
        request.content = Content::Tombstone;
        request.key = Some(Bytes::copy_from_slice(key));
        request
    }

    fn new(
        connection: Connection,
        stream: &str,
        entry: Result<Arc<EventEntry>, ClientError>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), serde_json::Error>,
    ) -> Self {
        let mut request = Self::to(connection, stream);
        match entry {
            Ok(entry) => {
                let mut buffer = Vec::with_capacity(LAST_LENGTH.get() + 64);
                buffer.extend_from_slice(entry.prefix.as_bytes());
                match write(&mut buffer) {
                    Ok(()) => {
                        buffer.push(b'}');
                        LAST_LENGTH.set(buffer.len());
                        request.content = Content::Event(entry, buffer.into());
                    }
                    Err(error) => request.refuse(ClientError::Setting(format!(
                        "the event for {stream} cannot be written as JSON; nothing was published: {error}"
                    ))),
                }
            }
            Err(error) => request.refuse(error),
        }
        request
    }

    /// A request without a content.
    fn to(connection: Connection, stream: &str) -> Self {
        let mut refused = None;
        let target = match connection.catalog().bound_stream(stream) {
            Some(known) => Target::Cached(known),
            None => match StreamId::new(stream) {
                Ok(stream) => Target::New(stream),
                Err(error) => {
                    refused = Some(error.into());
                    Target::Invalid
                }
            },
        };
        Self {
            connection,
            target,
            content: Content::None,
            key: None,
            headers: Headers::new(),
            trace: Headers::new(),
            partition: None,
            timestamp: None,
            checked: false,
            begun: None,
            span: None,
            refused,
            outbox: None,
        }
    }

    /// Its record is kept in this outbox, if there is one, instead of being sent.
    pub(super) fn into_outbox(self, outbox: Option<Outbox>) -> Self {
        Self { outbox, ..self }
    }

    /// Keeps the first error.
    pub(super) fn refuse(&mut self, error: ClientError) {
        self.refused.get_or_insert(error);
    }

    /// Publishes without waiting, if nothing must be waited for: the usual case.
    pub(super) fn try_publish(mut self: Box<Self>) -> TryPublish {
        if self.connection.tracer().is_some() {
            self.begin_span();
        }
        if let Some(error) = self.refused.take() {
            return TryPublish::Refused(self.ended(error));
        }
        let Target::Cached(known) = &self.target else {
            return TryPublish::Wait(self);
        };
        let begun = *self.begun.get_or_insert_with(|| known.meter.begin());
        if let Err(error) = known.admits(self.key.as_ref()) {
            return TryPublish::Refused(self.ended(error));
        }
        if let Content::Event(entry, value) = &self.content {
            let Some(stored) = entry
                .stored
                .get()
                .filter(|_| known.schema == *entry.id.name())
            else {
                return TryPublish::Wait(self);
            };
            if let Err(error) = check(value, entry, stored, &known.stream) {
                return TryPublish::Refused(self.ended(error));
            }
        }
        let (connection, known) = (self.connection.clone(), known.clone());
        let record = self.outgoing(&known);
        let tally = Tally::new(&known.meter, begun).in_span(self.span.as_ref());
        let sent = match &self.outbox {
            Some(outbox) => put(outbox, &connection, record, tally).map_err(SendError::Refused),
            None => connection.broker().send_counted(record, Some(tally)),
        };
        match sent {
            Ok(delivery) => TryPublish::Queued(delivery),
            Err(SendError::Refused(error)) => TryPublish::Refused(self.ended(error)),
            Err(SendError::Full(record)) => {
                self.take_back(record);
                self.checked = true;
                TryPublish::Wait(self)
            }
        }
    }

    /// Publishes, and waits for what [`Self::try_publish`] could not do at once.
    pub(super) async fn publish_waiting(mut self: Box<Self>) -> Result<Delivery, ClientError> {
        match self.publish_soon().await {
            Ok(delivery) => Ok(delivery),
            Err(error) => Err(self.ended(error)),
        }
    }

    async fn publish_soon(&mut self) -> Result<Delivery, ClientError> {
        let at = std::time::Instant::now();
        let connection = self.connection.clone();
        if self.outbox.is_none() {
            connection.broker().prepare();
        }
        let ready = match &self.target {
            // Nothing but the queue is to be waited for.
            Target::Cached(known) if self.checked => known.clone(),
            Target::Cached(known) => self.ready(&known.stream).await?,
            Target::New(stream) => self.ready(stream).await?,
            Target::Invalid => return Err(ClientError::Closed),
        };
        // Another publish may have made it ready.
        ready.admits(self.key.as_ref())?;
        let begin = || ready.meter.begin_at(|| at);
        let begun = *self.begun.get_or_insert_with(begin);
        let record = self.outgoing(&ready);
        let tally = Tally::new(&ready.meter, begun).in_span(self.span.as_ref());
        match &self.outbox {
            Some(outbox) => put(outbox, &connection, record, tally),
            None => connection.broker().queue_counted(record, Some(tally)).await,
        }
    }

    /// Counts a publish that ends before it was accepted for sending.
    fn ended(&self, error: ClientError) -> ClientError {
        let (settings, meters) = (
            self.connection.settings(),
            self.connection.catalog().meters(),
        );
        let of_new = |stream: &StreamId| {
            let topic = settings.topic_prefix.topic(stream).ok()?;
            Some(meters.of(&topic, stream))
        };
        let meter = match &self.target {
            Target::Cached(known) => Some(known.meter.clone()),
            Target::New(stream) => of_new(stream),
            Target::Invalid => None,
        };
        let meter = meter.unwrap_or_else(|| meters.others());
        let end = meters.ended(&meter, self.schema(), &error);
        if let Some(span) = &self.span {
            span.end(&SpanEnd::failed(end.name()));
        }
        error
    }

    fn schema(&self) -> Option<&SchemaId> {
        match &self.content {
            Content::Event(entry, _) => Some(&entry.id),
            Content::Tombstone | Content::None => None,
        }
    }

    /// Begins the span, and puts its context among the headers unless the caller gave a `traceparent`. A publish to a name
    /// that no stream can have gets none: it goes nowhere.
    fn begin_span(&mut self) {
        let new;
        let topic = match &self.target {
            Target::Cached(known) => &known.topic,
            Target::New(stream) => match self.connection.settings().topic_prefix.topic(stream) {
                Ok(topic) => {
                    new = topic;
                    &new
                }
                Err(_) => return,
            },
            Target::Invalid => return,
        };
        let is_own = self.headers.get(TRACEPARENT).is_some();
        let sending = Sending {
            topic,
            schema: self.schema(),
            parent: if is_own { &self.headers } else { &self.trace },
            id: self.headers.id(),
            key: self.key.as_deref(),
        };
        let Some(span) = self.connection.tracer().and_then(|it| it.send(&sending)) else {
            return;
        };
        if !is_own {
            self.trace = span.carried();
        }
        self.span = Some(span);
    }

    /// Schema and stream ready for this record. What passes by itself, such as an outage, is tried again until
    /// `delivery-timeout` is over. Nothing is written before.
    async fn ready(&self, stream: &StreamId) -> Result<Arc<BoundStream>, ClientError> {
        let settings = self.connection.settings();
        let deadline = Instant::now() + settings.delivery_timeout;
        let mut last = None;
        let mut pause = FIRST_PAUSE;
        let tries = async {
            loop {
                match self.look_up(stream).await {
                    Err(error) if error.is_passing() => {
                        if last.is_none() {
                            tracing::warn!(%stream, %error, "a first publish waits: schema and stream are looked up again");
                        }
                        last = Some(error.to_string());
                    }
                    done => return done,
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        if let Ok(done) = tokio::time::timeout_at(deadline, tries).await {
            return done;
        }
        let reason = last.or_else(|| self.connection.broker().trouble());
        Err(ClientError::NotDelivered {
            topic: settings.topic_prefix.topic(stream)?,
            reason: format!(
                "its schema and stream could not be looked up within `delivery-timeout` ({:?}): {}; publish again when the brokers answer, or raise `delivery-timeout`",
                settings.delivery_timeout,
                reason.as_deref().unwrap_or("no answer came"),
            ),
        })
    }

    /// One try.
    async fn look_up(&self, stream: &StreamId) -> Result<Arc<BoundStream>, ClientError> {
        let catalog = self.connection.catalog();
        match &self.content {
            Content::Event(entry, value) => {
                let stored = catalog.stored_of(entry).await?;
                // Before the stream: an event that does not fit leaves no topic behind.
                check(value, entry, &stored, stream)?;
                let is_keyed = self.key.is_some();
                catalog.ready_stream(stream, entry, is_keyed).await
            }
            Content::Tombstone => catalog.existing_stream(stream).await,
            Content::None => Err(ClientError::Closed),
        }
    }

    fn outgoing(&mut self, stream: &BoundStream) -> Outgoing {
        let value = match &mut self.content {
            Content::Event(entry, value) => {
                // Only now: the places that the check names are those of the caller's bytes.
                trim(value, entry.prefix.as_bytes().len());
                Some(std::mem::take(value))
            }
            Content::Tombstone | Content::None => None,
        };
        let mut headers = std::mem::take(&mut self.headers);
        if !self.trace.is_empty() && headers.get(TRACEPARENT).is_none() {
            for (name, value) in self.trace.iter() {
                headers.push(name, value.cloned());
            }
        }
        Outgoing {
            topic: stream.topic.clone(),
            partition: self.partition,
            key: self.key.take(),
            value,
            headers,
            timestamp: self.timestamp,
            batch: stream.batch,
        }
    }

    /// The queue was full: what [`Self::outgoing`] took is needed again. The trace is among the headers by now.
    fn take_back(&mut self, record: Outgoing) {
        self.key = record.key;
        if let (Content::Event(_, value), Some(taken)) = (&mut self.content, record.value) {
            *value = taken;
        }
        self.headers = record.headers;
    }
}

fn put(
    outbox: &Outbox,
    connection: &Connection,
    record: Outgoing,
    tally: Tally<'_>,
) -> Result<Delivery, ClientError> {
    outbox.put(record, Some(tally), connection.broker().record_bytes())
}

/// The data against the stored schema, on the very bytes that are sent.
fn check(
    value: &[u8],
    entry: &EventEntry,
    stored: &StoredSchema,
    stream: &StreamId,
) -> Result<(), ClientError> {
    let data = &value[entry.prefix.as_bytes().len()..value.len() - 1];
    stored
        .validator
        .validate(data)
        .map_err(|invalid| match invalid {
            InvalidData::Violations(violations) => ClientError::Invalid {
                schema: entry.id.clone(),
                stream: stream.clone(),
                violations,
            },
            malformed => ClientError::Malformed {
                stream: stream.clone(),
                message: malformed.to_string(),
            },
        })
}

/// Takes the white space around the data out of an envelope whose data begins at `start` (contract/README.md §3).
fn trim(value: &mut Bytes, start: usize) {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    let Some((b'}', data)) = value.get(start..).and_then(<[u8]>::split_last) else {
        return;
    };
    if !data.first().is_some_and(is_space) && !data.last().is_some_and(is_space) {
        return;
    }
    let first = data.iter().position(|byte| !is_space(byte)).unwrap_or(0);
    let last = data.iter().rposition(|byte| !is_space(byte)).unwrap_or(0);
    *value = [&value[..start], &data[first..=last], b"}"].concat().into();
}
