//! What a consumer's user asks of its thread: commits, pauses, the end. Bounded by the number of partitions, since a
//! later word about one replaces the earlier.

use std::{
    collections::HashMap,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use kafkaesk_core::{NextOffset, Source};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    ClientError,
    broker::BoxFuture,
    consumer::{Commits, ConsumerControl},
};

/// One word for each source, by the identity of its `Arc`, which is that of its assignment.
type BySource<T> = HashMap<usize, (Arc<Source>, T)>;

/// Between a consumer's user and its thread.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    commits: Mutex<BySource<NextOffset>>,
    pauses: Mutex<BySource<bool>>,
    door: Mutex<Door>,
}

/// The way out.
#[derive(Debug, Default)]
struct Door {
    asked: Option<Close>,
    /// Nobody is there to ask any more.
    ended: bool,
}

/// The thread's end of a mailbox; its drop answers every close from then on.
#[derive(Debug)]
pub(super) struct Ended(pub(super) Arc<Mailbox>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut door = self.0.door.lock();
        door.ended = true;
        door.asked = None;
    }
}

/// The wish to end.
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

impl Mailbox {
    pub(super) fn take_commits(&self) -> Commits {
        mem::take(&mut *self.commits.lock()).into_values().collect()
    }

    /// Sources and whether they shall be paused.
    pub(super) fn take_pauses(&self) -> Vec<(Arc<Source>, bool)> {
        mem::take(&mut *self.pauses.lock()).into_values().collect()
    }

    pub(super) fn take_close(&self) -> Option<Close> {
        self.door.lock().asked.take()
    }

    fn set_paused(&self, sources: &[Arc<Source>], paused: bool) {
        let mut pauses = self.pauses.lock();
        for source in sources {
            pauses.insert(identity(source), (source.clone(), paused));
        }
    }
}

impl ConsumerControl for Mailbox {
    fn commit(&self, commits: Commits) {
        let mut waiting = self.commits.lock();
        for (source, next) in commits {
            waiting.insert(identity(&source), (source, next));
        }
    }

    fn pause(&self, sources: &[Arc<Source>]) {
        self.set_paused(sources, true);
    }

    fn resume(&self, sources: &[Arc<Source>]) {
        self.set_paused(sources, false);
    }

    fn close_within(
        &self,
        commits: Commits,
        patience: Duration,
    ) -> BoxFuture<'_, Result<(), ClientError>> {
        let (committed, answer) = oneshot::channel();
        let (left, leaving) = oneshot::channel();
        let deadline = Instant::now() + patience;
        let mut door = self.door.lock();
        if !door.ended {
            door.asked = Some(Close {
                commits,
                deadline,
                committed,
                left,
            });
        }
        drop(door);
        Box::pin(async move {
            match tokio::time::timeout_at(deadline.into(), answer).await {
                Ok(Ok(result)) => {
                    if tokio::time::timeout_at(deadline.into(), leaving).await.is_err() {
                        tracing::debug!(?patience, "the group does not answer; it is left without an answer");
                    }
                    result
                }
                // The thread ended before, or another close took over.
                Ok(Err(_)) => Ok(()),
                Err(_) => Err(ClientError::Kafka {
                    action: "closing the consumer".into(),
                    source: format!(
                        "the brokers did not answer within {patience:?}; what was not committed is delivered again"
                    )
                    .into(),
                }),
            }
        })
    }
}
