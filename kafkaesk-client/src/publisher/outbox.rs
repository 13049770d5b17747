//! Outbox: keeps what is published into it for a transaction to come, instead of sending it. Writes nothing itself.
//!
//! Next: `transaction.rs` writes the records.

use std::{mem, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Delivery, Receipt};
use crate::{
    ClientError,
    broker::{Outgoing, size_of},
    meter::{Flight, Tally},
};

/// Records that wait for their transaction. A [`Publisher`](super::Publisher) made by
/// [`Publisher::into_outbox`](super::Publisher::into_outbox) checks and encodes each event as always, and puts its record here
/// instead of sending it. Cheap to clone; all clones are one.
///
/// ```
/// # use kafkaesk_client::{ClientError, Connection, Settings, publisher::Outbox};
/// # async fn example() -> Result<(), ClientError> {
/// # let connection = Connection::in_memory(Settings::default());
/// # let event = connection.publisher();
/// let outbox = Outbox::new(1024 * 1024);
/// let publisher = connection.publisher().into_outbox(&outbox);
/// // publisher.publish("enriched", &event).await? resolves once the record is in the outbox.
/// # drop((publisher, event));
/// let records = outbox.close();
/// let mut transaction = connection.broker().transaction("example").await?;
/// transaction.commit(records.iter().map(|one| one.record.clone()).collect()).await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// How many bytes it takes.
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Collected>,
    bytes: usize,
    closed: bool,
}

/// A record that waits for its transaction.
#[derive(Debug)]
#[non_exhaustive]
pub struct Collected {
    /// The record. Without a partition of its own, it gets one by its key when the transaction is written.
    pub record: Outgoing,
    /// Counts its end.
    flight: Option<Flight>,
}

impl Collected {
    /// Its bytes: key, value and headers, and some for its keeping.
    pub fn bytes(&self) -> usize {
        cost(&self.record)
    }

    /// The transaction is committed, and the brokers have the record: counts it as delivered.
    pub fn committed(self, receipt: &Receipt) {
        if let Some(flight) = self.flight {
            flight.delivered(receipt.partition, receipt.offset);
        }
    }
}

/// What a record costs, about.
fn cost(record: &Outgoing) -> usize {
    size_of(record) + 256
}

impl Outbox {
    /// An empty one that takes so many bytes: keys, values and headers, and 256 for each record.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Inner {
            most,
            state: Mutex::default(),
        }))
    }

    /// Takes the records out, in the order in which they were published. It takes no more after that: a publish is an error.
    pub fn close(&self) -> Vec<Collected> {
        let mut state = self.0.state.lock();
        state.closed = true;
        mem::take(&mut state.records)
    }

    /// Takes a record in. Its delivery resolves at once.
    pub(crate) fn put(
        &self,
        record: Outgoing,
        tally: Option<Tally<'_>>,
        largest: usize,
    ) -> Result<Delivery, ClientError> {
        let (size, bytes) = (size_of(&record), cost(&record));
        if size > largest {
            return Err(ClientError::TooLarge {
                bytes: record.value_len(),
                reason: format!("a record may have {largest} bytes (`message.max.bytes`)"),
                topic: record.topic,
            });
        }
        let mut state = self.0.state.lock();
        if state.closed {
            return Err(ClientError::OutboxClosed {
                topic: record.topic,
            });
        }
        if state.bytes + bytes > self.0.most {
            return Err(ClientError::OutboxFull {
                topic: record.topic,
                most: self.0.most,
            });
        }
        state.bytes += bytes;
        let handed = tally.map(Tally::hand_over);
        let flight = handed.map(|handed| {
            handed.accepted();
            handed.flight()
        });
        let receipt = Receipt {
            topic: record.topic.clone(),
            partition: record.partition.unwrap_or(Receipt::NOT_CHOSEN),
            offset: None,
        };
        state.records.push(Collected { record, flight });
        let (answer, answered) = oneshot::channel();
        // The receiver is right here.
        let _ = answer.send(Ok(receipt));
        Ok(Delivery(answered))
    }
}

#[cfg(test)]
mod tests {
    use kafkaesk_core::{Headers, TopicName};

    use super::*;
    use crate::broker::BatchLimit;

    fn record(bytes: usize) -> Outgoing {
        Outgoing {
            topic: TopicName::new("a").unwrap(),
            partition: None,
            key: None,
            value: Some(vec![b'x'; bytes].into()),
            headers: Headers::new(),
            timestamp: None,
            batch: BatchLimit::default(),
        }
    }

    #[tokio::test]
    async fn what_is_put_in_comes_out_in_order_until_it_is_closed_or_full() {
        let outbox = Outbox::new(2 * 266);
        let receipt = outbox.put(record(10), None, 100).unwrap().await.unwrap();
        assert_eq!(
            (receipt.partition, receipt.offset, receipt.to_string()),
            (Receipt::NOT_CHOSEN, None, "a".to_owned())
        );
        let error = outbox.put(record(101), None, 100).unwrap_err();
        assert!(matches!(error, ClientError::TooLarge { .. }), "{error:?}");
        drop(outbox.clone().put(record(9), None, 100).unwrap());
        let error = outbox.put(record(2), None, 100).unwrap_err();
        assert!(matches!(error, ClientError::OutboxFull { .. }), "{error:?}");
        let sizes = |records: Vec<Collected>| -> Vec<usize> {
            records.iter().map(|it| it.record.value_len()).collect()
        };
        assert_eq!(sizes(outbox.close()), [10, 9]);
        let error = outbox.put(record(2), None, 100).unwrap_err();
        assert!(
            matches!(error, ClientError::OutboxClosed { .. }),
            "{error:?}"
        );
        assert!(outbox.close().is_empty());
    }
}
