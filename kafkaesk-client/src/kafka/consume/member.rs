//! A group's member: its thread subscribes by name to what matches, polls, pops batches, commits.
//!
//! Next: `records` cuts what librdkafka gives.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    Offset,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::mpsc::Sender;

use super::{
    ahead::Ahead,
    commits::Committing,
    handover::{self, Handover},
    outbox::Outbox,
    part::Part,
    pauses,
    places::Places,
    rebalance::{LOOK_UP, Membership, State},
    records::{Failure, Piece, cut},
    resets::Resets,
    setup::Setup,
    start,
};
use crate::{
    ClientError,
    consumer::{BATCH_RECORDS, ConsumerEvent, Events, max_poll_interval},
    kafka::{
        config::{Role, client_config, fetch_wait},
        context::Context,
        errors::{Operation, client_error, code_error, code_of},
        librdkafka_log::{Meaning, is_passing, meaning},
        native::{self, Batch, Message, Queue},
    },
    repeats,
};

/// How long an idle thread waits for records before it looks at everything else.
const IDLE_MS: i32 = 20;
/// How long it waits for events while the reader has no room.
pub(super) const FULL: Duration = Duration::from_millis(2);
/// How often the membership is looked at, and positions that moved without a record.
const LOOK: Duration = Duration::from_secs(1);
/// Positions are looked at less often where that takes long, so that it takes at most one part in so many of the thread's
/// time: librdkafka's look at thousands of partitions grows with the square of the topics.
const LOOK_SHARE: u32 = 100;
/// And at least as often as this.
const LOOK_LATEST: Duration = Duration::from_secs(30);

/// The thread's state. The order of the fields is the order of their end: messages before the client.
pub(super) struct Member {
    pub(super) batch: Batch,
    pub(super) committing: Committing,
    pub(super) consumer: BaseConsumer<Membership>,
    pub(super) setup: Setup,
    /// What is subscribed to.
    pub(super) topics: BTreeSet<String>,
    /// Topics that were gone at the last look; a second look decides.
    pub(super) missing: BTreeSet<String>,
    pub(super) part: Part,
    /// When the membership is looked at.
    look_at: Instant,
    /// When positions are.
    positions_at: Instant,
    ahead: Ahead,
    /// Whether a partition stands still, or did at the last check.
    stalled: bool,
    /// Denied topics that were reported.
    reported: BTreeSet<String>,
    reported_waiting: bool,
    /// Its group uses KIP-848.
    pub(super) by_heartbeat: bool,
}

/// Creates the client, decides where a new group starts, and starts the thread.
pub(super) fn start(
    mut setup: Setup,
    group: String,
    sender: Sender<Events>,
) -> Result<(), ClientError> {
    let mut config = client_config(&setup.settings, Role::Member);
    config.set("group.id", &group);
    if setup.spec.exact {
        // Offsets of open transactions are waited for, too.
        config.set("isolation.level", "read_committed");
    }
    let cluster = setup.discovery.current();
    let found = setup.topics(&cluster);
    if let Some(wait) = fetch_wait(&setup.settings, found.values().sum()) {
        config.set("fetch.wait.max.ms", wait);
    }
    let max_poll = max_poll_interval(config.get("max.poll.interval.ms"));
    let by_heartbeat = config.get("group.protocol") == Some("consumer");
    let membership = Membership {
        context: Context(setup.shared.clone()),
        group: group.clone(),
        prefix: setup.settings.topic_prefix.clone(),
        drain: setup.spec.drain.min(max_poll / 3),
        look_up: match setup.spec.exact {
            true => max_poll / 3,
            false => LOOK_UP.min(max_poll / 3),
        },
        exact: setup.spec.exact,
        requests: setup.requests.clone(),
        lookup: setup.lookup.clone(),
        resets: Arc::new(Resets::default()),
        queue: Mutex::default(),
        state: Mutex::new(State {
            places: Places::default(),
            ids: HashMap::new(),
            skip: setup.spec.skip.clone(),
            outbox: Outbox::new(sender),
            leaving: None,
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
    *consumer.context().queue.lock() = Some(queue);
    let mut of_pattern = found.clone();
    of_pattern.retain(|topic, _| !setup.spec.is_retry_topic(topic));
    start::settle(&consumer, &setup, &group, &of_pattern, &cluster)?;
    let mut member = Member {
        batch: Batch::new(BATCH_RECORDS),
        committing: Committing::new(answers),
        consumer,
        setup,
        topics: BTreeSet::new(),
        missing: BTreeSet::new(),
        part: Part::new(max_poll),
        look_at: Instant::now(),
        positions_at: Instant::now(),
        ahead: Ahead::new(),
        stalled: false,
        reported: BTreeSet::new(),
        reported_waiting: false,
        by_heartbeat,
    };
    thread::Builder::new()
        .name("kafkaesk-consumer".into())
        .spawn(move || {
            member.compare_ids(&cluster, &found);
            member.subscribe(&found);
            member.run();
        })
        .map_err(|e| crate::kafka::errors::other("starting a thread", Box::new(e)))?;
    Ok(())
}

impl Member {
    fn run(mut self) {
        loop {
            if let Some(close) = self.setup.requests.take_close() {
                return self.close(close);
            }
            if self.consumer.context().state.lock().outbox.is_closed() {
                return self.end();
            }
            self.follow_part();
            self.refresh_topics();
            self.serve_requests();
            self.tend();
            let room = self.consumer.context().state.lock().outbox.flush();
            self.restrain();
            let timeout = if room { Duration::ZERO } else { FULL };
            if let Some(error) = self.poll(timeout) {
                return self.fail(error);
            }
            if !self.consumer.context().state.lock().outbox.flush() {
                continue;
            }
            if let Some(error) = self.pop() {
                return self.fail(error);
            }
        }
    }

    /// Serves librdkafka's events: rebalances, commits, errors.
    fn poll(&mut self, timeout: Duration) -> Option<ClientError> {
        let failed = match self.consumer.poll(timeout)? {
            // The main queue yields a record only if the partition's queue could not be forwarded.
            Ok(message) => {
                let mut state = self.consumer.context().state.lock();
                let (pieces, _) = cut(
                    std::iter::once(Message::of(&message)),
                    self.setup.settings.max_message_bytes,
                    |topic, partition| state.places.source(topic, partition),
                );
                self.hand_over(&mut state, pieces);
                return None;
            }
            Err(error) => error,
        };
        self.classify_error(failed)
    }

    /// Bounds what is fetched ahead of the reader.
    fn restrain(&mut self) {
        let context = self.consumer.context();
        let queue = context.queue.lock();
        let State { places, outbox, .. } = &mut *context.state.lock();
        if let Some(queue) = queue.as_ref() {
            self.ahead.restrain(&self.consumer, queue, places, outbox);
        }
    }

    /// Pops a batch and hands it over; waits a little when there is none.
    fn pop(&mut self) -> Option<ClientError> {
        let filled = {
            let queue = self.consumer.context().queue.lock();
            let queue = queue.as_ref()?;
            self.batch.fill(queue, 0, self.ahead.most()) > 0
                || self.batch.fill(queue, IDLE_MS, 1) > 0
        };
        if !filled {
            self.apply_resets();
            return None;
        }
        let mut state = self.consumer.context().state.lock();
        let limit = self.setup.settings.max_message_bytes;
        let (pieces, sizes) = cut(self.batch.iter(), limit, |topic, partition| {
            state.places.source(topic, partition)
        });
        self.batch.clear();
        self.ahead.learn(sizes);
        let failures = self.hand_over(&mut state, pieces);
        state.outbox.flush();
        drop(state);
        failures
            .into_iter()
            .find_map(|failure| self.failed(&failure))
    }

    fn hand_over(&self, state: &mut State, pieces: Vec<Piece>) -> Vec<Failure> {
        let State {
            places,
            outbox,
            skip,
            ..
        } = state;
        let resets = &self.consumer.context().resets;
        let mut handover = Handover {
            places,
            outbox,
            resets,
            skip,
        };
        handover.pieces(pieces)
    }

    /// What an error in a record's place means: `Some` ends the stream.
    fn failed(&mut self, failure: &Failure) -> Option<ClientError> {
        match meaning(failure.code) {
            Meaning::End => None,
            Meaning::Passing => {
                tracing::debug!(?failure, "reading a partition");
                None
            }
            Meaning::Denied => denied(
                &self.setup,
                &mut self.reported,
                &self.consumer,
                failure.code,
                &failure.topic,
            ),
            Meaning::Unreadable(_) => {
                self.rest(failure);
                None
            }
        }
    }

    /// Fetches nothing of a partition that stands still until its next try.
    fn rest(&mut self, failure: &Failure) {
        self.stalled = true;
        let state = self.consumer.context().state.lock();
        let Some(place) = state.places.get(&failure.topic, failure.partition) else {
            return;
        };
        let (source, next) = (place.source.clone(), place.next.unwrap_or(failure.offset));
        drop(state);
        pauses::hold(&self.consumer, &source, next);
    }

    /// Periodic work: reported resets, the next try of unreadable records, positions that moved without a record.
    fn tend(&mut self) {
        let context = self.consumer.context();
        for settled in context.resets.settled(&self.setup.lookup) {
            let State { places, outbox, .. } = &mut *context.state.lock();
            handover::reset(places, outbox, settled);
        }
        let now = Instant::now();
        self.setup.requests.pulse.beat(now);
        if now < self.look_at {
            return;
        }
        self.look_at = now + LOOK;
        self.check_membership();
        if self.by_heartbeat {
            // Its epoch changes without a rebalance of its own.
            let member = self.consumer.group_metadata();
            self.setup.requests.own.set_member(member);
        }
        if self.stalled {
            let mut state = context.state.lock();
            let State { places, outbox, .. } = &mut *state;
            let due = handover::retried(places, outbox, now);
            self.stalled = state.places.iter_mut().any(|place| place.stall.is_some());
            drop(state);
            if !self.ahead.is_stopped() {
                pauses::resume(&self.consumer, &due);
            }
        }
        if now >= self.positions_at {
            self.look_at_positions();
            let ended = Instant::now();
            let rest = (ended - now).saturating_mul(LOOK_SHARE).min(LOOK_LATEST);
            self.positions_at = ended + rest.max(LOOK);
        }
    }

    /// Reports positions that moved without a record: the marks of transactions, aborted and deleted records.
    fn look_at_positions(&self) {
        let mut state = self.consumer.context().state.lock();
        if state.places.is_empty() {
            return;
        }
        let Ok(positions) = self.consumer.position() else {
            return;
        };
        let State { places, outbox, .. } = &mut *state;
        for element in positions.elements() {
            if let Offset::Offset(next) = element.offset()
                && let Some(place) = places.get_mut(element.topic(), element.partition())
            {
                handover::position(place, outbox, next);
            }
        }
    }

    /// An assignment says that the member has joined. What it does not say is checked here: that the membership is over, and,
    /// with KIP-848, that the group has no partition for it.
    fn check_membership(&self) {
        let pulse = &self.setup.requests.pulse;
        let in_group = native::is_in_group(&self.consumer);
        if self.part.is_apart() {
            return pulse.set_joined(false);
        }
        if !self.is_subscribed() || (in_group && self.by_heartbeat) {
            pulse.set_joined(true);
        } else if !in_group {
            pulse.set_joined(false);
        }
    }

    /// Everything fetched was handed over: a reset's offset is the position.
    fn apply_resets(&self) {
        let State { places, outbox, .. } = &mut *self.consumer.context().state.lock();
        for (source, next) in places.take_resets() {
            if let Some(place) = places.of(&source) {
                handover::position(place, outbox, next);
            }
        }
    }

    /// What an error means: `Some` ends the stream.
    fn classify_error(&mut self, error: KafkaError) -> Option<ClientError> {
        let group = &self.consumer.context().group;
        let action = format!("consuming as group {group}");
        let doing = Operation {
            group: Some(group),
            ..Operation::cluster(&action)
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
                    &mut self.reported,
                    &self.consumer,
                    RDKafkaErrorCode::TopicAuthorizationFailed,
                    &topic,
                )
            }
            (_, Some(RDKafkaErrorCode::PollExceeded)) => {
                if let Some(count) = repeats::said("away", group) {
                    tracing::warn!(
                        group,
                        count,
                        "the consumer was away for longer than max.poll.interval.ms and left the group; it joins again"
                    );
                }
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

    /// Whether it asks to be a member: some topic matches.
    pub(super) fn is_subscribed(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Subscribes again when the matching topics have changed.
    fn refresh_topics(&mut self) {
        if self.part.is_apart() {
            return;
        }
        if let Some(cluster) = self.setup.discovery.news() {
            let found = self.setup.topics(&cluster);
            self.compare_ids(&cluster, &found);
            self.subscribe(&found);
        }
    }

    pub(super) fn subscribe(&mut self, found: &HashMap<String, u32>) {
        let of_pattern = found
            .keys()
            .any(|topic| !self.setup.spec.is_retry_topic(topic));
        if !of_pattern && !self.reported_waiting {
            self.reported_waiting = true;
            let warning = format!(
                "no stream matches {:?} yet (topic prefix {:?}); waiting for one",
                self.setup.spec.pattern.as_str(),
                self.setup.settings.topic_prefix.as_str(),
            );
            self.consumer
                .context()
                .state
                .lock()
                .outbox
                .push(ConsumerEvent::Warning(warning));
        }
        let mut topics: BTreeSet<String> = found.keys().cloned().collect();
        // A single answer may come from a broker with older metadata; two in a row mean a deletion.
        let absent: BTreeSet<String> = self.topics.difference(&topics).cloned().collect();
        for topic in absent.difference(&self.missing) {
            topics.insert(topic.clone());
        }
        self.missing = absent;
        if topics == self.topics {
            return;
        }
        for topic in self.topics.difference(&topics) {
            let warning = format!(
                "topic {topic} is gone: it was deleted, or may not be read any more; its partitions are given up"
            );
            self.consumer
                .context()
                .state
                .lock()
                .outbox
                .push(ConsumerEvent::Warning(warning));
        }
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        if names.is_empty() {
            self.consumer.unsubscribe();
        } else if let Err(error) = self.consumer.subscribe(&names) {
            let group = &self.consumer.context().group;
            if let Some(count) = repeats::said("subscribe", group) {
                tracing::warn!(group, %error, count, "subscribing failed; it is tried again at the next look");
            }
            return;
        }
        tracing::debug!(group = self.consumer.context().group, topics = ?names, "subscribed");
        self.topics = topics;
    }

    fn serve_requests(&mut self) {
        self.committing.hear(&self.consumer);
        let (commits, acks) = self.setup.requests.take_commits();
        if self.committing.is_due() || !commits.is_empty() {
            self.committing.send(&self.consumer, commits, acks);
        }
        let asked = self.setup.requests.take_pauses();
        let State { places, .. } = &mut *self.consumer.context().state.lock();
        let stopped = self.ahead.is_stopped();
        pauses::apply(&self.consumer, places, asked, stopped, false);
    }
}

/// A denied topic ends a subscription to that one stream; among other streams it is reported once.
fn denied(
    setup: &Setup,
    reported: &mut BTreeSet<String>,
    consumer: &BaseConsumer<Membership>,
    code: RDKafkaErrorCode,
    topic: &str,
) -> Option<ClientError> {
    if is_passing(code) {
        return None;
    }
    let action = format!("reading {topic}");
    let error = code_error(code, Operation::topic(&action, "Read", topic));
    let exact =
        !setup.spec.pattern.as_str().contains(['*', '?', '[']) && !setup.spec.is_retry_topic(topic);
    if exact && matches!(error, ClientError::Unauthorized { .. }) {
        return Some(error);
    }
    if reported.insert(topic.to_owned()) {
        consumer
            .context()
            .state
            .lock()
            .outbox
            .push(ConsumerEvent::Warning(error.to_string()));
    }
    None
}
