//! Book: writes the ledger while a run lasts, and knows what is still to be handled.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use kafkaesk_client::Receipt;
use parking_lot::Mutex;

use super::letters::Found;
use crate::{
    ledger::{
        Attempt, Fault, FaultKind, Ledger, Move, Place, Poison, Published, Removed, Warning,
        Worker, WorkerId,
    },
    line::{Ended, Handled, Line, Micros, Said, now},
};

/// A ledger that is being written.
#[derive(Default)]
pub(super) struct Book {
    pub(super) ledger: Ledger,
    strings: HashSet<Arc<str>>,
    /// Attempts, by worker and number.
    runs: HashMap<(WorkerId, u64), usize>,
    /// By their numbers: a topic that is created again has the same places.
    done: HashSet<u64>,
    /// Acknowledged and not done.
    pending: HashSet<u64>,
    numbers: HashMap<Place, u64>,
    /// When a worker last said something.
    pub(super) heard: Micros,
}

impl Book {
    fn string(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.strings.insert(new.clone());
        new
    }

    /// How many acknowledged messages are not done.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many messages are done.
    pub(super) fn done(&self) -> usize {
        self.done.len()
    }

    pub(super) fn worker(&mut self, name: String) -> WorkerId {
        self.ledger.workers.push(Worker {
            name,
            started: now(),
            ..Worker::default()
        });
        self.ledger.workers.len() - 1
    }

    /// A fault that begins and ends now. Returns its index, to move its end.
    pub(super) fn fault(&mut self, what: FaultKind) -> usize {
        let at = now();
        self.ledger.faults.push(Fault {
            what,
            at,
            until: at,
        });
        self.ledger.faults.len() - 1
    }

    pub(super) fn fault_is_over(&mut self, index: usize) {
        self.ledger.faults[index].until = now();
    }

    pub(super) fn published(
        &mut self,
        receipt: &Receipt,
        key: &str,
        seq: u64,
        poison: Option<Poison>,
    ) {
        let place = Place {
            topic: self.string(receipt.topic.as_str()),
            partition: receipt.partition,
            offset: receipt.offset.map_or(-1, |offset| offset.0),
        };
        if !self.done.contains(&seq) {
            self.pending.insert(seq);
        }
        self.numbers.insert(place.clone(), seq);
        let key = self.string(key);
        self.ledger.published.push(Published {
            place,
            key,
            seq,
            poison,
            at: now(),
        });
    }

    /// Nobody waits any more for what was published by now: its topic is gone.
    pub(super) fn deleted(&mut self) {
        self.pending.clear();
    }

    /// What is published in the topic and not in its log any more, from when on. Nobody waits for it.
    pub(super) fn removed(&mut self, is_gone: impl Fn(&Published) -> Option<Micros>) {
        self.ledger.removed.clear();
        for published in &self.ledger.published {
            if let Some(at) = is_gone(published) {
                self.pending.remove(&published.seq);
                self.ledger.removed.push(Removed {
                    place: published.place.clone(),
                    at,
                });
            }
        }
    }

    /// All dead letters that there are by now.
    pub(super) fn letters(&mut self, found: Found) {
        if found.letters.len() > self.ledger.letters.len() {
            self.heard = now();
        }
        for letter in &found.letters {
            if let Some(seq) = self.numbers.get(&letter.origin) {
                self.pending.remove(seq);
                self.done.insert(*seq);
            }
        }
        self.ledger.letters = found.letters;
        self.ledger.strange = found.strange;
    }

    /// What a worker said.
    pub(super) fn take(&mut self, worker: WorkerId, line: Line) {
        self.heard = now();
        let at = line.at;
        match line.said {
            Said::Listening => {}
            Said::Start(handled) => {
                let place = self.place(&handled);
                let key = self.string(&handled.k);
                self.numbers.insert(place.clone(), handled.q);
                let id = (worker, handled.n);
                self.runs.insert(id, self.ledger.attempts.len());
                self.ledger.attempts.push(Attempt {
                    worker,
                    place,
                    key,
                    seq: handled.q,
                    attempt: handled.a,
                    start: at,
                    kept: None,
                    end: None,
                    confirmed: None,
                    stale: None,
                });
            }
            Said::End { handled, how } => {
                if let Some(attempt) = self.run(worker, handled.n) {
                    attempt.end = Some((at, how));
                }
                if how == Ended::Done {
                    self.pending.remove(&handled.q);
                    self.done.insert(handled.q);
                }
            }
            Said::Kept { n } => {
                if let Some(attempt) = self.run(worker, n) {
                    attempt.kept = Some(at);
                }
            }
            Said::Confirmed { n } => {
                if let Some(attempt) = self.run(worker, n) {
                    attempt.confirmed = Some(at);
                }
            }
            Said::Stale { n } => {
                if let Some(attempt) = self.run(worker, n) {
                    attempt.stale = Some(at);
                }
            }
            Said::Partitions { change, names } => {
                for name in names.split_whitespace() {
                    let Some((topic, rest)) = name.rsplit_once('[') else {
                        continue;
                    };
                    let Ok(partition) = rest.trim_end_matches(']').parse() else {
                        continue;
                    };
                    let topic = self.string(topic);
                    self.ledger.moves.push(Move {
                        worker,
                        topic,
                        partition,
                        change,
                        at,
                    });
                }
            }
            Said::Warned { text } => self.ledger.warnings.push(Warning { worker, at, text }),
            Said::Report(report) => self.ledger.workers[worker].report = Some(report),
        }
    }

    fn run(&mut self, worker: WorkerId, number: u64) -> Option<&mut Attempt> {
        let index = self.runs.get(&(worker, number))?;
        self.ledger.attempts.get_mut(*index)
    }

    fn place(&mut self, handled: &Handled) -> Place {
        Place {
            topic: self.string(&handled.t),
            partition: handled.p,
            offset: handled.o,
        }
    }
}

/// The faults of brokers and of the way to them that are not over.
#[derive(Clone)]
pub(super) struct Outages {
    book: Arc<Mutex<Book>>,
    open: Arc<Mutex<Vec<usize>>>,
}

impl Outages {
    pub(super) fn new(book: Arc<Mutex<Book>>) -> Self {
        Self {
            book,
            open: Arc::default(),
        }
    }

    /// Brokers or the way to them are away.
    pub(super) fn begin(&self) {
        self.begin_as(FaultKind::Outage);
    }

    pub(super) fn begin_as(&self, what: FaultKind) {
        let fault = self.book.lock().fault(what);
        self.open.lock().push(fault);
    }

    /// All of them are over.
    pub(super) fn over(&self) {
        let mut book = self.book.lock();
        for fault in self.open.lock().drain(..) {
            book.fault_is_over(fault);
        }
    }
}
