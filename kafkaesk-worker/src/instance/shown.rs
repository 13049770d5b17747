//! Shows what the instance does: fills a snapshot from its own state, when one is asked for.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use kafkaesk_core::Offset;
use tokio::time::Instant;

use super::{Instance, unfinished::wall};
use crate::{
    partitions::{Generation, Partition, by_place},
    schedule::{Amount, Held},
    snapshot::{
        AttemptEnd, HeldMessage, InCustody, PartitionSnapshot, RunningHandler, State,
        SubscriptionSnapshot, Waiting,
    },
};

impl Instance {
    /// What it does now.
    pub(super) fn show(&self, state: State) {
        self.registered.show(Arc::new(self.snapshot(state)));
    }

    /// Where it is in its life.
    pub(super) fn state(&self) -> State {
        match (
            self.ending,
            self.meter.had_partition() || self.control.is_joined(),
        ) {
            (true, _) => State::Ending,
            (false, true) => State::Running,
            (false, false) => State::Joining,
        }
    }

    /// Counts stay after the end. What is true now ends with it: its partitions belong to others.
    fn snapshot(&self, state: State) -> SubscriptionSnapshot {
        let context = &self.context;
        let mut shown = SubscriptionSnapshot::new(&context.group, &self.name, &context.pattern);
        shown.state = state;
        shown.pauses = self.pause.total();
        shown.counts = self.partitions.all_counts();
        self.meter.fill(&mut shown);
        match state {
            State::Ended => shown.instances = 0,
            _ => self.show_present(&mut shown),
        }
        shown
    }

    fn show_present(&self, shown: &mut SubscriptionSnapshot) {
        let now = Instant::now();
        shown.concurrency = self.limit.handlers();
        shown.scaled = self.limit.shown();
        shown.running = self.running.len();
        shown.oldest_running = self.oldest_running(now);
        let running = self.running.values();
        let stuck = running.filter(|running| running.is_stuck(now, self.max_poll));
        shown.stuck = stuck.count();
        shown.apart = self.apart();
        shown.custody = self.partitions.in_custody();
        shown.oldest_in_custody = self.oldest_in_custody().map(|kept| {
            let record = kept.delivery.record();
            let age = now.saturating_duration_since(kept.since);
            InCustody {
                key: record.key.clone(),
                attempt: kept.delivery.attempt(),
                ..InCustody::new(record.source.clone(), record.offset.0, age)
            }
        });
        shown.uncommitted = self.partitions.uncommitted();
        shown.transaction_error = self.transaction_trouble().map(str::to_owned);
        let total = self.schedule.total();
        shown.backing_off = waiting(total.backing_off);
        let mut ready = total.all;
        ready -= total.backing_off;
        shown.ready = waiting(ready);
        let mut held: Vec<(Generation, Offset, HeldMessage)> = self
            .schedule
            .held()
            .map(|held| {
                (
                    held.generation,
                    held.delivery.place(),
                    held_message(&held, now),
                )
            })
            .chain(self.held_and_running())
            .collect();
        shown.held_total = held.len();
        let is_first = |generation: Generation, place: Offset| {
            let partition = self.partitions.get(generation);
            let first = partition.and_then(|partition| partition.tracker.first_unfinished());
            first.is_some_and(|first| first.offset == place.0)
        };
        let mut holding: HashMap<Generation, Box<HeldMessage>> = held
            .iter()
            .filter(|(generation, place, _)| is_first(*generation, *place))
            .map(|(generation, _, held)| (*generation, Box::new(held.clone())))
            .collect();
        held.sort_by_key(|(_, _, held)| held.since);
        held.truncate(SubscriptionSnapshot::LISTED);
        shown.held = held.into_iter().map(|(_, _, held)| held).collect();
        shown.pause = self.pause.state(now);
        shown.throttle = self.throttle.as_ref().map(|throttle| throttle.per_second());
        let partitions = self.partitions.iter();
        shown.partitions = partitions
            .map(|(generation, partition)| PartitionSnapshot {
                holding: holding.remove(&generation),
                ..self.partition(generation, partition)
            })
            .collect();
        shown
            .partitions
            .sort_by(|a, b| by_place(&a.source, &b.source));
    }

    /// Messages that failed and whose next attempt runs now: they are held until they end.
    fn held_and_running(&self) -> impl Iterator<Item = (Generation, Offset, HeldMessage)> {
        self.running.iter().filter_map(|(lane, running)| {
            let failed = running.failed.as_ref()?;
            running.named?;
            let held = HeldMessage {
                source: running.source.clone(),
                offset: running.offset,
                key: running.key.clone(),
                attempts: failed.attempts,
                since: wall(running.since),
                next: wall(running.began),
                end: failed.end,
                error: failed.error.clone(),
                waiting: self.schedule.behind(*lane),
            };
            Some((lane.generation, failed.place, held))
        })
    }

    fn oldest_running(&self, now: Instant) -> Vec<RunningHandler> {
        let mut running: Vec<_> = self.running.values().collect();
        running.sort_by_key(|running| Reverse(now.saturating_duration_since(running.began)));
        let oldest = running.into_iter().take(SubscriptionSnapshot::LISTED);
        oldest
            .map(|running| RunningHandler {
                source: running.source.clone(),
                offset: running.offset,
                key: running.key.clone(),
                attempt: running.attempt,
                age: now.saturating_duration_since(running.began),
                dead_letter: running.named.is_none(),
                messages: running.messages,
            })
            .collect()
    }

    fn partition(&self, generation: Generation, partition: &Partition) -> PartitionSnapshot {
        let mut shown = PartitionSnapshot::new(partition.source.clone(), partition.since);
        let tracker = &partition.tracker;
        shown.position = tracker.watermark();
        shown.read = partition.read;
        shown.committed = self.committing.committed(generation);
        shown.first_unfinished = tracker.first_unfinished();
        shown.uncommitted = tracker.uncommitted_span();
        shown.running = partition.running;
        shown.custody = partition.in_custody();
        shown.waiting = self.schedule.backlog(generation).all.records;
        shown.paused = partition.paused;
        shown.revoking = partition.revoking;
        shown.stalled = partition.stalled.as_ref().map(ToString::to_string);
        shown
    }
}

fn waiting(amount: Amount) -> Waiting {
    Waiting {
        records: amount.records,
        bytes: amount.bytes,
    }
}

fn held_message(held: &Held<'_>, now: Instant) -> HeldMessage {
    let record = held.delivery.record();
    let left = |next: Instant| next.saturating_duration_since(now);
    HeldMessage {
        source: record.source.clone(),
        offset: record.offset.0,
        key: record.key.clone(),
        attempts: held.failures.attempts,
        since: wall(held.failures.since),
        next: SystemTime::now() + held.next.map_or(Duration::ZERO, left),
        end: held.delivery.last_end().unwrap_or(AttemptEnd::Retry),
        error: held.delivery.last_error().map(str::to_owned),
        waiting: held.waiting,
    }
}
