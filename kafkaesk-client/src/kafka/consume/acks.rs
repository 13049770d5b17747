//! Acks: who waits for the result of a commit, by the assignment whose commit it is. Dropped unanswered, an ack says that the
//! partition is not assigned any more.

use std::{collections::HashMap, sync::Arc};

use kafkaesk_core::Source;
use tokio::sync::oneshot;

use super::control_requests::identity;
use crate::consumer::NotCommitted;

/// Waits for one commit of one partition.
pub(super) type Ack = oneshot::Sender<Result<(), NotCommitted>>;

/// Acks by assignment.
#[derive(Debug, Default)]
pub(super) struct Acks(HashMap<usize, (Arc<Source>, Vec<Ack>)>);

impl Acks {
    pub(super) fn push(&mut self, source: &Arc<Source>, ack: Ack) {
        self.extend_one(source.clone(), vec![ack]);
    }

    fn extend_one(&mut self, source: Arc<Source>, acks: Vec<Ack>) {
        let of = self.0.entry(identity(&source));
        of.or_insert_with(|| (source, Vec::new())).1.extend(acks);
    }

    /// Adds others.
    pub(super) fn add(&mut self, others: Self) {
        for (source, acks) in others.0.into_values() {
            self.extend_one(source, acks);
        }
    }

    /// Takes those of the assignments that are wanted.
    pub(super) fn take(&mut self, is_wanted: impl Fn(&Arc<Source>) -> bool) -> Self {
        let (taken, kept) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(_, (source, _))| is_wanted(source));
        self.0 = kept;
        Self(taken)
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.0.values().map(|(source, _)| source)
    }

    /// Answers all.
    pub(super) fn answer(self, result: impl Fn() -> Result<(), NotCommitted>) {
        for (_, acks) in self.0.into_values() {
            for ack in acks {
                // Its future may have been dropped.
                let _ = ack.send(result());
            }
        }
    }
}
