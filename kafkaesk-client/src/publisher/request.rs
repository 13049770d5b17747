//! What one publish collects, and the steps that it takes: schema, check, stream, queue.

use std::{cell::Cell, sync::Arc};

use bytes::Bytes;
use kafkaesk_core::{Headers, StreamId};
use kafkaesk_schema::{Event, InvalidData};

use super::{Delivery, json::IntoJson};
use crate::{
    ClientError, Connection,
    broker::{Outgoing, SendError},
    catalog::{BoundStream, EventEntry, StoredSchema},
};

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
    entry: Option<Arc<EventEntry>>,
    /// The envelope.
    value: Bytes,
    pub(super) key: Option<Bytes>,
    pub(super) headers: Headers,
    pub(super) partition: Option<i32>,
    pub(super) timestamp: Option<i64>,
    /// The data fits its schema: not asked twice when the queue was full.
    checked: bool,
    /// The first thing that was wrong.
    refused: Option<ClientError>,
}

#[derive(Debug)]
enum Target {
    /// Published to before.
    Known(Arc<BoundStream>),
    /// To be looked up.
    New(StreamId),
    /// Its name is none.
    None,
}

/// What became of a try that does not wait.
pub(super) enum Tried {
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

    fn new(
        connection: Connection,
        stream: &str,
        entry: Result<Arc<EventEntry>, ClientError>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), serde_json::Error>,
    ) -> Self {
        let mut refused = None;
        let target = match connection.catalog().bound_stream(stream) {
            Some(known) => Target::Known(known),
            None => match StreamId::new(stream) {
                Ok(stream) => Target::New(stream),
                Err(error) => {
                    refused = Some(error.into());
                    Target::None
                }
            },
        };
        let mut value = Bytes::new();
        let entry = match entry {
            Ok(entry) => {
                let mut buffer = Vec::with_capacity(LAST_LENGTH.get() + 64);
                buffer.extend_from_slice(entry.prefix.as_bytes());
                match write(&mut buffer) {
                    Ok(()) => {
                        buffer.push(b'}');
                        LAST_LENGTH.set(buffer.len());
                        value = buffer.into();
                    }
                    Err(error) => {
                        refused.get_or_insert_with(|| ClientError::Setting(format!(
                            "the event for {stream} cannot be written as JSON; nothing was published: {error}"
                        )));
                    }
                }
                Some(entry)
            }
            Err(error) => {
                refused.get_or_insert(error);
                None
            }
        };
        Self {
            connection,
            target,
            entry,
            value,
            key: None,
            headers: Headers::new(),
            partition: None,
            timestamp: None,
            checked: false,
            refused,
        }
    }

    /// Keeps the first error.
    pub(super) fn refuse(&mut self, error: ClientError) {
        self.refused.get_or_insert(error);
    }

    /// All of it, if nothing must be waited for: the usual case.
    pub(super) fn try_now(mut self: Box<Self>) -> Tried {
        if let Some(error) = self.refused.take() {
            return Tried::Refused(error);
        }
        let (Target::Known(known), Some(entry)) = (&self.target, &self.entry) else {
            return Tried::Wait(self);
        };
        let Some(stored) = entry
            .stored
            .get()
            .filter(|_| known.schema == *entry.id.name())
        else {
            return Tried::Wait(self);
        };
        if let Err(error) = self.check(entry, stored, &known.stream) {
            return Tried::Refused(error);
        }
        let connection = self.connection.clone();
        match connection.broker().send(self.outgoing(&known.clone())) {
            Ok(delivery) => Tried::Queued(delivery),
            Err(SendError::Refused(error)) => Tried::Refused(error),
            Err(SendError::Full(record)) => {
                self.take_back(record);
                self.checked = true;
                Tried::Wait(self)
            }
        }
    }

    /// The same, waiting for what must be waited for.
    pub(super) async fn go(mut self: Box<Self>) -> Result<Delivery, ClientError> {
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        let Some(entry) = self.entry.clone() else {
            return Err(ClientError::Closed);
        };
        let connection = self.connection.clone();
        connection.broker().prepare();
        let catalog = connection.catalog();
        let stored = catalog.stored_of(&entry).await?;
        let stream = match &self.target {
            Target::Known(known) => known.stream.clone(),
            Target::New(stream) => stream.clone(),
            Target::None => return Err(ClientError::Closed),
        };
        // Before the stream: an event that does not fit leaves no topic behind.
        if !self.checked {
            self.check(&entry, &stored, &stream)?;
        }
        let ready = catalog.ready_stream(&stream, &entry).await?;
        connection.broker().queue(self.outgoing(&ready)).await
    }

    /// The data against the stored schema, on the very bytes that are sent.
    fn check(
        &self,
        entry: &EventEntry,
        stored: &StoredSchema,
        stream: &StreamId,
    ) -> Result<(), ClientError> {
        let data = &self.value[entry.prefix.as_bytes().len()..self.value.len() - 1];
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

    fn outgoing(&mut self, stream: &BoundStream) -> Outgoing {
        if let Some(entry) = &self.entry {
            // Only now: the places that the check names are those of the caller's bytes.
            trim(&mut self.value, entry.prefix.as_bytes().len());
        }
        Outgoing {
            topic: stream.topic.clone(),
            partition: self.partition,
            key: self.key.take(),
            value: std::mem::take(&mut self.value),
            headers: std::mem::take(&mut self.headers),
            timestamp: self.timestamp,
        }
    }

    fn take_back(&mut self, record: Outgoing) {
        self.key = record.key;
        self.value = record.value;
        self.headers = record.headers;
    }
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
