//! Batches of an instance: gathers records, runs batches in their lanes, and hands each message on after the attempt at its batch.
//!
//! A batch runs in the lane in which its records gathered. A message of it that is tried again, or whose dead letter is to be
//! written, goes on in the lane that it would have without batches, so that the others go on.
//!
//! Next: `judge/batch.rs` decides what an attempt at a batch means; `schedule/gather.rs` takes back what is tried again.

use std::hash::{BuildHasher as _, RandomState};

use kafkaesk_client::mutation::{self, Mutation};
use tokio::time::Instant;
use tracing::info;

use super::{
    Instance,
    attempts::{Place, TURN},
};
use crate::{
    HandlerError, Ordering,
    delivery::Delivery,
    judge::{self, OfBatch, judge, of_batch},
    outcome::{AttemptResult, Disposition, Outcome},
    partitions::Generation,
    schedule::{Gathered, Item, Lane, LaneId, Taken},
    snapshot::AttemptEnd,
    tracker::Ticket,
};

/// The lane that a message has without batches.
pub(super) fn side(hasher: &RandomState, ordering: Ordering, delivery: &Delivery) -> Lane {
    match (ordering, &delivery.record().key) {
        (Ordering::Partition, _) => Lane::Partition,
        (Ordering::Key, Some(key)) => Lane::Key(hasher.hash_one(key)),
        (Ordering::Key, None) | (Ordering::None, _) => Lane::Alone(delivery.place().0),
    }
}

impl Instance {
    /// A record waits for others, to be one batch with them. `now`: when it was read.
    pub(super) fn gather(&mut self, generation: Generation, delivery: Delivery, now: Instant) {
        let Some(partition) = self.partitions.get_mut(generation) else {
            return;
        };
        let ticket = partition.track(&delivery);
        let lane = match self.context.options.ordering {
            Ordering::Partition => Lane::Partition,
            Ordering::Key | Ordering::None => Lane::Gather,
        };
        // It keeps its buffer: it is consumed in order with the rest of it.
        let item = Item {
            delivery,
            ticket,
            arrived: now,
        };
        self.schedule.wait(LaneId { generation, lane }, item);
    }

    /// Batches wait for no further record where reading is slowed down or paused.
    pub(super) fn hurry_batches(&mut self) {
        if !self.schedule.is_forming() {
            return;
        }
        let all = self.backpressure.is_slow();
        let partitions = &self.partitions;
        self.schedule.hurry(|generation| {
            all || partitions
                .get(generation)
                .is_some_and(|partition| partition.paused)
        });
    }

    /// Runs the batches of ready lanes, in turns.
    pub(super) fn run_ready_batches(&mut self) {
        self.dispatch.begin();
        let mut handled = 0;
        while handled < TURN && self.has_room() && self.stop.is_none() {
            let (hasher, ordering) = (&self.hasher, self.context.options.ordering);
            let taken = self
                .schedule
                .take_batch(|delivery| side(hasher, ordering, delivery));
            match taken {
                Some((lane, Taken::One(item))) => {
                    handled += 1;
                    self.attempt(lane, item.delivery, Some(item.ticket));
                }
                Some((lane, Taken::Batch(gathered))) => {
                    handled += gathered.len();
                    let first = gathered.tickets.first().copied();
                    if let Some(batch) = Delivery::of_batch(gathered) {
                        self.attempt(lane, batch, first);
                    }
                }
                None => break,
            }
        }
        self.measure();
    }

    /// A message that was handled alone in the lane where records gather: that lane goes on without it.
    pub(super) fn settle_gathered(
        &mut self,
        lane: LaneId,
        delivery: Delivery,
        ticket: Option<Ticket>,
        ending: AttemptResult,
    ) {
        let own = self.side_of(lane, &delivery);
        self.conclude(own, delivery, ticket, ending, Place::Gone);
        self.schedule.release(lane);
    }

    fn side_of(&self, lane: LaneId, delivery: &Delivery) -> LaneId {
        LaneId {
            lane: side(&self.hasher, self.context.options.ordering, delivery),
            ..lane
        }
    }

    /// The attempt at a batch is over. `batch` stood for its messages.
    pub(super) fn settle_batch(
        &mut self,
        lane: LaneId,
        mut batch: Delivery,
        gathered: Gathered,
        ending: AttemptResult,
    ) {
        match of_batch(ending, &batch, gathered.len()) {
            OfBatch::All(Outcome::Done) if batch.context().telemetry.is_none() => {
                self.all_done(lane, &gathered);
                self.schedule.release(lane);
            }
            OfBatch::All(outcome) => {
                let each = std::iter::repeat_with(|| AttemptResult::Outcome(outcome.clone()));
                self.conclude_each(lane, gathered, each);
            }
            OfBatch::Each(each) => self.conclude_each(lane, gathered, each),
            OfBatch::Unfit(unfit) => self.without_unfit(lane, gathered, unfit),
            OfBatch::Split(_) if mutation::is(Mutation::BatchGivenUpWhole) => {
                let whole = || AttemptResult::Failed(HandlerError::reject("the whole batch"));
                self.conclude_each(lane, gathered, std::iter::repeat_with(whole));
            }
            OfBatch::Split(ending) => self.split(lane, batch, gathered, ending),
            OfBatch::Again(ending) => self.all_again(lane, batch, gathered, ending),
            OfBatch::Stop(ending) => {
                batch.take_batch();
                let ticket = gathered.tickets.first().copied();
                self.conclude(lane, batch, ticket, ending, Place::Lane);
            }
        }
    }

    /// The way of almost every batch: no text, no clock, no log.
    fn all_done(&mut self, lane: LaneId, gathered: &Gathered) {
        self.failures.succeeded();
        self.goes_on();
        self.report.handled += gathered.len() as u64;
        if let Some(partition) = self.partitions.get_mut(lane.generation) {
            for ticket in &gathered.tickets {
                partition.tracker.done(*ticket);
            }
            let messages = gathered.len() as u64;
            partition.counts.finished += messages;
            partition.counts.all_ended(AttemptEnd::Done, messages);
        }
    }

    /// Each message ends for itself; the lane goes on.
    fn conclude_each(
        &mut self,
        lane: LaneId,
        gathered: Gathered,
        each: impl IntoIterator<Item = AttemptResult>,
    ) {
        for (item, ending) in gathered.into_items(Instant::now()).zip(each) {
            let own = self.side_of(lane, &item.delivery);
            self.conclude(own, item.delivery, Some(item.ticket), ending, Place::Gone);
        }
        self.schedule.release(lane);
    }

    /// Messages that did not reach the handler end; the others are handled at once, as one batch.
    fn without_unfit(
        &mut self,
        lane: LaneId,
        gathered: Gathered,
        mut unfit: Vec<(usize, AttemptResult)>,
    ) {
        unfit.sort_by_key(|(at, _)| *at);
        unfit.dedup_by_key(|(at, _)| *at);
        let mut unfit = unfit.into_iter().peekable();
        let mut others = Gathered::default();
        for (at, item) in gathered.into_items(Instant::now()).enumerate() {
            match unfit.next_if(|(place, _)| *place == at) {
                Some((_, ending)) => {
                    let own = self.side_of(lane, &item.delivery);
                    self.conclude(own, item.delivery, Some(item.ticket), ending, Place::Gone);
                }
                None => others.push(item),
            }
        }
        let messages = others.len();
        match messages > 0 && self.is_kept(lane) {
            true => self.schedule.split(lane, others, &[messages]),
            false => self.schedule.release(lane),
        }
    }

    /// Whether what is tried again stays here. At the end it stays, so that the report counts it.
    fn is_kept(&self, lane: LaneId) -> bool {
        let partition = self.partitions.get(lane.generation);
        partition.is_some_and(|partition| !partition.revoking || self.ending)
    }

    /// A batch failed: it is handled again in halves, at once. The attempt is the same, so it is not counted.
    fn split(
        &mut self,
        lane: LaneId,
        mut batch: Delivery,
        gathered: Gathered,
        ending: AttemptResult,
    ) {
        let messages = gathered.len();
        batch.take_batch();
        let (end, error) = (
            ending.end(),
            judge::split(&batch, messages, &ending, &mut self.notices),
        );
        self.meter.failed(end, &error, &batch);
        match self.is_kept(lane) {
            true => {
                let first = messages / 2;
                let parts = [first, messages - first];
                self.schedule.split(lane, gathered, &parts);
            }
            false => self.schedule.release(lane),
        }
    }

    /// No message is the cause: all of them wait at the head of the lane, and come again together.
    fn all_again(
        &mut self,
        lane: LaneId,
        mut batch: Delivery,
        mut gathered: Gathered,
        ending: AttemptResult,
    ) {
        batch.take_batch();
        let end = ending.end();
        let disposition = judge(ending, &mut batch, &mut self.failures, &mut self.notices);
        self.count_all(
            lane.generation,
            &batch,
            end,
            &disposition,
            gathered.len() as u64,
        );
        let now = Instant::now();
        let (until, counts) = match disposition {
            Disposition::Retry { wait, counts } => (now + wait, counts),
            Disposition::Pause(why, wait) => (self.pauses(now, &why).max(now + wait), false),
            // `of_batch` leaves nothing else.
            _ => (now, false),
        };
        if !self.is_kept(lane) {
            return self.schedule.release(lane);
        }
        for delivery in &mut gathered.deliveries {
            delivery.keep_end(end, batch.last_error());
            delivery.failed(now, counts);
        }
        self.schedule.back_off_all(lane, gathered, until);
    }

    /// An attempt ended otherwise than by a pause.
    pub(super) fn goes_on(&mut self) {
        if !self.failures.exceeded() && self.pause.end() {
            info!(
                group = self.context.group,
                pattern = self.context.pattern,
                "the subscription goes on"
            );
        }
    }
}
