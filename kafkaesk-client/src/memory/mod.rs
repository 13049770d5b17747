//! A broker in memory, for tests: the same seam, order and rebalances as Kafka, no Kafka.
//!
//! Records go in by [`Broker::send`], [`Broker::append_log`] or [`MemoryBroker::append_raw`] and come out of
//! consumers in the order of their partition. Everything is decided at once and nothing sleeps, so tests may run on
//! tokio's paused clock; only a revoke's `drain` waits, in that clock. It keeps nothing beyond its own life, at most
//! 512 MiB of records, and one broker only (replication factor 1).

mod assign;
mod broker;
mod fetch;
mod group;
mod inspect;
mod member;
mod reader;
mod store;
#[cfg(test)]
mod tests;
mod transaction;

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use kafkaesk_core::TopicPrefix;
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::watch, time::Instant};

use self::{
    assign::MemberId,
    group::{Group, Wanted},
    store::Store,
};
#[cfg(doc)]
use crate::broker::Broker;
use crate::consumer::ConsumerEvent;

/// A broker in memory. Cheap to clone; clones are the same broker.
#[derive(Clone, Debug)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
    prefix: TopicPrefix,
}

impl MemoryBroker {
    /// An empty one, for connections without a topic prefix.
    pub fn new() -> Self {
        Self::with_prefix(TopicPrefix::default())
    }

    /// An empty one, for connections with this topic prefix.
    pub fn with_prefix(prefix: TopicPrefix) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                changed: watch::Sender::default(),
                epoch: unix_millis(),
                started: Instant::now(),
            }),
            prefix,
        }
    }

    /// The same broker as a connection with another topic prefix sees it.
    pub fn seen_with(&self, prefix: TopicPrefix) -> Self {
        Self {
            shared: self.shared.clone(),
            prefix,
        }
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

/// What all handles and consumers of one broker share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts the changes of `state`; consumers and [`MemoryBroker::changed`] wait on it.
    changed: watch::Sender<u64>,
    /// Milliseconds since the Unix epoch at `started`.
    epoch: i64,
    /// Timestamps move with tokio's clock, so that virtual time is seen in them.
    started: Instant,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    groups: BTreeMap<String, Group>,
    /// The next member's number.
    next_member: MemberId,
    /// The epoch of each transactional id: how often it was taken over.
    transactional: BTreeMap<String, u64>,
    /// The next commit of a transaction ends without an answer; whether it is written.
    doubt: Option<bool>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Changes the state and wakes everyone that waits for a change.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let answer = change(&mut self.state());
        self.changed.send_modify(|count| *count += 1);
        answer
    }

    /// Milliseconds since the Unix epoch.
    fn now(&self) -> i64 {
        let since = self.started.elapsed().as_millis();
        self.epoch
            .saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }
}

fn unix_millis() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

fn nothing_matches(wanted: &Wanted) -> ConsumerEvent {
    ConsumerEvent::Warning(format!(
        "no stream matches {:?} yet (topic prefix {:?}); waiting for one",
        wanted.spec.wanted(),
        wanted.prefix.as_str()
    ))
}
