//! Commits of a group's member: sent without waiting, answered later, and sent again where they were refused.

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
    mailbox::identity,
    rebalance::{Membership, list},
};
use crate::{
    consumer::Commits,
    kafka::native::{self, Queue},
};

/// When a refused commit is tried again, unless another comes before.
const COMMIT_AGAIN: Duration = Duration::from_secs(5);

/// What was committed and what became of it.
pub(super) struct Committing {
    /// Where the coordinator's answers come.
    answers: Queue,
    /// What it has not answered, by the number of the commit.
    unanswered: HashMap<usize, Commits>,
    /// The number of the last commit.
    number: usize,
    /// The last commit that named a partition, by its source.
    latest: HashMap<usize, (Arc<Source>, usize)>,
    /// What it refused and no later commit replaced, and when that is tried again.
    refused: Commits,
    refused_until: Instant,
    /// How the last one ended.
    pub(super) last: Result<(), RDKafkaErrorCode>,
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
            last: Ok(()),
        }
    }

    /// Whether something that was refused is to be tried again now.
    pub(super) fn is_due(&self) -> bool {
        !self.refused.is_empty() && Instant::now() >= self.refused_until
    }

    /// Whether an answer is on its way.
    pub(super) fn is_waiting(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Commits what is still ours, without waiting: Kafka would take the place of another member from it. What was
    /// refused before goes first, so that the later offset counts.
    pub(super) fn send(&mut self, consumer: &BaseConsumer<Membership>, later: Commits) {
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
        drop(state);
        if commits.is_empty() {
            return;
        }
        self.number += 1;
        for (source, _) in &commits {
            let latest = (source.clone(), self.number);
            self.latest.insert(identity(source), latest);
        }
        let sent = native::commit(consumer, &list(&commits), &self.answers, self.number);
        match sent {
            Ok(()) => drop(self.unanswered.insert(self.number, commits)),
            Err(error) => self.answered(consumer, self.number, commits, Err(error)),
        }
    }

    /// Takes the answers that have come.
    pub(super) fn hear(&mut self, consumer: &BaseConsumer<Membership>) {
        while !self.unanswered.is_empty() {
            let Some((number, answer)) = native::commit_answer(&self.answers) else {
                return;
            };
            let commits = self.unanswered.remove(&number).unwrap_or_default();
            self.answered(consumer, number, commits, answer);
        }
    }

    fn answered(
        &mut self,
        consumer: &BaseConsumer<Membership>,
        number: usize,
        commits: Commits,
        answer: Result<(), RDKafkaErrorCode>,
    ) {
        if let Err(error) = &answer {
            let group = &consumer.context().group;
            tracing::warn!(group, %error, "a commit was refused; it is tried again with the next one");
            // A later offset of a partition is on its way or written already.
            let is_latest = |source: &Arc<Source>| {
                self.latest
                    .get(&identity(source))
                    .is_some_and(|(_, latest)| *latest == number)
            };
            self.refused
                .extend(commits.into_iter().filter(|(source, _)| is_latest(source)));
            self.refused_until = Instant::now() + COMMIT_AGAIN;
        }
        self.last = answer;
    }
}
