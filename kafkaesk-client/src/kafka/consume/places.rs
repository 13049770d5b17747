//! The partitions that a consumer has: what it knows of each, by topic and number.

use std::{collections::HashMap, sync::Arc, time::Instant};

use kafkaesk_core::Source;

use crate::consumer::Stalled;

/// What is known of one assigned partition.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) source: Arc<Source>,
    /// The offset after the last record (or gap) that was handed over; `None` before the first.
    pub(super) next: Option<i64>,
    /// Since the assignment, a record of it was handed over or could not be read.
    pub(super) begun: bool,
    /// Its user wants no records for now.
    pub(super) paused: bool,
    /// Its next record cannot be read.
    pub(super) stall: Option<Stall>,
}

impl Place {
    /// Whether its records are wanted now.
    pub(super) fn is_fetched(&self) -> bool {
        !self.paused && !self.rests()
    }

    /// Whether it waits for the next try of a record that cannot be read.
    pub(super) fn rests(&self) -> bool {
        self.stall
            .as_ref()
            .is_some_and(|stall| stall.again_at.is_some())
    }
}

/// A partition that does not move, since its next record cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Stall {
    /// The error of the last try.
    pub(super) said: Stalled,
    /// When it was said.
    pub(super) said_at: Instant,
    /// When reading is tried again; `None` while it is being tried.
    pub(super) again_at: Option<Instant>,
}

/// The partitions that are ours.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_topic: HashMap<String, HashMap<i32, Place>>,
    /// Where reading goes on in partitions whose offset was not in the log. Their positions, once nothing fetched before waits.
    resets: Vec<(Arc<Source>, i64)>,
}

impl Places {
    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&Place> {
        self.by_topic.get(topic)?.get(&partition)
    }

    pub(super) fn get_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Place> {
        self.by_topic.get_mut(topic)?.get_mut(&partition)
    }

    pub(super) fn source(&self, topic: &str, partition: i32) -> Option<Arc<Source>> {
        self.get(topic, partition).map(|place| place.source.clone())
    }

    pub(super) fn insert(&mut self, source: Arc<Source>) {
        self.by_topic
            .entry(source.topic.as_str().to_owned())
            .or_default()
            .insert(
                source.partition,
                Place {
                    source,
                    next: None,
                    begun: false,
                    paused: false,
                    stall: None,
                },
            );
    }

    pub(super) fn remove(&mut self, topic: &str, partition: i32) -> Option<Arc<Source>> {
        let partitions = self.by_topic.get_mut(topic)?;
        let place = partitions.remove(&partition)?;
        if partitions.is_empty() {
            self.by_topic.remove(topic);
        }
        Some(place.source)
    }

    /// Reading goes on there, where that is known, if the partition is ours.
    pub(super) fn reset(&mut self, topic: &str, partition: i32, taken: Option<i64>) {
        if let Some(source) = self.source(topic, partition) {
            self.resets.retain(|(other, _)| *other != source);
            self.resets.extend(taken.map(|next| (source, next)));
        }
    }

    /// Where reading goes on, of each partition that was reset since the last call.
    pub(super) fn take_resets(&mut self) -> Vec<(Arc<Source>, i64)> {
        std::mem::take(&mut self.resets)
    }

    /// The place of this very assignment, if it is still ours.
    pub(super) fn of(&mut self, source: &Arc<Source>) -> Option<&mut Place> {
        self.get_mut(source.topic.as_str(), source.partition)
            .filter(|place| Arc::ptr_eq(&place.source, source))
    }

    /// Whether this very assignment is still ours.
    pub(super) fn holds(&self, source: &Arc<Source>) -> bool {
        self.get(source.topic.as_str(), source.partition)
            .is_some_and(|place| Arc::ptr_eq(&place.source, source))
    }

    /// Those of one topic.
    pub(super) fn of_topic(&self, topic: &str) -> Vec<Arc<Source>> {
        self.by_topic
            .get(topic)
            .into_iter()
            .flat_map(|partitions| partitions.values())
            .map(|place| place.source.clone())
            .collect()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Place> {
        self.by_topic
            .values_mut()
            .flat_map(|partitions| partitions.values_mut())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_topic.is_empty()
    }
}
