//! What a test may look at and do beyond the `Broker` seam: records, offsets, groups, raw appends, lost sessions.

use std::sync::Arc;

use bytes::Bytes;
use kafkaesk_core::{Headers, NextOffset, Offset, Record, TopicName};

use super::{MemoryBroker, broker::receipt, fetch};
use crate::{ClientError, Receipt};

impl MemoryBroker {
    /// All records of a stream's topic, oldest first as they were appended. Empty for an absent topic, and for
    /// topics that carry no stream of this prefix (read those by `Broker::read_log`).
    pub fn records(&self, topic: &str) -> Vec<Record> {
        self.records_where(|name| name == topic, 0).0
    }

    /// All records of all streams of this prefix, oldest first as they were appended.
    pub fn all_records(&self) -> Vec<Record> {
        self.records_where(|_| true, 0).0
    }

    /// The same, of those that were appended since an earlier call: that call's second value says where to go on, and 0
    /// is the beginning.
    pub fn records_since(&self, sequence: u64) -> (Vec<Record>, u64) {
        self.records_where(|_| true, sequence)
    }

    fn records_where(&self, wanted: impl Fn(&str) -> bool, since: u64) -> (Vec<Record>, u64) {
        let state = self.shared.state();
        let mut records = Vec::new();
        for (name, topic) in &state.store.topics {
            if !wanted(name) {
                continue;
            }
            for (log, partition) in topic.partitions.iter().zip(0..) {
                let Some(source) = fetch::source(&self.prefix, &(name.clone(), partition)) else {
                    continue;
                };
                let source = Arc::new(source);
                for (offset, stored) in log.since(since) {
                    records.push((stored.sequence, fetch::record(&source, offset, stored)));
                }
            }
        }
        records.sort_by_key(|(sequence, _)| *sequence);
        let next = records
            .last()
            .map_or(since, |(sequence, _)| (sequence + 1).max(since));
        let records = records.into_iter().map(|(_, record)| record);
        (records.collect(), next)
    }

    /// What a group committed for a partition.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<NextOffset> {
        let state = self.shared.state();
        let committed = &state.groups.get(group)?.committed;
        committed
            .get(&(topic.to_owned(), partition))
            .map(|next| NextOffset(*next))
    }

    /// How many records of its members' partitions a group has not committed; 0 for a group without members.
    pub fn lag(&self, group: &str) -> u64 {
        let state = self.shared.state();
        let Some(found) = state.groups.get(group) else {
            return 0;
        };
        found
            .assigned()
            .map(|partition| {
                let end = state.store.end(&partition.0, partition.1);
                u64::try_from(end - found.position(partition)).unwrap_or(0)
            })
            .sum()
    }

    /// The groups that ever had a member.
    pub fn groups(&self) -> Vec<String> {
        self.shared.state().groups.keys().cloned().collect()
    }

    /// How often a group's assignment changed.
    pub fn generation(&self, group: &str) -> u64 {
        let state = self.shared.state();
        state.groups.get(group).map_or(0, |found| found.generation)
    }

    /// Appends bytes as they are: no envelope, no check, null value allowed. The partition is chosen by key.
    ///
    /// # Errors
    /// [`ClientError::NotDelivered`] for an absent topic, [`ClientError::TooLarge`].
    pub fn append_raw(
        &self,
        topic: &TopicName,
        key: Option<Bytes>,
        value: Option<Bytes>,
        headers: Headers,
    ) -> Result<Receipt, ClientError> {
        let at = self.append(topic, None, key, value, headers, None)?;
        Ok(receipt(topic.clone(), at))
    }

    /// Deletes a topic, its records and what groups committed for it, as Kafka does; whether it was there. Its partitions
    /// are lost to their readers.
    pub fn delete_topic(&self, topic: &str) -> bool {
        self.shared.change(|state| {
            let deleted = state.store.delete(topic);
            for group in state.groups.values_mut() {
                group.topic_deleted(topic);
                group.rebalance(&state.store);
            }
            deleted
        })
    }

    /// Adds partitions to a topic until it has so many.
    pub fn add_partitions(&self, topic: &str, partitions: u32) {
        self.shared.change(|state| {
            state.store.grow(topic, partitions);
            for group in state.groups.values_mut() {
                group.rebalance(&state.store);
            }
        });
    }

    /// Deletes the records of a partition before an offset, as retention does.
    pub fn delete_records(&self, topic: &str, partition: i32, before: Offset) {
        self.shared
            .change(|state| state.store.delete_before(topic, partition, before.0));
    }

    /// Takes offsets of a partition without records, as the marks of transactions and aborted records do.
    pub fn skip_offsets(&self, topic: &str, partition: i32, count: usize) {
        self.shared
            .change(|state| state.store.skip(topic, partition, count));
    }

    /// Takes all partitions from all members of a group without asking, as an expired session does: they see
    /// `Lost`, then are assigned again from what is committed.
    pub fn lose(&self, group: &str) {
        self.shared.change(|state| {
            if let Some(found) = state.groups.get_mut(group) {
                found.lose();
            }
        });
    }

    /// Has the next commit of a transaction end without an answer ([`ClientError::TransactionUnknown`]), written or not.
    pub fn leave_in_doubt(&self, written: bool) {
        self.shared.change(|state| state.doubt = Some(written));
    }

    /// Resolves at the next change of anything (a record, a commit, a member, a topic) after the call.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut changes = self.shared.changed.subscribe();
        let shared = self.shared.clone();
        async move {
            // Fails only without a sender, and `shared` holds it.
            let _ = changes.changed().await;
            drop(shared);
        }
    }
}
