//! Last commits: commits the offsets of revoked partitions before the release, with the finished records beyond them.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use kafkaesk_core::Source;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
};

use super::{control_requests::identity, rebalance::Membership};
use crate::{
    ClientError,
    consumer::{Commits, Position},
    kafka::{
        errors::{Operation, code_error, other},
        native::{self, Queue},
    },
};

/// The part of a deadline that is reserved for closing the client, so that a LeaveGroup is sent even if the commit gets
/// no answer.
const SPARE: Duration = Duration::from_millis(400);

/// The wait before a commit is made again that came in the middle of a rebalance.
const AGAIN: Duration = Duration::from_millis(50);

/// The last commits of a member that leaves.
#[derive(Debug)]
pub(super) struct Leaving {
    /// The commits by the identity of the source. Those left at the end were not committed.
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
    /// Collects these commits; of two offsets of one assignment the later one in the list counts.
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

    /// Commits and waits for the answer, until the deadline at the latest. Also without a commit it waits for the group's
    /// coordinator, since a LeaveGroup reaches nobody else.
    pub(super) fn commit(
        &mut self,
        consumer: &BaseConsumer<Membership>,
        commits: &TopicPartitionList,
        gone: &[Arc<Source>],
    ) {
        let Some(answers) = &self.answers else {
            return;
        };
        if commits.count() == 0 {
            let mut asked = TopicPartitionList::with_capacity(gone.len());
            for source in gone {
                asked.add_partition(source.topic.as_str(), source.partition);
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            coordinates(consumer, asked, left);
            return;
        }
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

/// Whether the group's coordinator answers within this time.
pub(super) fn coordinates(
    consumer: &BaseConsumer<Membership>,
    asked: TopicPartitionList,
    within: Duration,
) -> bool {
    consumer.committed_offsets(asked, within).is_ok()
}

/// Commits and blocks for the answer until then.
pub(super) fn commit_now(
    consumer: &BaseConsumer<Membership>,
    answers: &Queue,
    commits: &TopicPartitionList,
    deadline: Instant,
) -> Result<(), RDKafkaErrorCode> {
    if commits.count() == 0 {
        return Ok(());
    }
    let sent = Instant::now();
    let committed = answered(consumer, answers, commits, deadline);
    consumer.context().committed(committed.is_ok(), sent);
    committed
}

/// Commits, again and again while the group's new generation waits for its leader: the coordinator takes commits after that.
fn answered(
    consumer: &BaseConsumer<Membership>,
    answers: &Queue,
    commits: &TopicPartitionList,
    deadline: Instant,
) -> Result<(), RDKafkaErrorCode> {
    loop {
        match answered_once(consumer, answers, commits, deadline) {
            Err(RDKafkaErrorCode::RebalanceInProgress) if Instant::now() + AGAIN < deadline => {
                std::thread::sleep(AGAIN);
            }
            answered => return answered,
        }
    }
}

fn answered_once(
    consumer: &BaseConsumer<Membership>,
    answers: &Queue,
    commits: &TopicPartitionList,
    deadline: Instant,
) -> Result<(), RDKafkaErrorCode> {
    native::commit(consumer, commits, answers, 0)?;
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

/// The commits as librdkafka's list; the last one of a partition counts. The metadata names the topic's id, if it is known,
/// which distinguishes a recreated topic from the former one, and the completions beyond the offset.
pub(super) fn list(commits: &Commits, ids: &HashMap<String, String>) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(commits.len());
    for (source, position) in commits.iter().rev() {
        let (topic, partition) = (source.topic.as_str(), source.partition);
        if list.find_partition(topic, partition).is_some() {
            continue;
        }
        let mut element = list.add_partition(topic, partition);
        drop(element.set_offset(Offset::Offset(position.next.0)));
        if let Some(id) = ids.get(topic) {
            element.set_metadata(position.finished.metadata(id, position.next));
        }
    }
    list
}
