//! Commits: decides what is committed and when. A commit names for each partition the next offset, and the finished
//! records beyond it. Every [`INTERVAL`] it commits what is new; on a revoke and at the end, everything. Sends nothing
//! itself, but for the commits that committers wait for ([`make_awaited`]). Of an instance that works in transactions it
//! commits nothing (`instance/transactions.rs` does).
//!
//! Next: `client/kafka/consume/member.rs`, which sends commits and repeats those that are refused.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kafkaesk_client::consumer::{Commits, ConsumerControl, Position};
use kafkaesk_core::{NextOffset, Source};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    CommitError,
    custody::{CustodyEvent, Waiting},
    partitions::{Generation, Partition, Partitions},
};

/// How often finished offsets are committed while an instance runs.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// What an instance has committed, and when it commits again.
#[derive(Debug)]
pub(crate) struct Committing {
    due: Instant,
    /// What was committed last, by assignment.
    committed: HashMap<Generation, Position>,
}

impl Committing {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            due: now + INTERVAL,
            committed: HashMap::new(),
        }
    }

    /// When the next commit is due.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// What is new, once [`INTERVAL`] has passed; `None` before.
    pub(crate) fn take_due(&mut self, partitions: &Partitions, now: Instant) -> Option<Commits> {
        if now < self.due {
            return None;
        }
        self.due = now + INTERVAL;
        Some(self.take_new(partitions))
    }

    /// This was committed, by the way.
    pub(crate) fn made(&mut self, generation: Generation, position: Position) {
        self.committed.insert(generation, position);
    }

    /// What was committed last of an assignment.
    pub(crate) fn committed(&self, generation: Generation) -> Option<NextOffset> {
        self.committed
            .get(&generation)
            .map(|position| position.next)
    }

    /// Returns each position that can be committed and was not returned before.
    pub(crate) fn take_new(&mut self, partitions: &Partitions) -> Commits {
        self.committed
            .retain(|generation, _| partitions.get(*generation).is_some());
        let mut commits = Commits::new();
        for (generation, partition) in partitions.iter() {
            if partition.pending().is_none()
                && let Some(position) = partition.tracker.position()
                && self.committed.get(&generation) != Some(&position)
            {
                self.committed.insert(generation, position.clone());
                commits.push((partition.source.clone(), position));
            }
        }
        commits
    }
}

/// The commit of one partition for which committers wait.
pub(crate) type Awaited = (Arc<Source>, Position, Vec<Waiting>);

/// Makes these commits, and answers the committers that wait for them. `then` hears when that is done.
pub(crate) fn make_awaited(
    control: &dyn ConsumerControl,
    awaited: Vec<Awaited>,
    then: Option<mpsc::UnboundedSender<CustodyEvent>>,
) {
    let (mut commits, mut all) = (Commits::new(), Vec::new());
    for (source, position, waiting) in awaited {
        commits.push((source, position));
        all.push(waiting);
    }
    let ended = control.commit_acknowledged(commits);
    tokio::spawn(async move {
        for (waiting, result) in all.into_iter().zip(ended.await) {
            let result = result.map_err(|error| CommitError::NotCommitted(error.to_string()));
            for one in waiting {
                one.answer(result.clone());
            }
        }
        if let Some(then) = then {
            // The instance may have ended.
            let _ = then.send(CustodyEvent::Committed);
        }
    });
}

/// For revoked partitions: every position of these assignments, even if it was returned before, since a commit in
/// flight may still be refused.
pub(crate) fn final_commits(partitions: &Partitions, of: &[Generation]) -> Commits {
    finished(of.iter().filter_map(|it| partitions.get(*it)))
}

/// The same of all assignments: for the end of an instance.
pub(crate) fn all_final_commits(partitions: &Partitions) -> Commits {
    finished(partitions.iter().map(|(_, partition)| partition))
}

fn finished<'p>(partitions: impl Iterator<Item = &'p Partition>) -> Commits {
    partitions
        // Transactions commit the others.
        .filter(|partition| partition.pending().is_none())
        .filter_map(|partition| Some((partition.source.clone(), partition.tracker.position()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use kafkaesk_core::Offset;

    use super::*;
    use crate::partitions::source;

    fn offsets(commits: Commits) -> Vec<(i32, i64)> {
        let mut offsets: Vec<_> = commits
            .into_iter()
            .map(|(source, position)| (source.partition, position.next.0))
            .collect();
        offsets.sort_unstable();
        offsets
    }

    #[test]
    fn an_offset_is_taken_once_and_is_among_the_last_ones_again() {
        let (mut partitions, now) = (Partitions::default(), Instant::now());
        let (first, second) = (
            partitions.assign(source(0), 0),
            partitions.assign(source(1), 0),
        );
        let mut committing = Committing::new(now);
        partitions.finish(first, None, Offset(4));
        partitions.finish(second, None, Offset(7));
        assert_eq!(committing.take_due(&partitions, now), None);
        let due = committing.take_due(&partitions, now + INTERVAL).unwrap();
        assert_eq!(offsets(due), [(0, 5), (1, 8)]);
        assert!(committing.take_new(&partitions).is_empty());
        partitions.finish(second, None, Offset(8));
        assert_eq!(offsets(committing.take_new(&partitions)), [(1, 9)]);
        assert_eq!(offsets(final_commits(&partitions, &[first])), [(0, 5)]);
        assert_eq!(offsets(all_final_commits(&partitions)), [(0, 5), (1, 9)]);
    }

    #[test]
    fn a_partition_that_was_assigned_again_is_committed_again() {
        let mut partitions = Partitions::default();
        let mut committing = Committing::new(Instant::now());
        let former = partitions.assign(source(0), 0);
        partitions.finish(former, None, Offset(4));
        assert_eq!(offsets(committing.take_new(&partitions)), [(0, 5)]);
        partitions.remove(&[former]);
        let new = partitions.assign(source(0), 0);
        assert!(committing.take_new(&partitions).is_empty());
        partitions.finish(new, None, Offset(4));
        assert_eq!(offsets(committing.take_new(&partitions)), [(0, 5)]);
    }
}
