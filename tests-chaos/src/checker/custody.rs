//! Custody: what a resolved `done` covers is handled by nobody again, whatever happens; and a committer is stale only after its
//! worker was stopped, or after a revoke that did not wait for it any longer.

use super::{
    History, attempt,
    history::{Log, Message},
    time,
};
use crate::ledger::Bounds;

pub(super) fn check(history: &History<'_>, bounds: &Bounds) -> Vec<String> {
    let mut broken = Vec::new();
    for log in history.logs.values() {
        for message in &log.messages {
            broken.extend(again(history, log, message));
            for &index in &message.attempts {
                let of = &history.ledger.attempts[index];
                if let Some(at) = of.stale
                    && !history.stopped(log, of.worker, of.start, at)
                    && !history.outlasts(bounds, index)
                {
                    broken.push(format!(
                        "{}: done was stale {} without a reason: {}",
                        message.place,
                        time(history, at),
                        attempt(history, index)
                    ));
                }
            }
        }
    }
    broken
}

/// The runs of a message after its commit was confirmed. A worker that was stopped may not know.
fn again(history: &History<'_>, log: &Log<'_>, message: &Message) -> Vec<String> {
    let attempts = || message.attempts.iter().copied();
    let Some(confirmed) = attempts()
        .filter_map(|index| history.ledger.attempts[index].confirmed)
        .min()
    else {
        return Vec::new();
    };
    attempts()
        .filter(|&index| {
            let it = &history.ledger.attempts[index];
            it.start > confirmed && !history.stopped(log, it.worker, it.start, it.start)
        })
        .map(|index| {
            format!(
                "{} was handled again after done was confirmed {}: {}",
                message.place,
                time(history, confirmed),
                attempt(history, index)
            )
        })
        .collect()
}
