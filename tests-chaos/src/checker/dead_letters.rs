//! Dead letters: each poison message becomes one, of its reason and not before it used up its attempts; no other message
//! does. A second letter of one message needs a delivery of its own, which the law of duplicates judges.

use std::collections::BTreeSet;

use super::{
    History, attempt,
    history::{GRAIN, Message},
    time,
};
use crate::ledger::{Bounds, Letter, Poison};

pub(super) fn check(history: &History<'_>, bounds: &Bounds) -> Vec<String> {
    let mut broken = history.ledger.strange.clone();
    let mut known = BTreeSet::new();
    for message in history.messages() {
        known.insert(&message.place);
        for letter in &message.letters {
            let Some(problem) = problem(message, letter, bounds) else {
                continue;
            };
            broken.push(format!(
                "{}: {problem}{}",
                describe(history, letter),
                message.attempts.last().map_or_else(String::new, |last| {
                    format!("; its last {}", attempt(history, *last))
                })
            ));
        }
        // A worker that was stopped may write the letter of an earlier delivery after that of a later one.
        for (before, letter) in message.letters.iter().enumerate().skip(1) {
            let begun = message.attempts.iter().filter(|&&index| {
                let attempt = &history.ledger.attempts[index];
                attempt.attempt == 1 && attempt.start < letter.at + GRAIN
            });
            if begun.count() <= before {
                broken.push(format!(
                    "{}: one delivery wrote two, the one before {}",
                    describe(history, letter),
                    time(history, message.letters[before - 1].at)
                ));
            }
        }
    }
    for letter in &history.ledger.letters {
        if !known.contains(&letter.origin) {
            broken.push(format!("{}: no such message", describe(history, letter)));
        }
    }
    broken
}

fn problem(message: &Message, letter: &Letter, bounds: &Bounds) -> Option<String> {
    let (poison, reason) = match message.poison {
        None => return Some("it is not a poison message".to_owned()),
        Some(poison @ Poison::Fails) => (poison, "attempts"),
        Some(poison @ Poison::Rejects) => (poison, "rejected"),
    };
    if letter.reason != reason {
        return Some(format!("its reason should be `{reason}`"));
    }
    if poison == Poison::Fails && letter.attempts < bounds.attempts {
        return Some(format!("it has {} attempts", bounds.attempts));
    }
    message
        .attempts
        .is_empty()
        .then(|| "no handler ever began".to_owned())
}

fn describe(history: &History<'_>, letter: &Letter) -> String {
    format!(
        "{} is a dead letter, written {}, reason `{}`, {} attempts",
        letter.origin,
        time(history, letter.at),
        letter.reason,
        letter.attempts
    )
}
