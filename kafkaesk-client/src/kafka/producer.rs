//! Puts records into librdkafka's queue. Permits bound it, and delivery reports give them back. Never sleeps, never drops.
//!
//! Next: `delivery` takes the delivery report.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, PurgeConfig},
};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::{
    config::{Role, batch_bytes, client_config, producer_kbytes},
    context::{Context, Shared},
    delivery::{Deliveries, News, Pending},
    errors::{Operation, client_error},
};
use crate::{
    ClientError, Delivery, Receipt, Settings,
    broker::{BatchLimit, Outgoing, size_of},
    meter::{Flight, Handed, Tally},
};

/// Room is counted in units of this many bytes.
const UNIT: usize = 256;
/// What a record costs besides its bytes, about.
const OVERHEAD: usize = 256;
/// How long delivery reports are waited for at a time.
const POLL: Duration = Duration::from_millis(100);
/// Dropping the last handle waits at most this long for what was queued.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// A producer of a connection: librdkafka's handle and the thread that serves its delivery reports.
pub(super) struct Producer {
    producer: Arc<BaseProducer<Deliveries>>,
    /// When it was made.
    pub(super) made: Instant,
    stop: Arc<AtomicBool>,
    /// Nothing is waited for at its end: a flush ran out of time and nothing was queued since, or it failed for good.
    given_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Room in the queue, shared by all producers of a connection.
#[derive(Clone, Debug)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    /// How many units there are in all.
    units: usize,
}

impl Room {
    pub(super) fn new(settings: &Settings) -> Self {
        let units = (producer_kbytes(settings) * 1024 / UNIT).max(1);
        Self {
            free: Arc::new(Semaphore::new(units)),
            units,
        }
    }

    /// Room for a record, if there is some.
    pub(super) fn now(&self, record: &Outgoing) -> Option<SemaphorePermit<'_>> {
        self.free.try_acquire_many(self.units_of(record)).ok()
    }

    /// Room for a record, waited for.
    pub(super) async fn soon(&self, record: &Outgoing) -> Result<SemaphorePermit<'_>, ClientError> {
        let room = self.free.acquire_many(self.units_of(record)).await;
        // The semaphore is closed never: it lives as long as this.
        room.map_err(|_| ClientError::Closed)
    }

    /// How many bytes are taken, about.
    pub(super) fn taken(&self) -> usize {
        self.units.saturating_sub(self.free.available_permits()) * UNIT
    }

    fn units_of(&self, record: &Outgoing) -> u32 {
        // A record larger than the whole bound goes alone.
        let units = ((size_of(record) + OVERHEAD).div_ceil(UNIT)).min(self.units);
        u32::try_from(units).unwrap_or(u32::MAX)
    }
}

/// Why a producer did not take a record.
#[derive(Debug)]
pub(super) enum Unsent<'a> {
    /// It failed for good, and why: another one may take the record into the same room.
    Failed(SemaphorePermit<'a>, String),
    /// No producer will.
    Refused(ClientError),
}

impl Producer {
    pub(super) fn new(
        settings: &Settings,
        shared: Arc<Shared>,
        room: Room,
        limit: BatchLimit,
        news: News,
    ) -> Result<Self, ClientError> {
        let batch_bytes = limit.of(batch_bytes(settings));
        let mut config = client_config(settings, Role::Producer);
        config.set("batch.size", batch_bytes.to_string());
        let deliveries = Deliveries::new(Context(shared), room.free, batch_bytes, news);
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(deliveries)
            .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
        let producer = Arc::new(producer);
        Deliveries::belongs_to(&producer);
        let stop = Arc::new(AtomicBool::new(false));
        let given_up = Arc::new(AtomicBool::new(false));
        let (polled, stopped) = (producer.clone(), stop.clone());
        let over = given_up.clone();
        let thread = thread::Builder::new()
            .name("kafkaesk-producer".into())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    polled.poll(POLL);
                }
                let failed = polled.context().fatal().is_some();
                if polled.in_flight_count() > 0 && (failed || !over.load(Ordering::Relaxed)) {
                    let _ = polled.flush(LAST_FLUSH);
                }
                if failed && polled.in_flight_count() > 0 {
                    // While it can still say why.
                    polled.purge(PurgeConfig::default().inflight());
                    let _ = polled.flush(POLL);
                }
            })
            .map_err(|e| super::errors::other("starting a thread", Box::new(e)))?;
        Ok(Self {
            producer,
            made: Instant::now(),
            stop,
            given_up,
            thread: Some(thread),
        })
    }

    /// Queues a record in the room that was made for it.
    #[allow(
        clippy::result_large_err,
        reason = "a failed producer gives the room back; an error is boxed nowhere on this path"
    )]
    pub(super) fn send<'a>(
        &self,
        room: SemaphorePermit<'a>,
        record: &Outgoing,
        tally: Option<Tally<'_>>,
    ) -> Result<Delivery, Unsent<'a>> {
        let (answer, answered) = oneshot::channel();
        let units = u32::try_from(room.num_permits()).unwrap_or(u32::MAX);
        let handed = tally.map(Tally::hand_over);
        let flight = handed.map(Handed::flight);
        match self
            .producer
            .send(native_record(record, units, flight, answer))
        {
            Ok(()) => {
                if let Some(handed) = handed {
                    handed.accepted();
                }
                // The delivery report gives it back.
                room.forget();
                if self.given_up.load(Ordering::Relaxed) {
                    self.given_up.store(false, Ordering::Relaxed);
                }
                Ok(Delivery(answered))
            }
            Err((error, _)) => Err(match self.producer.context().fatal() {
                Some(reason) => Unsent::Failed(room, reason),
                None => Unsent::Refused(self.refusal(&error, record)),
            }),
        }
    }

    /// Ends a producer that failed for good, without waiting: what was never sent is answered at once, and what was on its
    /// way when the brokers answer it, [`LAST_FLUSH`] at most. Returns how many records have no answer yet.
    pub(super) fn retire(&self) -> u64 {
        let unanswered = self.unanswered();
        self.producer
            .purge(PurgeConfig::default().queue().non_blocking());
        self.given_up.store(true, Ordering::Relaxed);
        self.stop.store(true, Ordering::Relaxed);
        unanswered
    }

    /// How many records have no answer yet, about: a few events of librdkafka may be among them.
    pub(super) fn unanswered(&self) -> u64 {
        u64::try_from(self.producer.in_flight_count()).unwrap_or(0)
    }

    fn refusal(&self, error: &KafkaError, record: &Outgoing) -> ClientError {
        if matches!(
            error,
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
        ) {
            return ClientError::QueueFull {
                topic: record.topic.clone(),
                reason: "librdkafka's queue is full before ours; remove `queue.buffering.max.messages` from kafka-settings".into(),
            };
        }
        if matches!(
            error,
            KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge)
        ) {
            return ClientError::TooLarge {
                topic: record.topic.clone(),
                bytes: record.value_len(),
                reason: "it exceeds the producer's `message.max.bytes`".into(),
            };
        }
        self.producer.context().failure(
            error,
            record.topic.clone(),
            record.value_len(),
            record.partition.unwrap_or(-1),
            false,
            self.producer.context().context.0.reason(),
        )
    }

    /// A flush, for a thread that may block.
    pub(super) fn flusher(
        &self,
    ) -> impl FnOnce(Duration) -> Result<(), ClientError> + Send + use<> {
        let (producer, given_up) = (self.producer.clone(), self.given_up.clone());
        move |timeout| {
            producer.flush(timeout).map_err(|_| {
                given_up.store(true, Ordering::Relaxed);
                ClientError::FlushTimeout {
                    waited: timeout,
                    outstanding: usize::try_from(producer.in_flight_count()).unwrap_or(0),
                }
            })
        }
    }

    /// Asks for a topic that was gone, so that it counts as there again; for a thread that may block for `timeout`.
    pub(super) fn asker(
        &self,
        topic: &str,
        timeout: Duration,
    ) -> impl FnOnce() -> Result<(), ClientError> + Send + 'static {
        let (producer, topic) = (self.producer.clone(), topic.to_owned());
        move || {
            let action = format!("asking for topic {topic}");
            producer
                .client()
                .fetch_metadata(Some(&topic), timeout)
                .map(drop)
                .map_err(|e| client_error(e, Operation::topic(&action, "Write", &topic)))
        }
    }
}

impl Drop for Producer {
    /// Waits for what was queued, five seconds at most, and blocks this thread: lost would be worse. A caller that cannot wait
    /// here calls `flush` before: what that could not flush is not waited for again.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.producer.in_flight_count() > 0
            && !self.given_up.load(Ordering::Relaxed)
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("in_flight", &self.producer.in_flight_count())
            .finish_non_exhaustive()
    }
}

/// A record as librdkafka takes it. `units`: what its delivery report gives back of the queue's room. `flight`: what counts
/// its answer, if anything does.
pub(super) fn native_record(
    record: &Outgoing,
    units: u32,
    flight: Option<Flight>,
    answer: oneshot::Sender<Result<Receipt, ClientError>>,
) -> BaseRecord<'_, [u8], [u8], Box<Pending>> {
    let mut base = BaseRecord::with_opaque_to(
        record.topic.as_str(),
        Box::new(Pending {
            topic: record.topic.clone(),
            bytes: record.value_len(),
            units,
            batch: record.batch,
            flight,
            answer,
        }),
    );
    base.payload = record.value.as_deref();
    base.key = record.key.as_deref();
    base.partition = record.partition;
    base.timestamp = record.timestamp;
    if !record.headers.is_empty() {
        base.headers = Some(native_headers(record));
    }
    base
}

fn native_headers(record: &Outgoing) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in record.headers.iter() {
        headers = headers.insert(Header {
            key,
            value: value.map(|value| &value[..]),
        });
    }
    headers
}
