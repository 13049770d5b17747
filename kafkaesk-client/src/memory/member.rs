//! A group member: makes one ordered stream of events from the group's decisions and its partitions' records.
//!
//! One task each, and it never sleeps: it waits for room in its channel, for a change of the broker, or for its end.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use kafkaesk_core::{RecordPlace, Source};
use tokio::sync::{mpsc, watch};

use super::{
    Shared,
    assign::MemberId,
    fetch::{self, Fetch, Reading},
    group::Wanted,
    store::TopicPartition,
    transaction::MemoryOffsets,
};
use crate::{
    ClientError,
    broker::BoxFuture,
    consumer::{
        CommitResults, Commits, ConsumerControl, ConsumerEvent, Events, NotCommitted, RevokeAck,
        created_again,
    },
    transaction::MemberOffsets,
};

/// One member's place in its group.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) shared: Arc<Shared>,
    pub(super) group: String,
    pub(super) member: MemberId,
}

impl Membership {
    fn is_member(&self) -> bool {
        let state = self.shared.state();
        let group = state.groups.get(&self.group);
        group.is_some_and(|group| group.is_member(self.member))
    }

    /// Resolves once it is not a member any more.
    async fn left(&self, mut changes: watch::Receiver<u64>) {
        while self.is_member() && changes.changed().await.is_ok() {}
    }

    fn leave(&self, commits: &Commits) {
        self.shared.change(|state| {
            if let Some(group) = state.groups.get_mut(&self.group) {
                group.commit(self.member, commits, &state.store);
                group.leave(self.member, &state.store);
            }
        });
    }
}

/// The member's other side.
#[derive(Debug)]
pub(super) struct MemberControl(pub(super) Arc<Membership>);

impl MemberControl {
    fn set_paused(&self, sources: &[Arc<Source>], paused: bool) {
        self.0.shared.change(|state| {
            if let Some(group) = state.groups.get_mut(&self.0.group) {
                for source in sources {
                    group.set_paused(self.0.member, fetch::key(source), paused);
                }
            }
        });
    }
}

impl ConsumerControl for MemberControl {
    fn commit(&self, commits: Commits) {
        self.0.shared.change(|state| {
            if let Some(group) = state.groups.get_mut(&self.0.group) {
                group.commit(self.0.member, &commits, &state.store);
            }
        });
    }

    fn commit_acknowledged(&self, commits: Commits) -> BoxFuture<'static, CommitResults> {
        let owned = self.0.shared.change(|state| {
            let group = state.groups.get_mut(&self.0.group);
            group.map(|group| group.commit(self.0.member, &commits, &state.store))
        });
        let owned = owned.unwrap_or_else(|| vec![false; commits.len()]);
        let result = |is_owned| match is_owned {
            true => Ok(()),
            false => Err(NotCommitted::NotAssigned),
        };
        let results = owned.into_iter().map(result).collect();
        Box::pin(std::future::ready(results))
    }

    fn offsets(&self, commits: &Commits) -> Option<MemberOffsets> {
        let offsets = MemoryOffsets {
            group: self.0.group.clone(),
            member: self.0.member,
            commits: commits.clone(),
        };
        let own = offsets.are_its_own(&self.0.shared.state());
        own.then(|| MemberOffsets::new(&self.0.group, true, offsets))
    }

    fn pause(&self, sources: &[Arc<Source>]) {
        self.set_paused(sources, true);
    }

    fn resume(&self, sources: &[Arc<Source>]) {
        self.set_paused(sources, false);
    }

    fn take_part(&self, takes_part: bool) {
        self.0.shared.change(|state| {
            if let Some(group) = state.groups.get_mut(&self.0.group) {
                group.take_part(self.0.member, takes_part, &state.store);
            }
        });
    }

    fn silent_for(&self) -> Duration {
        Duration::ZERO
    }

    /// Joining needs no rebalance here: the group knows a member at once.
    fn is_joined(&self) -> bool {
        let state = self.0.shared.state();
        let group = state.groups.get(&self.0.group);
        group.is_some_and(|group| group.takes_part(self.0.member))
    }

    fn close_within(
        &self,
        commits: Commits,
        _: Duration,
    ) -> BoxFuture<'_, Result<(), ClientError>> {
        self.0.leave(&commits);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The member's task.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) membership: Arc<Membership>,
    pub(super) wanted: Wanted,
    pub(super) drain: Duration,
    pub(super) events: mpsc::Sender<Events>,
    pub(super) changes: watch::Receiver<u64>,
    pub(super) fetch: Fetch,
    /// Gone, and the reader does not know yet.
    pub(super) lost: Vec<Arc<Source>>,
    /// The ids of the topics that were read.
    pub(super) ids: BTreeMap<String, u64>,
    /// Records to pass over, until their partition is first read.
    pub(super) skip: Vec<RecordPlace>,
    /// Said after an assignment, before any record.
    pub(super) first: VecDeque<ConsumerEvent>,
    /// Nothing has matched the pattern so far, and that was said.
    pub(super) warned: bool,
    /// The state of the broker for which its partitions are right: they are not looked at again for each record.
    pub(super) settled: Option<u64>,
}

/// Why the member's loop woke up.
enum Woken<'a> {
    Room(mpsc::Permit<'a, Events>),
    Changed,
    Ended,
}

impl Member {
    pub(super) async fn run(mut self) {
        loop {
            let version = *self.changes.borrow_and_update();
            if !self.membership.is_member() {
                return;
            }
            if self.settled != Some(version) {
                self.take_lost();
                let going = self.to_revoke();
                if !going.is_empty() {
                    self.revoke(going).await;
                    continue;
                }
            }
            let events = self.events.clone();
            let permit = match self.woken(&events).await {
                Woken::Room(permit) => permit,
                Woken::Changed => continue,
                Woken::Ended => return,
            };
            if let Some(event) = self.next(version) {
                permit.send(Events::from([event]));
                continue;
            }
            drop(permit);
            tokio::select! {
                biased;
                () = events.closed() => return,
                changed = self.changes.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Waits for room for one event; a change of the broker comes first, since it may be a revoke.
    async fn woken<'a>(&mut self, events: &'a mpsc::Sender<Events>) -> Woken<'a> {
        tokio::select! {
            biased;
            () = events.closed() => Woken::Ended,
            permit = events.reserve() => permit.map_or(Woken::Ended, Woken::Room),
            changed = self.changes.changed() => changed.map_or(Woken::Ended, |()| Woken::Changed),
        }
    }

    fn to_revoke(&self) -> Vec<TopicPartition> {
        self.in_group(|group, member| group.to_revoke(member))
    }

    fn take_lost(&mut self) {
        let lost = self.in_group(|group, member| group.take_lost(member));
        let sources = self.fetch.remove(&lost);
        self.lost.extend(sources);
    }

    /// Asks the reader to let go, at most for `drain`, commits its answer and releases.
    async fn revoke(&mut self, partitions: Vec<TopicPartition>) {
        let sources = self.fetch.remove(&partitions);
        let (ack, answer) = RevokeAck::new(std::time::Instant::now() + self.drain);
        let mut sent = false;
        let asked = async {
            let Ok(permit) = self.events.reserve().await else {
                return Commits::new();
            };
            let revoked = ConsumerEvent::Revoked(sources.clone(), ack);
            permit.send(Events::from([revoked]));
            sent = true;
            answer.await.unwrap_or_default()
        };
        let membership = self.membership.clone();
        let left = membership.left(self.changes.clone());
        let commits = tokio::select! {
            biased;
            answer = tokio::time::timeout(self.drain, asked) => answer.unwrap_or_default(),
            () = left => return,
        };
        if !sent {
            self.lost.extend(sources);
        }
        self.membership.shared.change(|state| {
            if let Some(group) = state.groups.get_mut(&self.membership.group) {
                group.commit(self.membership.member, &commits, &state.store);
                group.release(self.membership.member, &partitions);
            }
        });
    }

    /// The next event, if there is something to say. `version`: of the broker, as it was before.
    fn next(&mut self, version: u64) -> Option<ConsumerEvent> {
        if !self.lost.is_empty() {
            return Some(ConsumerEvent::Lost(std::mem::take(&mut self.lost)));
        }
        let shared = self.membership.shared.clone();
        let mut state = shared.state();
        let state = &mut *state;
        let group = state.groups.get_mut(&self.membership.group)?;
        let is_settled = self.settled == Some(version);
        if !is_settled
            && let Some(topic) = fetch::created_again(&mut self.ids, &state.store, |topic| {
                self.wanted.takes(topic)
            })
        {
            return Some(ConsumerEvent::Warning(created_again(&topic)));
        }
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        let mut assigned = Vec::new();
        let free = match is_settled {
            true => Vec::new(),
            false => group.claim(self.membership.member),
        };
        for partition in free {
            let Some(source) = fetch::source(&self.wanted.prefix, &partition).map(Arc::new) else {
                continue;
            };
            assigned.push(source.clone());
            if let Some(finished) = group.finished(&partition, &state.store) {
                self.first
                    .push_back(ConsumerEvent::Finished(source.clone(), finished));
            }
            let mut reading = Reading {
                source,
                position: group.position(&partition),
                stop: None,
            };
            self.first
                .extend(reading.pass_over(&mut self.skip, &state.store));
            self.fetch.readings.push(reading);
        }
        if !assigned.is_empty() {
            return Some(ConsumerEvent::Assigned(assigned));
        }
        self.settled = Some(version);
        if let Some(event) = self.fetch.next(&state.store, |p| group.is_paused(p)) {
            return Some(event);
        }
        if !self.warned && !state.store.topics.keys().any(|t| self.wanted.takes(t)) {
            self.warned = true;
            return Some(super::nothing_matches(&self.wanted));
        }
        None
    }

    fn in_group<T: Default>(&self, ask: impl FnOnce(&mut super::Group, MemberId) -> T) -> T {
        let mut state = self.membership.shared.state();
        state
            .groups
            .get_mut(&self.membership.group)
            .map(|group| ask(group, self.membership.member))
            .unwrap_or_default()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.membership.leave(&Commits::new());
    }
}
