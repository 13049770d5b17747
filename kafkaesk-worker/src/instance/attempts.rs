//! Runs attempts in their lanes. Hands each message on after its attempt: to the tracker, back to its lane, or (abort)
//! to the end of the instance.
//!
//! Next: `judge` decides what an attempt means; `tracker` and `schedule` take the message.

use std::time::Duration;

use kafkaesk_client::{
    ClientError,
    mutation::{self, Mutation},
    publisher::Collected,
};
use kafkaesk_core::{DeadLetter, Reason, Record, Source};
use tokio::{task::JoinError, time::Instant};
use tracing::{debug, warn};

use super::{
    Instance,
    batches::side,
    dead_letters,
    running::{Failed, Running},
};
use crate::{
    AppError,
    attempt::{self, InPlace},
    delivery::Delivery,
    dispatch::{DispatchMode, Measured},
    judge::{self, judge},
    options::Commit,
    outcome::{AttemptResult, Disposition, Outcome},
    partitions::Generation,
    pause::Begun,
    routes::Route,
    schedule::{Item, Lane, LaneId},
    snapshot::AttemptEnd,
    throttle::Throttle,
    tracker::Ticket,
};

/// How many waiting records are handled in place before events, commits and other tasks get their turn.
pub(super) const TURN: usize = 512;

/// Where a message is whose attempt is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the head of its lane, which waits for it.
    Lane,
    /// In no lane: the lane in which it was handled has gone on, as for a message in custody and one of a batch.
    Gone,
}

/// What a task does.
enum Work {
    /// An attempt from its start.
    Attempt,
    /// The rest of one that began in place.
    Rest(attempt::Rest),
    /// Writes the dead letter of a message that is given up.
    DeadLetter,
}

/// How a task ended.
enum Ending {
    Attempt(AttemptResult),
    DeadLetter(Result<(), ClientError>),
}

/// What such a task gives back.
pub(super) struct Finished {
    lane: LaneId,
    ticket: Ticket,
    delivery: Delivery,
    ending: Ending,
    /// How long its first poll held the thread, if it began as a task.
    held: Option<Duration>,
}

impl Instance {
    /// Handles a record at once if its lane is idle and a handler may start; otherwise the record waits.
    pub(super) fn offer(&mut self, generation: Generation, delivery: Delivery) {
        let lane = self.lane(generation, &delivery);
        let at_once = self.has_room()
            && !self.schedule.has_ready()
            && self.schedule.is_idle(lane)
            && self.may_start(generation, &delivery);
        if at_once {
            self.attempt(lane, delivery, None);
        } else {
            self.wait(lane, delivery);
        }
    }

    fn wait(&mut self, lane: LaneId, mut delivery: Delivery) {
        if let Some(partition) = self.partitions.get_mut(lane.generation) {
            let ticket = partition.track(&delivery);
            delivery.keep();
            let item = Item {
                delivery,
                ticket,
                arrived: Instant::now(),
            };
            self.schedule.wait(lane, item);
        }
    }

    /// A redriven message: its original subscription handles it, or it becomes a dead letter again.
    pub(super) fn offer_redriven(&mut self, generation: Generation, record: Record) {
        match self.routes.of(record, &self.context) {
            Route::Handler(delivery) => self.offer(generation, delivery),
            Route::Unroutable(mut delivery, why) => {
                let letter = delivery.redriven_from().map_or_else(
                    || judge::letter(&delivery, Reason::Unroutable, why.clone()),
                    |former| DeadLetter {
                        reason: Reason::Unroutable,
                        error: why.clone(),
                        ..former.clone()
                    },
                );
                delivery.give_up(Box::new(letter));
                let lane = self.lane(generation, &delivery);
                self.wait(lane, delivery);
            }
        }
    }

    fn lane(&self, generation: Generation, delivery: &Delivery) -> LaneId {
        let lane = side(&self.hasher, self.context.options.ordering, delivery);
        LaneId { generation, lane }
    }

    /// Whether a message of this assignment may start, as far as what is not finished or not committed there decides.
    fn may_start(&self, generation: Generation, delivery: &Delivery) -> bool {
        self.has_custody_room(generation, delivery) && self.has_transaction_room(generation)
    }

    /// Whether one more handler may run now.
    pub(super) fn has_place(&self) -> bool {
        self.running.len() < self.pause.room(self.limit.handlers() as usize)
    }

    pub(super) fn has_room(&self) -> bool {
        self.has_place() && self.throttle.as_ref().is_none_or(Throttle::has_room)
    }

    /// Runs the records of ready lanes, in turns.
    pub(super) fn run_ready(&mut self) {
        if self.context.options.gathers().is_some() {
            return self.run_ready_batches();
        }
        self.dispatch.begin();
        for _ in 0..TURN {
            if !self.has_room() || self.stop.is_some() {
                break;
            }
            let Some((lane, item)) = self.schedule.take() else {
                break;
            };
            if !self.may_start(lane.generation, &item.delivery) {
                self.schedule.park(lane, item);
                continue;
            }
            self.attempt(lane, item.delivery, Some(item.ticket));
        }
        self.measure();
    }

    /// Counts the time of what was handled in place since the last time.
    pub(super) fn measure(&mut self) {
        if let Some(measured) = self.dispatch.measure() {
            self.count_time(measured);
        }
    }

    fn count_time(&mut self, measured: Measured) {
        if let Some(partition) = self.partitions.get(self.measured) {
            self.meter
                .attempts(partition.topic, measured.ended, measured.elapsed);
        }
    }

    /// Begins an attempt at a message, or at the batch that the delivery stands for.
    pub(super) fn attempt(&mut self, lane: LaneId, mut delivery: Delivery, ticket: Option<Ticket>) {
        if delivery.given_up().is_some() {
            return self.spawn(lane, delivery, ticket, Work::DeadLetter);
        }
        let ticket = self.seat(lane, &mut delivery, ticket);
        self.open_outbox(&mut delivery);
        if let Some(throttle) = &mut self.throttle {
            throttle.started(delivery.messages());
        }
        if self.dispatch.mode() == DispatchMode::Spawned {
            return self.spawn(lane, delivery, ticket, Work::Attempt);
        }
        if self.measured != lane.generation {
            self.measure();
            self.measured = lane.generation;
        }
        let messages = delivery.messages();
        let ended = match attempt::in_place(&mut delivery) {
            InPlace::Ended(ending) => {
                if self.limit.is_sought() {
                    self.scale(Instant::now(), &ending);
                }
                self.settle(lane, delivery, ticket, ending);
                true
            }
            InPlace::Pending(rest) => {
                self.spawn(lane, delivery, ticket, Work::Rest(rest));
                false
            }
            InPlace::NotStarted => {
                self.spawn(lane, delivery, ticket, Work::Attempt);
                false
            }
        };
        if let Some(measured) = self.dispatch.handled(ended, messages) {
            self.count_time(measured);
        }
    }

    /// Writes the dead letter of a message that is given up, now.
    pub(super) fn give_up(&mut self, lane: LaneId, item: Item) {
        self.spawn(lane, item.delivery, Some(item.ticket), Work::DeadLetter);
    }

    fn spawn(&mut self, lane: LaneId, mut delivery: Delivery, ticket: Option<Ticket>, work: Work) {
        let record = delivery.record();
        let Some(partition) = self.partitions.get_mut(lane.generation) else {
            return;
        };
        let ticket = ticket.unwrap_or_else(|| partition.track(&delivery));
        partition.running += 1;
        if !mutation::is(Mutation::LaneReleasedTooEarly) {
            self.schedule.occupy(lane);
        }
        let began = Instant::now();
        let running = Running {
            source: record.source.clone(),
            assigned: partition.source.clone(),
            offset: record.offset.0,
            key: record.key.clone(),
            attempt: delivery.attempt(),
            began,
            since: delivery.failures().map_or(began, |failures| failures.since),
            named: (!matches!(work, Work::DeadLetter)).then_some(1),
            failed: Failed::of(&delivery),
            messages: delivery.messages(),
        };
        self.running.insert(lane, running);
        let context = delivery.context().clone();
        self.tasks.spawn(async move {
            let (ending, held) = match work {
                Work::Rest(rest) => {
                    let ending = attempt::rest(context, &mut delivery, rest).await;
                    (Ending::Attempt(ending), None)
                }
                Work::Attempt => {
                    let (ending, held) = attempt::as_task(context, &mut delivery).await;
                    (Ending::Attempt(ending), Some(held))
                }
                Work::DeadLetter => {
                    let written = dead_letters::write(&context, &delivery).await;
                    (Ending::DeadLetter(written), None)
                }
            };
            Finished {
                lane,
                ticket,
                delivery,
                ending,
                held,
            }
        });
    }

    /// For an assigned partition on which handlers of a former assignment still work: each lane with such a handler
    /// waits for it.
    pub(super) fn fence(&mut self, source: &Source, generation: Generation) {
        if mutation::is(Mutation::NoFence) {
            return;
        }
        let former = self.running.iter().filter(|(lane, running)| {
            lane.generation != generation && *running.assigned == *source
        });
        for (lane, _) in former {
            self.fence.raise(*lane, generation, &mut self.schedule);
        }
    }

    pub(super) fn finished(&mut self, finished: Result<Finished, JoinError>, now: Instant) {
        let finished = match finished {
            Ok(finished) => finished,
            Err(error) => {
                // A handler's panic is caught inside the task, so this is a bug in kafkaesk or the end of the runtime.
                self.stop.get_or_insert(AppError::Internal {
                    group: self.context.group.clone(),
                    message: error.to_string(),
                });
                return;
            }
        };
        if let Ending::Attempt(ending) = &finished.ending {
            self.scale(now, ending);
        }
        let running = self.running.remove(&finished.lane);
        self.fence.ended(finished.lane, &mut self.schedule);
        if let Some(held) = finished.held {
            self.dispatch.polled(held);
        }
        match self.partitions.get_mut(finished.lane.generation) {
            Some(partition) => {
                partition.running -= 1;
                if let (Some(running), Ending::Attempt(_)) = (&running, &finished.ending) {
                    let elapsed = now.saturating_duration_since(running.began);
                    self.meter
                        .attempts(partition.topic, running.messages, elapsed);
                }
                let (lane, ticket) = (finished.lane, finished.ticket);
                match finished.ending {
                    Ending::Attempt(ending) => {
                        self.settle(lane, finished.delivery, Some(ticket), ending);
                    }
                    Ending::DeadLetter(written) => {
                        self.dead_letter_ended(lane, finished.delivery, ticket, written);
                    }
                }
            }
            None => {
                let record = finished.delivery.record();
                if mutation::is(Mutation::IgnoreGeneration)
                    && let Some(present) = self.partitions.generation(&record.source)
                {
                    self.partitions
                        .finish(present, Some(finished.ticket), record.offset);
                }
                if let (Some(running), Ending::Attempt(ending)) = (&running, &finished.ending) {
                    let elapsed = now.saturating_duration_since(running.began);
                    let topic = self.meter.topic(&running.assigned);
                    self.meter.attempts(topic, running.messages, elapsed);
                    let counts = self.partitions.counts_of(&running.assigned);
                    counts.all_ended(ending.end(), running.messages.into());
                }
                // Another member owns the partition by now, and will handle the message again.
                self.schedule.release(finished.lane);
                let record = finished.delivery.record();
                if let Some(count) = self.notices.late.occurred(record, now) {
                    warn!(
                        group = self.context.group,
                        record = %record.source,
                        offset = record.offset.0,
                        count,
                        "a handler finished after its partition was given up; the message is delivered again"
                    );
                }
            }
        }
    }

    /// An attempt ended: the limit may follow.
    fn scale(&mut self, now: Instant, ending: &AttemptResult) {
        if let Some(decision) = self.limit.ended(now, ending.is_too_much()) {
            debug!(
                group = self.context.group,
                pattern = self.context.pattern,
                from = decision.from,
                to = decision.to,
                reason = decision.reason,
                "the number of handlers follows the load"
            );
        }
    }

    /// The handler of an attempt has ended; so has the attempt, unless its message goes into custody.
    fn settle(
        &mut self,
        lane: LaneId,
        mut delivery: Delivery,
        ticket: Option<Ticket>,
        ending: AttemptResult,
    ) {
        if let Some(gathered) = delivery.take_batch() {
            return self.settle_batch(lane, delivery, gathered, ending);
        }
        if lane.lane == Lane::Gather {
            return self.settle_gathered(lane, delivery, ticket, ending);
        }
        // A delivery is large: where nothing is kept, it is moved once.
        if delivery.context().options.commit == Commit::Interval {
            self.conclude(lane, delivery, ticket, ending, Place::Lane);
        } else if let Some((delivery, ending)) = self.keep(lane, delivery, ticket, ending) {
            self.conclude(lane, delivery, ticket, ending, Place::Lane);
        }
    }

    /// An attempt is over.
    pub(super) fn conclude(
        &mut self,
        lane: LaneId,
        mut delivery: Delivery,
        ticket: Option<Ticket>,
        ending: AttemptResult,
        place: Place,
    ) {
        let offset = delivery.place();
        let ending = ending.of_one();
        let end = ending.end();
        let published = published(&mut delivery, &ending);
        let disposition = judge(ending, &mut delivery, &mut self.failures, &mut self.notices);
        if end != AttemptEnd::Done {
            self.count_all(lane.generation, &delivery, end, &disposition, 1);
        }
        if !matches!(disposition, Disposition::Pause(..)) {
            self.goes_on();
        }
        match disposition {
            Disposition::Finish | Disposition::Exhausted => {
                self.report.handled += 1;
                let counts =
                    self.partitions
                        .finish_with(lane.generation, ticket, offset, published);
                if let (Some(counts), AttemptEnd::Done) = (counts, end) {
                    counts.ended(end);
                }
                if place == Place::Lane {
                    self.schedule.release(lane);
                }
            }
            Disposition::Retry { wait, counts } => {
                let until = Instant::now() + wait;
                self.back(place, lane, delivery, ticket, until, counts);
            }
            Disposition::DeadLetter(letter) => {
                delivery.give_up(letter);
                match place {
                    Place::Lane => self.spawn(lane, delivery, ticket, Work::DeadLetter),
                    // Its lane may be busy: the letter is written when the lane is free.
                    Place::Gone => {
                        self.come_back(lane, delivery, ticket, Instant::now(), false);
                    }
                }
            }
            Disposition::Pause(why, wait) => {
                let now = Instant::now();
                // If only this message meets the failure, its own wait grows, and the others go on.
                let until = self.pauses(now, &why).max(now + wait);
                self.back(place, lane, delivery, ticket, until, false);
            }
            Disposition::Stop => {
                if let (None, Some(partition)) = (ticket, self.partitions.get_mut(lane.generation))
                {
                    partition.track(&delivery);
                }
                let record = delivery.record();
                self.stop.get_or_insert(AppError::Aborted {
                    group: self.context.group.clone(),
                    topic: record.topic().to_owned(),
                    partition: record.partition(),
                    offset: offset.0,
                });
            }
        }
    }

    /// The subscription pauses for this reason, or is paused already: until then.
    pub(super) fn pauses(&mut self, now: Instant, why: &str) -> Instant {
        self.limit.disturbed();
        if let Some(Begun {
            wait,
            log: Some(tries),
        }) = self.pause.begin(now, why)
        {
            warn!(
                group = self.context.group,
                pattern = self.context.pattern,
                again_in = ?Duration::from_millis(wait.as_millis() as u64),
                tries,
                pauses = self.pause.total(),
                error = why,
                "the subscription is paused and passes nothing over; one message is tried again then"
            );
        }
        self.pause.until().unwrap_or(now)
    }

    /// Counts an attempt at so many messages that did not simply succeed.
    pub(super) fn count_all(
        &mut self,
        generation: Generation,
        delivery: &Delivery,
        end: AttemptEnd,
        disposition: &Disposition,
        messages: u64,
    ) {
        if let Some(error) = delivery.last_error() {
            self.meter.failed(end, error, delivery);
        }
        if end == AttemptEnd::Mismatch {
            self.meter.refused(delivery);
        }
        if let Some(partition) = self.partitions.get_mut(generation) {
            partition.counts.all_ended(end, messages);
            let is_again = matches!(
                disposition,
                Disposition::Retry { .. } | Disposition::Pause(..)
            );
            partition.counts.retries += if is_again { messages } else { 0 };
        }
    }

    /// The message is tried again at the head of its lane.
    fn back(
        &mut self,
        place: Place,
        lane: LaneId,
        delivery: Delivery,
        ticket: Option<Ticket>,
        until: Instant,
        counts: bool,
    ) {
        match place {
            Place::Lane => self.again(lane, delivery, ticket, until, counts),
            Place::Gone => self.come_back(lane, delivery, ticket, until, counts),
        }
    }

    /// The message stays at the head of its lane until then, unless its partition is given up.
    pub(super) fn again(
        &mut self,
        lane: LaneId,
        mut delivery: Delivery,
        ticket: Option<Ticket>,
        until: Instant,
        counts: bool,
    ) {
        let Some(partition) = self.partitions.get_mut(lane.generation) else {
            return self.schedule.release(lane);
        };
        // At the end it stays, so that the report names it.
        if partition.revoking && !self.ending {
            return self.schedule.release(lane);
        }
        let ticket = ticket.unwrap_or_else(|| partition.track(&delivery));
        let arrived = Instant::now();
        delivery.failed(arrived, counts);
        let item = Item {
            delivery,
            ticket,
            arrived,
        };
        self.schedule.back_off(lane, item, until);
    }
}

/// What an attempt published for its transaction, if it ended well. What a failed one published is dropped.
fn published(delivery: &mut Delivery, ending: &AttemptResult) -> Vec<Collected> {
    let ended_well = matches!(
        ending,
        AttemptResult::Outcome(Outcome::Done | Outcome::Skip)
    );
    if !ended_well && mutation::is(Mutation::FailedOutboxKept) {
        return Vec::new();
    }
    let mut published = delivery.close_outbox();
    if !ended_well {
        published.clear();
    }
    published
}
