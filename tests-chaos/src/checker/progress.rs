//! Progress: a partition that has work moves within a bound: a handler begins or ends there, or a dead
//! letter is written. The bound counts from the end
//! of a fault; after a killed or stopped worker, from the end of its session; where handlers hang, from the end of
//! `max.poll.interval.ms`.

use std::collections::BTreeSet;

use super::{History, history::Log, time};
use crate::{
    ledger::{Bounds, FaultKind},
    line::Micros,
};

pub(super) struct Progress {
    pub(super) longest: Micros,
    pub(super) violations: Vec<String>,
}

pub(super) fn check(history: &History<'_>, bounds: &Bounds) -> Progress {
    let mut progress = Progress {
        longest: 0,
        violations: Vec::new(),
    };
    for ((topic, partition), log) in &history.logs {
        let moved: BTreeSet<Micros> = log
            .messages
            .iter()
            .flat_map(|message| &message.attempts)
            .flat_map(|&index| {
                let end = history.ledger.attempts[index].end;
                [
                    Some(history.ledger.attempts[index].start),
                    end.map(|(at, _)| at),
                ]
            })
            .flatten()
            .chain(
                log.messages
                    .iter()
                    .flat_map(|it| it.letters.iter().map(|letter| letter.at)),
            )
            .collect();
        for (from, to) in busy(history, log) {
            let mut since = from;
            let points = moved.range(from..to).copied().chain([to]);
            for at in points {
                let (began, still) = (since, at - since);
                since = at;
                if still <= progress.longest && still <= bounds.progress {
                    continue;
                }
                if runs(history, log, began, at) {
                    continue;
                }
                progress.longest = progress.longest.max(still);
                let clock = excused(history, bounds, began, at);
                if at - clock > bounds.progress {
                    progress.violations.push(format!(
                        "{topic}[{partition}] had work and stood still from {} to {}: {:.1} s, {:.1} s of them after what excuses it",
                        time(history, began),
                        time(history, at),
                        still as f64 / 1e6,
                        (at - clock) as f64 / 1e6
                    ));
                }
            }
        }
    }
    progress
}

/// When a partition had messages that were published and not handled.
fn busy(history: &History<'_>, log: &Log<'_>) -> Vec<(Micros, Micros)> {
    let mut spans: Vec<(Micros, Micros)> = log
        .messages
        .iter()
        .filter_map(|message| {
            let until = message.settled().unwrap_or(history.ledger.ended);
            Some((message.published?, until))
        })
        .filter(|(from, until)| from < until)
        .collect();
    spans.sort_unstable();
    let mut merged: Vec<(Micros, Micros)> = Vec::new();
    for (from, until) in spans {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => merged.push((from, until)),
        }
    }
    merged
}

/// Whether a handler of a worker that was alive ran all the time, and did not hang: that is not a standstill.
fn runs(history: &History<'_>, log: &Log<'_>, from: Micros, to: Micros) -> bool {
    log.messages
        .iter()
        .flat_map(|message| &message.attempts)
        .any(|&index| {
            let attempt = &history.ledger.attempts[index];
            attempt.start <= from
                && attempt.end.is_some_and(|(at, _)| at >= to)
                && !history.stopped(log, attempt.worker, from, to)
                && !history.hung(attempt.worker, from, to)
        })
}

/// From when on the bound counts.
fn excused(history: &History<'_>, bounds: &Bounds, from: Micros, to: Micros) -> Micros {
    let mut clock = from;
    for fault in &history.ledger.faults {
        let until = match fault.what {
            // The session counts from the stop; what a stopped worker does afterwards excuses nothing.
            FaultKind::Killed(_) | FaultKind::Stopped(_) => fault.at + bounds.session,
            // Handlers may take so long; then others take the partitions.
            FaultKind::Hung(_) => fault.at + bounds.max_poll,
            // A clean start or end excuses nothing, or a storm of them would excuse all.
            FaultKind::Asked(worker) => match history.ended_in_outage(worker) {
                Some(over) => over + bounds.session,
                None => continue,
            },
            FaultKind::Started(_) | FaultKind::Other | FaultKind::Retention => continue,
            FaultKind::Outage
            | FaultKind::StreamAway
            | FaultKind::LettersAway
            | FaultKind::Slow => fault.until,
        };
        if fault.at < to && until > from {
            clock = clock.max(until.min(to));
        }
    }
    clock
}
