//! A group's member: its thread subscribes by name to what matches, polls, pops batches, commits.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use kafkaesk_core::Source;
use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::mpsc::Sender;

use super::{
    Setup,
    mailbox::{Close, identity},
    matching,
    outbox::Outbox,
    rebalance::{Membership, State, list},
    records::{Sources, cut},
    start,
};
use crate::{
    ClientError,
    consumer::{BATCH_RECORDS, Commits, ConsumerEvent},
    kafka::{
        config::{Role, client_config},
        context::{Context, lock},
        errors::{Doing, client_error, code_error, code_of},
        log::is_passing,
        native::{self, Batch, Message, Queue},
    },
};

/// How long an idle thread waits for records before it looks at everything else.
const IDLE_MS: i32 = 20;
/// How long it waits for events while the reader has no room.
const FULL: Duration = Duration::from_millis(2);
/// How long the last commit is waited for, at most.
const LAST_COMMIT: Duration = Duration::from_secs(8);
/// When a refused commit is tried again, unless another comes before.
const COMMIT_AGAIN: Duration = Duration::from_secs(5);
/// librdkafka's default, in milliseconds.
const MAX_POLL: u64 = 300_000;

/// The thread's state. The order of the fields is the order of their end: messages before the client.
struct Member {
    batch: Batch,
    /// Where the coordinator's answers to commits come.
    answers: Queue,
    /// What it has not answered, by the number of the commit.
    unanswered: HashMap<usize, Commits>,
    /// The next commit's number.
    number: usize,
    /// The last commit that named a partition, by its source.
    latest: HashMap<usize, (Arc<Source>, usize)>,
    /// What it refused and no later commit replaced, and when that is tried again.
    refused: Commits,
    refused_until: Instant,
    /// How the last one ended.
    last_commit: Result<(), RDKafkaErrorCode>,
    consumer: BaseConsumer<Membership>,
    setup: Setup,
    /// What is subscribed to.
    topics: BTreeSet<String>,
    /// Topics that were gone at the last look; a second look decides.
    missing: BTreeSet<String>,
    /// Denied topics that were told of.
    told: BTreeSet<String>,
    told_waiting: bool,
}

/// Creates the client, settles where a new group starts, and lets the thread go.
pub(super) fn start(
    mut setup: Setup,
    group: String,
    sender: Sender<ConsumerEvent>,
) -> Result<(), ClientError> {
    let mut config = client_config(&setup.settings, Role::Member);
    config.set("group.id", &group);
    let max_poll = config
        .get("max.poll.interval.ms")
        .and_then(|text| text.parse().ok())
        .unwrap_or(MAX_POLL);
    let membership = Membership {
        context: Context(setup.shared.clone()),
        group: group.clone(),
        prefix: setup.settings.topic_prefix.clone(),
        drain: setup.spec.drain.min(Duration::from_millis(max_poll / 3)),
        mailbox: setup.mailbox.clone(),
        queue: Mutex::default(),
        state: Mutex::new(State {
            sources: Sources::default(),
            outbox: Outbox::new(sender),
            closing: false,
        }),
    };
    let consumer: BaseConsumer<Membership> = config
        .create_with_context(membership)
        .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
    setup.shared.log_in(consumer.client(), &setup.settings)?;
    let new_queue = || {
        Queue::new(&consumer)
            .ok_or_else(|| crate::kafka::errors::other("starting a consumer", "no queue".into()))
    };
    let (queue, answers) = (new_queue()?, new_queue()?);
    *lock(&consumer.context().queue) = Some(queue);
    let found = matching(
        &setup.discovery.current(),
        &setup.settings.topic_prefix,
        &setup.spec.pattern,
    );
    start::settle(&consumer, &setup, &group, &found)?;
    let mut member = Member {
        batch: Batch::new(BATCH_RECORDS),
        answers,
        unanswered: HashMap::new(),
        number: 0,
        latest: HashMap::new(),
        refused: Commits::new(),
        refused_until: Instant::now(),
        last_commit: Ok(()),
        consumer,
        setup,
        topics: BTreeSet::new(),
        missing: BTreeSet::new(),
        told: BTreeSet::new(),
        told_waiting: false,
    };
    thread::Builder::new()
        .name("kafkaesk-consumer".into())
        .spawn(move || {
            member.subscribe(&found);
            member.run();
        })
        .map_err(|e| crate::kafka::errors::other("starting a thread", Box::new(e)))?;
    Ok(())
}

impl Member {
    fn run(mut self) {
        loop {
            if let Some(close) = self.setup.mailbox.take_close() {
                return self.close(close);
            }
            if lock(&self.consumer.context().state).outbox.is_closed() {
                return self.end();
            }
            self.look();
            self.serve_mailbox();
            let room = lock(&self.consumer.context().state).outbox.flush();
            let patience = if room { Duration::ZERO } else { FULL };
            if let Some(error) = self.poll(patience) {
                return self.fail(error);
            }
            if !lock(&self.consumer.context().state).outbox.flush() {
                continue;
            }
            if let Some(error) = self.pop() {
                return self.fail(error);
            }
        }
    }

    /// Serves librdkafka's events: rebalances, commits, errors.
    fn poll(&mut self, patience: Duration) -> Option<ClientError> {
        // A record comes out here only of a partition whose queue could not be forwarded.
        let mut records = Vec::new();
        let mut failed = None;
        match self.consumer.poll(patience)? {
            Ok(message) => {
                let mut state = lock(&self.consumer.context().state);
                cut(
                    std::iter::once(Message::of(&message)),
                    |topic, partition| state.sources.get(topic, partition).cloned(),
                    |_| {},
                    |_, run| records.push(run),
                );
                for run in records {
                    state.outbox.push(ConsumerEvent::Records(run));
                }
            }
            Err(error) => failed = Some(error),
        }
        self.judge(failed?)
    }

    /// Pops a batch and hands it over; waits a little when there is none.
    fn pop(&mut self) -> Option<ClientError> {
        let queue = lock(&self.consumer.context().queue);
        let queue = queue.as_ref()?;
        if self.batch.fill(queue, 0, BATCH_RECORDS) == 0 && self.batch.fill(queue, IDLE_MS, 1) == 0
        {
            return None;
        }
        let mut state = lock(&self.consumer.context().state);
        let State {
            sources, outbox, ..
        } = &mut *state;
        let mut failures = Vec::new();
        cut(
            self.batch.iter(),
            |topic, partition| sources.get(topic, partition).cloned(),
            |message| {
                if let Some(code) = message.error() {
                    failures.push((code, message.topic().to_owned()));
                }
            },
            |_, records| outbox.push(ConsumerEvent::Records(records)),
        );
        outbox.flush();
        drop(state);
        self.batch.clear();
        failures.into_iter().find_map(|(code, topic)| {
            denied(&self.setup, &mut self.told, &self.consumer, code, &topic)
        })
    }

    /// What an error means: `Some` ends the stream.
    fn judge(&mut self, error: KafkaError) -> Option<ClientError> {
        let group = &self.consumer.context().group;
        let action = format!("consuming as group {group}");
        let doing = Doing {
            group: Some(group),
            ..Doing::cluster(&action)
        };
        match (&error, code_of(&error)) {
            (KafkaError::MessageConsumptionFatal(_), _) => Some(client_error(error, doing)),
            (
                _,
                Some(
                    RDKafkaErrorCode::GroupAuthorizationFailed
                    | RDKafkaErrorCode::InconsistentGroupProtocol
                    | RDKafkaErrorCode::FencedInstanceId
                    | RDKafkaErrorCode::UnsupportedVersion
                    | RDKafkaErrorCode::InvalidSessionTimeout,
                ),
            ) => Some(client_error(error, doing)),
            (_, Some(RDKafkaErrorCode::TopicAuthorizationFailed)) => {
                // librdkafka names the topic in words only.
                let reason = self.setup.shared.reason().unwrap_or_default();
                let topic = self
                    .topics
                    .iter()
                    .filter(|topic| reason.contains(topic.as_str()))
                    .max_by_key(|topic| topic.len())
                    .cloned()
                    .unwrap_or_default();
                denied(
                    &self.setup,
                    &mut self.told,
                    &self.consumer,
                    RDKafkaErrorCode::TopicAuthorizationFailed,
                    &topic,
                )
            }
            (_, Some(RDKafkaErrorCode::PollExceeded)) => {
                tracing::warn!(
                    group,
                    "the consumer was away for longer than max.poll.interval.ms and left the group; it joins again"
                );
                None
            }
            (_, code) => {
                if !code.is_some_and(is_passing) {
                    tracing::debug!(group, %error, "consuming");
                }
                None
            }
        }
    }

    /// Subscribes anew when what matches has changed.
    fn look(&mut self) {
        if let Some(cluster) = self.setup.discovery.news() {
            let found = matching(
                &cluster,
                &self.setup.settings.topic_prefix,
                &self.setup.spec.pattern,
            );
            self.subscribe(&found);
        }
    }

    fn subscribe(&mut self, found: &HashMap<String, u32>) {
        if found.is_empty() && !self.told_waiting {
            self.told_waiting = true;
            let warning = format!(
                "no stream matches {:?} yet (topic prefix {:?}); waiting for one",
                self.setup.spec.pattern.as_str(),
                self.setup.settings.topic_prefix.as_str(),
            );
            lock(&self.consumer.context().state)
                .outbox
                .push(ConsumerEvent::Warning(warning));
        }
        let mut topics: BTreeSet<String> = found.keys().cloned().collect();
        // One look may be a broker's that knows less; two are a deletion.
        let absent: BTreeSet<String> = self.topics.difference(&topics).cloned().collect();
        for topic in absent.difference(&self.missing) {
            topics.insert(topic.clone());
        }
        self.missing = absent;
        if topics == self.topics {
            return;
        }
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        if names.is_empty() {
            self.consumer.unsubscribe();
        } else if let Err(error) = self.consumer.subscribe(&names) {
            tracing::warn!(%error, "subscribing failed; it is tried again at the next look");
            return;
        }
        tracing::debug!(group = self.consumer.context().group, topics = ?names, "subscribed");
        self.topics = topics;
    }

    fn serve_mailbox(&mut self) {
        self.hear_answers();
        let commits = self.setup.mailbox.take_commits();
        let again = !self.refused.is_empty() && Instant::now() >= self.refused_until;
        if again || !commits.is_empty() {
            self.commit(commits);
        }
        for (source, paused) in self.setup.mailbox.take_pauses() {
            if !lock(&self.consumer.context().state).sources.holds(&source) {
                continue;
            }
            let mut partition = TopicPartitionList::new();
            partition.add_partition(source.topic.as_str(), source.partition);
            let done = if paused {
                self.consumer.pause(&partition)
            } else {
                self.consumer.resume(&partition)
            };
            if let Err(error) = done {
                tracing::warn!(%source, %error, paused, "pausing or resuming failed");
            }
        }
    }

    /// Commits what is still ours, without waiting: Kafka would take another's place from whoever has it now. What was
    /// refused before goes first, so that the later word wins.
    fn commit(&mut self, later: Commits) {
        let before = std::mem::take(&mut self.refused);
        let words: HashMap<usize, _> = before
            .into_iter()
            .chain(later)
            .map(|(source, next)| (identity(&source), (source, next)))
            .collect();
        let state = lock(&self.consumer.context().state);
        let ours = |source: &Arc<Source>| state.sources.holds(source);
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
        let sent = native::commit(&self.consumer, &list(&commits), &self.answers, self.number);
        match sent {
            Ok(()) => drop(self.unanswered.insert(self.number, commits)),
            Err(error) => self.committed(self.number, commits, Err(error)),
        }
    }

    fn hear_answers(&mut self) {
        while !self.unanswered.is_empty() {
            let Some((number, answer)) = native::commit_answer(&self.answers) else {
                return;
            };
            let commits = self.unanswered.remove(&number).unwrap_or_default();
            self.committed(number, commits, answer);
        }
    }

    fn committed(&mut self, number: usize, commits: Commits, answer: Result<(), RDKafkaErrorCode>) {
        if let Err(error) = &answer {
            let group = &self.consumer.context().group;
            tracing::warn!(group, %error, "a commit was refused; it is tried again with the next one");
            // A later word about a partition is on its way or written already.
            let is_latest = |source: &Arc<Source>| {
                self.latest
                    .get(&identity(source))
                    .is_some_and(|(_, latest)| *latest == number)
            };
            self.refused
                .extend(commits.into_iter().filter(|(source, _)| is_latest(source)));
            self.refused_until = Instant::now() + COMMIT_AGAIN;
        }
        self.last_commit = answer;
    }

    /// The last commit, then out of the group.
    fn close(mut self, close: Close) {
        lock(&self.consumer.context().state).closing = true;
        let mut commits = self.setup.mailbox.take_commits();
        commits.extend(close.commits);
        self.last_commit = Ok(());
        self.commit(commits);
        let begun = Instant::now();
        let deadline = close.deadline.min(begun + LAST_COMMIT);
        while !self.unanswered.is_empty() && Instant::now() < deadline {
            let _ = self.consumer.poll(Duration::from_millis(5));
            self.hear_answers();
        }
        let action = format!("the last commit of group {}", self.consumer.context().group);
        let result = match self.last_commit {
            Ok(()) if !self.unanswered.is_empty() => Err(crate::kafka::errors::other(
                &action,
                format!(
                    "no answer within {:?}; its records come again",
                    begun.elapsed()
                )
                .into(),
            )),
            Ok(()) => Ok(()),
            Err(code) => Err(code_error(code, Doing::cluster(&action))),
        };
        let _ = close.committed.send(result);
        self.end();
        drop(close.left);
    }

    /// Tells why, and ends when the reader has heard it.
    fn fail(self, error: ClientError) {
        lock(&self.consumer.context().state).closing = true;
        lock(&self.consumer.context().state)
            .outbox
            .push(ConsumerEvent::Failed(error));
        let mut close = None;
        loop {
            if lock(&self.consumer.context().state).outbox.flush() {
                break;
            }
            close = self.setup.mailbox.take_close();
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

    /// Leaves the group. Messages and queue go before the client.
    fn end(self) {
        let Self {
            batch,
            answers,
            consumer,
            setup,
            ..
        } = self;
        lock(&consumer.context().state).closing = true;
        drop(batch);
        drop(answers);
        let queue = lock(&consumer.context().queue).take();
        drop(queue);
        drop(consumer);
        drop(setup);
    }
}

/// A denied topic ends a subscription to that very stream; among others it is told of once.
fn denied(
    setup: &Setup,
    told: &mut BTreeSet<String>,
    consumer: &BaseConsumer<Membership>,
    code: RDKafkaErrorCode,
    topic: &str,
) -> Option<ClientError> {
    if is_passing(code) {
        return None;
    }
    let action = format!("reading {topic}");
    let error = code_error(code, Doing::topic(&action, "Read", topic));
    let exact = !setup.spec.pattern.as_str().contains(['*', '?', '[']);
    if exact && matches!(error, ClientError::Unauthorized { .. }) {
        return Some(error);
    }
    if told.insert(topic.to_owned()) {
        lock(&consumer.context().state)
            .outbox
            .push(ConsumerEvent::Warning(error.to_string()));
    }
    None
}
