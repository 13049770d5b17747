//! Places: gives each event of a ledger its place in the log that it belongs to. A topic that is deleted and created again
//! is another log with the same name and the same offsets; it gets a name of its own here. Judges nothing.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    ledger::{FaultKind, Ledger, Place, Removed},
    line::Micros,
};

/// What the name of a topic that was created again ends with.
const AGAIN: &str = "#2";

/// Settles all places. The suite deletes its topic once in a run at the most.
pub(crate) fn settle(ledger: &mut Ledger) {
    receipts_without_offset(ledger);
    let away = ledger
        .faults
        .iter()
        .find(|fault| fault.what == FaultKind::StreamAway)
        .map(|fault| (fault.at, fault.until));
    if let Some((deleted, back)) = away {
        created_again(ledger, deleted, back);
    }
}

/// Brokers acknowledge a record that they have already without saying where it stands. Who handled it knows.
fn receipts_without_offset(ledger: &mut Ledger) {
    let seen: BTreeMap<u64, &Place> = ledger
        .attempts
        .iter()
        .map(|attempt| (attempt.seq, &attempt.place))
        .collect();
    for published in &mut ledger.published {
        if published.place.offset < 0
            && let Some(&place) = seen.get(&published.seq)
        {
            published.place = place.clone();
        }
    }
}

fn created_again(ledger: &mut Ledger, deleted: Micros, back: Micros) {
    // One publisher publishes in the order of the numbers, so offsets that step back are the new topic's.
    ledger.published.sort_by_key(|it| it.seq);
    let mut latest: BTreeMap<(Arc<str>, i32), (i64, bool)> = BTreeMap::new();
    let mut is_new: BTreeMap<u64, bool> = BTreeMap::new();
    for it in &ledger.published {
        let partition = (it.place.topic.clone(), it.place.partition);
        let (last, new) = latest.entry(partition).or_insert((-1, false));
        *new |= it.place.offset <= *last || it.at > back;
        *last = it.place.offset;
        is_new.insert(it.seq, *new);
    }
    let new = |seq: u64| is_new.get(&seq).copied();
    let acknowledged = ledger
        .published
        .iter()
        .filter(|it| new(it.seq) == Some(true));
    let born = acknowledged.map(|it| it.at).min().unwrap_or(back);
    let mut names: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    let mut renew = |topic: &mut Arc<str>| {
        let name = names.entry(topic.clone());
        *topic = name
            .or_insert_with(|| format!("{topic}{AGAIN}").into())
            .clone();
    };
    for it in &mut ledger.published {
        if is_new.get(&it.seq) == Some(&true) {
            renew(&mut it.place.topic);
        } else {
            ledger.removed.push(Removed {
                place: it.place.clone(),
                at: deleted,
            });
        }
    }
    for it in &mut ledger.attempts {
        if is_new.get(&it.seq).copied().unwrap_or(it.start >= born) {
            renew(&mut it.place.topic);
        }
    }
    for it in ledger.commits.iter_mut().filter(|it| it.at >= born) {
        renew(&mut it.topic);
    }
    for it in ledger.moves.iter_mut().filter(|it| it.at >= born) {
        renew(&mut it.topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Attempt, Commit, Fault, Published};

    fn place(offset: i64) -> Place {
        Place {
            topic: "t".into(),
            partition: 0,
            offset,
        }
    }

    fn published(seq: u64, offset: i64, at: Micros) -> Published {
        Published {
            place: place(offset),
            key: "k".into(),
            seq,
            poison: None,
            at,
        }
    }

    fn attempt(seq: u64, offset: i64, start: Micros) -> Attempt {
        Attempt {
            worker: 0,
            place: place(offset),
            key: "k".into(),
            seq,
            attempt: 1,
            start,
            kept: None,
            end: None,
            confirmed: None,
            stale: None,
        }
    }

    fn commit(next: i64, at: Micros) -> Commit {
        Commit {
            topic: "t".into(),
            partition: 0,
            next,
            at,
        }
    }

    #[test]
    fn a_receipt_without_an_offset_takes_the_place_where_its_message_was_handled() {
        let mut ledger = Ledger {
            published: vec![
                published(1, 0, 10),
                published(2, -1001, 20),
                published(3, -1, 30),
            ],
            attempts: vec![attempt(2, 7, 40)],
            ..Ledger::default()
        };
        settle(&mut ledger);
        let offsets: Vec<i64> = ledger.published.iter().map(|it| it.place.offset).collect();
        assert_eq!(offsets, [0, 7, -1]);
    }

    #[test]
    fn what_follows_a_deletion_belongs_to_another_log() {
        let mut ledger = Ledger {
            // The receipt of the last one of the old log comes late.
            published: vec![
                published(1, 0, 10),
                published(2, 1, 110),
                published(3, 0, 105),
                published(4, 1, 120),
            ],
            attempts: vec![attempt(1, 0, 20), attempt(3, 0, 106), attempt(2, 1, 112)],
            commits: vec![commit(1, 30), commit(0, 104), commit(1, 130)],
            faults: vec![Fault {
                what: FaultKind::StreamAway,
                at: 50,
                until: 150,
            }],
            ..Ledger::default()
        };
        settle(&mut ledger);
        let topics = |of: Vec<&Arc<str>>| of.iter().map(|it| it.to_string()).collect::<Vec<_>>();
        assert_eq!(
            topics(ledger.published.iter().map(|it| &it.place.topic).collect()),
            ["t", "t", "t#2", "t#2"]
        );
        assert_eq!(
            topics(ledger.attempts.iter().map(|it| &it.place.topic).collect()),
            ["t", "t#2", "t"]
        );
        assert_eq!(
            topics(ledger.commits.iter().map(|it| &it.topic).collect()),
            ["t", "t", "t#2"]
        );
        let removed: Vec<(i64, Micros)> = ledger
            .removed
            .iter()
            .map(|it| (it.place.offset, it.at))
            .collect();
        assert_eq!(removed, [(0, 50), (1, 50)]);
    }
}
