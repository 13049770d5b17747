//! Runs attempts in their lanes, and hands each message on when one ends: to the tracker, back to its lane, or to the end
//! of the instance.
//!
//! Next: `judge` decides what an attempt means; `tracker` and `schedule` take the message.

use std::{hash::BuildHasher as _, sync::Arc, time::Duration};

use kafkaesk_client::broker::BoxFuture;
use kafkaesk_core::{Record, Source};
use tokio::{task::JoinError, time::Instant};
use tracing::{info, warn};

use super::Instance;
use crate::{
    AppError, Ordering,
    attempt::{self, InPlace},
    delivery::Delivery,
    dispatch::DispatchMode,
    judge::{Disposition, judge},
    outcome::AttemptResult,
    partitions::Generation,
    pause::Begun,
    schedule::{Item, Lane, LaneId},
    tracker::Ticket,
};

/// How many waiting records are handled in place before events, commits and other tasks get their turn.
const TURN: usize = 512;

/// A handler that runs as a task.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) source: Arc<Source>,
    pub(super) offset: i64,
    pub(super) attempt: u32,
    /// When its first attempt failed, or this one began.
    pub(super) since: Instant,
}

/// What such a task gives back.
pub(super) struct Finished {
    lane: LaneId,
    ticket: Ticket,
    delivery: Delivery,
    ending: AttemptResult,
    /// How long its first poll held the thread, if it began as a task.
    held: Option<Duration>,
}

impl Instance {
    /// Handles a record at once if its lane is idle and there is room, or lets it wait.
    pub(super) fn offer(&mut self, generation: Generation, record: Record) {
        let lane = self.lane(generation, &record);
        let at_once = self.has_room() && !self.schedule.has_ready() && self.schedule.is_idle(lane);
        if at_once {
            let delivery = Delivery::new(record, self.context.clone());
            self.attempt(lane, delivery, None);
            return;
        }
        if let Some(partition) = self.partitions.get_mut(generation) {
            let ticket = partition.tracker.push(record.offset);
            let mut delivery = Delivery::new(record, self.context.clone());
            delivery.keep();
            self.schedule.wait(lane, Item { delivery, ticket });
        }
    }

    fn lane(&self, generation: Generation, record: &Record) -> LaneId {
        let lane = match (self.context.options.ordering, &record.key) {
            (Ordering::Partition, _) => Lane::Partition,
            (Ordering::Key, Some(key)) => Lane::Key(self.hasher.hash_one(key)),
            (Ordering::Key, None) | (Ordering::None, _) => Lane::Alone(record.offset.0),
        };
        LaneId { generation, lane }
    }

    pub(super) fn has_room(&self) -> bool {
        self.running.len() < self.pause.room(self.context.options.concurrency as usize)
    }

    /// Runs what waits in ready lanes, in turns.
    pub(super) fn run_ready(&mut self) {
        self.dispatch.begin();
        for _ in 0..TURN {
            if !self.has_room() || self.stop.is_some() {
                return;
            }
            let Some((lane, item)) = self.schedule.take() else {
                return;
            };
            self.attempt(lane, item.delivery, Some(item.ticket));
        }
    }

    fn attempt(&mut self, lane: LaneId, delivery: Delivery, ticket: Option<Ticket>) {
        if self.dispatch.mode() == DispatchMode::Spawned {
            return self.spawn(lane, delivery, ticket, None);
        }
        match attempt::in_place(&self.context, &delivery) {
            InPlace::Ended(ending) => self.settle(lane, delivery, ticket, ending),
            InPlace::Pending(future) => self.spawn(lane, delivery, ticket, Some(future)),
            InPlace::NotStarted => self.spawn(lane, delivery, ticket, None),
        }
        self.dispatch.handled();
    }

    fn spawn(
        &mut self,
        lane: LaneId,
        delivery: Delivery,
        ticket: Option<Ticket>,
        begun: Option<BoxFuture<'static, AttemptResult>>,
    ) {
        let record = delivery.record();
        let Some(partition) = self.partitions.get_mut(lane.generation) else {
            return;
        };
        let ticket = ticket.unwrap_or_else(|| partition.tracker.push(record.offset));
        partition.running += 1;
        self.schedule.occupy(lane);
        let running = Running {
            source: record.source.clone(),
            offset: record.offset.0,
            attempt: delivery.attempt(),
            since: delivery
                .failures()
                .map_or_else(Instant::now, |failures| failures.since),
        };
        self.running.insert(lane, running);
        let context = self.context.clone();
        self.tasks.spawn(async move {
            let (ending, held) = match begun {
                Some(future) => (attempt::rest(future).await, None),
                None => {
                    let (ending, held) = attempt::as_task(context, &delivery).await;
                    (ending, Some(held))
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

    pub(super) fn finished(&mut self, finished: Result<Finished, JoinError>) {
        let finished = match finished {
            Ok(finished) => finished,
            Err(error) => {
                // A handler's panic is caught inside the task, so this is a bug of ours or the runtime's end.
                self.stop.get_or_insert(AppError::Internal {
                    group: self.context.group.clone(),
                    message: error.to_string(),
                });
                return;
            }
        };
        self.running.remove(&finished.lane);
        if let Some(held) = finished.held {
            self.dispatch.polled(held);
        }
        match self.partitions.get_mut(finished.lane.generation) {
            Some(partition) => {
                partition.running -= 1;
                self.settle(
                    finished.lane,
                    finished.delivery,
                    Some(finished.ticket),
                    finished.ending,
                );
            }
            None => {
                // Somebody else has the partition by now, and will handle the message again.
                self.schedule.release(finished.lane);
                warn!(
                    group = self.context.group,
                    record = %finished.delivery.record().source,
                    offset = finished.delivery.record().offset.0,
                    "a handler finished after its partition was given up; the message is delivered again"
                );
            }
        }
    }

    /// An attempt is over.
    fn settle(
        &mut self,
        lane: LaneId,
        delivery: Delivery,
        ticket: Option<Ticket>,
        ending: AttemptResult,
    ) {
        let offset = delivery.record().offset;
        let disposition = judge(ending, &delivery, &mut self.notices);
        if !matches!(disposition, Disposition::Pause(..)) && self.pause.end() {
            info!(
                group = self.context.group,
                pattern = self.context.pattern,
                "the subscription goes on"
            );
        }
        match disposition {
            Disposition::Finish | Disposition::Exhausted => {
                self.report.handled += 1;
                self.partitions.finish(lane.generation, ticket, offset);
                self.schedule.release(lane);
            }
            Disposition::Retry(wait) => self.again(lane, delivery, ticket, Instant::now() + wait),
            Disposition::Pause(why, wait) => {
                let now = Instant::now();
                if let Some(Begun {
                    wait,
                    log: Some(tries),
                }) = self.pause.begin(now)
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
                // A message that alone meets this waits longer and longer, and the others go on meanwhile.
                let until = self.pause.until().unwrap_or(now).max(now + wait);
                self.again(lane, delivery, ticket, until);
            }
            Disposition::Stop => {
                if let (None, Some(partition)) = (ticket, self.partitions.get_mut(lane.generation))
                {
                    partition.tracker.push(offset);
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

    /// The message stays at the head of its lane until then; not if its partition is given up.
    fn again(
        &mut self,
        lane: LaneId,
        mut delivery: Delivery,
        ticket: Option<Ticket>,
        until: Instant,
    ) {
        let Some(partition) = self.partitions.get_mut(lane.generation) else {
            return self.schedule.release(lane);
        };
        // At the end it stays, to be named.
        if partition.revoking && !self.ending {
            return self.schedule.release(lane);
        }
        let ticket = ticket.unwrap_or_else(|| partition.tracker.push(delivery.record().offset));
        delivery.failed(Instant::now());
        self.schedule
            .back_off(lane, Item { delivery, ticket }, until);
    }
}
