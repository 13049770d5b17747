//! Checker: judges a ledger. Pure. Each law is a file; each is shown to fail on a bad ledger (`tests`).

mod commits;
mod copies;
mod custody;
mod dead_letters;
mod duplicates;
mod ends;
mod history;
mod lost;
mod order;
mod overlap;
mod progress;
mod published;
mod removed;
#[cfg(test)]
mod tests;

use crate::{
    ledger::{Bounds, Ledger},
    line::{Ended, Micros},
};
use history::History;

/// How many violations of a law are listed.
const LISTED: usize = 5;
/// Whether a clean end or rebalance may repeat what finished behind an unfinished message of its partition. Set to false
/// once completions travel in the commits' metadata.
const BEHIND_UNFINISHED_IS_ALLOWED: bool = false;

/// A broken law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) law: &'static str,
    pub(crate) text: String,
}

/// What a run comes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// Acknowledged publishes.
    pub(crate) messages: usize,
    /// Messages that were handled at least once, or became a dead letter.
    pub(crate) handled: usize,
    /// Dead letters.
    pub(crate) letters: usize,
    /// Messages that left their log before anybody handled them.
    pub(crate) removed: usize,
    /// Messages that hard faults may repeat.
    pub(crate) allowed: usize,
    /// Messages that hard faults did repeat.
    pub(crate) repeated: usize,
    /// Messages that were repeated behind an unfinished one of their partition.
    pub(crate) behind_unfinished: usize,
    /// The longest time in which a partition had work and nothing moved.
    pub(crate) standstill: Micros,
    /// The longest end of a worker.
    pub(crate) drain: Micros,
    /// The most memory of a worker.
    pub(crate) memory_kib: u64,
    /// The first violations of each law.
    pub(crate) violations: Vec<Violation>,
    /// How many there are in all.
    pub(crate) violations_total: usize,
}

impl Verdict {
    fn add(&mut self, law: &'static str, found: Vec<String>) {
        self.violations_total += found.len();
        let listed = found.into_iter().take(LISTED);
        self.violations
            .extend(listed.map(|text| Violation { law, text }));
    }
}

/// Judges a run.
pub(crate) fn check(ledger: &Ledger, bounds: &Bounds) -> Verdict {
    let history = History::of(ledger);
    let duplicates = duplicates::check(&history, bounds);
    let progress = progress::check(&history, bounds);
    let ends = ends::check(&history, bounds);
    let mut verdict = Verdict {
        messages: ledger.published.len(),
        handled: history.messages().filter(|m| m.done.is_some()).count(),
        letters: ledger.letters.len(),
        removed: history
            .messages()
            .filter(|m| m.removed.is_some() && m.done.is_none())
            .count(),
        allowed: duplicates.allowed,
        repeated: duplicates.repeated,
        behind_unfinished: duplicates.behind_unfinished,
        standstill: progress.longest,
        drain: ends.drain,
        memory_kib: ends.memory_kib,
        ..Verdict::default()
    };
    verdict.add("published", published::check(&history));
    verdict.add("lost", lost::check(&history));
    verdict.add("removed", removed::check(&history));
    verdict.add("dead letters", dead_letters::check(&history, bounds));
    verdict.add("copies", copies::check(&history));
    verdict.add("order", order::check(&history));
    verdict.add("overlap", overlap::check(&history, bounds));
    verdict.add("duplicates", duplicates.violations);
    verdict.add("commits", commits::check(&history, bounds));
    verdict.add("custody", custody::check(&history, bounds));
    verdict.add("progress", progress.violations);
    verdict.add("ends", ends.violations);
    verdict
}

/// A moment as people read it: seconds after the run began, and the time of day in UTC.
fn time(history: &History<'_>, at: Micros) -> String {
    let day = at.rem_euclid(86_400_000_000);
    let (seconds, micros) = (day / 1_000_000, day % 1_000_000);
    format!(
        "+{:.3} s ({:02}:{:02}:{:02}.{:03})",
        (at - history.began) as f64 / 1e6,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        micros / 1000
    )
}

/// An attempt as people read it.
fn attempt(history: &History<'_>, index: usize) -> String {
    let attempt = &history.ledger.attempts[index];
    let end = match attempt.end {
        None => "had no end".to_owned(),
        Some((at, how)) => format!(
            "{} {}",
            match how {
                Ended::Done => "done",
                Ended::Failed => "failed",
                Ended::Rejected => "rejected",
                Ended::Panicked => "panicked",
                Ended::CutOff => "cut off",
            },
            time(history, at)
        ),
    };
    format!(
        "attempt {} by {} began {} and {end}",
        attempt.attempt,
        history.ledger.workers[attempt.worker].name,
        time(history, attempt.start),
    )
}
