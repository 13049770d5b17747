//! Part: a member leaves its group for a while, and joins it again: because its user asks for it, or because its user turns no
//! loop any more. Its client stays, and so does its stream of events.
//!
//! Next: `rebalance`, whose callback gives the partitions up.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;

use super::member::Member;

/// Whether a member takes part in its group.
#[derive(Debug)]
pub(super) struct Part {
    apart: bool,
    /// The turns of its user's loop at the last look, and when they became so many.
    turns: Option<u64>,
    since: Instant,
    /// How long its user may go without a turn.
    max_poll: Duration,
}

impl Part {
    pub(super) fn new(max_poll: Duration) -> Self {
        Self {
            apart: false,
            turns: None,
            since: Instant::now(),
            max_poll,
        }
    }

    /// Whether it has left its group.
    pub(super) fn is_apart(&self) -> bool {
        self.apart
    }

    /// Whether a turn is missing, when its user has turned so often.
    fn is_missing(&mut self, turns: Option<u64>, now: Instant) -> bool {
        if turns.is_none() || turns != self.turns {
            (self.turns, self.since) = (turns, now);
        }
        now.saturating_duration_since(self.since) >= self.max_poll && turns.is_some()
    }
}

impl Member {
    /// Leaves the group or joins it again, where that is due since the last turn. Partitions go and come by the rebalance
    /// callbacks, inside the thread's next polls.
    pub(super) fn follow_part(&mut self) {
        let requests = &self.setup.requests;
        let missing = self.part.is_missing(requests.turns(), Instant::now());
        let group = &self.consumer.context().group;
        if missing != requests.is_silent() {
            requests.set_silent(missing);
            match missing {
                true => tracing::warn!(
                    group,
                    silent_for = ?self.part.max_poll,
                    pattern = self.setup.spec.pattern.as_str(),
                    "the subscription's task has not run for max.poll.interval.ms, since a handler blocks its thread: its partitions go to the other members of the group; it takes part again when the handler returns. Move such work to spawn_blocking"
                ),
                false => tracing::info!(group, "the subscription's task runs again"),
            }
        }
        let apart = missing || requests.is_apart();
        if apart == self.part.apart {
            return;
        }
        self.part.apart = apart;
        if apart {
            tracing::debug!(group, "takes no part in the group");
            // Not the close of the client: it would take the stream along.
            self.consumer.unsubscribe();
            self.topics.clear();
            self.missing.clear();
            requests.pulse.set_joined(false);
        } else {
            tracing::debug!(group, "takes part in the group again");
            let cluster = self.setup.discovery.current();
            let found = self.setup.topics(&cluster);
            self.compare_ids(&cluster, &found);
            self.subscribe(&found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_missing_after_the_time_and_only_where_one_is_expected() {
        let second = Duration::from_secs(1);
        let mut part = Part::new(6 * second);
        let begun = part.since;
        assert!(!part.is_missing(None, begun + 60 * second));
        assert!(!part.is_missing(Some(1), begun + 100 * second));
        assert!(!part.is_missing(Some(1), begun + 105 * second));
        assert!(part.is_missing(Some(1), begun + 106 * second));
        assert!(!part.is_missing(Some(2), begun + 107 * second));
        assert!(!part.is_missing(None, begun + 150 * second));
        assert!(!part.is_missing(Some(1), begun + 160 * second));
    }
}
