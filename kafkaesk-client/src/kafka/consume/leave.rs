//! Leaving: ends a membership so that the other members need not wait for it.
//!
//! A cooperative member without partitions never sends LeaveGroup when it is closed (librdkafka 1.6 to 2.15, see
//! docs/upstream.md), and its group waits for it until its session times out, 45 s by default. A member that
//! unsubscribes first does leave. And a commit behind a pending JoinGroup is answered after the whole rebalance only, so
//! nothing is committed here but in the revoke callback, before the partitions go.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use kafkaesk_core::Source;
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
};

use super::{
    control_requests::{Close, identity},
    member::{FULL, Member},
    rebalance::{Membership, list},
};
use crate::{
    ClientError,
    consumer::{Commits, ConsumerEvent, Position},
    kafka::{
        errors::{Operation, code_error, other},
        native::{self, Queue},
    },
};

/// What is kept of a deadline for closing the client, so that a LeaveGroup gets onto the wire even if nobody answers.
const SPARE: Duration = Duration::from_millis(400);

/// The longest time that a member without partitions waits for a rebalance, before which it cannot leave. Members that
/// restart together have left by then; a member that died may hold the rebalance up for its whole session.
const PENDING: Duration = Duration::from_secs(5);
/// The longest time that a new member waits for the answer to its first JoinGroup.
const IDENTITY: Duration = Duration::from_secs(1);
/// After this long the log says what a member that leaves waits for.
const SAID: Duration = Duration::from_secs(1);
/// The longest time that a consumer which is dropped or failed takes to leave its group, on its own thread.
const LEAVE: Duration = Duration::from_secs(1);

/// The last commits of a member that leaves.
#[derive(Debug)]
pub(super) struct Leaving {
    /// By the identity of the source. What is left at the end was not committed.
    commits: HashMap<usize, (Arc<Source>, Position)>,
    /// Where the coordinator answers. `None` for a member that commits nothing.
    answers: Option<Queue>,
    begun: Instant,
    /// Until when partitions are committed and the group is left.
    deadline: Instant,
    /// Why a commit failed.
    refused: Option<RDKafkaErrorCode>,
}

impl Leaving {
    /// Commits these; of two offsets of one assignment the later one in the list counts.
    pub(super) fn with(commits: Commits, answers: Option<Queue>, deadline: Instant) -> Self {
        let begun = Instant::now();
        let left = deadline.saturating_duration_since(begun);
        Self {
            commits: commits
                .into_iter()
                .map(|(source, next)| (identity(&source), (source, next)))
                .collect(),
            answers,
            begun,
            deadline: deadline - SPARE.min(left / 4),
            refused: None,
        }
    }

    /// Leaves without a commit.
    pub(super) fn silently() -> Self {
        Self::with(Commits::new(), None, Instant::now())
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What these partitions commit now that they go.
    pub(super) fn take(&mut self, gone: &[Arc<Source>]) -> Commits {
        gone.iter()
            .filter_map(|source| self.commits.remove(&identity(source)))
            .collect()
    }

    /// Commits and waits for the answer, until the deadline at the latest.
    pub(super) fn commit(&mut self, consumer: &BaseConsumer<Membership>, commits: &Commits) {
        let Some(answers) = &self.answers else {
            return;
        };
        let result = commit_now(consumer, answers, commits, self.deadline);
        if let Err(code) = result {
            self.refused.get_or_insert(code);
        }
    }

    /// These partitions belong to others already.
    pub(super) fn lost(&mut self, gone: &[Arc<Source>]) {
        if !self.take(gone).is_empty() {
            self.refused.get_or_insert(RDKafkaErrorCode::AssignmentLost);
        }
    }

    /// How the last commits ended.
    pub(super) fn result(&self, group: &str) -> Result<(), ClientError> {
        let action = format!("the last commit of group {group}");
        match self.refused {
            Some(code) => Err(code_error(code, Operation::cluster(&action))),
            None if self.commits.is_empty() => Ok(()),
            None => Err(other(
                &action,
                format!(
                    "no answer within {:?}; its records are delivered again",
                    self.begun.elapsed()
                )
                .into(),
            )),
        }
    }
}

impl Member {
    /// Leaves the group, with the last commits of all partitions, before the deadline.
    pub(super) fn close(mut self, close: Close) {
        let mut commits = self.committing.unwritten();
        commits.extend(self.setup.requests.take_commits());
        commits.extend(close.commits);
        let context = self.consumer.context();
        let deadline = {
            let state = &mut *context.state.lock();
            commits.retain(|(source, _)| state.places.holds(source));
            let leaving = Leaving::with(commits, Queue::new(&self.consumer), close.deadline);
            state.leaving.insert(leaving).deadline()
        };
        self.leave(deadline);
        let result = match &context.state.lock().leaving {
            Some(leaving) => leaving.result(&context.group),
            None => Ok(()),
        };
        let _ = close.committed.send(result);
        self.close_client();
        drop(close.left);
    }

    /// Gives everything up and tells the group, until the deadline at the latest. A member without partitions has
    /// nothing to lose: it waits for a rebalance for [`PENDING`] only.
    fn leave(&self, deadline: Instant) {
        self.await_identity(deadline);
        self.consumer.unsubscribe();
        let begun = Instant::now();
        let mut logged = false;
        while self.is_member() && Instant::now() < deadline {
            let waited = begun.elapsed();
            if waited >= PENDING && !self.has_partitions() {
                break;
            }
            if waited >= SAID && !logged {
                logged = true;
                tracing::info!(
                    group = self.consumer.context().group,
                    "leaving waits for the group, which rebalances"
                );
            }
            let _ = self.consumer.poll(Duration::from_millis(5));
        }
    }

    /// Waits for the answer to a first JoinGroup. A broker makes the id of a new member with it, and holds the group up for
    /// that id until its session times out (KIP-394). Only who knows the id can leave, and an answer that comes after
    /// unsubscribing is dropped.
    fn await_identity(&self, deadline: Instant) {
        if self.by_heartbeat || !self.is_subscribed() {
            return;
        }
        let until = deadline.min(Instant::now() + IDENTITY);
        while !native::is_member(&self.consumer) && Instant::now() < until {
            let _ = self.consumer.poll(Duration::from_millis(5));
        }
    }

    fn has_partitions(&self) -> bool {
        !self.consumer.context().state.lock().places.is_empty()
    }

    /// Whether the group still waits for this member: it has partitions, or an id that only leaving takes away. With
    /// KIP-848 the id is its own and stays; closing its client leaves.
    fn is_member(&self) -> bool {
        self.has_partitions() || (!self.by_heartbeat && native::is_member(&self.consumer))
    }

    /// Tells why, and ends when the reader has heard it.
    pub(super) fn fail(self, error: ClientError) {
        leave_silently(&self.consumer);
        self.consumer
            .context()
            .state
            .lock()
            .outbox
            .push(ConsumerEvent::Failed(error));
        let mut close = None;
        loop {
            if self.consumer.context().state.lock().outbox.flush() {
                break;
            }
            close = self.setup.requests.take_close();
            if close.is_some() {
                break;
            }
            let _ = self.consumer.poll(FULL);
        }
        self.end();
        if let Some(close) = close {
            let _ = close.committed.send(Ok(()));
        }
    }

    /// Leaves the group without a commit.
    pub(super) fn end(self) {
        leave_silently(&self.consumer);
        self.leave(Instant::now() + LEAVE);
        self.close_client();
    }

    /// Closes the client. Messages and queues go before it.
    fn close_client(self) {
        let Self {
            batch,
            committing,
            consumer,
            setup,
            ..
        } = self;
        drop(batch);
        drop(committing);
        let queue = consumer.context().queue.lock().take();
        drop(queue);
        // Its queue, too, goes before the client.
        consumer.context().state.lock().leaving = Some(Leaving::silently());
        drop(consumer);
        drop(setup);
    }
}

/// Its rebalances concern nobody any more.
fn leave_silently(consumer: &BaseConsumer<Membership>) {
    consumer
        .context()
        .state
        .lock()
        .leaving
        .get_or_insert_with(Leaving::silently);
}

/// Commits and blocks for the answer until then.
pub(super) fn commit_now(
    consumer: &BaseConsumer<Membership>,
    answers: &Queue,
    commits: &Commits,
    deadline: Instant,
) -> Result<(), RDKafkaErrorCode> {
    if commits.is_empty() {
        return Ok(());
    }
    let list = list(commits, &consumer.context().state.lock().ids);
    native::commit(consumer, &list, answers, 0)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
    let answer =
        native::commit_answer(answers, millis).ok_or(RDKafkaErrorCode::OperationTimedOut)?;
    answer.result?;
    answer
        .refused
        .first()
        .map_or(Ok(()), |(_, _, code)| Err(*code))
}
