//! Stuck handlers: names attempts that run for long, at one, two, four, eight … times `stuck-after`. Once every handler of the
//! subscription has been running for longer than `max.poll.interval.ms`, it gives up its partitions, and takes part in its
//! group again when a handler ends.

use std::time::{Duration, SystemTime};

use kafkaesk_client::mutation::{self, Mutation};
use kafkaesk_core::RecordPlace;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Instance, running::Running};
use crate::{Ordering, judge::Key, schedule::LaneId, snapshot::Apart};

/// The longest interval between two checks of the running attempts.
const EVERY: Duration = Duration::from_secs(5);

/// Between two looks whether the group is left.
const LEFT: Duration = Duration::from_millis(100);

/// How often those of a subscription are looked at: a small part of the shorter time.
pub(super) fn every(stuck_after: Duration, max_poll: Duration) -> Duration {
    EVERY.min(stuck_after).min(max_poll / 8)
}

/// The subscription gave up its partitions.
#[derive(Debug)]
pub(super) struct GivenUp {
    at: Instant,
    since: SystemTime,
    why: Why,
}

/// Why it did, and when it takes part again.
#[derive(Debug)]
enum Why {
    /// So many handlers are stuck. It takes part again once fewer run.
    Stuck {
        handlers: usize,
        /// The message that had been handled for longest.
        oldest: RecordPlace,
    },
    /// It was asked to join again. It does once the partitions are gone.
    Asked,
}

impl GivenUp {
    /// Whether the handlers that run will not end soon.
    pub(super) fn is_stuck(&self) -> bool {
        matches!(self.why, Why::Stuck { .. })
    }
}

impl Running {
    /// Whether it is a handler that has been running for longer than `max.poll.interval.ms`.
    pub(super) fn is_stuck(&self, now: Instant, max_poll: Duration) -> bool {
        self.named.is_some() && now.saturating_duration_since(self.began) >= max_poll
    }
}

impl Instance {
    /// Looks at the running attempts, once in a while.
    pub(super) fn look_at_running(&mut self, now: Instant) {
        if now < self.stuck_at {
            return;
        }
        self.stuck_at = now + every(self.context.options.stuck_after, self.max_poll);
        self.name_stuck(now);
        self.name_custody(now);
        let keeps = mutation::is(Mutation::StuckKeepsPartitions);
        if self.given_up.is_none() && self.are_all_stuck(now) && !keeps {
            self.give_up_partitions(now);
        }
    }

    /// Warns of attempts whose age has reached their next multiple of `stuck-after`.
    fn name_stuck(&mut self, now: Instant) {
        let after = self.context.options.stuck_after;
        for running in self.running.values_mut() {
            let age = now.saturating_duration_since(running.began);
            let Some(times) = running
                .named
                .filter(|times| age >= after.saturating_mul(*times))
            else {
                continue;
            };
            running.named = Some(times.saturating_mul(2));
            warn!(
                group = self.context.group,
                stream = running.source.stream.as_str(),
                partition = running.source.partition,
                offset = running.offset,
                key = %Key(running.key.as_deref()),
                attempt = running.attempt,
                messages = (running.messages > 1).then_some(running.messages),
                age = ?Duration::from_millis(age.as_millis() as u64),
                "a handler has been running for longer than stuck-after; its lane waits for it"
            );
        }
    }

    /// Whether no handler can start, since those that run are stuck: they have all places of `concurrency`, or, where a
    /// partition has one place only (with batches as well), that of each partition.
    fn are_all_stuck(&self, now: Instant) -> bool {
        let stuck = || {
            let running = self.running.iter();
            running.filter(|(_, running)| running.is_stuck(now, self.max_poll))
        };
        let options = &self.context.options;
        if stuck().count() >= self.limit.handlers() as usize {
            return true;
        }
        let gathers = options.gathers().is_some();
        if options.ordering != Ordering::Partition && !gathers {
            return false;
        }
        let has_place = |lane: &LaneId| !gathers || lane.forms();
        // The group's retry topic is nearly always empty.
        let own = self.partitions.iter().map(|(_, partition)| partition);
        let mut own = own
            .filter(|own| !self.routes.is_retry(&own.source))
            .peekable();
        own.peek().is_some()
            && own
                .all(|own| stuck().any(|(lane, it)| has_place(lane) && *it.assigned == *own.source))
    }

    /// Leaves the group, so that its other members get the partitions. What is finished there is committed as in any revoke,
    /// and nothing past an unfinished message.
    fn give_up_partitions(&mut self, now: Instant) {
        let stuck = self.running.values();
        let stuck = stuck.filter(|running| running.is_stuck(now, self.max_poll));
        let handlers = stuck.clone().count();
        let Some(oldest) = stuck.min_by_key(|running| running.began) else {
            return;
        };
        let place = oldest.place();
        warn!(
            group = self.context.group,
            pattern = self.context.pattern,
            handlers,
            oldest = %place,
            key = %Key(oldest.key.as_deref()),
            age = ?Duration::from_millis(now.saturating_duration_since(oldest.began).as_millis() as u64),
            max_poll_interval = ?self.max_poll,
            "every handler has been running for longer than max.poll.interval.ms: the subscription gives up its partitions, so that the other members of its group go on with them; it takes part again when a handler ends. Give the handlers a timeout, or raise max.poll.interval.ms if they need so long"
        );
        self.given_up = Some(GivenUp {
            at: now,
            since: SystemTime::now(),
            why: Why::Stuck {
                handlers,
                oldest: place,
            },
        });
        self.control.take_part(false);
    }

    /// Leaves the group, to join it again at once.
    pub(super) fn rejoin(&mut self, now: Instant) {
        if self.given_up.is_some() {
            return;
        }
        info!(
            group = self.context.group,
            pattern = self.context.pattern,
            "the subscription leaves its group and joins it again"
        );
        self.given_up = Some(GivenUp {
            at: now,
            since: SystemTime::now(),
            why: Why::Asked,
        });
        self.control.take_part(false);
    }

    /// When to look whether the group is left, if it is joined again then: nothing says so.
    pub(super) fn rejoin_due(&self, now: Instant) -> Option<Instant> {
        let given_up = self.given_up.as_ref()?;
        (!given_up.is_stuck()).then_some(now + LEFT)
    }

    /// Joins the group again once a handler has ended, or once the partitions are gone.
    pub(super) fn take_part_again(&mut self, now: Instant) {
        let running = self.running.len();
        let (has_none, has_left) = (self.partitions.len() == 0, !self.control.is_joined());
        let Some(given_up) = self.given_up.take_if(|given_up| match given_up.why {
            Why::Stuck { handlers, .. } => running < handlers,
            Why::Asked => has_none && has_left,
        }) else {
            return;
        };
        info!(
            group = self.context.group,
            pattern = self.context.pattern,
            after = ?Duration::from_millis(now.saturating_duration_since(given_up.at).as_millis() as u64),
            still_running = running,
            "the subscription takes part in its group again"
        );
        self.hint_at = Some(now + super::HINT);
        self.control.take_part(true);
    }

    /// Why it has no partitions, if it gave them up.
    pub(super) fn apart(&self) -> Option<Apart> {
        let given_up = self.given_up.as_ref()?;
        let Why::Stuck { handlers, oldest } = &given_up.why else {
            return None;
        };
        Some(Apart {
            since: given_up.since,
            handlers: *handlers,
            reason: format!(
                "{handlers} handlers have been running for longer than max.poll.interval.ms ({:?}), the oldest with {oldest}; give them a timeout",
                self.max_poll
            ),
        })
    }
}
