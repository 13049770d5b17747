//! Transactions of an instance: what handlers published and the offsets of their messages are committed together. One
//! transaction is on its way at a time; what finishes meanwhile goes with the next. There is no other commit.
//!
//! Next: `client/transaction.rs` makes the transaction.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use kafkaesk_client::{
    ClientError, Transaction,
    broker::Outgoing,
    consumer::{Commits, ConsumerControl},
    mutation::{self, Mutation},
    publisher::{Outbox, Receipt},
    transaction::MemberOffsets,
};
use kafkaesk_core::Occurrences;
use tokio::{sync::mpsc, time::Instant};
use tracing::{info, warn};

use super::Instance;
use crate::{
    BatchOptions,
    delivery::Delivery,
    partitions::Generation,
    transact::{OUTBOX_BYTES, PENDING_BYTES, Pending},
};

/// How long the brokers keep a transaction open whose worker has died: readers of committed records wait behind it so long,
/// and up to 10 s more.
const OPEN: Duration = Duration::from_secs(20);
/// The first wait after a transaction that failed; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest one.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A group that rebalances refuses some transactions: from so many in a row on the log says so.
const REBALANCING: u64 = 4;

/// What an instance needs that works in transactions.
#[derive(Debug)]
pub(super) struct Transacting {
    options: BatchOptions,
    group: String,
    /// Differs from that of every other instance, now and ever.
    instance: u64,
    /// How often an id was taken: part of the id.
    taken: u64,
    /// The transactional id, begun and idle.
    begun: Option<Transaction>,
    /// One is being begun, or on its way.
    in_flight: bool,
    sender: mpsc::UnboundedSender<Ended>,
    ended: mpsc::UnboundedReceiver<Ended>,
    /// Since when something waits for a transaction.
    since: Option<Instant>,
    /// A transaction is to be made as soon as one can be.
    at_once: bool,
    /// Not before this, after one that failed.
    not_before: Option<Instant>,
    /// Those that failed, one after the other.
    failures: Occurrences,
    /// Why the last one did.
    trouble: Option<String>,
}

/// How a step ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The id, unless it must be begun again.
    begun: Option<Transaction>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// The id was begun.
    Begun(Result<(), ClientError>),
    /// A transaction of these assignments, each with its number of records.
    Committed(Vec<(Generation, usize)>, Result<Vec<Receipt>, ClientError>),
}

impl Transacting {
    pub(super) fn new(options: BatchOptions, group: &str) -> Self {
        let (sender, ended) = mpsc::unbounded_channel();
        Self {
            options,
            group: group.to_owned(),
            // Its keys are random.
            instance: RandomState::new().hash_one(std::process::id()),
            taken: 0,
            begun: None,
            in_flight: false,
            sender,
            ended,
            since: None,
            at_once: false,
            not_before: None,
            failures: Occurrences::default(),
            trouble: None,
        }
    }

    /// The transactional id: `kafkaesk.<group>.…`.
    fn id(&self) -> String {
        let (group, instance, taken) = (&self.group, self.instance, self.taken);
        format!("kafkaesk.{group}.{instance:016x}.{taken}")
    }

    /// When to make the next transaction, as far as time decides.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.in_flight {
            return None;
        }
        let since = self.since.map(|since| since + self.options.wait);
        match self.not_before {
            Some(not_before) => since
                .map(|since| since.max(not_before))
                .or(Some(not_before)),
            None => since,
        }
    }

    /// A step failed: the next one waits.
    fn failed(&mut self, error: &ClientError, now: Instant) {
        self.trouble = Some(error.to_string());
        let count = self.failures.count();
        let times = self.failures.total();
        let doubled = FIRST_WAIT.saturating_mul(1 << times.saturating_sub(1).min(10));
        self.not_before = Some(now + doubled.min(LONGEST_WAIT));
        self.at_once = true;
        let is_usual = matches!(error, ClientError::MemberGone { .. }) && times < REBALANCING;
        if let (Some(count), false) = (count, is_usual) {
            warn!(
                group = self.group,
                transactional_id = self.id(),
                %error,
                count,
                "a transaction failed, and nothing of it is written; it is made again, and until then nothing of this subscription is committed"
            );
        }
    }

    fn succeeded(&mut self) {
        self.not_before = None;
        self.trouble = None;
        if self.failures.total() >= REBALANCING {
            info!(
                group = self.group,
                failed = self.failures.total(),
                "transactions are committed again"
            );
        }
        self.failures = Occurrences::default();
    }
}

/// How a step ends next; never, where nothing works in transactions.
pub(super) async fn next(transacting: &mut Option<Transacting>) -> Option<Ended> {
    match transacting {
        Some(transacting) => transacting.ended.recv().await,
        None => std::future::pending().await,
    }
}

impl Instance {
    /// Gives an attempt an outbox, if its subscription works in transactions.
    pub(super) fn open_outbox(&self, delivery: &mut Delivery) {
        if self.transacting.is_none() || !delivery.context().options.in_transactions() {
            return;
        }
        let kept = mutation::is(Mutation::FailedOutboxKept) && delivery.outbox().is_some();
        if !kept && !mutation::is(Mutation::SentBesideTransaction) {
            delivery.set_outbox(Outbox::new(OUTBOX_BYTES));
        }
    }

    /// Whether another message of this assignment may start: what is finished and not committed is bounded.
    pub(super) fn has_transaction_room(&self, generation: Generation) -> bool {
        let Some(transacting) = &self.transacting else {
            return true;
        };
        let partition = self.partitions.get(generation);
        let Some(pending) = partition.and_then(|partition| partition.pending()) else {
            return true;
        };
        pending.uncommitted() < 2 * transacting.options.max as usize
            && self.partitions.pending().bytes < PENDING_BYTES
    }

    /// A transaction is made as soon as one can be, whatever waits for it.
    pub(super) fn transact_soon(&mut self) {
        if let Some(transacting) = &mut self.transacting {
            transacting.at_once = true;
        }
    }

    /// Whether something could be committed that is not.
    pub(super) fn is_uncommitted(&self) -> bool {
        let mut all = self.partitions.iter();
        self.transacting.is_some() && all.any(|(_, partition)| partition.is_uncommitted())
    }

    /// Makes a transaction, if one is due and none is on its way.
    pub(super) fn transact(&mut self, now: Instant) {
        let Some(transacting) = &mut self.transacting else {
            return;
        };
        let waiting = self.partitions.pending();
        match waiting.messages {
            0 => transacting.since = None,
            _ => drop(transacting.since.get_or_insert(now)),
        }
        if transacting.in_flight || transacting.not_before.is_some_and(|at| now < at) {
            return;
        }
        let options = &transacting.options;
        let is_due = transacting.at_once
            || waiting.messages >= options.max as usize
            || waiting.bytes >= options.bytes
            || transacting
                .since
                .is_some_and(|since| now >= since + options.wait);
        if !is_due {
            return;
        }
        transacting.at_once = false;
        transacting.since = None;
        match transacting.begun.take() {
            Some(begun) => self.commit_together(begun, now),
            None if self.is_uncommitted() => self.begin(),
            None => {}
        }
    }

    /// Takes the transactional id.
    fn begin(&mut self) {
        let Some(transacting) = &mut self.transacting else {
            return;
        };
        transacting.in_flight = true;
        let (connection, id) = (self.context.connection.clone(), transacting.id());
        let sender = transacting.sender.clone();
        tokio::spawn(async move {
            let begun = connection.broker().transaction_within(&id, OPEN).await;
            let (begun, step) = match begun {
                Ok(begun) => (Some(begun), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // The instance may have ended.
            let _ = sender.send(Ended {
                begun,
                step: Step::Begun(step),
            });
        });
    }

    /// Commits all that is finished, with what its handlers published.
    fn commit_together(&mut self, mut begun: Transaction, now: Instant) {
        let Some(transacting) = &mut self.transacting else {
            return;
        };
        let mut commits = Commits::new();
        let mut of = Vec::new();
        for (generation, partition) in self.partitions.iter() {
            if let Some(pending) = partition.pending()
                && let Some(position) = partition.tracker.position()
                && pending.is_new(&position)
            {
                commits.push((partition.source.clone(), position));
                of.push(generation);
            }
        }
        if commits.is_empty() {
            transacting.begun = Some(begun);
            return;
        }
        let mut offsets = self.control.offsets(&commits);
        if offsets.is_none() {
            // Some are gone, and the event that says so is on its way: the others need not wait for it.
            let (own, theirs) = commits
                .into_iter()
                .zip(of)
                .filter(|(commit, _)| self.control.offsets(&vec![commit.clone()]).is_some())
                .unzip();
            (commits, of) = (own, theirs);
            offsets = match commits.is_empty() {
                true => None,
                false => self.control.offsets(&commits),
            };
        }
        let Some(offsets) = offsets else {
            transacting.begun = Some(begun);
            transacting.at_once = true;
            transacting.not_before = Some(now + FIRST_WAIT);
            return;
        };
        let completions = offsets.with_completions();
        let (mut records, mut sent) = (Vec::new(), Vec::new());
        for (generation, (_, position)) in of.iter().zip(&commits) {
            let before = records.len();
            let to = &mut records;
            self.partitions.change_pending(*generation, |pending| {
                pending.send(position.clone(), completions, to);
            });
            sent.push((*generation, records.len() - before));
        }
        transacting.in_flight = true;
        self.meter.commits += commits.len() as u64;
        let (sender, control) = (transacting.sender.clone(), self.control.clone());
        tokio::spawn(async move {
            let written = write(&mut begun, &*control, records, offsets, commits).await;
            // After any other error the id is begun again, which ends whatever is left of the transaction.
            let is_good = matches!(written, Ok(_) | Err(ClientError::MemberGone { .. }));
            // The instance may have ended.
            let _ = sender.send(Ended {
                begun: is_good.then_some(begun),
                step: Step::Committed(sent, written),
            });
        });
    }

    /// Takes how a step ended.
    pub(super) fn transacted(&mut self, ended: Ended) {
        let now = Instant::now();
        let Some(transacting) = &mut self.transacting else {
            return;
        };
        transacting.in_flight = false;
        transacting.begun = ended.begun;
        let (of, written) = match ended.step {
            Step::Begun(Ok(())) => {
                transacting.at_once = true;
                return self.transact(now);
            }
            Step::Begun(Err(error)) => return transacting.failed(&error, now),
            Step::Committed(of, written) => (of, written),
        };
        match &written {
            Ok(_) => transacting.succeeded(),
            Err(ClientError::TransactionFenced { .. }) => {
                // Nothing of it is written. A new id, since somebody has this one.
                transacting.taken += 1;
            }
            Err(_) => {}
        }
        let unknown = matches!(&written, Err(ClientError::TransactionUnknown { .. }));
        let dropped = mutation::is(Mutation::RefusedTransactionDropped);
        let is_written = written.is_ok() || dropped;
        let error = written.as_ref().err().map(ToString::to_string);
        if let Err(error) = &written {
            transacting.failed(error, now);
        }
        let mut receipts = written.unwrap_or_default().into_iter();
        for (generation, records) in of {
            let mut receipts = receipts.by_ref().take(records);
            // A partition that is gone took with it what was not committed.
            self.partitions
                .change_pending(generation, |pending| match is_written {
                    true => pending.committed(&mut receipts),
                    false => pending.refused(),
                });
            receipts.for_each(drop);
        }
        if unknown && !dropped {
            self.abandon(error.as_deref().unwrap_or_default(), now);
        }
        self.schedule.unpark_all();
    }

    /// Nobody knows whether the last transaction was committed. The group does, once the transaction is settled: so the
    /// partitions are given up and read again from what is committed.
    fn abandon(&mut self, error: &str, now: Instant) {
        warn!(
            group = self.context.group,
            error,
            "nobody knows whether a transaction was committed: the subscription gives its partitions up and reads on from what the group has committed"
        );
        let mut all = Vec::new();
        for (generation, partition) in self.partitions.iter_mut() {
            partition.revoking = true;
            all.push(generation);
        }
        for generation in all {
            self.partitions.change_pending(generation, Pending::abandon);
            self.schedule.forget(generation);
        }
        // Beginning with the id again ends the transaction, one way or the other; the new assignment waits for that.
        self.begin();
        if !self.ending {
            self.rejoin(now);
        }
    }

    /// Why transactions fail, if they do.
    pub(super) fn transaction_trouble(&self) -> Option<&str> {
        self.transacting.as_ref()?.trouble.as_deref()
    }
}

/// Writes the records and the offsets together.
async fn write(
    begun: &mut Transaction,
    control: &dyn ConsumerControl,
    records: Vec<Outgoing>,
    offsets: MemberOffsets,
    commits: Commits,
) -> Result<Vec<Receipt>, ClientError> {
    if mutation::is(Mutation::OffsetsBesideTransaction) {
        begun.commit(records).await?;
        // So that a kill falls between the two.
        tokio::time::sleep(Duration::from_millis(500)).await;
        control.commit(commits);
        return Ok(Vec::new());
    }
    begun.commit_with(records, offsets).await
}
