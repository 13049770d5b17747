//! Published: every publish is acknowledged in the end, since no outage of the suite outlasts `delivery-timeout`, and each
//! message stands in the log once. Except publishes to a stream whose topic is gone.

use std::collections::BTreeMap;

use super::{History, history::Message, time};
use crate::{ledger::FaultKind, line::Micros};

/// How soon a publisher knows that its stream is there again.
const KNOWN: Micros = 5_000_000;

pub(super) fn check(history: &History<'_>) -> Vec<String> {
    let away = |at: Micros| {
        history.ledger.faults.iter().any(|fault| {
            fault.what == FaultKind::StreamAway
                && (fault.at - KNOWN..=fault.until + KNOWN).contains(&at)
        })
    };
    let unacknowledged = history.ledger.unacknowledged.iter();
    let mut broken: Vec<String> = unacknowledged
        .filter(|it| !away(it.at))
        .map(|it| {
            format!(
                "a publish {} was not acknowledged: {}",
                time(history, it.at),
                it.error
            )
        })
        .collect();
    let mut places: BTreeMap<u64, &Message> = BTreeMap::new();
    for message in history.messages() {
        if let Some(first) = places.insert(message.seq, message) {
            broken.push(format!(
                "message {} stands in the log twice: {} and {}",
                message.seq, first.place, message.place
            ));
        }
    }
    broken
}
