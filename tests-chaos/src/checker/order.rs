//! Order: the messages of one key in one partition complete, for the first time, in the order of their offsets. A dead
//! letter completes its message, and the next one begins after it. With manual commit, what counts is the first time that a
//! handler handed the message over: after that the next one of its key may overtake it.

use std::collections::BTreeMap;

use super::{
    History, attempt,
    history::{Log, Message},
    time,
};
use crate::line::Micros;

pub(super) fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for log in history.logs.values() {
        broken.extend(handed_over(history, log));
        let mut latest: BTreeMap<&str, (Micros, usize, &Message)> = BTreeMap::new();
        for message in &log.messages {
            let Some((at, index)) = message.done else {
                continue;
            };
            if is_kept(history, message) {
                continue;
            }
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

/// Whether a message was in custody.
fn is_kept(history: &History<'_>, message: &Message) -> bool {
    let mut attempts = message.attempts.iter();
    attempts.any(|&index| history.ledger.attempts[index].kept.is_some())
}

/// Messages in custody whose handlers first returned in another order than that of their key.
fn handed_over(history: &History<'_>, log: &Log<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut latest: BTreeMap<&str, (Micros, usize, &Message)> = BTreeMap::new();
    for message in &log.messages {
        let kept = message.attempts.iter().filter_map(|&index| {
            let at = history.ledger.attempts[index].kept?;
            Some((at, index))
        });
        let Some((at, index)) = kept.min() else {
            continue;
        };
        if let Some((before, other, earlier)) = latest.get(&*message.key)
            && at < *before
        {
            broken.push(format!(
                "key {:?}: {} was handed over {}, and {} before it in the log later, {}: {}; {}",
                message.key,
                message.place,
                time(history, at),
                earlier.place,
                time(history, *before),
                attempt(history, index),
                attempt(history, *other)
            ));
            continue;
        }
        latest.insert(&message.key, (at, index, message));
    }
    broken
}
