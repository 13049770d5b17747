//! Transactions: writes records to several partitions as one, all of them or none, under an id that one program has at a time.

use std::{any::Any, fmt};

use futures_util::future::BoxFuture;

use crate::{ClientError, delivery::Receipt, outgoing::Outgoing};

/// A transactional id in this program's hands, from [`Broker::transaction`](crate::broker::Broker::transaction). Anyone who
/// begins with the same id later takes it over.
#[derive(Debug)]
pub struct Transaction(Box<dyn Commit>);

/// What a broker does with one transactional id.
pub(crate) trait Commit: fmt::Debug + Send + Sync {
    fn commit(
        &mut self,
        records: Vec<Outgoing>,
        offsets: Option<MemberOffsets>,
    ) -> BoxFuture<'_, Result<Vec<Receipt>, ClientError>>;
}

/// Offsets of a group's member, as they were when they were asked for
/// ([`ConsumerControl::offsets`](crate::consumer::ConsumerControl::offsets)).
pub struct MemberOffsets {
    pub(crate) group: String,
    /// Whether what is finished beyond the offsets goes with them, in all partitions.
    completions: bool,
    /// What the broker that made them knows.
    of: Box<dyn Any + Send + Sync>,
}

impl MemberOffsets {
    pub(crate) fn new(group: &str, completions: bool, of: impl Any + Send + Sync) -> Self {
        Self {
            group: group.to_owned(),
            completions,
            of: Box::new(of),
        }
    }

    /// Whether what is finished beyond the offsets goes with them. Not on brokers without topic ids (before 2.8), nor where the
    /// id of a topic is not known: then the offsets alone count, and what is finished beyond them is read again.
    pub fn with_completions(&self) -> bool {
        self.completions
    }

    /// `None` for those of another kind of broker.
    pub(crate) fn of<T: 'static>(&self) -> Option<&T> {
        self.of.downcast_ref()
    }

    /// The group went on without the member.
    pub(crate) fn refused(&self) -> ClientError {
        ClientError::MemberGone {
            group: self.group.clone(),
        }
    }
}

impl fmt::Debug for MemberOffsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberOffsets")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
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
        self.0.commit(records, None).await.map(drop)
    }

    /// The same, together with offsets of a group's member: the records are written and the offsets committed, or neither
    /// (KIP-98, KIP-447). The group refuses the offsets of a member that it has gone on without. `records` may be empty. Returns
    /// where each record is, in their order.
    ///
    /// # Errors
    /// As [`Self::commit`], and [`ClientError::MemberGone`]: nothing is written, and the messages behind the offsets are
    /// delivered again, here or to another member.
    pub async fn commit_with(
        &mut self,
        records: Vec<Outgoing>,
        offsets: MemberOffsets,
    ) -> Result<Vec<Receipt>, ClientError> {
        self.0.commit(records, Some(offsets)).await
    }
}
