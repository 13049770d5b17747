//! Publishing: value → schema check → envelope → producer → delivery report.

use kafkaesk_core::{Offset, TopicName};
use tokio::sync::oneshot;

use crate::{ClientError, Connection};

/// Where a published record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The whole topic name.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: Offset,
}

/// A record in the local queue; resolves when the brokers have it. Dropping it unsends nothing.
#[derive(Debug)]
pub struct Delivery(pub(crate) oneshot::Receiver<Result<Receipt, ClientError>>);

/// Publishes under the contract. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher {
    connection: Connection,
}

impl Publisher {
    pub(crate) fn over(connection: Connection) -> Self {
        Self { connection }
    }

    /// The connection behind it.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}
