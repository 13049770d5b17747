//! Published: every publish is acknowledged in the end, since no outage of the suite outlasts `delivery-timeout`, and each
//! message stands in the log once.

use std::collections::BTreeMap;

use super::{History, history::Message};

pub(super) fn check(history: &History<'_>) -> Vec<String> {
    let mut broken: Vec<String> = history
        .ledger
        .unacknowledged
        .iter()
        .map(|error| format!("a publish was not acknowledged: {error}"))
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
