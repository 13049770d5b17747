//! Topics that were deleted and created again under a group: noticed by their ids, read from their first record. A member
//! compares the ids while it runs, and at each assignment with the id that the group's commit names.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use kafkaesk_core::{Completions, NextOffset, Source};
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer};

use super::{
    acks::Acks,
    last_commits::list,
    member::Member,
    pauses,
    rebalance::{ASK, FoundCommit, Membership, State},
};
use crate::{
    broker::Cluster,
    consumer::{Commits, ConsumerControl as _, ConsumerEvent, created_again, created_again_before},
    repeats,
};

impl Member {
    /// Notices topics that were deleted and created again since the last look. An id stays known while its topic is
    /// gone.
    pub(super) fn compare_ids(&mut self, cluster: &Cluster, found: &HashMap<String, u32>) {
        let mut renewed = Vec::new();
        let mut state = self.consumer.context().state.lock();
        for name in found.keys() {
            let Some(id) = cluster.topics.get(name).and_then(|topic| topic.id.clone()) else {
                continue;
            };
            let known = state.ids.insert(name.clone(), id.clone());
            if known.is_some_and(|known| known != id) {
                renewed.push(name.clone());
            }
        }
        drop(state);
        for topic in renewed {
            self.restart(&topic);
        }
    }

    /// Reads a recreated topic from its first record: its partitions are lost and assigned as new ones, and the offsets
    /// committed for the deleted topic are overwritten.
    fn restart(&mut self, topic: &str) {
        let mut state = self.consumer.context().state.lock();
        let State {
            places,
            outbox,
            ids,
            ..
        } = &mut *state;
        outbox.push(ConsumerEvent::Warning(created_again(topic)));
        let gone = places.of_topic(topic);
        if gone.is_empty() {
            return;
        }
        outbox.forget(&gone);
        let again: Vec<Arc<Source>> = gone
            .iter()
            .map(|source| Arc::new(Source::clone(source)))
            .collect();
        let own = &self.setup.requests.own;
        own.remove(&gone);
        for source in &again {
            places.insert(source.clone());
            own.add(source, ids.get(topic).cloned());
        }
        outbox.push(ConsumerEvent::Lost(gone));
        outbox.push(ConsumerEvent::Assigned(again.clone()));
        drop(state);
        for source in &again {
            // Not the logical beginning, which librdkafka may have cached for the deleted topic.
            if let Err(error) = pauses::seek(&self.consumer, source, 0)
                && let Some(count) = repeats::said("seek", source)
            {
                tracing::warn!(partition = %source, %error, count, "seeking to the first record of a new topic failed");
            }
        }
        // The user's pause belongs to the former assignment.
        let first: Commits = again
            .into_iter()
            .map(|source| (source, NextOffset(0).into()))
            .collect();
        if let Err(error) = self.consumer.resume(&list(&first, &HashMap::new()))
            && let Some(count) = repeats::said("resume", topic)
        {
            tracing::warn!(topic, %error, count, "resuming failed");
        }
        self.committing.send(&self.consumer, first, Acks::default());
    }
}

impl Membership {
    /// Replaces what was committed for a deleted topic, as the commit's metadata says: its partition begins at the first
    /// record of the present topic, and the group's offset is overwritten.
    pub(super) fn replace_deleted(
        &self,
        state: &mut State,
        assigned: &TopicPartitionList,
        commits: &mut [FoundCommit],
    ) {
        let suspects: BTreeSet<&str> = commits
            .iter()
            .filter(|commit| commit.names_another(&state.ids))
            .map(|commit| commit.source.topic.as_str())
            .collect();
        if suspects.is_empty() {
            return;
        }
        self.requests.pulse.beat(Instant::now());
        let names: Vec<&str> = suspects.into_iter().collect();
        // Another member may have noticed a new topic earlier than this one.
        let ids = self.lookup.topic_ids(&names, ASK).unwrap_or_else(|error| {
            tracing::debug!(%error, "the ids of assigned topics are unknown; those of the last look count");
            state.ids.clone()
        });
        let deleted = commits.iter_mut().filter(|it| it.names_another(&ids));
        for FoundCommit {
            source,
            next,
            metadata,
        } in deleted
        {
            let warning = created_again_before(source, *next);
            state.outbox.push(ConsumerEvent::Warning(warning));
            metadata.clear();
            *next = NextOffset(0);
            self.requests.commit(vec![(source.clone(), (*next).into())]);
            if let Some(mut element) =
                assigned.find_partition(source.topic.as_str(), source.partition)
            {
                drop(element.set_offset(Offset::Offset(next.0)));
            }
        }
    }
}

impl FoundCommit {
    /// Whether it was made for a topic with another id than its topic has here. Not if either is unknown.
    fn names_another(&self, ids: &HashMap<String, String>) -> bool {
        let named = Completions::topic_id(&self.metadata, self.next);
        let now = ids.get(self.source.topic.as_str());
        named.zip(now).is_some_and(|(named, now)| named != now)
    }
}
