//! Dead letters of one consumer group: the messages that it gave up, in a topic of their own (contract/README.md, "Dead
//! letters").
//!
//! `topics` creates the topics. A worker calls [`DeadLetters::write`] for a message that it gives up. `read` reads the
//! letters, `letter` classifies a record, `filter` selects letters, `unsettled` counts those that wait, `redrive` settles them,
//! `settlements` knows the settled ones.

mod filter;
mod letter;
mod read;
mod redrive;
mod settlements;
mod topics;
mod unsettled;

pub use filter::Filter;
pub use letter::{Letter, NotADeadLetter};
pub use read::{Letters, Snapshot};
pub use redrive::{Order, READER_WAIT, TRANSACTION_BYTES, TRANSACTION_LETTERS, Tally};
pub use topics::{PlannedTopic, TopicState};
pub use unsettled::Unsettled;

use std::sync::Arc;

use kafkaesk_core::{DeadLetter, Headers, Record, TopicName, dead_letter};
use parking_lot::Mutex;

use crate::{
    ClientError, Connection, Delivery,
    broker::{BatchLimit, Outgoing},
    settings::DeadLetterHeaders,
};

/// The dead letters of one consumer group. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    connection: Connection,
    group: String,
    topic: TopicName,
    retry_topic: TopicName,
    /// The batch limit of the topic; known after the first look-up.
    batch: Arc<Mutex<Option<BatchLimit>>>,
}

impl DeadLetters {
    /// The dead letters of a group, by its whole name as sent to Kafka. Needs no network.
    ///
    /// # Errors
    /// [`ClientError::Name`] for a group whose name does not fit into a topic's.
    pub fn of(connection: &Connection, group: &str) -> Result<Self, ClientError> {
        let prefix = &connection.settings().topic_prefix;
        Ok(Self {
            topic: prefix.dead_topic(group)?,
            retry_topic: prefix.retry_topic(group)?,
            connection: connection.clone(),
            group: group.to_owned(),
            batch: Arc::default(),
        })
    }

    /// The group, as sent to Kafka.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The topic that keeps them.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// The topic from which the group reads those that are redriven.
    pub fn retry_topic(&self) -> &TopicName {
        &self.retry_topic
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Writes a record as a dead letter: its key, value and headers byte for byte, and what `letter` says in headers behind
    /// them. Of a record that was redriven, the headers of the former dead letter go. The partition is chosen by the key.
    ///
    /// Resolves when the brokers have the letter. Waits for room in the producer's queue and then for the answer, each
    /// for `delivery-timeout` at most. If the future is dropped before its end, the letter may have been written.
    ///
    /// # Errors
    /// [`ClientError`]: nothing is known to be written. An absent topic is [`ClientError::NotDelivered`].
    pub async fn write(&self, record: &Record, letter: &DeadLetter) -> Result<(), ClientError> {
        let own = match letter.redriven {
            0 => record.headers.clone(),
            _ => self.own_headers(&record.headers),
        };
        let outgoing = Outgoing {
            topic: self.topic.clone(),
            partition: None,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: self.headers(letter, &own),
            timestamp: None,
            batch: self.batch().await?,
        };
        let delivery: Delivery = self.connection.broker().queue(outgoing).await?;
        match delivery.await {
            Ok(_) => Ok(()),
            Err(error) => {
                // Perhaps the topic was created again, with other bounds.
                *self.batch.lock() = None;
                Err(error)
            }
        }
    }

    /// A redriven record's headers without those of its former dead letter.
    fn own_headers(&self, headers: &Headers) -> Headers {
        let own = dead_letter::original(headers);
        if !self.writes_spring() {
            return own;
        }
        own.iter()
            .filter(|(name, _)| !name.starts_with(dead_letter::SPRING_PREFIX))
            .map(|(name, value)| (name, value.cloned()))
            .collect()
    }

    fn writes_spring(&self) -> bool {
        self.connection.settings().dead_letter_headers == DeadLetterHeaders::Spring
    }

    fn headers(&self, letter: &DeadLetter, own: &Headers) -> Headers {
        let mut headers = letter.write(own);
        if self.writes_spring() {
            for (name, value) in dead_letter::spring_headers(letter) {
                headers.push(name, Some(value));
            }
        }
        headers
    }

    async fn batch(&self) -> Result<BatchLimit, ClientError> {
        if let Some(known) = *self.batch.lock() {
            return Ok(known);
        }
        let catalog = self.connection.catalog();
        let limit = catalog.batch_limit(&self.topic, None).await?;
        *self.batch.lock() = Some(limit);
        Ok(limit)
    }
}
