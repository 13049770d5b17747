//! Gives partitions up: acknowledges a revoke with the last commits, once nothing runs there any more or the deadline
//! has come.

use std::sync::Arc;

use kafkaesk_client::consumer::RevokeAck;
use kafkaesk_core::Source;
use tokio::time::Instant;
use tracing::warn;

use crate::{instance::Instance, partitions::Generation};

/// Partitions that are being given up.
#[derive(Debug)]
pub(crate) struct Draining {
    generations: Vec<Generation>,
    ack: RevokeAck,
    deadline: Instant,
    /// How many messages were held there.
    held: usize,
}

/// Starts nothing of these partitions any more and waits for what runs.
pub(crate) fn begin(instance: &mut Instance, sources: &[Arc<Source>], ack: RevokeAck) {
    let (generations, held) = instance.forget(sources);
    instance.draining.push(Draining {
        generations,
        ack,
        // Before the consumer's own patience ends: what is finished by then is still committed.
        deadline: Instant::now() + instance.drain.mul_f64(0.9),
        held,
    });
    release_drained(instance, Instant::now());
}

/// Acknowledges what is drained or out of time.
pub(crate) fn release_drained(instance: &mut Instance, now: Instant) {
    let mut at = 0;
    while at < instance.draining.len() {
        let draining = &instance.draining[at];
        let running = instance.partitions.any_running(&draining.generations);
        if running && now < draining.deadline {
            at += 1;
            continue;
        }
        if running {
            warn!(
                group = instance.context.group,
                "handlers did not finish before the revoke's deadline; their messages are delivered again to another member"
            );
        }
        let draining = instance.draining.swap_remove(at);
        release(instance, draining);
    }
}

/// Acknowledges everything: the instance ends.
pub(crate) fn release_all(instance: &mut Instance) {
    while let Some(draining) = instance.draining.pop() {
        release(instance, draining);
    }
}

fn release(instance: &mut Instance, draining: Draining) {
    say_given_up(instance, &draining.generations, draining.held);
    let commits = instance.partitions.last_word(Some(&draining.generations));
    draining.ack.release(commits);
    instance.partitions.remove(&draining.generations);
}

/// Says what the next member with these partitions gets again, if anything.
pub(crate) fn say_given_up(instance: &Instance, generations: &[Generation], held: usize) {
    let redelivered = instance
        .partitions
        .redelivered_of(|generation| generations.contains(generation));
    if held > 0 || redelivered > 0 {
        warn!(
            group = instance.context.group,
            held,
            redelivered,
            "partitions were given up before everything was handled: held messages, and handled ones that follow an unfinished one, are delivered again to the next member"
        );
    }
}

/// When the first of them is out of time.
pub(crate) fn next_deadline(draining: &[Draining]) -> Option<Instant> {
    draining.iter().map(|draining| draining.deadline).min()
}
