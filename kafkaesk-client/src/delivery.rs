//! Delivery: the answer to a publish. It resolves to a receipt when the brokers have the record.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use kafkaesk_core::{Offset, TopicName};
use tokio::sync::oneshot;

use crate::ClientError;

/// Where a published record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The whole topic name.
    pub topic: TopicName,
    /// The partition; [`Self::NOT_CHOSEN`] where the record waits in an [`Outbox`](crate::publisher::Outbox) and gets its
    /// partition with its transaction.
    pub partition: i32,
    /// The offset. `None` where the record waits in an outbox, and where the brokers had the record already when it was sent once more, after an answer got lost:
    /// then they say that they have it, and not where (KIP-98, DUPLICATE_SEQUENCE_NUMBER).
    pub offset: Option<Offset>,
}

impl Receipt {
    /// The partition is not chosen yet: the record waits for its transaction.
    pub const NOT_CHOSEN: i32 = -1;
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.partition == Self::NOT_CHOSEN {
            return write!(f, "{}", self.topic);
        }
        write!(f, "{}[{}]", self.topic, self.partition)?;
        match self.offset {
            Some(offset) => write!(f, "@{offset}"),
            None => Ok(()),
        }
    }
}

/// A record in the local queue. Resolves when the brokers have the record, or fails after at most `delivery_timeout`.
/// The record is sent even if this is dropped.
#[derive(Debug)]
#[must_use = "a delivery that nobody awaits may fail unnoticed"]
pub struct Delivery(pub(crate) oneshot::Receiver<Result<Receipt, ClientError>>);

impl Future for Delivery {
    type Output = Result<Receipt, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Closed),
        })
    }
}
