//! The bookkeeping logs: partition 0 of a topic in, its records out; and a record appended and acknowledged by all.
//!
//! Reads without a group, so that reading needs no right but Read on the topic. All of it blocks: never on tokio.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafkaesk_core::{Offset, TopicName};
use kafkaesk_schema::LogRecord;
use rdkafka::{
    consumer::{BaseConsumer, Consumer as _},
    error::RDKafkaErrorCode,
    producer::{BaseProducer, BaseRecord},
};
use tokio::sync::{Semaphore, oneshot};

use super::{
    config::{Role, client_config},
    context::{Context, Shared},
    delivery::{Deliveries, Pending},
    errors::{Doing, client_error, code_error, other},
    metadata::Lookup,
    native::{Batch, Queue, Reading},
};
use crate::{ClientError, Settings};

/// Records fetched in one go.
const BATCH: usize = 256;
/// librdkafka's number for the first offset.
pub(super) const BEGINNING: i64 = -2;

/// Partition 0, read committed, to the last stable offset that the broker names when it is reached, and to the record
/// at `until` at least.
pub(super) fn read(
    settings: &Settings,
    shared: &Arc<Shared>,
    lookup: &Lookup,
    topic: &TopicName,
    until: Option<Offset>,
) -> Result<Vec<LogRecord>, ClientError> {
    if lookup.topic(topic.as_str(), "Read")?.is_none() {
        return Ok(Vec::new());
    }
    read_from(settings, shared, topic, 0, BEGINNING, until)
}

/// The newest record of the first partition that has one: enough to tell what a stream carries, and each further
/// partition would cost a first publish another consumer.
pub(super) fn last_value(
    settings: &Settings,
    shared: &Arc<Shared>,
    lookup: &Lookup,
    topic: &TopicName,
) -> Result<Option<Bytes>, ClientError> {
    let Some(info) = lookup.topic(topic.as_str(), "Read")? else {
        return Ok(None);
    };
    for partition in 0..info.partitions as i32 {
        let (low, high) = lookup.watermarks(topic.as_str(), partition)?;
        if high > low {
            // A transaction's end mark takes an offset too, so look at the last few.
            let first = (high - 3).max(low);
            let records = read_from(settings, shared, topic, partition, first, None)?;
            if let Some(value) = records.into_iter().rev().find_map(|record| record.value) {
                return Ok(Some(value));
            }
        }
    }
    Ok(None)
}

fn read_from(
    settings: &Settings,
    shared: &Arc<Shared>,
    topic: &TopicName,
    partition: i32,
    offset: i64,
    until: Option<Offset>,
) -> Result<Vec<LogRecord>, ClientError> {
    let action = format!("reading {topic}[{partition}]");
    let doing = Doing::topic(&action, "Read", topic.as_str());
    let mut config = client_config(settings, Role::Reader);
    // Whatever the settings say: an aborted record is no record.
    config.set("isolation.level", "read_committed");
    config.set("fetch.wait.max.ms", "10");
    let consumer: BaseConsumer<Context> = config
        .create_with_context(Context(shared.clone()))
        .map_err(|e| client_error(e, doing))?;
    shared.log_in(consumer.client(), settings)?;
    // A partition whose leader is not known yet waits 500 ms before librdkafka asks again.
    consumer
        .fetch_metadata(Some(topic.as_str()), settings.connect_timeout)
        .map_err(|e| client_error(e, doing))?;
    let queue = Queue::new(&consumer).ok_or_else(|| other(&action, "no queue".into()))?;
    let reading = Reading::start(&consumer, &queue, topic.as_str(), partition, offset)
        .map_err(|code| code_error(code, doing))?;
    let mut batch = Batch::new(BATCH);
    let mut end = End {
        settings,
        shared,
        topic,
        until,
        reached: false,
    };
    let records = end.read(&consumer, &queue, &mut batch, doing);
    // All of these before the client.
    drop(batch);
    drop(reading);
    drop(queue);
    records
}

/// How far a log is read.
struct End<'a> {
    settings: &'a Settings,
    shared: &'a Shared,
    topic: &'a TopicName,
    /// A record that must have been read.
    until: Option<Offset>,
    /// The last stable offset was reached.
    reached: bool,
}

impl End<'_> {
    fn read(
        &mut self,
        consumer: &BaseConsumer<Context>,
        queue: &Queue,
        batch: &mut Batch,
        doing: Doing<'_>,
    ) -> Result<Vec<LogRecord>, ClientError> {
        let mut records: Vec<LogRecord> = Vec::new();
        let mut progress = Instant::now();
        loop {
            // Events only: the records go into the queue.
            let _ = consumer.poll(Duration::ZERO);
            if batch.fill(queue, 0, BATCH) == 0 {
                batch.fill(queue, 20, 1);
            }
            for message in batch.iter() {
                match message.error() {
                    None => records.push(LogRecord {
                        offset: message.offset(),
                        key: message.key().map(Bytes::copy_from_slice),
                        value: message.payload().map(Bytes::copy_from_slice),
                    }),
                    Some(RDKafkaErrorCode::PartitionEOF) => self.reached = true,
                    Some(code) if is_passing(code) => {}
                    Some(code) => return Err(code_error(code, doing)),
                }
                progress = Instant::now();
            }
            let last = records.last().map(|record| record.offset);
            if self.reached && self.until.is_none_or(|until| last >= Some(until.0)) {
                return Ok(records);
            }
            if progress.elapsed() > self.settings.connect_timeout {
                return Err(self.timeout(records.len()));
            }
        }
    }

    fn timeout(&self, records: usize) -> ClientError {
        let (topic, waited) = (self.topic.clone(), self.settings.connect_timeout);
        match self.until {
            Some(offset) if self.reached => ClientError::LogHeldBack {
                topic,
                offset,
                waited,
            },
            _ => ClientError::LogTimeout {
                topic,
                waited,
                reason: format!(
                    "{records} record(s) came, then none; {}",
                    self.shared
                        .reason()
                        .unwrap_or_else(|| "no error was reported".into())
                ),
            },
        }
    }
}

/// What mends itself: a leader that moves, a broker that restarts.
pub(super) fn is_passing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::Resolve
    )
}

/// Appends to partition 0 and waits for every in-sync replica, `connect_timeout` at most.
pub(super) fn append(
    settings: &Settings,
    shared: &Arc<Shared>,
    topic: &TopicName,
    key: &[u8],
    value: &[u8],
) -> Result<Offset, ClientError> {
    let action = format!("appending to {topic}");
    let doing = Doing::topic(&action, "Write", topic.as_str());
    let writer: BaseProducer<Deliveries> = client_config(settings, Role::LogWriter)
        .create_with_context(Deliveries::new(
            Context(shared.clone()),
            Arc::new(Semaphore::new(0)),
        ))
        .map_err(|e| client_error(e, doing))?;
    let (answer, mut answered) = oneshot::channel();
    writer
        .send(
            BaseRecord::with_opaque_to(
                topic.as_str(),
                Box::new(Pending {
                    topic: topic.clone(),
                    bytes: value.len(),
                    units: 0,
                    answer,
                }),
            )
            .partition(0)
            .key(key)
            .payload(value),
        )
        .map_err(|(e, _)| client_error(e, doing))?;
    // The message times out before we do, and says why.
    let patience = settings.connect_timeout + Duration::from_secs(2);
    let started = Instant::now();
    loop {
        writer.poll(Duration::from_millis(5));
        match answered.try_recv() {
            Ok(result) => return result.map(|receipt| receipt.offset),
            Err(_) if started.elapsed() > patience => {
                return Err(ClientError::DeliveryUnknown {
                    topic: topic.clone(),
                    reason: "no delivery report came".into(),
                });
            }
            Err(_) => {}
        }
    }
}
