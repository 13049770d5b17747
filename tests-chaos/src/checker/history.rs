//! History: a ledger, arranged by partition and message. Judges nothing.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    ledger::{
        Bounds, Commit, Fault, FaultKind, Ledger, Letter, Move, Partition, Place, Poison, WorkerId,
    },
    line::{Change, Ended, Micros},
};

/// A record and everything that happened to it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) place: Place,
    pub(super) key: Arc<str>,
    pub(super) seq: u64,
    /// When its publish was acknowledged.
    pub(super) published: Option<Micros>,
    pub(super) poison: Option<Poison>,
    /// Indexes of its attempts, by their start.
    pub(super) attempts: Vec<usize>,
    /// Its dead letters, by their time.
    pub(super) letters: Vec<Letter>,
    /// Its first completion, or its first dead letter: when, and which attempt came before.
    pub(super) done: Option<(Micros, usize)>,
    /// Whether the dead letter was first.
    pub(super) dead: bool,
    /// From when on it may be gone from its log.
    pub(super) removed: Option<Micros>,
}

/// Brokers stamp a record with milliseconds.
pub(super) const GRAIN: Micros = 1000;

/// How long a handler that was dispatched may wait for its thread on a loaded machine; 12 ms were seen.
const DISPATCHED: Micros = 250_000;

impl Message {
    /// From when on nobody needs to handle it any more.
    pub(super) fn settled(&self) -> Option<Micros> {
        let done = self.done.map(|(at, _)| at);
        [done, self.removed].into_iter().flatten().min()
    }

    /// Its first dead letter finishes it, unless a handler did so before. It was not written before the last attempt that
    /// ended until then, so that one's end is the better time where the broker's is too coarse.
    fn lay_out(&mut self, ledger: &Ledger) {
        self.attempts
            .sort_by_key(|index| ledger.attempts[*index].start);
        self.letters.sort_by_key(|letter| letter.at);
        let Some(at) = self.letters.first().map(|letter| letter.at) else {
            return;
        };
        let ends = self.attempts.iter().filter_map(|&index| {
            let (end, _) = ledger.attempts[index].end?;
            (end < at + GRAIN).then_some((end, index))
        });
        let Some((end, index)) = ends.max() else {
            return;
        };
        let at = at.max(end);
        if self.done.is_none_or(|(done, _)| at < done) {
            self.done = Some((at, index));
            self.dead = true;
        }
    }
}

/// One partition: its messages by offset, its commits and moves by time.
#[derive(Debug, Default)]
pub(super) struct Log<'a> {
    pub(super) messages: Vec<Message>,
    pub(super) commits: Vec<&'a Commit>,
    pub(super) moves: Vec<&'a Move>,
}

impl Log<'_> {
    /// What the group had committed then; 0 for nothing.
    pub(super) fn committed(&self, at: Micros) -> i64 {
        let count = self.commits.partition_point(|commit| commit.at <= at);
        count
            .checked_sub(1)
            .map_or(0, |last| self.commits[last].next)
    }

    /// When a worker had the partition assigned last, before then.
    pub(super) fn assigned(&self, worker: WorkerId, before: Micros) -> Option<Micros> {
        self.moves
            .iter()
            .filter(|it| it.worker == worker && it.change == Change::Assigned && it.at <= before)
            .map(|it| it.at)
            .next_back()
    }
}

/// A ledger, arranged.
#[derive(Debug)]
pub(super) struct History<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) began: Micros,
    pub(super) logs: BTreeMap<Partition, Log<'a>>,
}

impl<'a> History<'a> {
    pub(super) fn of(ledger: &'a Ledger) -> Self {
        let mut messages: BTreeMap<Place, Message> = BTreeMap::new();
        for published in &ledger.published {
            messages.insert(
                published.place.clone(),
                Message {
                    place: published.place.clone(),
                    key: published.key.clone(),
                    seq: published.seq,
                    published: Some(published.at),
                    poison: published.poison,
                    attempts: Vec::new(),
                    letters: Vec::new(),
                    done: None,
                    dead: false,
                    removed: None,
                },
            );
        }
        for (index, attempt) in ledger.attempts.iter().enumerate() {
            let message = messages
                .entry(attempt.place.clone())
                .or_insert_with(|| Message {
                    place: attempt.place.clone(),
                    key: attempt.key.clone(),
                    seq: attempt.seq,
                    published: None,
                    poison: None,
                    attempts: Vec::new(),
                    letters: Vec::new(),
                    done: None,
                    dead: false,
                    removed: None,
                });
            message.attempts.push(index);
            if let Some((at, Ended::Done)) = attempt.end
                && message.done.is_none_or(|(first, _)| at < first)
            {
                message.done = Some((at, index));
            }
        }
        for removed in &ledger.removed {
            if let Some(message) = messages.get_mut(&removed.place) {
                message.removed = Some(removed.at);
            }
        }
        for letter in &ledger.letters {
            if let Some(message) = messages.get_mut(&letter.origin) {
                message.letters.push(letter.clone());
            }
        }
        let mut logs: BTreeMap<Partition, Log<'a>> = BTreeMap::new();
        for mut message in messages.into_values() {
            message.lay_out(ledger);
            let partition = (message.place.topic.clone(), message.place.partition);
            logs.entry(partition).or_default().messages.push(message);
        }
        for commit in &ledger.commits {
            let partition = (commit.topic.clone(), commit.partition);
            logs.entry(partition).or_default().commits.push(commit);
        }
        for moved in &ledger.moves {
            let partition = (moved.topic.clone(), moved.partition);
            logs.entry(partition).or_default().moves.push(moved);
        }
        for log in logs.values_mut() {
            // The log's own order stays where times are equal.
            log.commits.sort_by_key(|commit| commit.at);
            log.moves.sort_by_key(|moved| moved.at);
        }
        Self {
            ledger,
            began: ledger.workers.iter().map(|w| w.started).min().unwrap_or(0),
            logs,
        }
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.logs.values().flat_map(|log| &log.messages)
    }

    /// When an attempt was over, at the latest with its worker.
    pub(super) fn over(&self, index: usize) -> Micros {
        let attempt = &self.ledger.attempts[index];
        let worker = &self.ledger.workers[attempt.worker];
        match attempt.end {
            Some((at, _)) => at,
            None => worker.exited.unwrap_or(self.ledger.ended),
        }
    }

    /// When an attempt's handler was over: with manual commit its message may end later.
    pub(super) fn handler_over(&self, index: usize) -> Micros {
        let kept = self.ledger.attempts[index].kept;
        kept.unwrap_or_else(|| self.over(index))
    }

    /// Whether an attempt finished its message until then, for its worker as well: before its partition was given up, or
    /// while the revoke waited.
    pub(super) fn counts(
        &self,
        bounds: &Bounds,
        log: &Log<'_>,
        index: usize,
        until: Micros,
    ) -> bool {
        let attempt = &self.ledger.attempts[index];
        let Some((end, Ended::Done)) = attempt.end else {
            return false;
        };
        let given_up = log.moves.iter().find(|it| {
            it.worker == attempt.worker && it.change != Change::Assigned && it.at >= attempt.start
        });
        let limit = given_up.map_or(until, |it| match it.change {
            Change::Revoked => it.at + bounds.revoke(),
            _ => it.at,
        });
        end <= limit.min(until)
    }

    /// Whether an attempt takes longer than a revoke waits for it.
    pub(super) fn outlasts(&self, bounds: &Bounds, index: usize) -> bool {
        self.over(index) - self.ledger.attempts[index].start >= bounds.revoke()
    }

    /// Whether a worker was stopped in this time, or did not know yet that the partition is gone.
    pub(super) fn stopped(
        &self,
        log: &Log<'_>,
        worker: WorkerId,
        from: Micros,
        to: Micros,
    ) -> bool {
        self.ledger.faults.iter().any(|fault| {
            fault.what == FaultKind::Stopped(worker)
                && from <= self.knows(log, worker, fault.until)
                && to >= fault.at
        })
    }

    /// Whether a worker's handlers hung at some time in this one.
    pub(super) fn hung(&self, worker: WorkerId, from: Micros, to: Micros) -> bool {
        self.ledger.faults.iter().any(|fault| {
            fault.what == FaultKind::Hung(worker) && fault.at <= to && fault.until >= from
        })
    }

    /// Until when the worker of a fault may still act as if the partition were its own.
    pub(super) fn knows_of(&self, log: &Log<'_>, fault: &Fault) -> Micros {
        match fault.what {
            FaultKind::Stopped(worker) => self.knows(log, worker, fault.until),
            FaultKind::Asked(worker) => self.ledger.workers[worker].exited.unwrap_or(fault.until),
            _ => fault.until,
        }
    }

    /// When an outage was over in which a worker was asked to end, if there was one. Such an end can neither commit nor
    /// leave in time, so it counts as a kill.
    pub(super) fn ended_in_outage(&self, worker: WorkerId) -> Option<Micros> {
        let asked = self.ledger.workers[worker].asked?;
        let exited = self.ledger.workers[worker].exited.unwrap_or(asked);
        self.ledger
            .faults
            .iter()
            .filter(|fault| fault.what == FaultKind::Outage)
            .find(|fault| fault.at <= exited && asked <= fault.until)
            .map(|fault| fault.until)
    }

    /// When a worker that went on then acts no longer as if the partition were its own: once it heard that it is gone, 10 s
    /// later at the latest, and what it had dispatched by then has begun. Where it hears nothing of this partition, hearing of
    /// any is enough.
    fn knows(&self, log: &Log<'_>, worker: WorkerId, continued: Micros) -> Micros {
        const AT_LATEST: Micros = 10_000_000;
        let latest = continued + AT_LATEST;
        let gone = |moved: &Move| {
            let heard = moved.worker == worker && moved.change != Change::Assigned;
            (heard && (continued..=latest).contains(&moved.at)).then_some(moved.at)
        };
        let this = log.moves.iter().filter_map(|moved| gone(moved)).min();
        this.or_else(|| self.ledger.moves.iter().filter_map(gone).min())
            .unwrap_or(latest)
            + DISPATCHED
    }
}
