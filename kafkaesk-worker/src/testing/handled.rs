//! What a test asks of handled and published messages.

use std::ops::Deref;

use kafkaesk_client::schema::Events;
use kafkaesk_core::{DeadLetter, Envelope, Record, SchemaId};
use serde_json::Value;
use thiserror::Error;

use crate::{AppError, Outcome};

/// Why an application under test did not become quiet.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TestError {
    /// A message used up its attempts, or is held after three of them.
    #[error("group {group}: {topic}[{partition}]@{offset} failed {attempts} times: {error}")]
    Handler {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// How often it was tried.
        attempts: u32,
        /// The handler's own error, with its sources.
        error: String,
    },
    /// A handler takes too long.
    #[error("group {group}: {topic}[{partition}]@{offset} was not handled within {waited:?}")]
    Stuck {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// Messages whose handler has returned wait for their `Committer` (`commit = "manual"`), and nothing else happens.
    #[error("group {group}: {} message(s) in custody are not finished by their committers within {waited:?}: {}", messages.len(), messages.join(", "))]
    InCustody {
        /// The group.
        group: String,
        /// The messages, as topic, partition and offset.
        messages: Vec<String>,
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// The application ended.
    #[error("the application ended: {0}")]
    Ended(AppError),
}

/// One message as one subscription handled it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandledMessage {
    /// The group.
    pub group: String,
    /// The record.
    pub record: Record,
    /// How its last attempt ended.
    pub outcome: Outcome,
    /// How often it was tried.
    pub attempts: u32,
}

/// A message that the application gave up, as its dead letter says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GivenUp {
    /// Where the message comes from, and why it was given up.
    pub letter: DeadLetter,
    /// The record in the topic of dead letters: the message's own key, value and headers, and those of the letter.
    pub record: Record,
}

/// What was handled since the last time that the application was quiet.
#[derive(Clone, Debug, Default)]
pub struct Handled {
    pub(super) messages: Vec<HandledMessage>,
}

impl Handled {
    /// How each message ended: in the order of publishing, then of registration.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.messages.iter().map(|m| m.outcome.clone()).collect()
    }

    /// The outcomes of one group.
    pub fn outcomes_of(&self, group: &str) -> Vec<Outcome> {
        let messages = self.messages.iter().filter(|m| m.group == group);
        messages.map(|m| m.outcome.clone()).collect()
    }

    /// The messages, in the same order.
    pub fn messages(&self) -> &[HandledMessage] {
        &self.messages
    }
}

/// A published record, as a test looks at it. Derefs to the record.
#[derive(Clone, Debug)]
pub struct Published(pub(super) Record);

impl Published {
    /// The schema id.
    ///
    /// # Panics
    /// When the record holds no event.
    pub fn schema(&self) -> SchemaId {
        let envelope = self.envelope();
        match envelope.schema.parse() {
            Ok(schema) => schema,
            Err(error) => panic!("{}: {error}", self.name()),
        }
    }

    /// The data as JSON.
    ///
    /// # Panics
    /// When the record holds no event.
    pub fn json(&self) -> Value {
        match serde_json::from_slice(self.envelope().data) {
            Ok(data) => data,
            Err(error) => panic!("{}: {error}", self.name()),
        }
    }

    /// The data as an event.
    ///
    /// # Panics
    /// When the record holds no event or its data does not fit.
    pub fn event<T: Events>(&self) -> T {
        let schema = self.schema();
        let name = schema.name().as_str();
        assert!(
            T::takes(name, schema.version()),
            "{}: {} does not take {schema}",
            self.name(),
            std::any::type_name::<T>()
        );
        match T::decode(name, schema.version(), self.envelope().data) {
            Ok(event) => event,
            Err(error) => panic!("{}: {error}", self.name()),
        }
    }

    fn envelope(&self) -> Envelope<'_> {
        match Envelope::read(self.0.value()) {
            Ok(envelope) => envelope,
            Err(error) => panic!("{} holds no event: {error}", self.name()),
        }
    }

    fn name(&self) -> String {
        format!("{}@{}", self.0.source, self.0.offset)
    }
}

impl Deref for Published {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.0
    }
}
