//! Group: decides which member of a consumer group owns which partition, from joins, leaves and commits. Pure;
//! partitions change hands only after their owner released them.

use std::collections::{BTreeMap, BTreeSet};

use kafkaesk_core::{Completions, NextOffset, TopicPrefix};

use super::{
    assign::{MemberId, assign},
    store::{Store, TopicPartition},
};
use crate::consumer::{Commits, ConsumerSpec, Start};

/// Which topics a consumer reads.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) prefix: TopicPrefix,
    pub(super) spec: ConsumerSpec,
}

impl Wanted {
    pub(super) fn takes(&self, topic: &str) -> bool {
        self.spec.takes(&self.prefix, topic)
    }

    /// Where reading of one partition starts when nothing is committed.
    pub(super) fn first_offset(
        store: &Store,
        (topic, partition): &TopicPartition,
        start: Start,
        now: i64,
    ) -> i64 {
        match start {
            Start::Earliest => 0,
            Start::Latest => store.end(topic, *partition),
            Start::Back(back) => {
                let back = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
                store.offset_at(topic, *partition, now.saturating_sub(back))
            }
        }
    }
}

/// One group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The next offset of each partition, as committed.
    pub(super) committed: BTreeMap<TopicPartition, i64>,
    /// The text beside each committed offset.
    metadata: BTreeMap<TopicPartition, String>,
    /// The current owner of a partition; it must release the partition before another member gets it.
    pub(super) owners: BTreeMap<TopicPartition, MemberId>,
    /// Counts the rebalances.
    pub(super) generation: u64,
    members: BTreeMap<MemberId, Wanted>,
    /// Members that take no part for now: nothing is assigned to them.
    apart: BTreeSet<MemberId>,
    /// Who should read a partition.
    target: BTreeMap<TopicPartition, MemberId>,
    /// Partitions that their owner reads no further for now.
    paused: BTreeSet<TopicPartition>,
    /// Taken away without asking, and not reported yet.
    lost: BTreeMap<MemberId, Vec<TopicPartition>>,
}

impl Group {
    /// A new member. A group that has nothing committed of what this member wants is at its first start: where it
    /// starts is then committed at once, so that `latest` means one moment for all of its members and restarts.
    pub(super) fn join(
        &mut self,
        member: MemberId,
        wanted: Wanted,
        start: Start,
        store: &Store,
        now: i64,
    ) {
        let partitions =
            store.partitions(|topic| wanted.takes(topic) && !wanted.spec.is_retry_topic(topic));
        let known = partitions.iter().any(|p| self.committed.contains_key(p))
            || self
                .members
                .values()
                .any(|m| m.spec.pattern == wanted.spec.pattern);
        if !known && start != Start::Earliest {
            for partition in partitions {
                let offset = Wanted::first_offset(store, &partition, start, now);
                self.committed.insert(partition, offset);
            }
        }
        self.members.insert(member, wanted);
        self.rebalance(store);
    }

    /// A member leaves; its partitions are free.
    pub(super) fn leave(&mut self, member: MemberId, store: &Store) {
        if self.members.remove(&member).is_some() {
            self.owners.retain(|_, owner| *owner != member);
            self.lost.remove(&member);
            self.apart.remove(&member);
            self.rebalance(store);
        }
    }

    /// A member gives its partitions up for a while, or wants them again.
    pub(super) fn take_part(&mut self, member: MemberId, takes_part: bool, store: &Store) {
        let changed = match takes_part {
            true => self.apart.remove(&member),
            false => self.is_member(member) && self.apart.insert(member),
        };
        if changed {
            self.rebalance(store);
        }
    }

    /// Whether it is a member to which partitions are assigned.
    pub(super) fn takes_part(&self, member: MemberId) -> bool {
        self.is_member(member) && !self.apart.contains(&member)
    }

    /// Its members, as a person finds them.
    pub(super) fn member_names(&self) -> Vec<String> {
        let members = self.members.keys().filter(|it| self.takes_part(**it));
        members.map(|member| format!("member {member}")).collect()
    }

    pub(super) fn is_member(&self, member: MemberId) -> bool {
        self.members.contains_key(&member)
    }

    /// Decides again who should read what, after members or topics changed.
    pub(super) fn rebalance(&mut self, store: &Store) {
        let wanted: BTreeMap<MemberId, BTreeSet<TopicPartition>> = self
            .members
            .iter()
            .filter(|(member, _)| self.takes_part(**member))
            .map(|(member, wanted)| (*member, store.partitions(|topic| wanted.takes(topic))))
            .collect();
        let target = assign(&wanted, &self.target);
        if target != self.target {
            self.target = target;
            self.generation += 1;
        }
    }

    /// What a member owns but should give up.
    pub(super) fn to_revoke(&self, member: MemberId) -> Vec<TopicPartition> {
        self.owners
            .iter()
            .filter(|(partition, owner)| {
                **owner == member && self.target.get(*partition) != Some(&member)
            })
            .map(|(partition, _)| partition.clone())
            .collect()
    }

    /// Gives a member the free partitions that it should read.
    pub(super) fn claim(&mut self, member: MemberId) -> Vec<TopicPartition> {
        let free: Vec<TopicPartition> = self
            .target
            .iter()
            .filter(|(partition, to)| **to == member && !self.owners.contains_key(*partition))
            .map(|(partition, _)| partition.clone())
            .collect();
        for partition in &free {
            self.owners.insert(partition.clone(), member);
            self.paused.remove(partition);
        }
        free
    }

    /// A member lets partitions go.
    pub(super) fn release(&mut self, member: MemberId, partitions: &[TopicPartition]) {
        for partition in partitions {
            if self.owners.get(partition) == Some(&member) {
                self.owners.remove(partition);
            }
        }
    }

    /// Whether the member owns all of these partitions.
    pub(super) fn owns(&self, member: MemberId, commits: &Commits) -> bool {
        commits.iter().all(|(source, _)| {
            let partition = (source.topic.as_str().to_owned(), source.partition);
            self.owners.get(&partition) == Some(&member)
        })
    }

    /// Commits what the member owns, and says of each whether it does; an offset of another's partition changes nothing.
    pub(super) fn commit(
        &mut self,
        member: MemberId,
        commits: &Commits,
        store: &Store,
    ) -> Vec<bool> {
        let mut owned = Vec::with_capacity(commits.len());
        for (source, position) in commits {
            let partition = (source.topic.as_str().to_owned(), source.partition);
            let is_owned = self.owners.get(&partition) == Some(&member);
            owned.push(is_owned);
            if is_owned {
                let id = store
                    .topics
                    .get(&partition.0)
                    .map(|topic| topic.id.to_string());
                let text = id.map(|id| position.finished.write(&id, position.next));
                self.metadata
                    .insert(partition.clone(), text.unwrap_or_default());
                self.committed.insert(partition, position.next.0);
            }
        }
        owned
    }

    /// What is finished beyond the committed offset of a partition, as far as its commit says.
    pub(super) fn finished(
        &self,
        partition: &TopicPartition,
        store: &Store,
    ) -> Option<Completions> {
        let id = store.topics.get(&partition.0)?.id.to_string();
        let next = NextOffset(*self.committed.get(partition)?);
        let finished = Completions::read(self.metadata.get(partition)?, &id, next)?;
        (store.end(&partition.0, partition.1) >= finished.end().0).then_some(finished)
    }

    /// Stops or resumes reading of what the member owns; another's partition is ignored.
    pub(super) fn set_paused(&mut self, member: MemberId, partition: TopicPartition, paused: bool) {
        if self.owners.get(&partition) != Some(&member) {
            return;
        }
        if paused {
            self.paused.insert(partition);
        } else {
            self.paused.remove(&partition);
        }
    }

    pub(super) fn is_paused(&self, partition: &TopicPartition) -> bool {
        self.paused.contains(partition)
    }

    /// Takes all partitions from all members without asking, as an expired session does.
    pub(super) fn lose(&mut self) {
        for (partition, member) in std::mem::take(&mut self.owners) {
            self.lost.entry(member).or_default().push(partition);
        }
        self.generation += 1;
    }

    /// A topic is deleted: its committed offsets are dropped, and its partitions are lost.
    pub(super) fn topic_deleted(&mut self, topic: &str) {
        self.committed.retain(|(name, _), _| name != topic);
        self.target.retain(|(name, _), _| name != topic);
        let (gone, kept) = std::mem::take(&mut self.owners)
            .into_iter()
            .partition(|((name, _), _)| name == topic);
        self.owners = kept;
        let gone: BTreeMap<TopicPartition, MemberId> = gone;
        for (partition, member) in gone {
            self.lost.entry(member).or_default().push(partition);
        }
        self.generation += 1;
    }

    /// What was taken from a member since it last asked.
    pub(super) fn take_lost(&mut self, member: MemberId) -> Vec<TopicPartition> {
        self.lost.remove(&member).unwrap_or_default()
    }

    /// Where a partition goes on.
    pub(super) fn position(&self, partition: &TopicPartition) -> i64 {
        self.committed.get(partition).copied().unwrap_or(0)
    }

    /// The partitions that some member should read.
    pub(super) fn assigned(&self) -> impl Iterator<Item = &TopicPartition> {
        self.target.keys()
    }
}
