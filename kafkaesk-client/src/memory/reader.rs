//! A reader without a group: reads every partition of the pattern. Commits nothing, leaves nothing behind.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use kafkaesk_core::Source;
use tokio::sync::{mpsc, watch};

use super::{
    Shared,
    fetch::{self, Fetch, Reading},
    group::Wanted,
    store::{Store, TopicPartition},
};
use crate::{
    ClientError,
    broker::BoxFuture,
    consumer::{
        CommitResults, Commits, ConsumerControl, ConsumerEvent, Events, NotCommitted, Start,
        created_again,
    },
};

/// What a reader was asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    closed: bool,
    paused: BTreeSet<TopicPartition>,
}

/// The reader's other side.
#[derive(Debug)]
pub(super) struct ReaderControl(pub(super) watch::Sender<Asked>);

impl ConsumerControl for ReaderControl {
    fn commit(&self, _: Commits) {}

    fn commit_acknowledged(&self, commits: Commits) -> BoxFuture<'static, CommitResults> {
        let none = commits.iter().map(|_| Err(NotCommitted::NotAssigned));
        Box::pin(std::future::ready(none.collect()))
    }

    fn pause(&self, sources: &[Arc<Source>]) {
        self.0
            .send_modify(|asked| asked.paused.extend(sources.iter().map(|s| fetch::key(s))));
    }

    fn resume(&self, sources: &[Arc<Source>]) {
        self.0.send_modify(|asked| {
            for source in sources {
                asked.paused.remove(&fetch::key(source));
            }
        });
    }

    fn take_part(&self, _: bool) {}

    fn silent_for(&self) -> Duration {
        Duration::ZERO
    }

    fn is_joined(&self) -> bool {
        !self.0.borrow().closed
    }

    fn close_within(&self, _: Commits, _: Duration) -> BoxFuture<'_, Result<(), ClientError>> {
        self.0.send_modify(|asked| asked.closed = true);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The reader's task.
#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
    wanted: Wanted,
    events: mpsc::Sender<Events>,
    changes: watch::Receiver<u64>,
    asked: watch::Receiver<Asked>,
    fetch: Fetch,
    known: BTreeSet<TopicPartition>,
    /// The state of the broker for which its partitions are right: they are not looked at again for each record.
    settled: Option<u64>,
    /// The ids of the topics that are read.
    ids: BTreeMap<String, u64>,
    /// Events before any record: the first assignment, and the ends that are reached already.
    first: VecDeque<ConsumerEvent>,
}

impl Reader {
    /// Takes the partitions that there are, and their ends, at once.
    pub(super) fn new(
        shared: Arc<Shared>,
        wanted: Wanted,
        start: Start,
        events: mpsc::Sender<Events>,
        asked: watch::Receiver<Asked>,
    ) -> Self {
        let changes = shared.changed.subscribe();
        let now = shared.now();
        let mut reader = Self {
            wanted,
            events,
            changes,
            asked,
            fetch: Fetch::default(),
            known: BTreeSet::new(),
            settled: None,
            ids: BTreeMap::new(),
            first: VecDeque::new(),
            shared: shared.clone(),
        };
        let state = shared.state();
        let from = reader.wanted.spec.first_offset();
        let assigned = reader.take_new(&state.store, |store, partition| {
            let position = match from {
                Some(from) => from.0,
                None => Wanted::first_offset(store, partition, start, now),
            };
            (position, Some(store.end(&partition.0, partition.1)))
        });
        let nothing = assigned.is_empty();
        reader.first.push_back(ConsumerEvent::Assigned(assigned));
        if nothing {
            reader
                .first
                .push_back(super::nothing_matches(&reader.wanted));
        }
        reader
    }

    pub(super) async fn run(mut self) {
        loop {
            let version = *self.changes.borrow_and_update();
            if self.asked.borrow_and_update().closed {
                return;
            }
            let events = self.events.clone();
            let permit = tokio::select! {
                biased;
                changed = self.asked.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                permit = events.reserve() => match permit {
                    Ok(permit) => permit,
                    Err(_) => return,
                },
            };
            if let Some(event) = self.next(version) {
                permit.send(Events::from([event]));
                continue;
            }
            drop(permit);
            tokio::select! {
                biased;
                changed = self.asked.changed() => if changed.is_err() { return },
                () = events.closed() => return,
                changed = self.changes.changed() => if changed.is_err() { return },
            }
        }
    }

    /// The next event, if there is something to say. `version`: of the broker, as it was before.
    fn next(&mut self, version: u64) -> Option<ConsumerEvent> {
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        let ended = |reading: &&mut Reading| reading.stop.is_some_and(|s| reading.position >= s);
        if let Some(reading) = self.fetch.readings.iter_mut().find(ended) {
            reading.stop = None;
            return Some(ConsumerEvent::End(reading.source.clone()));
        }
        let shared = self.shared.clone();
        let state = shared.state();
        let is_settled = self.settled == Some(version);
        let wanted = self.wanted.clone();
        if !is_settled
            && let Some(topic) =
                fetch::created_again(&mut self.ids, &state.store, |topic| wanted.takes(topic))
        {
            self.first
                .push_back(ConsumerEvent::Warning(created_again(&topic)));
            let of_topic = |(name, _): &&TopicPartition| *name == topic;
            let gone: Vec<TopicPartition> = self.known.iter().filter(of_topic).cloned().collect();
            self.known.retain(|(name, _)| *name != topic);
            return Some(ConsumerEvent::Lost(self.fetch.remove(&gone)));
        }
        if !is_settled {
            let assigned = self.take_new(&state.store, |_, _| (0, None));
            if !assigned.is_empty() {
                return Some(ConsumerEvent::Assigned(assigned));
            }
            self.settled = Some(version);
        }
        let asked = self.asked.borrow();
        self.fetch
            .next(&state.store, |partition| asked.paused.contains(partition))
    }

    /// Begins to read further partitions; `from` gives the start, and the end to report.
    fn take_new(
        &mut self,
        store: &Store,
        from: impl Fn(&Store, &TopicPartition) -> (i64, Option<i64>),
    ) -> Vec<Arc<Source>> {
        let mut assigned = Vec::new();
        for partition in store.partitions(|topic| self.wanted.takes(topic)) {
            if !self.wanted.spec.takes_partition(partition.1) {
                continue;
            }
            let Some(source) = fetch::source(&self.wanted.prefix, &partition).map(Arc::new) else {
                continue;
            };
            if !self.known.insert(partition.clone()) {
                continue;
            }
            let (position, stop) = from(store, &partition);
            assigned.push(source.clone());
            self.fetch.readings.push(Reading {
                source,
                position,
                stop,
            });
        }
        assigned
    }
}
