//! Draining: gives up revoked partitions. Acknowledges the revoke, with the last commits, when no handler of them runs
//! any more and nothing is in custody, or at the deadline.

use std::{
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use kafkaesk_client::{
    consumer::{ConsumerControl, RevokeAck},
    mutation::{self, Mutation},
};
use kafkaesk_core::Source;
use rustc_hash::FxHashSet;
use tokio::time::Instant;
use tracing::warn;

use crate::{
    commit,
    notices::Streak,
    partitions::{Generation, Partitions},
    schedule::Schedule,
};

/// Partitions that are being given up.
#[derive(Debug)]
struct Draining {
    given_up: GivenUp,
    ack: RevokeAck,
    deadline: Instant,
}

/// Partitions that an instance gives up together.
#[derive(Debug)]
struct GivenUp {
    generations: Vec<Generation>,
    /// How many messages were held there.
    held: usize,
}

/// All that an instance gives up at a time.
#[derive(Debug)]
pub(crate) struct Drains {
    group: String,
    /// How long handlers may go on after a revoke.
    timeout: Duration,
    control: Arc<dyn ConsumerControl>,
    open: Vec<Draining>,
    /// Drains that were cut off, and those that left something behind: what the log repeats.
    cut_off: Streak,
    behind: Streak,
}

impl Drains {
    pub(crate) fn new(group: String, timeout: Duration, control: Arc<dyn ConsumerControl>) -> Self {
        Self {
            group,
            // Earlier than the consumer's own timeout, so that messages finished by then are still committed.
            timeout: timeout.mul_f64(0.9),
            control,
            open: Vec::new(),
            cut_off: Streak::default(),
            behind: Streak::default(),
        }
    }

    /// Starts no further handler of these partitions and waits for the running ones.
    pub(crate) fn begin(
        &mut self,
        partitions: &mut Partitions,
        schedule: &mut Schedule,
        sources: &[Arc<Source>],
        ack: RevokeAck,
    ) {
        let now = Instant::now();
        // The consumer's deadline may be earlier: messages finished by then are still committed.
        let left = ack.deadline().saturating_duration_since(StdInstant::now());
        self.open.push(Draining {
            given_up: give_up(partitions, schedule, sources),
            deadline: now + self.timeout.min(left.mul_f64(0.9)),
            ack,
        });
        self.release_drained(partitions, now);
    }

    /// Drops partitions that are lost: they belong to another member already, so nothing is committed.
    pub(crate) fn lose(
        &mut self,
        partitions: &mut Partitions,
        schedule: &mut Schedule,
        sources: &[Arc<Source>],
    ) {
        let given_up = give_up(partitions, schedule, sources);
        self.log(partitions, &given_up);
        partitions.remove(&given_up.generations);
    }

    /// Acknowledges what is drained or out of time.
    pub(crate) fn release_drained(&mut self, partitions: &mut Partitions, now: Instant) {
        let mut at = 0;
        while let Some(draining) = self.open.get(at) {
            let running = partitions.any_unfinished(&draining.given_up.generations)
                && !mutation::is(Mutation::DropOnRevoke);
            if running && now < draining.deadline {
                at += 1;
                continue;
            }
            if running && let Some(count) = self.cut_off.occurred(now) {
                warn!(
                    group = self.group,
                    count,
                    "handlers or committers did not finish before the revoke's deadline; their messages are delivered again to another member"
                );
            }
            let draining = self.open.swap_remove(at);
            self.release(partitions, draining);
        }
    }

    /// Acknowledges everything: the instance ends.
    pub(crate) fn release_all(&mut self, partitions: &mut Partitions) {
        while let Some(draining) = self.open.pop() {
            self.release(partitions, draining);
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.open.iter().map(|draining| draining.deadline).min()
    }

    fn release(&mut self, partitions: &mut Partitions, draining: Draining) {
        let Draining { given_up, ack, .. } = draining;
        self.log(partitions, &given_up);
        let of = given_up.generations.iter();
        let awaited: Vec<_> = of
            .filter_map(|generation| partitions.get_mut(*generation)?.awaited_commit())
            .collect();
        if !awaited.is_empty() {
            commit::make_awaited(&*self.control, awaited, None);
        }
        ack.release(commit::final_commits(partitions, &given_up.generations));
        partitions.remove(&given_up.generations);
    }

    /// Logs which messages the next owner of these partitions gets again, if any.
    fn log(&mut self, partitions: &Partitions, given_up: &GivenUp) {
        let held = given_up.held;
        let redelivered = partitions.redelivered_of(&given_up.generations);
        if (held > 0 || redelivered > 0)
            && let Some(count) = self.behind.occurred(Instant::now())
        {
            warn!(
                group = self.group,
                count,
                held,
                redelivered,
                "partitions were given up before everything was handled: held messages, and handled ones that follow an unfinished one, are delivered again to the next member"
            );
        }
    }
}

/// Starts no further handler of these partitions and drops their waiting records.
fn give_up(
    partitions: &mut Partitions,
    schedule: &mut Schedule,
    sources: &[Arc<Source>],
) -> GivenUp {
    let mut generations = Vec::new();
    for source in sources {
        let Some(generation) = partitions.generation(source) else {
            continue;
        };
        if let Some(partition) = partitions.get_mut(generation) {
            partition.revoking = true;
            if let Some(custody) = &partition.custody {
                custody.revoke();
            }
        }
        generations.push(generation);
    }
    let ours: FxHashSet<Generation> = generations.iter().copied().collect();
    let held = schedule
        .held()
        .filter(|held| ours.contains(&held.generation))
        .count();
    for generation in &generations {
        schedule.forget(*generation);
    }
    GivenUp { generations, held }
}
