//! Topics that were deleted and created again under a group's member: noticed by their ids, read from their first record.

use std::{collections::HashMap, sync::Arc};

use kafkaesk_core::{NextOffset, Source};
use rdkafka::consumer::Consumer;

use super::{last_commits::list, member::Member, pauses, rebalance::State};
use crate::{
    broker::Cluster,
    consumer::{Commits, ConsumerEvent, created_again},
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
        let State { places, outbox, .. } = &mut *state;
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
        for source in &again {
            places.insert(source.clone());
        }
        outbox.push(ConsumerEvent::Lost(gone));
        outbox.push(ConsumerEvent::Assigned(again.clone()));
        drop(state);
        for source in &again {
            // Not the logical beginning, which librdkafka may have cached for the deleted topic.
            if let Err(error) = pauses::seek(&self.consumer, source, 0) {
                tracing::warn!(partition = %source, %error, "seeking to the first record of a new topic failed");
            }
        }
        // The user's pause belongs to the former assignment.
        let first: Commits = again
            .into_iter()
            .map(|source| (source, NextOffset(0).into()))
            .collect();
        if let Err(error) = self.consumer.resume(&list(&first, &HashMap::new())) {
            tracing::warn!(topic, %error, "resuming failed");
        }
        self.committing.send(&self.consumer, first);
    }
}
