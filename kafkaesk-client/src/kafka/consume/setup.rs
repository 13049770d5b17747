//! Setup: what a consumer's thread needs to know, made before it starts.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{
    super::{context::Shared, metadata::Lookup},
    control_requests::{ControlRequests, Ended},
    discovery::TopicWatch,
};
use crate::{Settings, broker::Cluster, consumer::ConsumerSpec};

/// What a consumer's thread needs to know.
pub(super) struct Setup {
    pub(super) settings: Settings,
    pub(super) shared: Arc<Shared>,
    pub(super) lookup: Arc<Lookup>,
    pub(super) spec: ConsumerSpec,
    pub(super) discovery: TopicWatch,
    pub(super) requests: Arc<ControlRequests>,
    /// Tells the requests when the thread ends.
    pub(super) _ended: Ended,
    /// Given back when the thread ends.
    pub(super) _instance: Option<Instance>,
}

impl Setup {
    /// The topics that the consumer reads, with their numbers of partitions.
    pub(super) fn topics(&self, cluster: &Cluster) -> HashMap<String, u32> {
        let prefix = &self.settings.topic_prefix;
        let topics = cluster.topics.values();
        topics
            .filter(|topic| self.spec.takes(prefix, &topic.name))
            .map(|topic| (topic.name.clone(), topic.partitions))
            .collect()
    }
}

/// A number in use; free again when dropped.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) all: Arc<Mutex<BTreeMap<String, BTreeSet<usize>>>>,
    pub(super) group: String,
    pub(super) number: usize,
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(used) = self.all.lock().get_mut(&self.group) {
            used.remove(&self.number);
        }
    }
}
