//! A delivery: one attempt at one record, with what its extractors need. Reads the envelope at most once.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use kafkaesk_client::{
    Connection,
    publisher::{Collected, Outbox},
    schema::Events,
    trace::Span,
};
use kafkaesk_core::{DeadLetter, Envelope, EnvelopeError, Headers, Offset, Record};
use tokio::time::Instant;

use crate::{
    Committer,
    context::{Context, SeenSchema},
    custody::Seat,
    meter::cut,
    outcome::Rejection,
    schedule::Gathered,
    snapshot::AttemptEnd,
    state::States,
};

/// One attempt at one record.
#[derive(Clone, Debug)]
pub struct Delivery {
    record: Record,
    /// Its offset in the partition that was read: the record's own, unless it was redriven.
    place: Offset,
    /// Boxed, since a delivery is moved often and few fail or are redriven.
    history: Option<Box<History>>,
    context: Arc<Context>,
    /// Whether its record has a buffer of its own.
    kept: bool,
    /// Set once the whole value is known to be an envelope, or not to be one.
    parts: OnceLock<Result<Parts, Box<EnvelopeError>>>,
}

#[derive(Clone, Debug)]
struct Parts {
    schema: Arc<SeenSchema>,
    data: Range<usize>,
}

/// What happened to a message before.
#[derive(Clone, Debug, Default)]
struct History {
    failures: Option<FailedAttempts>,
    /// How the last attempt ended.
    end: Option<AttemptEnd>,
    /// Its error, cut.
    error: Option<String>,
    /// The message is given up: this dead letter will be written, and no handler gets the message any more.
    given_up: Option<Box<DeadLetter>>,
    /// It was redriven from this dead letter.
    redriven: Option<Box<DeadLetter>>,
    /// It stands for these messages, whose handler gets them together.
    batch: Option<Arc<Gathered>>,
    /// The attempt's place in custody, with `commit = "manual"`.
    seat: Option<Arc<Seat>>,
    /// What the attempt publishes for its transaction.
    outbox: Option<Outbox>,
    /// The span of the attempt that runs, if the connection is traced.
    span: Option<Arc<dyn Span>>,
}

/// The failed attempts of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailedAttempts {
    /// All that another one followed.
    pub(crate) attempts: u32,
    /// Those that count against `max-attempts`.
    pub(crate) counted: u32,
    /// When the first of them ended.
    pub(crate) since: Instant,
}

impl Delivery {
    pub(crate) fn new(record: Record, context: Arc<Context>) -> Self {
        Self {
            place: record.offset,
            record,
            history: None,
            context,
            kept: false,
            parts: OnceLock::new(),
        }
    }

    /// A message that was redriven: `record` says where it comes from, `place` where it was read.
    pub(crate) fn redriven(
        record: Record,
        place: Offset,
        letter: DeadLetter,
        context: Arc<Context>,
    ) -> Self {
        let mut delivery = Self::new(record, context);
        delivery.place = place;
        delivery.history.get_or_insert_default().redriven = Some(Box::new(letter));
        delivery
    }

    /// Stands for the messages of a batch, while its handler has them; otherwise it is like the first of them.
    pub(crate) fn of_batch(gathered: Gathered) -> Option<Self> {
        let first = gathered.deliveries.first()?;
        let mut history = first.history.clone().unwrap_or_default();
        let (record, place) = (first.record.clone(), first.place);
        let (context, kept) = (first.context.clone(), first.kept);
        history.batch = Some(Arc::new(gathered));
        Some(Self {
            record,
            place,
            history: Some(history),
            context,
            kept,
            parts: OnceLock::new(),
        })
    }

    /// The messages that it stands for; it stands for none afterwards.
    pub(crate) fn take_batch(&mut self) -> Option<Gathered> {
        let batch = self.history.as_mut()?.batch.take()?;
        Some(Arc::unwrap_or_clone(batch))
    }

    /// The messages that it stands for, shared.
    pub(crate) fn gathered(&self) -> Option<&Arc<Gathered>> {
        self.history.as_ref()?.batch.as_ref()
    }

    /// How many messages it stands for.
    pub(crate) fn messages(&self) -> u32 {
        self.batch()
            .map_or(1, |batch| u32::try_from(batch.len()).unwrap_or(u32::MAX))
    }

    /// Its offset in the partition that was read.
    pub(crate) fn place(&self) -> Offset {
        self.place
    }

    /// The dead letter that it was redriven from.
    pub(crate) fn redriven_from(&self) -> Option<&DeadLetter> {
        self.history.as_ref()?.redriven.as_deref()
    }

    /// The dead letter that will be written, if the message is given up.
    pub(crate) fn given_up(&self) -> Option<&DeadLetter> {
        self.history.as_ref()?.given_up.as_deref()
    }

    /// Marks the message as given up: it will be written as this dead letter.
    pub(crate) fn give_up(&mut self, letter: Box<DeadLetter>) {
        self.history.get_or_insert_default().given_up = Some(letter);
    }

    /// Copies the record out of the buffer of its batch before it waits, so that it does not keep the whole batch in
    /// memory.
    pub(crate) fn keep(&mut self) {
        if std::mem::replace(&mut self.kept, true) {
            return;
        }
        let (key, value) = (&self.record.key, &self.record.value);
        let length = key.as_ref().map_or(0, Bytes::len);
        let mut own = Vec::with_capacity(length + value.as_ref().map_or(0, Bytes::len));
        own.extend_from_slice(key.as_deref().unwrap_or_default());
        own.extend_from_slice(value.as_deref().unwrap_or_default());
        let own = Bytes::from(own);
        self.record.key = key.as_ref().map(|_| own.slice(..length));
        self.record.value = value.as_ref().map(|_| own.slice(length..));
    }

    /// With batches: the messages of this one, in order; [`Self::record`] is that of the first. `None` for a message that comes
    /// alone. For a [`Handle`](crate::Handle) of your own; a function takes a [`Batch`](crate::Batch).
    pub fn batch(&self) -> Option<&[Delivery]> {
        let batch = self.history.as_ref()?.batch.as_ref()?;
        Some(&batch.deliveries)
    }

    /// The record as it was read.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The consumer group, as sent to Kafka.
    pub fn group(&self) -> &str {
        &self.context.group
    }

    /// 1 for the first attempt in this process, 2 for the second, …
    pub fn attempt(&self) -> u32 {
        self.failures()
            .map_or(1, |failures| failures.attempts.saturating_add(1))
    }

    /// Its failed attempts, if there were any.
    pub(crate) fn failures(&self) -> Option<&FailedAttempts> {
        self.history.as_ref()?.failures.as_ref()
    }

    /// The error of its last attempt, if that had one.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.history.as_ref()?.error.as_deref()
    }

    /// How its last attempt ended, if it was not [`AttemptEnd::Done`].
    pub(crate) fn last_end(&self) -> Option<AttemptEnd> {
        self.history.as_ref()?.end
    }

    /// Keeps how an attempt ended, and its error, or that it had none.
    pub(crate) fn keep_end(&mut self, end: AttemptEnd, error: Option<&str>) {
        let history = self.history.get_or_insert_default();
        history.end = Some(end);
        history.error = error.map(cut);
    }

    /// Records a failed attempt before the next one. `counts`: whether it counts against `max-attempts`.
    pub(crate) fn failed(&mut self, now: Instant, counts: bool) {
        if self.failures().is_none() {
            self.keep();
        }
        let failures =
            self.history
                .get_or_insert_default()
                .failures
                .get_or_insert(FailedAttempts {
                    attempts: 0,
                    counted: 0,
                    since: now,
                });
        failures.attempts = failures.attempts.saturating_add(1);
        failures.counted = failures.counted.saturating_add(u32::from(counts));
    }

    /// With `commit = "manual"`: what finishes this attempt, once; `None` at a second call, and without `commit = "manual"`. A
    /// function takes it as an argument; a [`Handle`](crate::Handle) of your own asks here, before it returns.
    pub fn committer(&self) -> Option<Committer> {
        let seat = self.history.as_ref()?.seat.as_ref()?;
        seat.take().then(|| Committer::new(seat.clone()))
    }

    pub(crate) fn set_seat(&mut self, seat: Option<Arc<Seat>>) {
        self.history.get_or_insert_default().seat = seat;
    }

    /// The attempt's place in custody; it has none afterwards.
    pub(crate) fn take_seat(&mut self) -> Option<Arc<Seat>> {
        self.history.as_mut()?.seat.take()
    }

    /// Where this attempt's publishes are kept for their transaction.
    pub(crate) fn outbox(&self) -> Option<&Outbox> {
        self.history.as_ref()?.outbox.as_ref()
    }

    pub(crate) fn set_outbox(&mut self, outbox: Outbox) {
        self.history.get_or_insert_default().outbox = Some(outbox);
    }

    /// The attempt is over: takes what it published. A later publish of it is an error.
    pub(crate) fn close_outbox(&mut self) -> Vec<Collected> {
        let outbox = self.history.as_mut().and_then(|it| it.outbox.take());
        outbox.map(|outbox| outbox.close()).unwrap_or_default()
    }

    /// What goes on from here as `traceparent` and `tracestate`: the context of this attempt's span if the connection is
    /// traced, otherwise the record's own trace ([`Headers::trace`]).
    pub fn trace(&self) -> Headers {
        match self.span() {
            Some(span) => span.carried(),
            None => self.record.headers.trace(),
        }
    }

    /// Whether this attempt has a span of its own, which [`Self::trace`] names.
    pub fn is_traced(&self) -> bool {
        self.span().is_some()
    }

    fn span(&self) -> Option<&Arc<dyn Span>> {
        self.history.as_ref()?.span.as_ref()
    }

    pub(crate) fn set_span(&mut self, span: Option<Arc<dyn Span>>) {
        self.history.get_or_insert_default().span = span;
    }

    /// The connection that it came by.
    pub fn connection(&self) -> &Connection {
        &self.context.connection
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// What `App::state` was given.
    pub(crate) fn states(&self) -> &States {
        &self.context.states
    }

    /// The schema id as text, proven by reading the whole envelope.
    ///
    /// # Errors
    /// [`Rejection::NoEvent`] when the value is not an envelope.
    pub fn schema(&self) -> Result<&str, Rejection> {
        Ok(&self.parts()?.schema.text)
    }

    /// The data's bytes, exactly as the producer wrote them.
    ///
    /// # Errors
    /// [`Rejection::NoEvent`] when the value is not an envelope.
    pub fn data(&self) -> Result<&[u8], Rejection> {
        let parts = self.parts()?;
        Ok(&self.record.value()[parts.data.clone()])
    }

    /// The schema id, proven by reading the whole envelope.
    pub(crate) fn proven_schema(&self) -> Result<&Arc<SeenSchema>, Rejection> {
        Ok(&self.parts()?.schema)
    }

    /// The schema id, without reading the data if the handler decodes it anyway.
    pub(crate) fn known_schema(&self) -> Result<Arc<SeenSchema>, Rejection> {
        if self.context.decodes
            && self.parts.get().is_none()
            && let Some(known) = self.context.seen.of(self.record.value())
        {
            return Ok(known);
        }
        Ok(self.parts()?.schema.clone())
    }

    /// The schema id that the value begins with, for a span: reads no data.
    pub(crate) fn likely_schema(&self) -> Option<Arc<SeenSchema>> {
        match self.parts.get() {
            Some(parts) => Some(parts.as_ref().ok()?.schema.clone()),
            None => self.context.seen.of(self.record.value()),
        }
    }

    /// Decodes the data; on the fast path this is the only reading of it.
    pub(crate) fn decode<T>(
        &self,
        decode: impl Fn(&SeenSchema, &[u8]) -> Result<T, Rejection>,
    ) -> Result<T, Rejection> {
        if self.parts.get().is_none() {
            let value = self.record.value();
            if let Some(known) = self.context.seen.of(value)
                && let Some(data) = known.prefix.strip(value)
                && let Ok(decoded) = decode(&known, data)
            {
                let start = known.prefix.as_bytes().len();
                let parts = Parts {
                    data: start..start + data.len(),
                    schema: known,
                };
                let _ = self.parts.set(Ok(parts));
                return Ok(decoded);
            }
        }
        let parts = self.parts()?;
        decode(&parts.schema, &self.record.value()[parts.data.clone()])
    }

    /// Decodes into an event type, in any version that the type takes. An `Option` is `None` for a null value.
    ///
    /// # Errors
    /// [`Rejection::NoEvent`], [`Rejection::Mismatch`].
    pub fn event<T: Events>(&self) -> Result<T, Rejection> {
        if self.record.value.is_none()
            && let Some(tombstone) = T::tombstone()
        {
            return Ok(tombstone);
        }
        self.decode(|known, data| {
            if !T::takes(&known.name, known.version) {
                return Err(Rejection::Mismatch(format!(
                    "{} does not take schema {}",
                    std::any::type_name::<T>(),
                    known.text
                )));
            }
            T::decode(&known.name, known.version, data)
                .map_err(|e| Rejection::Mismatch(format!("{}: {e}", known.text)))
        })
    }

    fn parts(&self) -> Result<&Parts, Rejection> {
        self.parts
            .get_or_init(|| self.read())
            .as_ref()
            .map_err(|why| Rejection::NoEvent((**why).clone()))
    }

    fn read(&self) -> Result<Parts, Box<EnvelopeError>> {
        let value = self.record.value();
        let envelope = Envelope::of(self.record.value.as_deref())?;
        let schema = self
            .context
            .seen
            .learn(&envelope.schema)
            .map_err(|reason| EnvelopeError::SchemaId { reason, at: 0 })?;
        // The data is a part of the value, so its place is the distance between their starts.
        let start = envelope.data.as_ptr() as usize - value.as_ptr() as usize;
        Ok(Parts {
            data: start..start + envelope.data.len(),
            schema,
        })
    }
}
