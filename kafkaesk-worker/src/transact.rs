//! Transact: what one assignment has finished and no transaction has committed yet, with what its handlers published. Decides
//! which messages go with a transaction. Sends nothing.
//!
//! Next: `instance/transactions.rs` makes the transactions.

use std::collections::VecDeque;

use kafkaesk_client::{
    broker::Outgoing,
    consumer::Position,
    publisher::{Collected, Receipt},
};
use kafkaesk_core::Offset;

use crate::tracker::covered_until;

/// How many bytes the handler of one message may publish with `transaction = true`.
pub(crate) const OUTBOX_BYTES: usize = 16 * 1024 * 1024;
/// Once what is finished and not committed has so many bytes, no further handler of the instance starts.
pub(crate) const PENDING_BYTES: usize = 32 * 1024 * 1024;

/// A finished message, and what its handler published.
#[derive(Debug)]
struct Finished {
    offset: Offset,
    records: Vec<Collected>,
}

/// Finished messages of one assignment that are not committed.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// In the order of their ends, which is that of their offsets for each key.
    waiting: VecDeque<Finished>,
    /// Of all records that wait or are on their way.
    bytes: usize,
    /// Those of the transaction that is on its way, and its position.
    sent: Option<(Position, Vec<Finished>)>,
    /// What was committed last.
    committed: Option<Position>,
    /// Nobody knows whether its last transaction was committed: it makes no further one.
    abandoned: bool,
}

impl Pending {
    /// A message is finished, and published these.
    pub(crate) fn finished(&mut self, offset: Offset, records: Vec<Collected>) {
        if self.abandoned {
            return;
        }
        self.bytes += records.iter().map(Collected::bytes).sum::<usize>();
        self.waiting.push_back(Finished { offset, records });
    }

    /// How many messages wait for a transaction.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many messages are finished and not known to be committed.
    pub(crate) fn uncommitted(&self) -> usize {
        let sent = self.sent.as_ref().map_or(0, |(_, sent)| sent.len());
        self.waiting.len() + sent
    }

    /// The bytes of what they published.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a transaction with this position would commit something new.
    pub(crate) fn is_new(&self, position: &Position) -> bool {
        !self.abandoned && self.sent.is_none() && self.committed.as_ref() != Some(position)
    }

    /// Whether nothing is left that a transaction could commit.
    pub(crate) fn is_settled(&self, position: Option<&Position>) -> bool {
        self.abandoned || (self.sent.is_none() && position.is_none_or(|it| !self.is_new(it)))
    }

    /// Sends what a commit of this position covers with a transaction. `completions`: whether the commit says what is finished
    /// beyond its offset.
    pub(crate) fn send(&mut self, position: Position, completions: bool, to: &mut Vec<Outgoing>) {
        let until = match completions {
            true => covered_until(&position),
            false => position.next,
        };
        let (covered, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|finished| finished.offset.0 < until.0);
        self.waiting = others.into();
        let records = covered.iter().flat_map(|finished| &finished.records);
        to.extend(records.map(|one| one.record.clone()));
        self.sent = Some((position, covered));
    }

    /// The transaction is committed. Takes the receipts of its records off the front.
    pub(crate) fn committed(&mut self, receipts: &mut impl Iterator<Item = Receipt>) {
        let Some((position, covered)) = self.sent.take() else {
            return;
        };
        for one in covered.into_iter().flat_map(|finished| finished.records) {
            self.bytes -= one.bytes();
            if let Some(receipt) = receipts.next() {
                one.committed(&receipt);
            }
        }
        self.committed = Some(position);
    }

    /// Nothing of the transaction is written: what it held goes with a later one.
    pub(crate) fn refused(&mut self) {
        let Some((_, covered)) = self.sent.take() else {
            return;
        };
        for finished in covered.into_iter().rev() {
            self.waiting.push_front(finished);
        }
    }

    /// Nobody knows whether the transaction is written: the assignment ends without another one, and what is not committed is
    /// read again.
    pub(crate) fn abandon(&mut self) {
        *self = Self {
            abandoned: true,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use kafkaesk_core::{Completions, NextOffset};

    use super::*;

    fn position(next: i64, unfinished: &[i64], end: i64) -> Position {
        let unfinished = unfinished.iter().map(|offset| Offset(*offset));
        Position {
            next: NextOffset(next),
            finished: Completions::new(unfinished, NextOffset(end)),
        }
    }

    fn offsets<'a>(of: impl IntoIterator<Item = &'a Finished>) -> Vec<i64> {
        of.into_iter().map(|finished| finished.offset.0).collect()
    }

    fn pending(finished: &[i64]) -> Pending {
        let mut pending = Pending::default();
        for offset in finished {
            pending.finished(Offset(*offset), Vec::new());
        }
        pending
    }

    #[test]
    fn a_transaction_takes_what_its_commit_covers_and_no_more() {
        for (completions, sent, waiting) in [
            (true, vec![1, 0, 3], vec![5]),
            (false, vec![1, 0], vec![3, 5]),
        ] {
            let mut pending = pending(&[1, 0, 5, 3]);
            pending.send(position(2, &[2, 4], 4), completions, &mut Vec::new());
            assert_eq!(offsets(&pending.sent.as_ref().unwrap().1), sent);
            let mut left = offsets(&pending.waiting);
            left.sort_unstable();
            assert_eq!(left, waiting);
            assert_eq!(
                (pending.uncommitted(), pending.waiting()),
                (4, 4 - sent.len())
            );
        }
    }

    #[test]
    fn what_was_refused_goes_before_what_was_finished_meanwhile() {
        let mut pending = pending(&[0, 1]);
        let first = position(2, &[], 2);
        pending.send(first.clone(), true, &mut Vec::new());
        pending.finished(Offset(2), Vec::new());
        assert!(!pending.is_new(&position(3, &[], 3)) && !pending.is_settled(None));
        pending.refused();
        assert_eq!(offsets(&pending.waiting), [0, 1, 2]);
        assert!(pending.is_new(&first));
        pending.send(first.clone(), true, &mut Vec::new());
        pending.committed(&mut std::iter::empty());
        assert!(pending.is_settled(Some(&first)) && !pending.is_new(&first));
        assert_eq!(offsets(&pending.waiting), [2]);
        assert!(!pending.is_settled(Some(&position(3, &[], 3))));
    }

    #[test]
    fn what_is_abandoned_sends_nothing_any_more() {
        let mut pending = pending(&[0]);
        pending.send(position(1, &[], 1), true, &mut Vec::new());
        pending.abandon();
        pending.finished(Offset(1), Vec::new());
        pending.refused();
        let next = position(2, &[], 2);
        assert!(!pending.is_new(&next) && pending.is_settled(Some(&next)));
        assert_eq!(pending.uncommitted(), 0);
    }
}
