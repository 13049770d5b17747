//! Partitions: the assigned partitions of an instance, each with its tracker. `commit` decides what is committed.

use std::{cmp::Ordering, collections::HashMap, sync::Arc, time::SystemTime};

use kafkaesk_client::{
    consumer::Stalled,
    mutation::{self, Mutation},
    publisher::Collected,
};
use kafkaesk_core::{NextOffset, Offset, Source};
use rustc_hash::FxHashMap;

use crate::{
    commit::Awaited,
    custody::Custody,
    delivery::Delivery,
    meter::TopicIndex,
    snapshot::Counts,
    tracker::{Ticket, Tracker},
    transact::Pending,
};

/// Identifies one assignment of one partition; an instance never uses a number twice.
pub(crate) type Generation = u64;

/// One assigned partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) source: Arc<Source>,
    pub(crate) tracker: Tracker,
    /// How many of its handlers run as tasks.
    pub(crate) running: usize,
    /// What its committers have not finished, where an assignment may have committers.
    pub(crate) custody: Option<Box<Custody>>,
    /// What is finished and waits for a transaction, where the instance works in transactions. Then nothing else commits.
    /// Changed by [`Partitions::change_pending`] alone, which keeps the sums.
    pending: Option<Box<Pending>>,
    /// Fetching is stopped.
    pub(crate) paused: bool,
    /// Being given up: nothing is started any more.
    pub(crate) revoking: bool,
    /// Its next record cannot be read.
    pub(crate) stalled: Option<Stalled>,
    /// What happened to its messages, in this assignment and in former ones.
    pub(crate) counts: Counts,
    /// Where the meter has its topic.
    pub(crate) topic: TopicIndex,
    /// When it was assigned.
    pub(crate) since: SystemTime,
    /// The offset behind the last record that was read.
    pub(crate) read: Option<NextOffset>,
}

impl Partition {
    /// Follows a message that was read, until its offset is finished.
    pub(crate) fn track(&mut self, delivery: &Delivery) -> Ticket {
        self.tracker
            .push_dated(delivery.place(), delivery.record().timestamp)
    }

    /// The commit for which its committers wait, if they wait for one.
    pub(crate) fn awaited_commit(&mut self) -> Option<Awaited> {
        let custody = self.custody.as_mut().filter(|it| it.awaits_commit())?;
        let position = self.tracker.position()?;
        let waiting = custody.take_covered(&position, !self.tracker.is_full());
        Some((self.source.clone(), position, waiting)).filter(|(.., waiting)| !waiting.is_empty())
    }

    /// From now on only transactions commit it.
    pub(crate) fn work_in_transactions(&mut self) {
        self.pending = Some(Box::default());
    }

    /// What is finished and waits for a transaction, where the instance works in transactions.
    pub(crate) fn pending(&self) -> Option<&Pending> {
        self.pending.as_deref()
    }

    /// Whether a transaction could commit something of it that is not committed.
    pub(crate) fn is_uncommitted(&self) -> bool {
        let position = self.tracker.position();
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| !pending.is_settled(position.as_ref()))
    }

    /// How many handled records cannot be committed.
    fn redelivered(&self) -> usize {
        match &self.pending {
            Some(pending) => pending.uncommitted(),
            None => self.tracker.redelivered(),
        }
    }

    /// How many messages are in custody.
    pub(crate) fn in_custody(&self) -> usize {
        self.custody.as_ref().map_or(0, |custody| custody.len())
    }
}

/// The order of topic and partition.
pub(crate) fn by_place(a: &Source, b: &Source) -> Ordering {
    (&a.topic, a.partition).cmp(&(&b.topic, b.partition))
}

/// What waits for a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingSum {
    /// Finished messages.
    pub(crate) messages: usize,
    /// The bytes of what is not committed, on its way or not.
    pub(crate) bytes: usize,
}

impl PendingSum {
    fn of(partition: &Partition) -> Self {
        let pending = partition.pending();
        pending.map_or(Self::default(), |pending| Self {
            messages: pending.waiting(),
            bytes: pending.bytes(),
        })
    }
}

/// All assigned partitions of an instance.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    assigned: FxHashMap<Generation, Partition>,
    by_source: HashMap<Arc<Source>, Generation>,
    last: Generation,
    /// What waits for a transaction in all of them: a turn must not walk thousands.
    pending: PendingSum,
    /// Counts of partitions that are not assigned now.
    former: HashMap<Arc<Source>, Counts>,
}

impl Partitions {
    pub(crate) fn assign(&mut self, source: Arc<Source>, topic: TopicIndex) -> Generation {
        self.last += 1;
        if let Some(former) = self.by_source.get(&source).copied() {
            self.remove(&[former]);
        }
        let partition = Partition {
            source: source.clone(),
            tracker: Tracker::new(self.last),
            running: 0,
            custody: None,
            pending: None,
            paused: false,
            revoking: false,
            stalled: None,
            counts: self.former.remove(&source).unwrap_or_default(),
            topic,
            since: SystemTime::now(),
            read: None,
        };
        self.by_source.insert(source, self.last);
        self.assigned.insert(self.last, partition);
        self.last
    }

    pub(crate) fn generation(&self, source: &Arc<Source>) -> Option<Generation> {
        self.by_source.get(source).copied()
    }

    pub(crate) fn get(&self, generation: Generation) -> Option<&Partition> {
        self.assigned.get(&generation)
    }

    pub(crate) fn get_mut(&mut self, generation: Generation) -> Option<&mut Partition> {
        self.assigned.get_mut(&generation)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.assigned.len()
    }

    /// Differs from what it was whenever a partition has come or gone.
    pub(crate) fn edition(&self) -> (usize, Generation) {
        (self.assigned.len(), self.last)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Generation, &Partition)> {
        self.assigned.iter().map(|(g, p)| (*g, p))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Generation, &mut Partition)> {
        self.assigned.iter_mut().map(|(g, p)| (*g, p))
    }

    /// Those whose next record cannot be read.
    pub(crate) fn stalled(&self) -> impl Iterator<Item = &Stalled> {
        self.assigned
            .values()
            .filter_map(|partition| partition.stalled.as_ref())
    }

    /// Whether one of these has a handler running as a task, a message in custody, or something that waits for a transaction.
    pub(crate) fn any_unfinished(&self, generations: &[Generation]) -> bool {
        let passes = mutation::is(Mutation::RevokePassesCustody);
        let unfinished =
            |p: &Partition| p.running > 0 || (p.in_custody() > 0 && !passes) || p.is_uncommitted();
        let of = |g: &Generation| self.assigned.get(g).is_some_and(unfinished);
        generations.iter().any(of)
    }

    /// How many messages are in custody.
    pub(crate) fn in_custody(&self) -> usize {
        let all = self.assigned.values();
        all.map(Partition::in_custody).sum()
    }

    /// How many messages are finished and wait for a transaction, or are on their way with one.
    pub(crate) fn uncommitted(&self) -> usize {
        let all = self.assigned.values().filter_map(|it| it.pending.as_ref());
        all.map(|pending| pending.uncommitted()).sum()
    }

    /// What waits for a transaction.
    pub(crate) fn pending(&self) -> PendingSum {
        self.pending
    }

    /// Changes what waits for a transaction in one assignment. `None` where it is gone, or commits by itself.
    pub(crate) fn change_pending<T>(
        &mut self,
        generation: Generation,
        change: impl FnOnce(&mut Pending) -> T,
    ) -> Option<T> {
        let partition = self.assigned.get_mut(&generation)?;
        let before = PendingSum::of(partition);
        let changed = change(partition.pending.as_deref_mut()?);
        let after = PendingSum::of(partition);
        self.pending.messages = self.pending.messages + after.messages - before.messages;
        self.pending.bytes = self.pending.bytes + after.bytes - before.bytes;
        Some(changed)
    }

    /// Marks a record as finished, by its ticket if it has one, and returns the counts of its partition. A record of a
    /// former assignment changes nothing.
    pub(crate) fn finish(
        &mut self,
        generation: Generation,
        ticket: Option<Ticket>,
        offset: Offset,
    ) -> Option<&mut Counts> {
        self.finish_with(generation, ticket, offset, Vec::new())
    }

    /// The same, of a message whose handler published these for its transaction.
    pub(crate) fn finish_with(
        &mut self,
        generation: Generation,
        ticket: Option<Ticket>,
        offset: Offset,
        records: Vec<Collected>,
    ) -> Option<&mut Counts> {
        self.change_pending(generation, |pending| pending.finished(offset, records));
        let partition = self.assigned.get_mut(&generation)?;
        match ticket {
            Some(ticket) => partition.tracker.done(ticket),
            None => partition.tracker.pass(offset),
        }
        partition.counts.finished += 1;
        Some(&mut partition.counts)
    }

    /// The counts of a partition, assigned or not.
    pub(crate) fn counts_of(&mut self, source: &Arc<Source>) -> &mut Counts {
        let generation = self.by_source.get(source);
        match generation.and_then(|generation| self.assigned.get_mut(generation)) {
            Some(partition) => &mut partition.counts,
            None => self.former.entry(source.clone()).or_default(),
        }
    }

    /// The counts of all partitions that were ever assigned, in the order of topic and partition.
    pub(crate) fn all_counts(&self) -> Vec<(Arc<Source>, Counts)> {
        let now = self.assigned.values();
        let mut all: Vec<_> = now
            .map(|partition| (partition.source.clone(), partition.counts))
            .chain(
                self.former
                    .iter()
                    .map(|(source, counts)| (source.clone(), *counts)),
            )
            .collect();
        all.sort_by(|(a, _), (b, _)| by_place(a, b));
        all
    }

    /// Everything before this offset was read. Offsets without a record count as finished: the marks of transactions,
    /// aborted and deleted records.
    pub(crate) fn reached(&mut self, generation: Generation, next: NextOffset) {
        if let Some(partition) = self.assigned.get_mut(&generation) {
            partition.tracker.reached(next);
            partition.read = Some(next);
        }
    }

    /// How many handled records cannot be committed.
    pub(crate) fn redelivered(&self) -> usize {
        self.assigned.values().map(Partition::redelivered).sum()
    }

    /// The same, of these.
    pub(crate) fn redelivered_of(&self, generations: &[Generation]) -> usize {
        let these = generations.iter().filter_map(|it| self.assigned.get(it));
        these.map(Partition::redelivered).sum()
    }

    pub(crate) fn remove(&mut self, generations: &[Generation]) {
        for generation in generations {
            let Some(partition) = self.assigned.remove(generation) else {
                continue;
            };
            let gone = PendingSum::of(&partition);
            self.pending.messages -= gone.messages;
            self.pending.bytes -= gone.bytes;
            if self.by_source.get(&partition.source) == Some(generation) {
                self.by_source.remove(&partition.source);
            }
            self.former.insert(partition.source, partition.counts);
        }
    }
}

/// A partition of the stream `orders`.
#[cfg(test)]
pub(crate) fn source(partition: i32) -> Arc<Source> {
    Arc::new(Source {
        topic: kafkaesk_core::TopicName::new("orders").unwrap(),
        stream: kafkaesk_core::StreamId::new("orders").unwrap(),
        partition,
    })
}

#[cfg(test)]
mod tests {
    use kafkaesk_client::consumer::Position;
    use kafkaesk_core::Completions;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_waits_for_a_transaction_is_the_sum_of_all_assignments(
            steps in prop::collection::vec((0_u8..6, 0_i32..3, 0_i64..9), 1..100),
        ) {
            let mut partitions = Partitions::default();
            for (step, partition, offset) in steps {
                let source = source(partition);
                let generation = partitions.generation(&source).unwrap_or_default();
                match step {
                    0 => {
                        let generation = partitions.assign(source, 0);
                        if let Some(partition) = partitions.get_mut(generation) {
                            partition.work_in_transactions();
                        }
                    }
                    1 => partitions.remove(&[generation]),
                    2 => drop(partitions.change_pending(generation, |pending| {
                        let next = NextOffset(offset);
                        let finished = Completions::new([], next);
                        pending.send(Position { next, finished }, true, &mut Vec::new());
                    })),
                    3 => drop(partitions.change_pending(generation, Pending::refused)),
                    4 => drop(partitions.change_pending(generation, Pending::abandon)),
                    _ => drop(partitions.change_pending(generation, |pending| {
                        pending.finished(Offset(offset), Vec::new());
                    })),
                }
                let all = partitions.iter().filter_map(|(_, it)| it.pending());
                let messages: usize = all.map(Pending::waiting).sum();
                prop_assert_eq!(partitions.pending().messages, messages);
            }
        }
    }
}
