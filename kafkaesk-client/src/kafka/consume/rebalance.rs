//! The rebalance callbacks as entries of the event stream. They run on the consumer's own thread, inside its poll, so
//! no record of a partition can follow its `Revoked`.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    task::{Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use kafkaesk_core::{Completions, NextOffset, RecordPlace, Source, TopicName, TopicPrefix};
use parking_lot::Mutex;
use rdkafka::{
    TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tokio::sync::oneshot;

use super::{
    super::{
        context::{Context, delegate_client_context},
        errors::code_of,
        errors::{Operation, code_error},
        metadata::Lookup,
        native::Queue,
    },
    acks::Acks,
    control_requests::ControlRequests,
    last_commits::{Leaving, commit_now, list},
    outbox::Outbox,
    places::Places,
    resets::Resets,
};
use crate::{
    consumer::{
        Commits, ConsumerEvent, NotCommitted, RevokeAck, created_again as created_again_words,
    },
    meter::ActionKind,
    repeats,
};

/// The longest time that an assignment or a revoke waits for the ids of its topics, or for the group's commits.
pub(super) const ASK: Duration = Duration::from_secs(2);
/// The longest time that an assignment waits for the group's commits, where they are not answered within [`ASK`]. A third of
/// `max.poll.interval.ms`, if that is less.
pub(super) const LOOK_UP: Duration = Duration::from_secs(10);
/// The pause after a refused question for commits.
const AGAIN: Duration = Duration::from_millis(100);
/// The longest time that it waits for the answer to its commit.
const COMMIT: Duration = Duration::from_secs(5);

/// A group member's context.
pub(super) struct Membership {
    pub(super) context: Context,
    pub(super) group: String,
    pub(super) prefix: TopicPrefix,
    /// A revoke waits at most this long for its acknowledgement.
    pub(super) drain: Duration,
    /// An assignment waits at most this long for the group's commits.
    pub(super) look_up: Duration,
    /// Nothing is read whose commits are not known.
    pub(super) exact: bool,
    pub(super) requests: Arc<ControlRequests>,
    pub(super) lookup: Arc<Lookup>,
    pub(super) resets: Arc<Resets>,
    /// Where assigned partitions' records go. Taken out before the client ends.
    pub(super) queue: Mutex<Option<Queue>>,
    pub(super) state: Mutex<State>,
}

/// What the thread and its callbacks share; never locked by another thread.
pub(super) struct State {
    pub(super) places: Places,
    /// The ids of the topics when they were last looked at.
    pub(super) ids: HashMap<String, String>,
    /// Records to pass over, until their partition is first read.
    pub(super) skip: Vec<RecordPlace>,
    pub(super) outbox: Outbox,
    /// The member leaves: its user has drained already and gets no more rebalance events.
    pub(super) leaving: Option<Leaving>,
}

/// What the group had committed of a partition when it was assigned.
pub(super) struct FoundCommit {
    pub(super) source: Arc<Source>,
    pub(super) next: NextOffset,
    pub(super) metadata: String,
}

delegate_client_context!(Membership);

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => self.assign(consumer, partitions),
            Rebalance::Revoke(partitions) => self.revoke(consumer, partitions),
            Rebalance::Error(error) => {
                let warning = format!("group {}: rebalancing failed: {error}", self.group);
                self.state
                    .lock()
                    .outbox
                    .push(ConsumerEvent::Warning(warning));
            }
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance
            && partitions.count() > 0
        {
            // A pause belongs to an assignment; librdkafka keeps it with the partition.
            let _ = consumer.resume(partitions);
        }
    }
}

impl Membership {
    /// Counts a commit that was sent then and has its answer now.
    pub(super) fn committed(&self, is_ok: bool, sent: Instant) {
        let shared = &self.context.0;
        if is_ok {
            shared.heard();
        }
        shared
            .actions
            .ended(ActionKind::Commit, sent.elapsed(), is_ok);
    }

    fn log_line(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.resets.log(&self.context, level, facility, message);
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        // An empty list says so as well: others have all partitions.
        self.requests.pulse.set_joined(true);
        self.requests.own.set_member(consumer.group_metadata());
        let mut assigned = Vec::new();
        let mut state = self.state.lock();
        for element in partitions.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let (Ok(name), Some(stream)) =
                (TopicName::new(topic), self.prefix.consumed_stream(topic))
            else {
                continue;
            };
            let forwarded = self
                .queue
                .lock()
                .as_ref()
                .is_some_and(|queue| queue.forward(consumer, topic, partition));
            if !forwarded
                && let Some(count) = repeats::said("queue", format_args!("{topic}[{partition}]"))
            {
                tracing::error!(
                    topic,
                    partition,
                    count,
                    "the partition's queue cannot be had"
                );
            }
            let source = Arc::new(Source {
                topic: name,
                stream,
                partition,
            });
            state.places.insert(source.clone());
            assigned.push(source);
        }
        if assigned.is_empty() || state.leaving.is_some() {
            return;
        }
        let mut commits = match self.look_up(consumer, &assigned) {
            Ok(commits) => commits,
            Err(error) if self.exact => return self.unknown(&mut state, error.to_string()),
            Err(error) => {
                if let Some(count) = repeats::said("look up", &self.group) {
                    tracing::warn!(
                        group = self.group,
                        %error,
                        count,
                        "what the group finished beyond its commits is unknown; some of it may be delivered again"
                    );
                }
                Vec::new()
            }
        };
        self.replace_deleted(&mut state, partitions, &mut commits);
        let finished = match self.finished(consumer, &mut state, &commits) {
            Ok(finished) => finished,
            Err(reason) => return self.unknown(&mut state, reason),
        };
        for source in &assigned {
            let id = state.ids.get(source.topic.as_str());
            self.requests.own.add(source, id.cloned());
        }
        state.outbox.push(ConsumerEvent::Assigned(assigned));
        for (source, finished) in finished {
            state.outbox.push(ConsumerEvent::Finished(source, finished));
        }
        state.outbox.flush();
    }

    /// What was finished in new partitions is unknown, and must be known: reading does not go on. Nor does it where the member
    /// leaves.
    fn unknown(&self, state: &mut State, reason: String) {
        if self.requests.is_closing() {
            return;
        }
        let action = format!(
            "looking up what group {} finished in its new partitions, without which records would be handled twice",
            self.group
        );
        let error = super::super::errors::other(&action, reason.into());
        state.outbox.push(ConsumerEvent::Failed(error));
        state.outbox.flush();
    }

    /// Requests the group's commits of these partitions, which wait for the answer. Without one in time, records may be
    /// repeated, and an offset that was committed for a deleted topic counts.
    fn look_up(
        &self,
        consumer: &BaseConsumer<Self>,
        assigned: &[Arc<Source>],
    ) -> KafkaResult<Vec<FoundCommit>> {
        let mut asked = TopicPartitionList::with_capacity(assigned.len());
        for source in assigned {
            asked.add_partition(source.topic.as_str(), source.partition);
        }
        let committed = self.ask_commits(consumer, asked)?;
        let found = assigned.iter().filter_map(|source| {
            let element = committed.find_partition(source.topic.as_str(), source.partition)?;
            let next = element.offset().to_raw().filter(|next| *next >= 0)?;
            Some(FoundCommit {
                source: source.clone(),
                next: NextOffset(next),
                metadata: element.metadata().to_owned(),
            })
        });
        Ok(found.collect())
    }

    /// What the group committed of these. The thread does nothing else until the answer comes, or its time is over.
    fn ask_commits(
        &self,
        consumer: &BaseConsumer<Self>,
        asked: TopicPartitionList,
    ) -> KafkaResult<TopicPartitionList> {
        let until = Instant::now() + self.look_up;
        let pulse = &self.requests.pulse;
        pulse.expect_silence(until);
        let is_over = |error: &KafkaError| is_denied(error) || self.requests.is_closing();
        let say = |error: &KafkaError| {
            tracing::warn!(
                group = self.group,
                partitions = asked.count(),
                %error,
                at_most = ?self.look_up,
                "the group's commits are not known yet; new partitions wait for them"
            );
        };
        let ask = |within| consumer.committed_offsets(asked.clone(), within);
        let answer = ask_until(until, ask, is_over, say);
        pulse.beat(Instant::now());
        answer
    }

    /// Which records beyond these commits are finished. Notes which record is next where one is to be passed over. Says why
    /// that is not known, where it must be.
    fn finished(
        &self,
        consumer: &BaseConsumer<Self>,
        state: &mut State,
        commits: &[FoundCommit],
    ) -> Result<Vec<(Arc<Source>, Completions)>, String> {
        let mut all = Vec::new();
        for commit in commits {
            // Each may take a request.
            self.requests.pulse.beat(Instant::now());
            let source = &commit.source;
            let is_skipped = |place: &RecordPlace| {
                place.stream == source.stream && place.partition == source.partition
            };
            if state.skip.iter().any(is_skipped)
                && let Some(place) = state.places.of(source)
            {
                // Only the next record of the group may be passed over, so its offset must be known.
                place.next = Some(commit.next.0);
            }
            let id = state.ids.get(source.topic.as_str());
            let named = Completions::topic_id(&commit.metadata, commit.next);
            if let (None, Some(named), true) = (id, named, self.exact) {
                return Err(format!(
                    "the id of topic {}, which the commit names as {named}, is not known",
                    source.topic
                ));
            }
            let finished = id.and_then(|id| Completions::read(&commit.metadata, id, commit.next));
            let Some(finished) = finished.filter(|finished| !finished.is_empty()) else {
                continue;
            };
            match end_of_log(consumer, source) {
                // A truncated log does not contain all records that the metadata calls finished.
                Ok(end) if end >= finished.end().0 => all.push((source.clone(), finished)),
                Ok(_) => {}
                Err(error) if self.exact => {
                    return Err(format!("the end of {source} is unknown: {error}"));
                }
                Err(error) => {
                    if let Some(count) = repeats::said("end", source) {
                        tracing::warn!(
                            partition = %source,
                            %error,
                            count,
                            "the end of the log is unknown; what was finished beyond the commit is delivered again"
                        );
                    }
                }
            }
        }
        Ok(all)
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        // A user that is stuck does not answer.
        let is_awaited = !self.requests.is_silent();
        let deadline = Instant::now()
            + if is_awaited {
                self.drain
            } else {
                Duration::ZERO
            };
        let mut state = self.state.lock();
        let gone: Vec<Arc<Source>> = partitions
            .elements()
            .iter()
            .filter_map(|element| state.places.remove(element.topic(), element.partition()))
            .collect();
        if gone.is_empty() {
            return;
        }
        if state.leaving.is_some() {
            drop(state);
            self.requests.own.remove(&gone);
            return self.revoke_leaving(consumer, &gone);
        }
        state.outbox.forget(&gone);
        let is_lost = consumer.assignment_lost();
        if is_lost {
            self.requests.own.remove(&gone);
        }
        // With the cooperative protocol the next generation has begun already.
        self.requests.own.set_member(consumer.group_metadata());
        if is_lost {
            state.outbox.push(ConsumerEvent::Lost(gone));
            state.outbox.flush();
            return;
        }
        let (ack, acknowledged) = RevokeAck::new(deadline);
        state.outbox.push(ConsumerEvent::Revoked(gone.clone(), ack));
        let mut commits = Commits::new();
        self.requests.pulse.expect_silence(deadline);
        if state.outbox.flush_until(deadline) {
            self.requests.set_draining(true);
            let acknowledged = wait(acknowledged, deadline, || {
                self.commit_awaited(consumer, &state, &gone, deadline);
            });
            self.requests.set_draining(false);
            commits = acknowledged.unwrap_or_else(|| {
                if let Some(count) = repeats::said("revoke", &self.group) {
                    tracing::warn!(
                    group = self.group,
                    count,
                    waited = ?if is_awaited { self.drain } else { Duration::ZERO },
                    "a revoke was not acknowledged in time; what is in flight is delivered again"
                );
}
                Commits::new()
            });
        }
        self.requests.pulse.beat(Instant::now());
        drop(state);
        self.requests.own.remove(&gone);
        // Earlier requests belong to this assignment; the acknowledgement comes after them and counts.
        let (mut last, acks) = self.requests.take_commits_of(&gone);
        last.extend(
            commits
                .into_iter()
                .filter(|(source, _)| gone.iter().any(|g| Arc::ptr_eq(g, source))),
        );
        if last.is_empty() {
            return;
        }
        self.correct(&mut last, ASK);
        let Some(answers) = Queue::new(consumer) else {
            return;
        };
        // The commit's own answer is what counts: a group that went on without us refuses it.
        let last = list(&last, &self.state.lock().ids);
        let committed = commit_now(consumer, &answers, &last, Instant::now() + COMMIT);
        if let Err(error) = committed
            && let Some(count) = repeats::said("last commit", &self.group)
        {
            tracing::warn!(group = self.group, %error, count, "the commit of revoked partitions was refused; their records are delivered again");
        }
        self.answer(acks, committed);
    }

    /// Makes the commits for whose results somebody waits, while a revoke is drained: the drain may wait for them.
    fn commit_awaited(
        &self,
        consumer: &BaseConsumer<Self>,
        state: &State,
        gone: &[Arc<Source>],
        deadline: Instant,
    ) {
        let (commits, acks) = self.requests.take_awaited(|source| {
            state.places.holds(source) || gone.iter().any(|gone| Arc::ptr_eq(gone, source))
        });
        if commits.is_empty() {
            return;
        }
        let Some(answers) = Queue::new(consumer) else {
            return;
        };
        let commits = list(&commits, &state.ids);
        let until = deadline.min(Instant::now() + COMMIT);
        self.answer(acks, commit_now(consumer, &answers, &commits, until));
    }

    fn answer(&self, acks: Acks, committed: Result<(), RDKafkaErrorCode>) {
        acks.answer(|| {
            committed.map_err(|code| {
                let action = format!("committing for group {}", self.group);
                NotCommitted::Refused(code_error(code, Operation::cluster(&action)))
            })
        });
    }

    /// Partitions go while the member leaves: their last commits are made now, since a later one would stand behind the
    /// rebalance.
    fn revoke_leaving(&self, consumer: &BaseConsumer<Self>, gone: &[Arc<Source>]) {
        let Some(mut leaving) = self.state.lock().leaving.take() else {
            return;
        };
        if consumer.assignment_lost() {
            leaving.lost(gone);
        } else {
            let mut commits = leaving.take(gone);
            let left = leaving.deadline().saturating_duration_since(Instant::now());
            self.correct(&mut commits, ASK.min(left / 2));
            let commits = list(&commits, &self.state.lock().ids);
            leaving.commit(consumer, &commits, gone);
        }
        self.state.lock().leaving = Some(leaving);
    }
}

impl Membership {
    /// Offsets of a deleted topic are invalid. For a recreated topic the first offsets are committed instead; for an
    /// absent one, none. Asks the brokers, since the cached ids may be older than the deletion.
    fn correct(&self, commits: &mut Commits, timeout: Duration) {
        let mut state = self.state.lock();
        let topics: BTreeSet<&str> = commits
            .iter()
            .map(|(source, _)| source.topic.as_str())
            .filter(|topic| state.ids.contains_key(*topic))
            .collect();
        if topics.is_empty() {
            return;
        }
        let names: Vec<&str> = topics.into_iter().collect();
        let now = match self.lookup.topic_ids(&names, timeout) {
            Ok(ids) => ids,
            Err(error) => {
                tracing::debug!(%error, "the ids of revoked topics are unknown; their offsets are committed");
                return;
            }
        };
        let mut created_again = BTreeSet::new();
        commits.retain_mut(|(source, position)| {
            let topic = source.topic.as_str();
            match (state.ids.get(topic), now.get(topic)) {
                (Some(_), None) => false,
                (Some(known), Some(id)) if known != id => {
                    created_again.insert(topic.to_owned());
                    *position = NextOffset(0).into();
                    true
                }
                _ => true,
            }
        });
        for topic in created_again {
            // Discovery must still notice the new id for the partitions that stay.
            if !state.places.of_topic(&topic).is_empty() {
                continue;
            }
            let warning = created_again_words(&topic);
            state.outbox.push(ConsumerEvent::Warning(warning));
            if let Some(id) = now.get(&topic) {
                state.ids.insert(topic, id.clone());
            }
        }
    }
}

/// Asks until an answer comes, asking again is of no use, or the time is over. Says so when the first question has failed,
/// which waits for [`ASK`] only.
fn ask_until<T, E>(
    until: Instant,
    mut ask: impl FnMut(Duration) -> Result<T, E>,
    is_over: impl Fn(&E) -> bool,
    say: impl FnOnce(&E),
) -> Result<T, E> {
    let left = || until.saturating_duration_since(Instant::now());
    let mut answer = ask(left().min(ASK));
    if let Err(error) = &answer {
        say(error);
    }
    while let Err(error) = &answer
        && !is_over(error)
        && !left().is_zero()
    {
        thread::sleep(AGAIN.min(left()));
        // In slices: a close is waited for by somebody.
        answer = ask(left().min(ASK));
    }
    answer
}

/// Whether asking again is of no use.
fn is_denied(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{GroupAuthorizationFailed, TopicAuthorizationFailed};
    let code = code_of(error);
    code.is_some_and(|code| matches!(code, GroupAuthorizationFailed | TopicAuthorizationFailed))
}

/// Where the log of a partition ends.
fn end_of_log(consumer: &BaseConsumer<Membership>, source: &Source) -> KafkaResult<i64> {
    let (_, end) = consumer.fetch_watermarks(source.topic.as_str(), source.partition, ASK)?;
    Ok(end)
}

/// Blocks this thread for an answer until then; `None` without one. Dropped unanswered, it is an empty answer. Does `meanwhile`
/// whenever it is woken.
fn wait(
    mut answer: oneshot::Receiver<Commits>,
    deadline: Instant,
    mut meanwhile: impl FnMut(),
) -> Option<Commits> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    loop {
        if let Poll::Ready(answered) = std::pin::Pin::new(&mut answer).poll(&mut context) {
            return Some(answered.unwrap_or_default());
        }
        meanwhile();
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often was asked and said, and the answer, where the first questions fail.
    fn asked(fail: u32, within: Duration, is_over: bool) -> (u32, u32, Result<u32, u32>) {
        let (mut count, mut said) = (0, 0);
        let ask = |left: Duration| {
            assert!(left <= within && (count > 0 || left <= ASK));
            count += 1;
            if count <= fail { Err(count) } else { Ok(count) }
        };
        let until = Instant::now() + within;
        let answer = ask_until(until, ask, |_| is_over, |_| said += 1);
        (count, said, answer)
    }

    #[test]
    fn commits_are_asked_for_until_they_are_known_or_the_time_is_over() {
        let long = Duration::from_secs(60);
        assert_eq!(asked(0, long, false), (1, 0, Ok(1)));
        assert_eq!(asked(2, long, false), (3, 1, Ok(3)));
        assert_eq!(asked(2, long, true), (1, 1, Err(1)));
        let (count, said, answer) = asked(u32::MAX, AGAIN / 2, false);
        assert_eq!((count, said, answer), (2, 1, Err(2)));
    }
}
