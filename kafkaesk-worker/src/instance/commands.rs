//! Commands: does what is asked for from outside, between two messages.

use std::time::Duration;

use kafkaesk_core::{Reason, RecordPlace};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Instance;
use crate::{
    control::{Answer, Command, Request, Skip},
    delivery::Delivery,
    judge::{self, Key},
    shutdown::ShutdownDeadlines,
    throttle::Throttle,
};

/// How long an instance that scaling removes waits for its handlers, at least: there is no hurry, and what is cut off is
/// handled again.
const LEAST_DRAIN: Duration = Duration::from_secs(120);

impl Instance {
    /// Does what a command asks for.
    pub(super) fn obey(&mut self, command: Command) {
        let answer = match command.request {
            Request::Commit => {
                let commits = self.committing.take_new(&self.partitions);
                self.commit(commits);
                self.transact_soon();
                Answer::Done
            }
            Request::Pause { reason, until } => {
                info!(
                    group = self.context.group,
                    pattern = self.context.pattern,
                    reason = (!reason.is_empty()).then_some(reason.as_str()),
                    seconds = until.map(|until| {
                        until
                            .saturating_duration_since(Instant::now())
                            .as_secs_f64()
                            .round()
                    }),
                    "paused by a command"
                );
                self.pause.command(reason, until);
                Answer::Done
            }
            Request::Resume => {
                self.pause.resume();
                info!(
                    group = self.context.group,
                    pattern = self.context.pattern,
                    "resumed by a command"
                );
                Answer::Done
            }
            Request::Throttle(per_second) => {
                let allowed = per_second.or(self.context.options.throttle);
                self.throttle = allowed.map(|allowed| Throttle::new(allowed, Instant::now()));
                info!(
                    group = self.context.group,
                    pattern = self.context.pattern,
                    per_second = allowed.map(std::num::NonZeroU32::get),
                    "throttled by a command"
                );
                Answer::Done
            }
            Request::Rejoin => {
                self.rejoin(Instant::now());
                Answer::Done
            }
            Request::End => {
                let timeout = self.drain.max(LEAST_DRAIN);
                self.removed
                    .get_or_insert_with(|| ShutdownDeadlines::from(Instant::now(), timeout));
                Answer::Done
            }
            Request::Skip(skip) => self.skip(&skip),
            Request::Hurry => {
                self.schedule.hurry(|_| true);
                Answer::Done
            }
            Request::Show => {
                self.show(self.state());
                Answer::Done
            }
        };
        // The caller may have dropped its future.
        let _ = command.done.send(answer);
    }

    /// Gives up one message that is held.
    fn skip(&mut self, skip: &Skip) -> Answer {
        if skip.dead_letter && self.context.dead_letters.is_none() {
            return Answer::NoDeadLetters;
        }
        let is_it = |delivery: &Delivery| is_at(delivery, &skip.place);
        let Some((lane, mut item)) = self.schedule.take_held(is_it) else {
            let mut running = self.running.values();
            return match running.any(|running| running.place() == skip.place) {
                true => Answer::Running,
                false => Answer::NotHeld,
            };
        };
        let record = item.delivery.record();
        warn!(
            group = self.context.group,
            stream = record.stream(),
            partition = record.partition(),
            offset = record.offset.0,
            key = %Key(record.key.as_deref()),
            attempts = item.delivery.attempt() - 1,
            error = item.delivery.last_error(),
            "{} by a command",
            match skip.dead_letter {
                true => "given up as a dead letter",
                false => "passed over, and kept nowhere,",
            }
        );
        if skip.dead_letter {
            if item.delivery.given_up().is_none() {
                let error = item.delivery.last_error().unwrap_or_default().to_owned();
                let letter = judge::letter(&item.delivery, Reason::Skipped, error);
                item.delivery.give_up(Box::new(letter));
            }
            self.give_up(lane, item);
        } else {
            self.report.handled += 1;
            self.partitions
                .finish(lane.generation, Some(item.ticket), item.delivery.place());
            self.schedule.release(lane);
        }
        Answer::Done
    }
}

fn is_at(delivery: &Delivery, place: &RecordPlace) -> bool {
    let record = delivery.record();
    record.source.stream == place.stream
        && record.partition() == place.partition
        && record.offset == place.offset
}
