//! Transactions in memory: appends all records of a commit at once, or none. The last program that began owns the id.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Shared, State, assign::MemberId, store::Stored};
use crate::{
    ClientError, Receipt,
    broker::Outgoing,
    consumer::Commits,
    transaction::{Commit, MemberOffsets, Transaction},
};

/// One id, begun.
#[derive(Debug)]
struct Transactional {
    shared: Arc<Shared>,
    id: String,
    /// The epoch of the id when this program began.
    epoch: u64,
}

/// Offsets of a member, ready for a transaction.
pub(super) struct MemoryOffsets {
    pub(super) group: String,
    pub(super) member: MemberId,
    pub(super) commits: Commits,
}

impl MemoryOffsets {
    pub(super) fn are_its_own(&self, state: &State) -> bool {
        let group = state.groups.get(&self.group);
        group.is_some_and(|group| group.owns(self.member, &self.commits))
    }

    fn commit(&self, state: &mut State) {
        if let Some(group) = state.groups.get_mut(&self.group) {
            group.commit(self.member, &self.commits, &state.store);
        }
    }
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
    fn commit(
        &mut self,
        records: Vec<Outgoing>,
        offsets: Option<MemberOffsets>,
    ) -> BoxFuture<'_, Result<Vec<Receipt>, ClientError>> {
        let now = self.shared.now();
        let committed = self.shared.change(|state| {
            if state.transactional.get(&self.id) != Some(&self.epoch) {
                return Err(ClientError::TransactionFenced {
                    id: self.id.clone(),
                });
            }
            if let Some(offsets) = &offsets {
                let own = offsets.of::<MemoryOffsets>();
                if !own.is_some_and(|own| own.are_its_own(state)) {
                    return Err(offsets.refused());
                }
            }
            let doubt = state.doubt.take();
            let unknown = || ClientError::TransactionUnknown {
                id: self.id.clone(),
                reason: "no answer came".to_owned(),
            };
            if doubt == Some(false) {
                return Err(unknown());
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
            let receipts = state.store.append_all(records.collect())?;
            if let Some(own) = offsets
                .as_ref()
                .and_then(MemberOffsets::of::<MemoryOffsets>)
            {
                own.commit(state);
            }
            match doubt {
                Some(_) => Err(unknown()),
                None => Ok(receipts),
            }
        });
        Box::pin(std::future::ready(committed))
    }
}
