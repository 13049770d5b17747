//! Cuts librdkafka's batches into runs of records. Each run is copied into one buffer, so that no memory of librdkafka
//! outlives its batch.
//!
//! Next: `handover` gives the runs to the reader of the stream.

use std::sync::Arc;

use bytes::Bytes;
use kafkaesk_core::{Headers, Offset, Record, Source, Unreadable};
use rdkafka::error::RDKafkaErrorCode;

use super::super::native::Message;
use crate::consumer::{BATCH_BYTES, BATCH_RECORDS};

/// A part of a batch, in the order of the batch.
pub(super) enum Piece {
    /// Records of one partition. Never empty.
    Records(Arc<Source>, Vec<Record>),
    /// An error in a record's place.
    Failure(Failure),
}

/// An error in a record's place.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) code: RDKafkaErrorCode,
    /// librdkafka's words.
    pub(super) words: String,
}

/// What a batch takes in librdkafka's memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) records: usize,
    /// Keys, values and headers.
    pub(super) bytes: usize,
    /// Of these, what librdkafka's own bound does not count: keys and headers.
    pub(super) uncounted: usize,
}

/// A message with its headers and its size.
struct Entry<'a> {
    message: Message<'a>,
    headers: Headers,
    unreadable: Option<Box<Unreadable>>,
    /// What is copied or held for it.
    bytes: usize,
}

impl<'a> Entry<'a> {
    /// Reads the headers, and decides which parts of the record to copy; the whole record may have `limit` bytes.
    fn of(message: Message<'a>, limit: usize) -> Self {
        let key = message.key().map_or(0, <[u8]>::len);
        let body = key + message.payload().map_or(0, <[u8]>::len);
        let too_large = |bytes| Self {
            message,
            headers: Headers::new(),
            unreadable: Some(Box::new(Unreadable::TooLarge { bytes, limit })),
            bytes: if key > limit { 0 } else { key },
        };
        if body > limit {
            return too_large(body);
        }
        match message.headers() {
            Ok(headers) => {
                let bytes = body + headers.bytes();
                if bytes > limit {
                    return too_large(bytes);
                }
                Self {
                    message,
                    headers,
                    unreadable: None,
                    bytes,
                }
            }
            Err(_) => Self {
                message,
                headers: Headers::new(),
                unreadable: Some(Box::new(Unreadable::Headers)),
                bytes: body,
            },
        }
    }

    fn key(&self) -> Option<&'a [u8]> {
        match self.unreadable.as_deref() {
            Some(Unreadable::TooLarge { limit, .. }) => {
                self.message.key().filter(|key| key.len() <= *limit)
            }
            _ => self.message.key(),
        }
    }

    fn value(&self) -> Option<&'a [u8]> {
        match self.unreadable.as_deref() {
            Some(Unreadable::TooLarge { .. }) => None,
            _ => self.message.payload(),
        }
    }
}

/// A run of records of one partition.
struct Run<'a> {
    source: Arc<Source>,
    entries: Vec<Entry<'a>>,
    /// Keys, values and headers.
    bytes: usize,
    /// Keys and values.
    copied: usize,
}

impl<'a> Run<'a> {
    /// `expected` is how many records it may become.
    fn new(source: Arc<Source>, expected: usize) -> Self {
        Self {
            source,
            entries: Vec::with_capacity(expected.min(BATCH_RECORDS)),
            bytes: 0,
            copied: 0,
        }
    }

    /// Whether this event has room for another record.
    fn has_room_for(&self, entry: &Entry<'_>) -> bool {
        self.entries.is_empty()
            || (self.entries.len() < BATCH_RECORDS && self.bytes + entry.bytes <= BATCH_BYTES)
    }

    fn push(&mut self, entry: Entry<'a>) {
        self.bytes += entry.bytes;
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        self.copied += length(entry.key()) + length(entry.value());
        self.entries.push(entry);
    }

    /// The records. Keys and values share one buffer; a header's value has its own.
    fn into_piece(self) -> Piece {
        let mut buffer = Vec::with_capacity(self.copied);
        for entry in &self.entries {
            buffer.extend_from_slice(entry.key().unwrap_or_default());
            buffer.extend_from_slice(entry.value().unwrap_or_default());
        }
        let buffer = Bytes::from(buffer);
        let mut at = 0;
        let mut take = |part: Option<&[u8]>| {
            let part = part?;
            let slice = buffer.slice(at..at + part.len());
            at += part.len();
            Some(slice)
        };
        let source = self.source;
        let records = self
            .entries
            .into_iter()
            .map(|entry| Record {
                source: source.clone(),
                offset: Offset(entry.message.offset()),
                timestamp: entry.message.timestamp(),
                key: take(entry.key()),
                value: take(entry.value()),
                headers: entry.headers,
                unreadable: entry.unreadable,
            })
            .collect();
        Piece::Records(source, records)
    }
}

/// A record alone; `limit` is what it may have in bytes.
pub(in super::super) fn one(
    message: Message<'_>,
    limit: usize,
    source: Arc<Source>,
) -> Option<Record> {
    let mut run = Run::new(source, 1);
    run.push(Entry::of(message, limit));
    match run.into_piece() {
        Piece::Records(_, mut records) => records.pop(),
        Piece::Failure(_) => None,
    }
}

/// Cuts a batch. `found` says whose a partition is (`None`: no longer ours, dropped); `limit` is what one record may
/// have in bytes.
pub(super) fn cut<'a>(
    messages: impl ExactSizeIterator<Item = Message<'a>>,
    limit: usize,
    mut found: impl FnMut(&str, i32) -> Option<Arc<Source>>,
) -> (Vec<Piece>, Sizes) {
    let mut pieces = Vec::new();
    let mut sizes = Sizes::default();
    let mut run: Option<(usize, Run<'a>)> = None;
    let finish = |run: Option<(usize, Run<'a>)>, pieces: &mut Vec<Piece>| {
        if let Some((_, run)) = run {
            pieces.push(run.into_piece());
        }
    };
    let mut messages = messages;
    while let Some(message) = messages.next() {
        if let Some(code) = message.error() {
            finish(run.take(), &mut pieces);
            let words = message.payload().unwrap_or_default();
            pieces.push(Piece::Failure(Failure {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                offset: message.offset(),
                code,
                words: String::from_utf8_lossy(words).into_owned(),
            }));
            continue;
        }
        let entry = Entry::of(message, limit);
        let value = message.payload().map_or(0, <[u8]>::len);
        let uncounted = entry
            .bytes
            .saturating_sub(entry.value().map_or(0, <[u8]>::len));
        sizes.records += 1;
        sizes.bytes += value + uncounted;
        sizes.uncounted += uncounted;
        let fits = run.as_ref().is_some_and(|(topic, run)| {
            *topic == message.topic_key()
                && run.source.partition == message.partition()
                && run.has_room_for(&entry)
        });
        if !fits {
            finish(run.take(), &mut pieces);
            let Some(source) = found(message.topic(), message.partition()) else {
                continue;
            };
            run = Some((message.topic_key(), Run::new(source, messages.len() + 1)));
        }
        if let Some((_, run)) = &mut run {
            run.push(entry);
        }
    }
    finish(run, &mut pieces);
    (pieces, sizes)
}
