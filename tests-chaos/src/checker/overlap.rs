//! Overlap: no two handlers of one key run at once. Except those of a worker that was stopped for longer than its session,
//! and those that outlast the deadline of a revoke: their partitions are others' meanwhile. Two handlers of one worker never
//! run at once, whatever happens to its partitions. A handler is over when it returns: with manual commit, its message may end
//! later.

use std::collections::BTreeMap;

use super::{History, attempt, history::Log};
use crate::ledger::Bounds;

pub(super) fn check(history: &History<'_>, bounds: &Bounds) -> Vec<String> {
    let mut broken = Vec::new();
    for log in history.logs.values() {
        let mut keys: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for message in &log.messages {
            keys.entry(&message.key)
                .or_default()
                .extend(&message.attempts);
        }
        for indexes in keys.values_mut() {
            indexes.sort_by_key(|index| history.ledger.attempts[*index].start);
            broken.extend(of_one_worker(history, indexes));
            // The one that ends last of those so far.
            let mut longest: Option<usize> = None;
            for &index in indexes.iter() {
                let start = history.ledger.attempts[index].start;
                if let Some(other) = longest
                    && start < history.handler_over(other)
                    && history.ledger.attempts[other].worker
                        != history.ledger.attempts[index].worker
                    && !excused(history, bounds, log, index)
                    && !excused(history, bounds, log, other)
                {
                    broken.push(at_once(history, other, index));
                }
                if longest
                    .is_none_or(|other| history.handler_over(index) > history.handler_over(other))
                {
                    longest = Some(index);
                }
            }
        }
    }
    broken
}

/// Those of these attempts, by their start, that overlap another one of their worker.
fn of_one_worker(history: &History<'_>, indexes: &[usize]) -> Vec<String> {
    let mut longest: BTreeMap<usize, usize> = BTreeMap::new();
    let mut broken = Vec::new();
    for &index in indexes {
        let attempt = &history.ledger.attempts[index];
        let other = longest.entry(attempt.worker).or_insert(index);
        if *other != index && attempt.start < history.handler_over(*other) {
            broken.push(at_once(history, *other, index));
        }
        if history.handler_over(index) > history.handler_over(*other) {
            *other = index;
        }
    }
    broken
}

fn at_once(history: &History<'_>, other: usize, index: usize) -> String {
    format!(
        "key {:?}: {} and {} ran at once: {}; {}",
        history.ledger.attempts[index].key,
        history.ledger.attempts[other].place,
        history.ledger.attempts[index].place,
        attempt(history, other),
        attempt(history, index)
    )
}

fn excused(history: &History<'_>, bounds: &Bounds, log: &Log<'_>, index: usize) -> bool {
    let attempt = &history.ledger.attempts[index];
    history.stopped(
        log,
        attempt.worker,
        attempt.start,
        history.handler_over(index),
    ) || history.outlasts(bounds, index)
}
