//! Commits of a group's member: sent without waiting, answered later, and sent again where they were refused.
//!
//! Next: the coordinator; a refusal comes back here.

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

use super::{acks::Acks, control_requests::identity, last_commits::list, rebalance::Membership};
use crate::{
    consumer::{Commits, NotCommitted},
    kafka::{
        errors::{Operation, code_error},
        native::{self, Queue},
    },
    repeats,
};

/// The wait before a refused commit is repeated, unless another commit comes first.
const COMMIT_AGAIN: Duration = Duration::from_secs(5);
/// The same, of one that was refused during a rebalance.
const AFTER_REBALANCE: Duration = Duration::from_millis(500);

/// The commits of a member and their results.
pub(super) struct Committing {
    /// Where the coordinator's answers come.
    answers: Queue,
    /// Commits without an answer, by number.
    unanswered: HashMap<usize, Sent>,
    /// The number of the last commit.
    number: usize,
    /// The last commit that named a partition, by its source.
    latest: HashMap<usize, (Arc<Source>, usize)>,
    /// Refused commits that no later commit replaced, and the time of the next try.
    refused: Commits,
    refused_until: Instant,
    /// Who waits for the results of commits that are made again.
    acks: Acks,
}

/// A commit that was sent.
struct Sent {
    at: Instant,
    commits: Commits,
    /// Who waits for its result.
    acks: Acks,
}

impl Committing {
    pub(super) fn new(answers: Queue) -> Self {
        Self {
            answers,
            unanswered: HashMap::new(),
            number: 0,
            latest: HashMap::new(),
            refused: Commits::new(),
            refused_until: Instant::now(),
            acks: Acks::default(),
        }
    }

    /// Whether something that was refused is to be tried again now.
    pub(super) fn is_due(&self) -> bool {
        !self.refused.is_empty() && Instant::now() >= self.refused_until
    }

    /// Commits that are not known to be written: the refused ones, then those without an answer, in the order of
    /// sending. Called once, at the end.
    pub(super) fn unwritten(&mut self) -> Commits {
        let mut commits = std::mem::take(&mut self.refused);
        let mut unanswered: Vec<_> = self.unanswered.drain().collect();
        unanswered.sort_unstable_by_key(|(number, _)| *number);
        commits.extend(unanswered.into_iter().flat_map(|(_, sent)| sent.commits));
        commits
    }

    /// Who waits for the results of those. Called once, before [`Self::unwritten`].
    pub(super) fn take_acks(&mut self) -> Acks {
        let mut acks = std::mem::take(&mut self.acks);
        for sent in self.unanswered.values_mut() {
            acks.add(std::mem::take(&mut sent.acks));
        }
        acks
    }

    /// Commits only partitions that are still assigned, since Kafka would accept an offset for another member's
    /// partition. Does not wait. Refused commits go first, so that the later offset counts.
    pub(super) fn send(&mut self, consumer: &BaseConsumer<Membership>, later: Commits, acks: Acks) {
        self.acks.add(acks);
        let before = std::mem::take(&mut self.refused);
        let words: HashMap<usize, _> = before
            .into_iter()
            .chain(later)
            .map(|(source, next)| (identity(&source), (source, next)))
            .collect();
        let state = consumer.context().state.lock();
        let ours = |source: &Arc<Source>| state.places.holds(source);
        let commits: Commits = words.into_values().filter(|(it, _)| ours(it)).collect();
        self.latest.retain(|_, (source, _)| ours(source));
        let list = list(&commits, &state.ids);
        // The others wait for commits of partitions that are gone.
        let acks = self.acks.take(ours);
        drop(std::mem::take(&mut self.acks));
        drop(state);
        if commits.is_empty() {
            return;
        }
        self.number += 1;
        for (source, _) in &commits {
            let latest = (source.clone(), self.number);
            self.latest.insert(identity(source), latest);
        }
        let sent = native::commit(consumer, &list, &self.answers, self.number);
        match sent {
            Ok(()) => {
                let sent = Sent {
                    at: Instant::now(),
                    commits,
                    acks,
                };
                self.unanswered.insert(self.number, sent);
            }
            Err(error) => {
                consumer.context().committed(false, Instant::now());
                self.refused(consumer, self.number, (commits, acks), error);
            }
        }
    }

    /// Takes the answers that have come.
    pub(super) fn hear(&mut self, consumer: &BaseConsumer<Membership>) {
        while !self.unanswered.is_empty() {
            let Some(answer) = native::commit_answer(&self.answers, 0) else {
                return;
            };
            let Some(Sent {
                at,
                mut commits,
                mut acks,
            }) = self.unanswered.remove(&answer.number)
            else {
                continue;
            };
            let is_ok = answer.result.is_ok() && answer.refused.is_empty();
            consumer.context().committed(is_ok, at);
            let error = match answer.result {
                Err(error) => error,
                Ok(()) => {
                    let Some((.., error)) = answer.refused.first() else {
                        acks.answer(|| Ok(()));
                        continue;
                    };
                    let is_refused = |source: &Arc<Source>| {
                        answer.refused.iter().any(|(topic, partition, _)| {
                            topic == source.topic.as_str() && *partition == source.partition
                        })
                    };
                    acks.take(|source| !is_refused(source)).answer(|| Ok(()));
                    commits.retain(|(source, _)| is_refused(source));
                    *error
                }
            };
            self.refused(consumer, answer.number, (commits, acks), error);
        }
    }

    /// Keeps a refused commit, unless a later offset of its partition is in flight or written already.
    fn refused(
        &mut self,
        consumer: &BaseConsumer<Membership>,
        number: usize,
        (commits, mut acks): (Commits, Acks),
        error: RDKafkaErrorCode,
    ) {
        let group = &consumer.context().group;
        let again = match error {
            // Refused since the group rebalances: it takes commits again once that is over.
            RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::UnknownMemberId => AFTER_REBALANCE,
            _ => {
                let action = format!("committing for group {group}");
                std::mem::take(&mut acks).answer(|| {
                    let error = code_error(error, Operation::cluster(&action));
                    Err(NotCommitted::Refused(error))
                });
                COMMIT_AGAIN
            }
        };
        if let Some(count) = repeats::said("commit", group) {
            tracing::warn!(group, %error, ?again, count, "a commit was refused; it is made again");
        }
        let is_latest = |source: &Arc<Source>| {
            self.latest
                .get(&identity(source))
                .is_some_and(|(_, latest)| *latest == number)
        };
        self.refused
            .extend(commits.into_iter().filter(|(source, _)| is_latest(source)));
        self.refused_until = Instant::now() + again;
        // A later commit of the same partition says how these ended.
        for sent in self.unanswered.values_mut() {
            let is_there =
                |source: &Arc<Source>| sent.commits.iter().any(|(it, _)| Arc::ptr_eq(it, source));
            let later = acks.take(is_there);
            sent.acks.add(later);
        }
        self.acks.add(acks);
    }
}
