//! Transactions in memory: appends all records of a commit at once, or none. The last program that began owns the id.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Shared, store::Stored};
use crate::{
    ClientError,
    broker::Outgoing,
    transaction::{Commit, Transaction},
};

/// One id, begun.
#[derive(Debug)]
struct Transactional {
    shared: Arc<Shared>,
    id: String,
    /// The epoch of the id when this program began.
    epoch: u64,
}

/// Takes the id over.
pub(super) fn begin(shared: &Arc<Shared>, id: &str) -> Transaction {
    let epoch = shared.change(|state| {
        let epoch = state.transactional.entry(id.to_owned()).or_default();
        *epoch += 1;
        *epoch
    });
    Transaction::new(Transactional {
        shared: shared.clone(),
        id: id.to_owned(),
        epoch,
    })
}

impl Commit for Transactional {
    fn commit(&mut self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<(), ClientError>> {
        let now = self.shared.now();
        let committed = self.shared.change(|state| {
            if state.transactional.get(&self.id) != Some(&self.epoch) {
                return Err(ClientError::TransactionFenced {
                    id: self.id.clone(),
                });
            }
            let records = records.into_iter().map(|record| {
                let stored = Stored {
                    sequence: 0,
                    timestamp: record.timestamp.unwrap_or(now),
                    key: record.key,
                    value: record.value,
                    headers: record.headers,
                };
                (record.topic, record.partition, stored)
            });
            state.store.append_all(records.collect())
        });
        Box::pin(std::future::ready(committed))
    }
}
