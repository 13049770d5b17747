//! Transactions: writes records to several partitions as one, all of them or none, under an id that one program has at a time.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::{ClientError, outgoing::Outgoing};

/// A transactional id in this program's hands, from [`Broker::transaction`](crate::broker::Broker::transaction). Anyone who
/// begins with the same id later takes it over.
#[derive(Debug)]
pub struct Transaction(Box<dyn Commit>);

/// What a broker does with one transactional id.
pub(crate) trait Commit: fmt::Debug + Send + Sync {
    fn commit(&mut self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<(), ClientError>>;
}

impl Transaction {
    pub(crate) fn new(commit: impl Commit + 'static) -> Self {
        Self(Box::new(commit))
    }

    /// Writes these records in one transaction of their own: a reader of committed records sees all of them or none.
    /// [`Outgoing::batch`] does not count. Resolves when it is decided, after two minutes at most. Dropped before that,
    /// the transaction may be committed all the same; the next call waits for its end.
    ///
    /// # Errors
    /// [`ClientError::TransactionFenced`] where somebody took the id over: nothing of this call is written, and no later
    /// call succeeds. [`ClientError::TransactionUnknown`] where the brokers did not say how it ended: the one who begins with
    /// the id next settles that before it goes on, and reads the result. Every other error: nothing is written.
    pub async fn commit(&mut self, records: Vec<Outgoing>) -> Result<(), ClientError> {
        if records.is_empty() {
            return Ok(());
        }
        self.0.commit(records).await
    }
}
