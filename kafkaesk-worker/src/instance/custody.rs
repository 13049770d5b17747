//! Custody of an instance: takes what committers say, ends their messages, and commits soon after. One commit is in flight at a
//! time, and covers what was finished meanwhile.

use std::time::Duration;

use kafkaesk_client::mutation::{self, Mutation};
use rustc_hash::FxHashSet;
use tokio::{sync::mpsc, time::Instant};
use tracing::warn;

use super::{Instance, attempts::Place};
use crate::{
    CommitError, HandlerError, commit,
    custody::{Custody, CustodyEvent, Early, Heard, Kept, Said},
    delivery::Delivery,
    judge::Key,
    options::Commit,
    outcome::{AttemptResult, Outcome},
    partitions::Generation,
    schedule::{Item, LaneId},
    tracker::Ticket,
};

/// What an instance needs for subscriptions with `commit = "manual"`.
#[derive(Debug)]
pub(super) struct Manual {
    sender: mpsc::UnboundedSender<CustodyEvent>,
    events: mpsc::UnboundedReceiver<CustodyEvent>,
    /// Assignments of which something was finished that no commit covers yet.
    uncommitted: FxHashSet<Generation>,
    /// A commit is in flight.
    in_flight: bool,
    /// The multiple of `stuck-after` at which the log names the oldest message in custody next.
    named: u32,
}

impl Manual {
    pub(super) fn new() -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        Self {
            sender,
            events,
            uncommitted: FxHashSet::default(),
            in_flight: false,
            named: 1,
        }
    }

    /// The custody of a new assignment.
    pub(super) fn custody(&self, generation: Generation) -> Box<Custody> {
        Box::new(Custody::new(generation, self.sender.clone()))
    }
}

/// What is heard of custody next; nothing ever, where no subscription commits by hand.
pub(super) async fn next(manual: &mut Option<Manual>) -> Option<CustodyEvent> {
    match manual {
        Some(manual) => manual.events.recv().await,
        None => std::future::pending().await,
    }
}

impl Instance {
    /// Whether a message of this assignment may start: what is not finished there is bounded.
    pub(super) fn has_custody_room(&self, generation: Generation, delivery: &Delivery) -> bool {
        let options = &delivery.context().options;
        if options.commit == Commit::Interval || delivery.given_up().is_some() {
            return true;
        }
        let partition = self.partitions.get(generation);
        let custody = partition.and_then(|partition| partition.custody.as_ref());
        custody.is_none_or(|custody| custody.open() < options.max_uncommitted())
    }

    /// Gives an attempt its place in custody, if its subscription commits by hand.
    pub(super) fn seat(
        &mut self,
        lane: LaneId,
        delivery: &mut Delivery,
        ticket: Option<Ticket>,
    ) -> Option<Ticket> {
        if delivery.context().options.commit == Commit::Interval {
            return ticket;
        }
        let Some(partition) = self.partitions.get_mut(lane.generation) else {
            return ticket;
        };
        let ticket = ticket.unwrap_or_else(|| partition.track(delivery));
        if let Some(custody) = &mut partition.custody {
            let seat = custody.begin(ticket, delivery.place(), Instant::now());
            delivery.set_seat(Some(seat));
            self.schedule.touch(lane.generation);
        }
        Some(ticket)
    }

    /// The handler of a message has ended. Gives the message back if it ends with that, and keeps it otherwise.
    pub(super) fn keep(
        &mut self,
        lane: LaneId,
        mut delivery: Delivery,
        ticket: Option<Ticket>,
        ending: AttemptResult,
    ) -> Option<(Delivery, AttemptResult)> {
        let Some(seat) = delivery.take_seat() else {
            return Some((delivery, ending));
        };
        // What its committer said before the handler ended stands in the channel by now.
        self.hear_custody();
        let partition = self.partitions.get_mut(lane.generation);
        let custody = partition.and_then(|partition| partition.custody.as_mut());
        let (Some(custody), Some(ticket)) = (custody, ticket) else {
            return Some((delivery, ending));
        };
        let Some(running) = custody.returned(&seat) else {
            return Some((delivery, ending));
        };
        self.schedule.touch(lane.generation);
        let is_done = matches!(ending, AttemptResult::Outcome(Outcome::Done));
        let ending = match running.said {
            Some(Early::Done) => {
                if !is_done {
                    warn!(
                        group = self.context.group,
                        record = %delivery.record().source,
                        offset = delivery.record().offset.0,
                        handler = ?ending,
                        "a handler ended with this after it had called done of its committer; the message is done"
                    );
                }
                AttemptResult::Outcome(Outcome::Done)
            }
            Some(Early::Ended(ended)) if is_done => ended,
            None if is_done && seat.take() => AttemptResult::Failed(HandlerError::msg(
                "the handler of a subscription with commit = \"manual\" ended without taking the message's committer",
            )),
            None if is_done && !mutation::is(Mutation::CustodyEndsAtReturn) => {
                delivery.keep();
                let kept = Kept {
                    lane,
                    ticket,
                    delivery,
                    since: running.since,
                };
                if let Some(telemetry) = &kept.delivery.context().telemetry {
                    telemetry.kept(&kept.delivery);
                }
                custody.keep(&seat, kept);
                self.schedule.release(lane);
                return None;
            }
            _ => ending,
        };
        self.schedule.unpark(lane.generation);
        Some((delivery, ending))
    }

    /// Takes all that committers have said so far.
    pub(super) fn hear_custody(&mut self) {
        while let Some(manual) = &mut self.manual
            && let Ok(event) = manual.events.try_recv()
        {
            self.hear(event);
        }
    }

    /// Takes what a committer says.
    pub(super) fn hear(&mut self, event: CustodyEvent) {
        let (generation, attempt, said) = match event {
            CustodyEvent::Said {
                generation,
                attempt,
                said,
            } => (generation, attempt, said),
            CustodyEvent::Committed => {
                if let Some(manual) = &mut self.manual {
                    manual.in_flight = false;
                }
                return;
            }
        };
        let partition = self.partitions.get_mut(generation);
        let heard = match partition.and_then(|partition| partition.custody.as_mut()) {
            Some(custody) => custody.hear(attempt, said),
            None => Heard::Stale(said),
        };
        // How much is in custody decides whether the partition is paused.
        self.schedule.touch(generation);
        let (kept, said) = match heard {
            Heard::Ends(kept, said) => (*kept, said),
            Heard::Later => return,
            Heard::Finishes(ticket) => {
                if let Some(partition) = self.partitions.get_mut(generation) {
                    partition.tracker.done(ticket);
                }
                self.uncommitted(generation);
                return;
            }
            Heard::Stale(Said::Done(reply)) => {
                let _ = reply.send(Err(CommitError::Stale));
                return;
            }
            Heard::Stale(Said::Ended(_)) => return,
        };
        let Kept {
            lane,
            ticket,
            delivery,
            ..
        } = kept;
        self.schedule.unpark(generation);
        let (offset, ending, reply) = match said {
            Said::Done(reply) => (
                delivery.place(),
                AttemptResult::Outcome(Outcome::Done),
                Some(reply),
            ),
            Said::Ended(ended) => (delivery.place(), ended, None),
        };
        self.conclude(lane, delivery, Some(ticket), ending, Place::Gone);
        let partition = self.partitions.get_mut(generation);
        if let Some(custody) = partition.and_then(|partition| partition.custody.as_mut())
            && let Some(reply) = reply
        {
            custody.await_commit(offset, reply);
            self.uncommitted(generation);
        }
    }

    /// Something was finished that a commit should cover soon.
    fn uncommitted(&mut self, generation: Generation) {
        if let Some(manual) = &mut self.manual {
            manual.uncommitted.insert(generation);
        }
    }

    /// A message that failed in custody, or as one of a batch, is tried again at the head of its lane, where another one of its key
    /// may run.
    pub(super) fn come_back(
        &mut self,
        lane: LaneId,
        mut delivery: Delivery,
        ticket: Option<Ticket>,
        until: Instant,
        counts: bool,
    ) {
        let partition = self.partitions.get(lane.generation);
        let is_ours = partition.is_some_and(|partition| !partition.revoking || self.ending);
        if let (true, Some(ticket)) = (is_ours, ticket) {
            let arrived = Instant::now();
            if delivery.given_up().is_none() {
                delivery.failed(arrived, counts);
            }
            let item = Item {
                delivery,
                ticket,
                arrived,
            };
            self.schedule.come_back(lane, item, until);
        }
    }

    /// Something was finished by another way, or the last commit had no room: commits what waits for one.
    pub(super) fn commit_custody_again(&mut self) {
        let Some(manual) = &mut self.manual else {
            return;
        };
        let awaiting = self.partitions.iter().filter(|(_, partition)| {
            let custody = partition.custody.as_ref();
            custody.is_some_and(|custody| custody.awaits_commit())
        });
        manual.uncommitted.extend(awaiting.map(|(it, _)| it));
    }

    /// Commits what committers finished, unless such a commit is in flight. `last`: even then.
    pub(super) fn commit_custody(&mut self, last: bool) {
        let Some(manual) = &mut self.manual else {
            return;
        };
        if last {
            manual
                .uncommitted
                .extend(self.partitions.iter().map(|(it, _)| it));
        } else if manual.uncommitted.is_empty() || manual.in_flight {
            return;
        }
        let mut awaited = Vec::new();
        for generation in manual.uncommitted.drain() {
            let partition = self.partitions.get_mut(generation);
            if let Some(one) = partition.and_then(|partition| partition.awaited_commit()) {
                self.committing.made(generation, one.1.clone());
                awaited.push(one);
            }
        }
        if awaited.is_empty() {
            return;
        }
        manual.in_flight = true;
        self.meter.commits += awaited.len() as u64;
        commit::make_awaited(&*self.control, awaited, Some(manual.sender.clone()));
    }

    /// Says to the committers of all partitions that these are given up.
    pub(super) fn revoke_custody(&self) {
        for (_, partition) in self.partitions.iter() {
            if let Some(custody) = &partition.custody {
                custody.revoke();
            }
        }
    }

    /// All messages in custody.
    pub(super) fn in_custody(&self) -> impl Iterator<Item = &Kept> {
        let partitions = self.partitions.iter();
        partitions
            .filter_map(|(_, partition)| partition.custody.as_ref())
            .flat_map(|custody| custody.kept())
    }

    /// The message that has been in custody for longest.
    pub(super) fn oldest_in_custody(&self) -> Option<&Kept> {
        self.in_custody()
            .min_by_key(|kept| (kept.since, kept.delivery.place()))
    }

    /// Warns of the oldest message in custody once its age has reached one, two, four, eight … times `stuck-after`.
    pub(super) fn name_custody(&mut self, now: Instant) {
        let Some(manual) = &self.manual else {
            return;
        };
        let (after, times) = (self.context.options.stuck_after, manual.named);
        let oldest = self.oldest_in_custody();
        let age = oldest.map_or(Duration::ZERO, |kept| {
            now.saturating_duration_since(kept.since)
        });
        let mut named = times;
        if age < after {
            named = 1;
        } else if age >= after.saturating_mul(times)
            && let Some(Kept { delivery, .. }) = oldest
        {
            named = times.saturating_mul(2);
            let record = delivery.record();
            warn!(
                group = self.context.group,
                stream = record.stream(),
                partition = record.partition(),
                offset = record.offset.0,
                key = %Key(record.key.as_deref()),
                attempt = delivery.attempt(),
                age = ?Duration::from_millis(age.as_millis() as u64),
                in_custody = self.in_custody().count(),
                "a message has been in custody for longer than stuck-after: its handler has returned, and its committer was not finished; nothing past it is committed in its partition"
            );
        }
        if let Some(manual) = &mut self.manual {
            manual.named = named;
        }
    }
}
