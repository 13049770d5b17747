//! Ends: a worker that is asked to end does so within its deadline and with status 0 (3 where a message that it
//! began is unfinished, 1 in an outage); no worker ends by itself; none takes more memory than its bound.

use std::collections::BTreeMap;

use super::{History, history::GRAIN};
use crate::{
    ledger::{Bounds, Ledger, Place, Worker, WorkerId},
    line::{Ended, Micros},
};

/// Between the end of a run and that of its process.
const EXIT: Micros = 1_500_000;

pub(super) struct Ends {
    pub(super) drain: Micros,
    pub(super) memory_kib: u64,
    pub(super) violations: Vec<String>,
}

pub(super) fn check(history: &History<'_>, bounds: &Bounds) -> Ends {
    let ledger = history.ledger;
    let mut ends = Ends {
        drain: 0,
        memory_kib: 0,
        violations: Vec::new(),
    };
    for (index, worker) in ledger.workers.iter().enumerate() {
        ends.memory_kib = ends.memory_kib.max(worker.peak_kib);
        if worker.peak_kib > bounds.memory_kib {
            ends.violations.push(format!(
                "{} took {} KiB of memory; its bound is {} KiB",
                worker.name, worker.peak_kib, bounds.memory_kib
            ));
        }
        if worker.killed.is_some() {
            continue;
        }
        match (worker.asked, worker.exited) {
            (Some(asked), Some(exited)) => {
                ends.drain = ends.drain.max(exited - asked);
                if exited - asked > bounds.drain + EXIT {
                    ends.violations.push(format!(
                        "{} took {:.1} s to end; its shutdown-timeout is {:.1} s",
                        worker.name,
                        (exited - asked) as f64 / 1e6,
                        bounds.drain as f64 / 1e6
                    ));
                }
                let fine = match worker.status {
                    Some(0) => true,
                    Some(1) if history.ended_in_outage(index).is_some() => true,
                    Some(3) => left_unfinished(ledger, index),
                    _ => false,
                };
                if !fine {
                    ends.violations.push(failed(worker, "was asked to end and"));
                }
            }
            (None, Some(_)) => ends.violations.push(failed(worker, "ended by itself and")),
            (Some(_), None) => ends
                .violations
                .push(format!("{} was asked to end and never did", worker.name)),
            (None, None) => {}
        }
    }
    ends
}

/// Whether a worker began a message and did not finish it: it was cut off, or failed and was neither tried again nor
/// written as a dead letter.
fn left_unfinished(ledger: &Ledger, worker: WorkerId) -> bool {
    let mut last: BTreeMap<&Place, (Micros, bool)> = BTreeMap::new();
    for attempt in ledger.attempts.iter().filter(|a| a.worker == worker) {
        let done = matches!(attempt.end, Some((_, Ended::Done)));
        let seen = last.entry(&attempt.place).or_insert((attempt.start, done));
        if attempt.start >= seen.0 {
            *seen = (attempt.start, done);
        }
    }
    let exited = ledger.workers[worker].exited.unwrap_or(Micros::MAX);
    let dead = |place: &Place, start: Micros| {
        ledger.letters.iter().any(|letter| {
            letter.origin == *place && letter.at + GRAIN > start && letter.at <= exited
        })
    };
    last.iter()
        .any(|(place, (start, done))| !done && !dead(place, *start))
}

fn failed(worker: &Worker, what: &str) -> String {
    let error = worker
        .report
        .as_ref()
        .and_then(|report| report.error.as_deref())
        .unwrap_or("no report of an error");
    match worker.status {
        None => format!("{} {what} died of a signal: {error}", worker.name),
        Some(status) => format!("{} {what} had exit status {status}: {error}", worker.name),
    }
}
