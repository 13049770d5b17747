//! Commits: none passes a message that is not finished, and after a clean end the last one covers everything. A member that
//! has not noticed that its topic was created again may commit the deleted one's offset, which it or the next member overwrites.

use super::{History, attempt, history::GRAIN, time};
use crate::{
    ledger::{Bounds, Commit, FaultKind},
    line::Micros,
};

pub(super) fn check(history: &History<'_>, bounds: &Bounds) -> Vec<String> {
    let mut broken = Vec::new();
    for ((topic, partition), log) in &history.logs {
        // For each message, the one up to it that was done last.
        let mut slowest = Vec::with_capacity(log.messages.len());
        let mut last: Option<(Micros, usize)> = None;
        for (index, message) in log.messages.iter().enumerate() {
            let done = message.settled().unwrap_or(Micros::MAX);
            if last.is_none_or(|(latest, _)| done > latest) {
                last = Some((done, index));
            }
            slowest.extend(last);
        }
        for (number, commit) in log.commits.iter().enumerate() {
            let covered = log
                .messages
                .partition_point(|message| message.place.offset < commit.next);
            let Some((done, index)) = covered.checked_sub(1).map(|index| slowest[index]) else {
                continue;
            };
            if done <= commit.at.saturating_add(GRAIN) {
                continue;
            }
            let later = log.commits.get(number + 1..).unwrap_or_default();
            if of_the_deleted_topic(history, bounds, commit) && later.iter().any(|it| it.next == 0)
            {
                continue;
            }
            let message = &log.messages[index];
            let how = match message.attempts.first() {
                None => "no handler ever began".to_owned(),
                Some(first) => attempt(history, *first),
            };
            broken.push(format!(
                "{topic}[{partition}]: the commit of offset {} {} passes {} key {:?}, which was not finished: {how}",
                commit.next,
                time(history, commit.at),
                message.place,
                message.key
            ));
        }
        let end = log
            .messages
            .iter()
            .rev()
            .find(|message| message.done.is_some());
        let committed = log.committed(Micros::MAX);
        // Of a topic that was deleted nothing needs to be committed.
        let last = log.messages.last();
        if let Some(end) = end
            && last.is_some_and(|message| message.removed.is_none())
            && history.ledger.workers.iter().all(|w| w.exited.is_some())
            && log
                .messages
                .iter()
                .all(|message| message.settled().is_some())
            && committed <= end.place.offset
        {
            broken.push(format!(
                "{topic}[{partition}]: everything is handled and all workers ended, but offset {committed} is committed and not {}",
                end.place.offset + 1
            ));
        }
    }
    broken
}

/// Whether a commit may be one of the topic that was deleted: its member had not noticed yet. It overwrites it then, or the next
/// member does.
fn of_the_deleted_topic(history: &History<'_>, bounds: &Bounds, commit: &Commit) -> bool {
    history.ledger.faults.iter().any(|fault| {
        fault.what == FaultKind::StreamAway
            && (fault.at..=fault.until + bounds.notices).contains(&commit.at)
    })
}
