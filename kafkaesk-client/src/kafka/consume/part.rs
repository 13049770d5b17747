//! Part: a member leaves its group for a while, as its user asks, and joins it again. Its client stays, and so does its stream
//! of events.
//!
//! Next: `rebalance`, whose callback gives the partitions up.

use rdkafka::consumer::Consumer;

use super::member::Member;

impl Member {
    /// Leaves the group or joins it again, where its user asked for that since the last turn. Partitions go and come by the
    /// rebalance callbacks, inside the thread's next polls.
    pub(super) fn follow_part(&mut self) {
        let apart = self.setup.requests.is_apart();
        if apart == self.apart {
            return;
        }
        self.apart = apart;
        let group = &self.consumer.context().group;
        if apart {
            tracing::debug!(group, "takes no part in the group");
            // Not the close of the client: it would take the stream along.
            self.consumer.unsubscribe();
            self.topics.clear();
            self.missing.clear();
            self.setup.requests.pulse.set_joined(false);
        } else {
            tracing::debug!(group, "takes part in the group again");
            let cluster = self.setup.discovery.current();
            let found = self.setup.topics(&cluster);
            self.compare_ids(&cluster, &found);
            self.subscribe(&found);
        }
    }
}
