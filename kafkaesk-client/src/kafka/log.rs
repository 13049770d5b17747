//! The bookkeeping logs: reads partition 0 of a topic, and appends records that all replicas acknowledge.
//!
//! Reads without a group, so that reading needs no right but Read on the topic. All of it blocks: never on tokio.

use std::{
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafkaesk_core::{NextOffset, Offset, TopicName};
use kafkaesk_schema::LogRecord;
use rdkafka::{
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord},
};
use tokio::sync::oneshot;

use super::{
    clients::Clients,
    context::Context,
    delivery::{Deliveries, Pending},
    errors::{Operation, client_error, code_error, code_of, other},
    librdkafka_log::{Meaning, is_passing, meaning},
    metadata::Lookup,
    native::{Batch, Message, Queue, Reading},
};
use crate::{
    ClientError, Settings,
    broker::{BatchLimit, LogSink},
};

/// Records fetched in one go.
const BATCH: usize = 256;
/// The bound on one reading of a log, in bytes of keys and values: any program with the right to write to a log can
/// make all others read it.
const MAX_LOG_BYTES: usize = 1024 * 1024 * 1024;
/// Between two questions to a leader that moves.
const RETRY: Duration = Duration::from_millis(20);
/// librdkafka's number for the first offset.
pub(super) const BEGINNING: i64 = -2;

/// Reads partition 0 from `from` to the last stable offset, or to the record at `until` where one is given. Each record
/// goes to `sink` at once, so that a log of any length needs no memory of its own.
///
/// Returns where the next reading starts; `None` if the log ends before `from`, so that what was read before is no longer
/// in it.
pub(super) fn read(
    clients: &Clients,
    lookup: &Lookup,
    topic: &TopicName,
    from: NextOffset,
    until: Option<Offset>,
    mut sink: LogSink,
) -> Result<Option<NextOffset>, ClientError> {
    let start = NextOffset(0);
    // A log that was read before is there; if not, its ends cannot be asked for.
    if from == start && lookup.topic(topic.as_str(), "Read")?.is_none() {
        return Ok(Some(start));
    }
    let reader = clients.reader()?;
    let reading = LogReading {
        clients,
        reader: &reader,
        topic,
        partition: 0,
    };
    let read = reading.read(from.0, until, &mut *sink);
    if read.is_ok() {
        clients.keep_reader(reader);
    }
    read
}

/// The newest record of the first non-empty partition: enough to know what a stream carries. Each further partition
/// would cost a first publish another request.
pub(super) fn last_value(
    clients: &Clients,
    lookup: &Lookup,
    topic: &TopicName,
) -> Result<Option<Bytes>, ClientError> {
    let Some(info) = lookup.topic(topic.as_str(), "Read")? else {
        return Ok(None);
    };
    let reader = clients.reader()?;
    for partition in 0..info.partitions as i32 {
        let (low, high) = lookup.watermarks(topic.as_str(), partition)?;
        if high > low {
            // A transaction's end mark takes an offset too, so look at the last few.
            let first = (high - 3).max(low);
            let reading = LogReading {
                clients,
                reader: &reader,
                topic,
                partition,
            };
            let mut last = None;
            let read = reading.read(first, None, &mut |record| {
                last = record.value.or(last.take());
                Ok(())
            });
            match read {
                Ok(_) => {}
                // A foreign record must not stop other publishers.
                Err(error @ ClientError::Unreadable { .. }) => tracing::warn!(
                    %error,
                    "what the stream carries is unknown, since its last record cannot be read"
                ),
                Err(error) => return Err(error),
            }
            if last.is_some() {
                clients.keep_reader(reader);
                return Ok(last);
            }
        }
    }
    clients.keep_reader(reader);
    Ok(None)
}

/// One reading of one partition.
struct LogReading<'a> {
    clients: &'a Clients,
    reader: &'a BaseConsumer<Context>,
    topic: &'a TopicName,
    partition: i32,
}

impl LogReading<'_> {
    fn read(
        &self,
        from: i64,
        until: Option<Offset>,
        sink: &mut dyn FnMut(LogRecord) -> Result<(), ClientError>,
    ) -> Result<Option<NextOffset>, ClientError> {
        let action = format!("reading {}[{}]", self.topic, self.partition);
        let doing = Operation::topic(&action, "Read", self.topic.as_str());
        let (low, high) = match self.ends(from == 0) {
            Ok(ends) => ends,
            Err(error) if from > 0 && is_gone(&error) => return Ok(None),
            Err(error) => return Err(client_error(error, doing)),
        };
        if high < from {
            return Ok(None);
        }
        if high <= from.max(low) && until.is_none() {
            return Ok(Some(NextOffset(high)));
        }
        let queue = Queue::new(self.reader).ok_or_else(|| other(&action, "no queue".into()))?;
        let reading = Reading::start(
            self.reader,
            &queue,
            self.topic.as_str(),
            self.partition,
            from.max(low),
        )
        .map_err(|code| code_error(code, doing))?;
        let mut batch = Batch::new(BATCH);
        let next = self.records(&queue, &mut batch, until, doing, sink);
        // All of these before the client.
        drop(batch);
        drop(reading);
        drop(queue);
        next.map(Some)
    }

    /// The first and the next offset, up to the last stable one. Finds the leader as well: a reading that does not know
    /// it waits 500 ms before librdkafka asks again.
    /// `expected`: metadata says that the topic is there, so a broker that does not know it yet will.
    fn ends(&self, expected: bool) -> Result<(i64, i64), KafkaError> {
        let (topic, timeout) = (self.topic.as_str(), self.clients.settings.connect_timeout);
        let started = Instant::now();
        loop {
            let error = match self.reader.fetch_watermarks(topic, self.partition, timeout) {
                Ok(ends) => return Ok(ends),
                Err(error) => error,
            };
            let passing = match is_gone(&error) {
                true => expected,
                false => code_of(&error).is_some_and(is_passing),
            };
            if !passing || started.elapsed() > timeout {
                return Err(error);
            }
            thread::sleep(RETRY);
            self.reader.fetch_metadata(Some(topic), timeout)?;
        }
    }

    fn records(
        &self,
        queue: &Queue,
        batch: &mut Batch,
        until: Option<Offset>,
        doing: Operation<'_>,
        sink: &mut dyn FnMut(LogRecord) -> Result<(), ClientError>,
    ) -> Result<NextOffset, ClientError> {
        let (mut records, mut bytes) = (0u64, 0usize);
        // The last stable offset, once it was reached.
        let mut end = None;
        let mut last = None;
        let mut progress = Instant::now();
        loop {
            // Events only: the records go into the queue.
            let _ = self.reader.poll(Duration::ZERO);
            if batch.fill(queue, 0, BATCH) == 0 {
                batch.fill(queue, 20, 1);
            }
            for message in batch.iter() {
                match message.error() {
                    None => {
                        let record = LogRecord {
                            offset: message.offset(),
                            key: message.key().map(Bytes::copy_from_slice),
                            value: message.payload().map(Bytes::copy_from_slice),
                        };
                        records += 1;
                        bytes += record.size();
                        if bytes > MAX_LOG_BYTES {
                            return Err(ClientError::LogTooLarge {
                                topic: self.topic.clone(),
                                what: format!("more than {} MiB of records", MAX_LOG_BYTES >> 20),
                            });
                        }
                        last = Some(Offset(record.offset));
                        sink(record)?;
                    }
                    Some(RDKafkaErrorCode::PartitionEOF) => {
                        end = Some(NextOffset(message.offset()));
                    }
                    Some(code) if is_passing(code) => {}
                    Some(code) => return Err(unreadable(code, message, self.topic, doing)),
                }
                progress = Instant::now();
            }
            match until {
                // Later records do not change what this record decided.
                Some(until) if last >= Some(until) => {
                    return Ok(last.map_or(NextOffset(0), Offset::next));
                }
                None if let Some(end) = end => return Ok(end),
                _ => {}
            }
            if progress.elapsed() > self.clients.settings.connect_timeout {
                return Err(self.timeout(records, until.filter(|_| end.is_some())));
            }
        }
    }

    /// `held`: the record that was written, but is out of sight behind an open transaction.
    fn timeout(&self, records: u64, held: Option<Offset>) -> ClientError {
        let (topic, waited) = (self.topic.clone(), self.clients.settings.connect_timeout);
        match held {
            Some(offset) => ClientError::LogHeldBack {
                topic,
                offset,
                waited,
            },
            None => ClientError::LogTimeout {
                topic,
                waited,
                reason: format!(
                    "{records} record(s) came, then none; {}",
                    self.clients
                        .shared
                        .current_reason()
                        .unwrap_or_else(|| "no error was reported".into())
                ),
            },
        }
    }
}

/// The error for an error in a record's place.
pub(super) fn unreadable(
    code: RDKafkaErrorCode,
    message: Message<'_>,
    topic: &TopicName,
    doing: Operation<'_>,
) -> ClientError {
    match meaning(code) {
        Meaning::Unreadable(help) => ClientError::Unreadable {
            topic: topic.clone(),
            partition: message.partition(),
            offset: Offset(message.offset()),
            reason: String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned(),
            help: help.to_owned(),
        },
        _ => code_error(code, doing),
    }
}

/// Whether an error says that there is no such topic.
fn is_gone(error: &KafkaError) -> bool {
    matches!(
        code_of(error),
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}

/// Appends to partition 0, in order, and waits for every in-sync replica, `connect_timeout` at most. Says where each is.
pub(super) fn append(
    clients: &Clients,
    topic: &TopicName,
    records: &[(Bytes, Bytes)],
) -> Result<Vec<Offset>, ClientError> {
    let writer = clients.writer()?;
    let appended = append_with(&writer, &clients.settings, topic, records);
    if appended.is_ok() {
        clients.keep_writer(writer);
    }
    appended
}

fn append_with(
    writer: &BaseProducer<Deliveries>,
    settings: &Settings,
    topic: &TopicName,
    records: &[(Bytes, Bytes)],
) -> Result<Vec<Offset>, ClientError> {
    let action = format!("appending to {topic}");
    let doing = Operation::topic(&action, "Write", topic.as_str());
    let mut answers = Vec::with_capacity(records.len());
    for (key, value) in records {
        let (answer, answered) = oneshot::channel();
        let pending = Box::new(Pending {
            topic: topic.clone(),
            bytes: value.len(),
            units: 0,
            batch: BatchLimit::default(),
            flight: None,
            answer,
        });
        writer
            .send(
                BaseRecord::with_opaque_to(topic.as_str(), pending)
                    .partition(0)
                    .key(&key[..])
                    .payload(&value[..]),
            )
            .map_err(|(e, _)| client_error(e, doing))?;
        answers.push(answered);
    }
    // The messages time out before our own wait does, with the reason.
    let timeout = settings.connect_timeout + Duration::from_secs(2);
    let started = Instant::now();
    let mut offsets = Vec::with_capacity(records.len());
    for mut answered in answers {
        loop {
            writer.poll(Duration::from_millis(5));
            match answered.try_recv() {
                Ok(result) => {
                    // Without idempotence the brokers keep no numbers by which they would know a record again.
                    let offset = result?.offset;
                    offsets.push(offset.ok_or_else(|| {
                        other(
                            &action,
                            "the brokers did not say where the record is".into(),
                        )
                    })?);
                    break;
                }
                Err(_) if started.elapsed() > timeout => {
                    return Err(ClientError::DeliveryUnknown {
                        topic: topic.clone(),
                        reason: "no delivery report came".into(),
                    });
                }
                Err(_) => {}
            }
        }
    }
    Ok(offsets)
}
