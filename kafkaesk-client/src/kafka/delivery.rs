//! Input: delivery reports. Output: a receipt or an error for each record's publisher, and room in the queue.
//!
//! Next: `publisher/future.rs`, which awaits the receipt.

use std::sync::{Arc, OnceLock, Weak};

use kafkaesk_core::{Offset, TopicName};
use rdkafka::{
    ClientContext as _, Message as _,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext},
};
use tokio::sync::{Semaphore, oneshot};

use super::{
    context::{Context, delegate_client_context},
    errors::{Operation, code_error, code_of},
    native::Message,
};
use crate::{
    ClientError, Receipt,
    broker::{BatchLimit, TopicListener, TopicNews},
    meter::Flight,
};

/// A record that librdkafka holds, and who waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) topic: TopicName,
    /// The value's length, for the error of one that is too large.
    pub(super) bytes: usize,
    /// How much room it takes.
    pub(super) units: u32,
    /// Which batches it went in.
    pub(super) batch: BatchLimit,
    /// Counts its answer; `None` for a record that is not a publish.
    pub(super) flight: Option<Flight>,
    pub(super) answer: oneshot::Sender<Result<Receipt, ClientError>>,
}

/// Who hears what records tell of their topics; set once by the catalog.
pub(super) type News = Arc<OnceLock<TopicListener>>;

/// A producer's context.
pub(super) struct Deliveries {
    pub(super) context: Context,
    /// Room in the queue, in units; released here and nowhere else.
    pub(super) room: Arc<Semaphore>,
    /// The producer's `batch.size`: a larger record goes alone.
    batch_bytes: usize,
    news: News,
    /// The producer itself, to be asked whether it failed for good.
    producer: OnceLock<Weak<BaseProducer<Deliveries>>>,
}

impl Deliveries {
    pub(super) fn new(
        context: Context,
        room: Arc<Semaphore>,
        batch_bytes: usize,
        news: News,
    ) -> Self {
        Self {
            context,
            room,
            batch_bytes,
            news,
            producer: OnceLock::new(),
        }
    }

    /// Says which producer these deliveries are of.
    pub(super) fn belongs_to(producer: &Arc<BaseProducer<Self>>) {
        let _ = producer.context().producer.set(Arc::downgrade(producer));
    }

    /// What ended the producer for good, if anything did. Asked, not remembered: a send and a delivery can be refused before
    /// the polling thread has heard why.
    pub(super) fn fatal(&self) -> Option<String> {
        let producer = self.producer.get()?.upgrade()?;
        let (code, reason) = producer.client().fatal_error()?;
        Some(format!("{code}: {reason}"))
    }

    fn log_line(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn tell(&self, topic: &TopicName, news: TopicNews) {
        if let Some(listener) = self.news.get() {
            listener(topic, news);
        }
    }
}

impl std::fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deliveries")
            .field("batch_bytes", &self.batch_bytes)
            .finish_non_exhaustive()
    }
}

delegate_client_context!(Deliveries);

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Box<Pending>) {
        if pending.units > 0 {
            self.room.add_permits(pending.units as usize);
        }
        let Pending {
            topic,
            bytes,
            batch,
            flight,
            answer,
            ..
        } = *pending;
        let result = match result {
            Ok(message) => {
                self.context.0.heard();
                let partition = message.partition();
                let offset = Some(message.offset())
                    .filter(|offset| *offset >= 0)
                    .map(Offset);
                if let Some(flight) = flight {
                    flight.delivered(partition, offset);
                }
                Ok(Receipt {
                    topic,
                    partition,
                    offset,
                })
            }
            Err((error, message)) => {
                if let Some(flight) = flight {
                    flight.failed();
                }
                match code_of(error) {
                    Some(
                        RDKafkaErrorCode::UnknownTopic
                        | RDKafkaErrorCode::UnknownTopicOrPartition
                        | RDKafkaErrorCode::UnknownPartition,
                    ) => self.tell(&topic, TopicNews::Unknown),
                    Some(RDKafkaErrorCode::MessageSizeTooLarge) if bytes < self.batch_bytes => {
                        self.tell(&topic, TopicNews::BatchRefused(batch));
                    }
                    _ => {}
                }
                Err(self.failure(
                    error,
                    topic,
                    bytes,
                    message.partition(),
                    Message::of(message).possibly_persisted(),
                    self.fatal().or_else(|| self.context.0.reason()),
                ))
            }
        };
        // Nobody may be waiting any more: that unsends nothing.
        let _ = answer.send(result);
    }
}

fn denied_producer_id(reason: &str) -> bool {
    reason.contains("PID") && reason.contains("authorization failed")
}

impl Deliveries {
    /// Why a record was not written, and whether that is certain.
    pub(super) fn failure(
        &self,
        error: &KafkaError,
        topic: TopicName,
        bytes: usize,
        partition: i32,
        possibly_persisted: bool,
        reason: Option<String>,
    ) -> ClientError {
        let Some(code) = code_of(error) else {
            return ClientError::NotDelivered {
                topic,
                reason: error.to_string(),
            };
        };
        let words = match code {
        // The whole batch may have been too large; librdkafka does not split batches.
        RDKafkaErrorCode::MessageSizeTooLarge if bytes < self.batch_bytes => {
            return ClientError::BatchTooLarge { topic, bytes };
        }
        RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize => {
            return ClientError::TooLarge {
                topic,
                bytes,
                reason: code.to_string(),
            };
        }
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            return code_error(code, Operation::topic("publishing", "Write", topic.as_str()));
        }
        RDKafkaErrorCode::UnknownPartition => {
            format!("the topic has no partition {partition}")
        }
        RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition => {
            "the topic is gone; it was deleted after this program began to publish to it. The next publish looks for it again, and creates it where `auto-create-streams` is on"
                .to_owned()
        }
        RDKafkaErrorCode::InvalidRecord => format!(
            "{code}; a topic with `cleanup.policy` = `compact` takes only records with a key"
        ),
        RDKafkaErrorCode::MessageTimedOut => match reason {
            Some(reason) => format!("`delivery-timeout` is over; last error: {reason}"),
            None => "`delivery-timeout` is over".to_owned(),
        },
        // Without the right to write to any topic there is no producer id either: a fatal error, which purges the queue.
        RDKafkaErrorCode::Fatal
        | RDKafkaErrorCode::PurgeQueue
        | RDKafkaErrorCode::PurgeInflight
            if reason.as_deref().is_some_and(denied_producer_id) =>
        {
            return code_error(
                RDKafkaErrorCode::TopicAuthorizationFailed,
                Operation::topic("publishing", "Write", topic.as_str()),
            );
        }
        RDKafkaErrorCode::Fatal | RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => {
            match self.fatal() {
                Some(reason) => format!("the producer failed; the next publish gets a new one: {reason}"),
                None => "the publisher was closed before the brokers answered".to_owned(),
            }
        }
        code => code.to_string(),
    };
        if possibly_persisted {
            ClientError::DeliveryUnknown {
                topic,
                reason: words,
            }
        } else {
            ClientError::NotDelivered {
                topic,
                reason: words,
            }
        }
    }
}
