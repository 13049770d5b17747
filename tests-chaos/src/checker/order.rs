//! Order: the messages of one key in one partition complete, for the first time, in the order of their offsets. A dead
//! letter completes its message, and the next one begins after it.

use std::collections::BTreeMap;

use super::{History, attempt, history::Message, time};
use crate::line::Micros;

pub(super) fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for log in history.logs.values() {
        let mut latest: BTreeMap<&str, (Micros, usize, &Message)> = BTreeMap::new();
        for message in &log.messages {
            let Some((at, index)) = message.done else {
                continue;
            };
            if let Some((before, other, earlier)) = latest.get(&*message.key)
                && at < *before
            {
                broken.push(format!(
                    "key {:?}: {} was done before {}: {}; {}",
                    message.key,
                    message.place,
                    earlier.place,
                    attempt(history, index),
                    attempt(history, *other)
                ));
                continue;
            }
            if let Some((letter, _, earlier)) = latest.get(&*message.key)
                && earlier.dead
                && let Some(&first) = message.attempts.first()
                && history.ledger.attempts[first].start < *letter
            {
                broken.push(format!(
                    "key {:?}: {} began before {} was written as a dead letter {}: {}",
                    message.key,
                    message.place,
                    earlier.place,
                    time(history, *letter),
                    attempt(history, first)
                ));
            }
            latest.insert(&message.key, (at, index, message));
        }
    }
    broken
}
