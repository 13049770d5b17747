//! Leaving: ends a membership so that the other members need not wait for it.
//!
//! A cooperative member without partitions never sends LeaveGroup when it is closed (librdkafka 1.6 to 2.15, see
//! docs/upstream.md), and its group waits for it until its session times out, 45 s by default. A member that
//! unsubscribes first does leave. A commit after a pending JoinGroup is answered only after the whole rebalance. So the
//! last commit is made in the revoke callback, before the partitions are released. While librdkafka knows of no broker that
//! coordinates the group it drops a LeaveGroup, so leaving waits for one.

use std::time::{Duration, Instant};

use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use super::{
    control_requests::Close,
    last_commits::{self, Leaving},
    member::{FULL, Member},
    rebalance::Membership,
};
use crate::{
    ClientError,
    consumer::ConsumerEvent,
    kafka::native::{self, Queue},
};

/// A member without partitions can leave only after the rebalance; this bounds its wait. Members that restart together
/// have left by then; a dead member may delay the rebalance for its whole session.
const PENDING: Duration = Duration::from_secs(5);
/// The longest time that a new member waits for the answer to its first JoinGroup.
const IDENTITY: Duration = Duration::from_secs(1);
/// How long one question for the group's coordinator waits, between two looks at the consumer's events.
const COORDINATOR: Duration = Duration::from_millis(500);
/// After this long the log says why the member has not left yet.
const SAID: Duration = Duration::from_secs(1);
/// The longest time that a consumer which is dropped or failed takes to leave its group, on its own thread.
const LEAVE: Duration = Duration::from_secs(1);

impl Member {
    /// Leaves the group, with the last commits of all partitions, before the deadline.
    pub(super) fn close(mut self, close: Close) {
        let mut acks = self.committing.take_acks();
        let mut commits = self.committing.unwritten();
        let (asked, waiting) = self.setup.requests.take_commits();
        acks.add(waiting);
        commits.extend(asked);
        commits.extend(close.commits);
        let context = self.consumer.context();
        let deadline = {
            let state = &mut *context.state.lock();
            commits.retain(|(source, _)| state.places.holds(source));
            acks = acks.take(|source| state.places.holds(source));
            let leaving = Leaving::with(commits, Queue::new(&self.consumer), close.deadline);
            state.leaving.insert(leaving).deadline()
        };
        self.leave(deadline);
        let result = match &context.state.lock().leaving {
            Some(leaving) => leaving.result(&context.group),
            None => Ok(()),
        };
        if result.is_ok() {
            acks.answer(|| Ok(()));
        }
        let _ = close.committed.send(result);
        self.close_client();
        drop(close.left);
    }

    /// Releases all partitions and leaves the group, by the deadline at the latest. A member without partitions has
    /// nothing to commit: it waits for a rebalance for [`PENDING`] only.
    fn leave(&self, deadline: Instant) {
        self.await_identity(deadline);
        let begun = Instant::now();
        self.await_coordinator(deadline.min(begun + PENDING));
        self.consumer.unsubscribe();
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

    /// Waits for the answer to a first JoinGroup. A broker makes the id of a new member with it, and holds the group up
    /// for that id until its session times out (KIP-394). Leaving needs the id, and librdkafka drops an answer that
    /// comes after unsubscribing.
    fn await_identity(&self, deadline: Instant) {
        if self.by_heartbeat || !self.is_subscribed() {
            return;
        }
        let until = deadline.min(Instant::now() + IDENTITY);
        while !native::is_member(&self.consumer) && Instant::now() < until {
            let _ = self.consumer.poll(Duration::from_millis(5));
        }
    }

    /// Waits until the group's coordinator answers a member without partitions. One with partitions waits for it in its
    /// revoke callback.
    fn await_coordinator(&self, until: Instant) {
        let Some(topic) = self
            .topics
            .first()
            .filter(|_| native::is_member(&self.consumer))
        else {
            return;
        };
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, 0);
        while !self.has_partitions() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            if last_commits::coordinates(&self.consumer, asked.clone(), left.min(COORDINATOR)) {
                return;
            }
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

    /// Sends the reason to the reader and ends when it is delivered.
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
            self.setup.requests.pulse.beat(Instant::now());
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

/// Its rebalances no longer matter.
fn leave_silently(consumer: &BaseConsumer<Membership>) {
    consumer
        .context()
        .state
        .lock()
        .leaving
        .get_or_insert_with(Leaving::silently);
}
