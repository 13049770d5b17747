//! Ends: a worker that is asked to end does so within its deadline and with status 0 (3 where a handler outlasts the
//! deadline); no worker ends by itself; none takes more memory than its bound.

use crate::{
    ledger::{Bounds, Ledger, Worker},
    line::{Ended, Micros},
};

/// Between the end of a run and that of its process.
const EXIT: Micros = 1_500_000;

pub(super) struct Ends {
    pub(super) drain: Micros,
    pub(super) memory_kib: u64,
    pub(super) violations: Vec<String>,
}

pub(super) fn check(ledger: &Ledger, bounds: &Bounds) -> Ends {
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
        let cut_off = ledger
            .attempts
            .iter()
            .any(|a| a.worker == index && matches!(a.end, Some((_, Ended::CutOff))));
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
                let wanted = if cut_off { Some(3) } else { Some(0) };
                if worker.status != wanted && worker.status != Some(0) {
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
