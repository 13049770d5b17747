//! Membership: who a member is in its group, and which partitions are its own, for transactions that commit offsets (KIP-447).
//! Written by the consumer's thread, read by its user.
//!
//! Next: `kafka/transaction.rs` sends the offsets.

use std::{collections::HashMap, fmt, sync::Arc};

use kafkaesk_core::Source;
use parking_lot::Mutex;
use rdkafka::{TopicPartitionList, consumer::ConsumerGroupMetadata};

use super::{control_requests::identity, last_commits::list};
use crate::{consumer::Commits, transaction::MemberOffsets};

/// Who the member is, and what is its own.
#[derive(Default)]
pub(super) struct Own {
    group: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The group, the member and its generation, as of the last rebalance.
    member: Option<Arc<ConsumerGroupMetadata>>,
    /// The partitions by the identity of their assignment, with the ids of their topics. One that is being given up stays until
    /// its user has let it go, or had to.
    partitions: HashMap<usize, Option<String>>,
}

/// Offsets of a member, ready for a transaction.
pub(in super::super) struct KafkaOffsets {
    pub(in super::super) list: TopicPartitionList,
    pub(in super::super) member: Arc<ConsumerGroupMetadata>,
}

impl Own {
    /// Of a member of this group.
    pub(super) fn of(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            state: Mutex::default(),
        }
    }

    pub(super) fn set_member(&self, member: Option<ConsumerGroupMetadata>) {
        self.state.lock().member = member.map(Arc::new);
    }

    pub(super) fn add(&self, source: &Arc<Source>, topic_id: Option<String>) {
        self.state
            .lock()
            .partitions
            .insert(identity(source), topic_id);
    }

    pub(super) fn remove(&self, gone: &[Arc<Source>]) {
        let mut state = self.state.lock();
        for source in gone {
            state.partitions.remove(&identity(source));
        }
    }

    /// The commits as offsets of this member; `None` if one of the partitions is not its own any more.
    ///
    /// The member's generation is read together with what is its own: a later generation refuses the offsets.
    pub(super) fn offsets(&self, commits: &Commits) -> Option<MemberOffsets> {
        let state = self.state.lock();
        let (mut ids, mut all) = (HashMap::new(), true);
        for (source, _) in commits {
            match state.partitions.get(&identity(source))? {
                Some(id) => drop(ids.insert(source.topic.as_str().to_owned(), id.clone())),
                None => all = false,
            }
        }
        let offsets = KafkaOffsets {
            list: list(commits, &ids),
            member: state.member.clone()?,
        };
        Some(MemberOffsets::new(&self.group, all, offsets))
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own")
            .field("partitions", &self.state.lock().partitions.len())
            .finish_non_exhaustive()
    }
}
