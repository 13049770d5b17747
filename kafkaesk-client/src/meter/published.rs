//! Published: what a connection published and asked, as its user sees it. Plain numbers, made when they are asked for.

use std::time::Duration;

use kafkaesk_core::{Offset, SchemaId, StreamId, TopicName};

use super::{Action, Histogram};
use crate::{ClientError, Connection};

/// What a connection published and asked since it was opened. Counts never go back.
///
/// Events and tombstones that a [`Publisher`](crate::Publisher) publishes are counted. Dead letters, transactions and the
/// records of schemas and bindings are not.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Published {
    /// By topic, in the order of their names: the first 10,000 topics that were published to.
    pub topics: Vec<PublishedTopic>,
    /// All later topics together, and publishes to names that no stream can have.
    pub others: PublishedElsewhere,
    /// Questions to the brokers: each kind once, in the order of [`ActionKind::ALL`](super::ActionKind::ALL). Empty for the
    /// broker in memory, as everything below: it has no queue and asks nobody.
    pub actions: Vec<Action>,
    /// Records that wait in the producers' queues or are on their way, about: up to a few more, and without those of a
    /// producer that failed. Dead letters count here as well.
    pub queue_records: u64,
    /// Their bytes, each record with some 256 bytes for its keeping.
    pub queue_bytes: u64,
    /// Whether the last that was heard of the brokers was an answer: `false` while all of them are known to be away, which
    /// nobody learns while nothing is sent or asked. `None` for the broker in memory.
    pub brokers_up: Option<bool>,
    /// How long ago a broker last named its topics, took a record or a commit; up to 0.2 s less. A connection with a consumer
    /// asks for topics every two seconds (`discovery-interval`). One that only publishes asks for nothing in between: there
    /// this grows while nothing is published, and a question such as [`Broker::cluster`](crate::broker::Broker::cluster)
    /// tells whether the brokers are there. `None` for the broker in memory.
    pub last_answer: Option<Duration>,
}

/// What was published to one topic.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublishedTopic {
    /// The whole topic name.
    pub topic: TopicName,
    /// Its stream.
    pub stream: StreamId,
    /// Publishes that were called, by their end, in the order of [`PublishEnd::ALL`]. One that waits has no end yet, and
    /// one that was dropped before it had one has none at all.
    pub called: [u64; PublishEnd::ALL.len()],
    /// Seconds from the first poll of a publish until its record was handed to the producer; refused ones are left out, and so
    /// is the time in which the event was serialized. The first publish is measured and each sixteenth after it, and each of
    /// the latter counts as sixteen.
    pub called_time: Histogram,
    /// The versions of its schema that this connection published, to this stream or to another one with the same schema, newest
    /// first; empty before the first of them, and while the stream is looked up again.
    pub schemas: Vec<SchemaId>,
    /// What the brokers took, by partition, in the order of their numbers.
    pub partitions: Vec<PublishedPartition>,
    /// Records that were accepted for sending and then failed, or whose end nobody knows
    /// ([`ClientError::DeliveryUnknown`]).
    pub failed: u64,
    /// Seconds from the hand-over to the brokers' answer, of delivered records; measured and counted as `called_time`.
    pub delivery_time: Histogram,
    /// Events that their schema refused, by the schema's id, in the order of these. At most 1,000 pairs of topic and schema
    /// are counted one by one; the other events are under an empty text.
    pub refused: Vec<(String, u64)>,
}

/// What one partition took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedPartition {
    /// Its number.
    pub partition: i32,
    /// Records that the brokers have.
    pub delivered: u64,
    /// The offset of the last of them whose answer named one. A flush takes answers beside the producer's own thread, so it
    /// may leave the offset of an earlier batch here, until the partition's next record.
    pub offset: Option<Offset>,
}

/// What was published to topics that are not counted one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedElsewhere {
    /// As [`PublishedTopic::called`].
    pub called: [u64; PublishEnd::ALL.len()],
    /// Records that the brokers have.
    pub delivered: u64,
    /// As [`PublishedTopic::failed`].
    pub failed: u64,
}

/// How a publish ended before anything was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublishEnd {
    /// Not at all: the record was accepted for sending.
    Accepted,
    /// The event does not fit its schema, or is not JSON that the contract takes.
    Schema,
    /// The record is larger than the producer takes.
    TooLarge,
    /// The queue had no room in time.
    Full,
    /// The brokers did not answer in time, or the producer could not take the record, as for a partition that does not
    /// exist.
    Unavailable,
    /// A right or the right credentials are missing.
    Denied,
    /// Anything else, such as an unknown schema, a stream that may not be created, or a setting.
    Other,
}

impl PublishEnd {
    /// All ends, in the order of [`PublishedTopic::called`].
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Schema,
        Self::TooLarge,
        Self::Full,
        Self::Unavailable,
        Self::Denied,
        Self::Other,
    ];

    /// Its name as the value of a metric's label `error`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "none",
            Self::Schema => "schema",
            Self::TooLarge => "too_large",
            Self::Full => "full",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::Other => "other",
        }
    }

    /// The end that an error is.
    pub(super) fn of(error: &ClientError) -> Self {
        match error {
            ClientError::Invalid { .. } | ClientError::Malformed { .. } => Self::Schema,
            ClientError::TooLarge { .. } | ClientError::BatchTooLarge { .. } => Self::TooLarge,
            ClientError::QueueFull { .. } => Self::Full,
            ClientError::Unauthorized { .. } | ClientError::Authentication { .. } => Self::Denied,
            passing if passing.is_passing() => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

impl Connection {
    /// What this connection published and asked since it was opened. Asks the brokers nothing and delays no publish; it takes a
    /// microsecond or so for each topic.
    pub fn published(&self) -> Published {
        let catalog = self.catalog();
        let mut published = catalog.meters().shown();
        catalog.name_schemas(&mut published.topics);
        self.broker().show(&mut published);
        published
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kafkaesk_core::TopicName;

    use super::*;

    #[test]
    fn each_end_has_a_place_and_a_name_of_its_own() {
        for (place, end) in PublishEnd::ALL.into_iter().enumerate() {
            assert_eq!(end as usize, place);
        }
        let names: BTreeSet<_> = PublishEnd::ALL.iter().map(|end| end.name()).collect();
        assert_eq!(names.len(), PublishEnd::ALL.len());
    }

    #[test]
    fn a_queue_without_room_is_no_outage() {
        let topic = TopicName::new("t").unwrap();
        let reason = String::new();
        let full = ClientError::QueueFull {
            topic: topic.clone(),
            reason: reason.clone(),
        };
        let away = ClientError::NotDelivered { topic, reason };
        assert_eq!(PublishEnd::of(&full), PublishEnd::Full);
        assert_eq!(PublishEnd::of(&away), PublishEnd::Unavailable);
        assert_eq!(PublishEnd::of(&ClientError::Closed), PublishEnd::Other);
    }
}
