//! Control requests: what the user of a consumer asks of its thread (commits, pauses, its part in the group, the close). Bounded by the number of
//! partitions, since a later request about a partition replaces the earlier one.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use kafkaesk_core::Source;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{acks::Acks, membership::Own, pulse::Pulse};
use crate::{
    ClientError,
    broker::BoxFuture,
    consumer::{CommitResults, Commits, ConsumerControl, NotCommitted, Position},
    transaction::MemberOffsets,
};

/// One request for each source. The identity of its `Arc` is the identity of the assignment.
type BySource<T> = HashMap<usize, (Arc<Source>, T)>;

/// Between a consumer's user and its thread.
#[derive(Debug, Default)]
pub(super) struct ControlRequests {
    commits: Mutex<Waiting>,
    /// The thread while it waits for the acknowledgement of a revoke.
    drainer: Mutex<Option<Thread>>,
    pauses: Mutex<BySource<bool>>,
    /// It shall take no part in its group.
    apart: AtomicBool,
    /// The turns of its user's loop; 0 while none is expected.
    turns: AtomicU64,
    /// A turn was expected and did not come. Written by the thread.
    silent: AtomicBool,
    close_state: Mutex<CloseState>,
    /// What the thread shows of itself.
    pub(super) pulse: Pulse,
    /// Who it is in its group.
    pub(super) own: Own,
}

/// Commits that the thread has not taken yet, and who waits for their results.
#[derive(Debug, Default)]
struct Waiting {
    commits: BySource<Position>,
    acks: Acks,
}

/// Whether a close was requested, and whether the thread has ended.
#[derive(Debug, Default)]
struct CloseState {
    asked: Option<Close>,
    /// The thread has ended, so a close is answered at once.
    ended: bool,
}

/// The thread's side of the requests. After its drop, every close is answered at once.
#[derive(Debug)]
pub(super) struct Ended(pub(super) Arc<ControlRequests>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut close_state = self.0.close_state.lock();
        close_state.ended = true;
        close_state.asked = None;
        drop(close_state);
        drop(mem::take(&mut self.0.commits.lock().acks));
        self.0.pulse.end();
    }
}

/// A request to close the consumer.
#[derive(Debug)]
pub(super) struct Close {
    pub(super) commits: Commits,
    /// Nobody waits for longer.
    pub(super) deadline: Instant,
    /// How the last commit ended.
    pub(super) committed: oneshot::Sender<Result<(), ClientError>>,
    /// Dropped when the group is left.
    pub(super) left: oneshot::Sender<()>,
}

pub(super) fn identity(source: &Arc<Source>) -> usize {
    Arc::as_ptr(source) as usize
}

impl ControlRequests {
    /// Of a member of this group, or of a reader without one.
    pub(super) fn of(group: Option<&str>) -> Self {
        Self {
            own: Own::of(group.unwrap_or_default()),
            ..Self::default()
        }
    }

    pub(super) fn take_commits(&self) -> (Commits, Acks) {
        let Waiting { commits, acks } = mem::take(&mut *self.commits.lock());
        (commits.into_values().collect(), acks)
    }

    /// Those of these partitions; the others wait on.
    pub(super) fn take_commits_of(&self, sources: &[Arc<Source>]) -> (Commits, Acks) {
        let mut waiting = self.commits.lock();
        let wanted = sources.iter().map(identity);
        let commits = wanted.filter_map(|source| waiting.commits.remove(&source));
        let commits = commits.collect();
        let acks = waiting
            .acks
            .take(|source| sources.iter().any(|it| Arc::ptr_eq(it, source)));
        (commits, acks)
    }

    /// Commits of wanted partitions for whose results somebody waits.
    pub(super) fn take_awaited(&self, is_wanted: impl Fn(&Arc<Source>) -> bool) -> (Commits, Acks) {
        let mut waiting = self.commits.lock();
        let acks = waiting.acks.take(is_wanted);
        let commits = acks.sources().map(identity);
        let commits = commits.filter_map(|source| waiting.commits.remove(&source));
        (commits.collect(), acks)
    }

    /// This thread waits for the acknowledgement of a revoke, or not any more: an awaited commit wakes it.
    pub(super) fn set_draining(&self, draining: bool) {
        *self.drainer.lock() = draining.then(thread::current);
    }

    /// Sources and whether they shall be paused.
    pub(super) fn take_pauses(&self) -> Vec<(Arc<Source>, bool)> {
        mem::take(&mut *self.pauses.lock()).into_values().collect()
    }

    /// Whether it shall take no part in its group.
    pub(super) fn is_apart(&self) -> bool {
        self.apart.load(Ordering::Relaxed)
    }

    /// How often its user turned a loop; `None` while no turn is expected.
    pub(super) fn turns(&self) -> Option<u64> {
        Some(self.turns.load(Ordering::Relaxed)).filter(|turns| *turns > 0)
    }

    /// Whether a turn was expected and did not come.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    pub(super) fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    pub(super) fn take_close(&self) -> Option<Close> {
        self.close_state.lock().asked.take()
    }

    /// Whether a close is asked for.
    pub(super) fn is_closing(&self) -> bool {
        self.close_state.lock().asked.is_some()
    }

    fn set_paused(&self, sources: &[Arc<Source>], paused: bool) {
        let mut pauses = self.pauses.lock();
        for source in sources {
            pauses.insert(identity(source), (source.clone(), paused));
        }
    }
}

impl ConsumerControl for ControlRequests {
    fn commit(&self, commits: Commits) {
        let mut waiting = self.commits.lock();
        for (source, next) in commits {
            waiting.commits.insert(identity(&source), (source, next));
        }
    }

    fn commit_acknowledged(&self, commits: Commits) -> BoxFuture<'static, CommitResults> {
        let mut answers = Vec::with_capacity(commits.len());
        let mut waiting = self.commits.lock();
        for (source, next) in commits {
            let (ack, answer) = oneshot::channel();
            answers.push(answer);
            waiting.acks.push(&source, ack);
            waiting.commits.insert(identity(&source), (source, next));
        }
        drop(waiting);
        if self.close_state.lock().ended {
            drop(mem::take(&mut self.commits.lock().acks));
        }
        if let Some(drainer) = &*self.drainer.lock() {
            drainer.unpark();
        }
        Box::pin(async move {
            let mut results = CommitResults::with_capacity(answers.len());
            for answer in answers {
                results.push(answer.await.unwrap_or(Err(NotCommitted::NotAssigned)));
            }
            results
        })
    }

    fn offsets(&self, commits: &Commits) -> Option<MemberOffsets> {
        self.own.offsets(commits)
    }

    fn pause(&self, sources: &[Arc<Source>]) {
        self.set_paused(sources, true);
    }

    fn resume(&self, sources: &[Arc<Source>]) {
        self.set_paused(sources, false);
    }

    fn take_part(&self, takes_part: bool) {
        self.apart.store(!takes_part, Ordering::Relaxed);
    }

    fn expect_turn(&self, expected: bool) {
        // Only its user writes, from one task.
        let next = self.turns.load(Ordering::Relaxed) + 1;
        let turns = if expected { next } else { 0 };
        self.turns.store(turns, Ordering::Relaxed);
    }

    fn silent_for(&self) -> Duration {
        self.pulse.silent_for(Instant::now())
    }

    fn is_joined(&self) -> bool {
        self.pulse.is_joined()
    }

    fn close_within(
        &self,
        commits: Commits,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<(), ClientError>> {
        let (committed, answer) = oneshot::channel();
        let (left, leaving) = oneshot::channel();
        let deadline = Instant::now() + timeout;
        let mut close_state = self.close_state.lock();
        if !close_state.ended {
            close_state.asked = Some(Close {
                commits,
                deadline,
                committed,
                left,
            });
        }
        drop(close_state);
        Box::pin(async move {
            match tokio::time::timeout_at(deadline.into(), answer).await {
                Ok(Ok(result)) => {
                    if tokio::time::timeout_at(deadline.into(), leaving).await.is_err() {
                        tracing::debug!(?timeout, "the group does not answer; it is left without an answer");
                    }
                    result
                }
                // The thread ended before, or another close took over.
                Ok(Err(_)) => Ok(()),
                Err(_) => Err(ClientError::Kafka {
                    action: "closing the consumer".into(),
                    source: format!(
                        "the brokers did not answer within {timeout:?}; what was not committed is delivered again"
                    )
                    .into(),
                }),
            }
        })
    }
}
