//! Copies: where handlers publish a copy of each message in a transaction, readers of committed records see one copy of each
//! message that was handled, and no other; copies of one key stand in the order of their messages.

use std::collections::BTreeMap;

use super::{History, history::Message};
use crate::ledger::Copy;

pub(super) fn check(history: &History<'_>) -> Vec<String> {
    let Some(copies) = &history.ledger.copies else {
        return Vec::new();
    };
    let mut of: BTreeMap<u64, Vec<&Copy>> = BTreeMap::new();
    for copy in copies {
        of.entry(copy.seq).or_default().push(copy);
    }
    let mut broken = Vec::new();
    let mut messages: BTreeMap<u64, &Message> = BTreeMap::new();
    for message in history.messages() {
        messages.insert(message.seq, message);
        let found = of.get(&message.seq).map_or(&[][..], Vec::as_slice);
        let places: Vec<String> = found.iter().map(|copy| copy.place.to_string()).collect();
        let expected = usize::from(message.done.is_some() && !message.dead);
        if found.len() != expected {
            broken.push(format!(
                "{} key {:?} (message {}) should have {expected} committed copies and has {}: {}",
                message.place,
                message.key,
                message.seq,
                found.len(),
                places.join(", ")
            ));
        }
        if let Some(other) = found.iter().find(|copy| copy.key != message.key) {
            broken.push(format!(
                "{} key {:?} has a copy with another key, {:?}, at {}",
                message.place, message.key, other.key, other.place
            ));
        }
    }
    broken.extend(in_order(copies, &messages));
    broken
}

/// Copies of one key that stand before one of an earlier message.
fn in_order(copies: &[Copy], messages: &BTreeMap<u64, &Message>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut latest: BTreeMap<&str, &Copy> = BTreeMap::new();
    for copy in copies {
        let Some(message) = messages.get(&copy.seq) else {
            broken.push(format!(
                "{} is a copy of message {}, which nobody published",
                copy.place, copy.seq
            ));
            continue;
        };
        if let Some(before) = latest.insert(&copy.key, copy)
            && let Some(earlier) = messages.get(&before.seq)
            && message.place.offset < earlier.place.offset
        {
            broken.push(format!(
                "key {:?}: the copy of {} at {} stands behind the copy of the later {} at {}",
                copy.key, message.place, copy.place, earlier.place, before.place
            ));
        }
    }
    broken
}
