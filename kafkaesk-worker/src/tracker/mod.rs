//! Tracker: follows which offsets are read and finished, and gives the contiguous watermark. Pure: no I/O, no clock.
//!
//! One tracker follows one assignment of one partition. Records are finished in any order. The offset to commit is the
//! one after the last record up to which everything is finished. Offsets may have gaps (compaction, transactions), so
//! order is kept by a sequence of our own. An answer from another assignment carries another generation and changes
//! nothing.
//!
//! Next: `commit` takes the watermark.

use std::collections::VecDeque;

use kafkaesk_client::{
    consumer::Position,
    mutation::{self, Mutation},
};
use kafkaesk_core::{Completions, NextOffset, Offset};

use crate::snapshot::Unsettled;

/// A record's place in its tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    generation: u64,
    sequence: u64,
}

impl Ticket {
    /// Whether its record was read before that of another ticket of the same assignment.
    pub(crate) fn is_before(self, other: Self) -> bool {
        self.sequence < other.sequence
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: Offset,
    /// The record's timestamp; [`UNDATED`] if it has none.
    timestamp: i64,
    /// The offset to commit once this record and all before it are finished.
    next: NextOffset,
    done: bool,
}

/// A record without a timestamp: eight bytes less for each entry than an `Option`.
const UNDATED: i64 = i64::MIN;

/// The offsets of one assignment of one partition.
#[derive(Debug)]
pub(crate) struct Tracker {
    generation: u64,
    /// The sequence number of the first entry.
    first: u64,
    /// From the first unfinished record on.
    entries: VecDeque<Entry>,
    /// How many of them are done.
    done: usize,
    watermark: Option<NextOffset>,
    /// What was finished beyond the committed offset when the partition was assigned.
    before: Completions,
    /// How many records may finish beyond the watermark before the next check that they fit into a commit.
    looked_at: usize,
    /// The completions no longer fit.
    full: bool,
}

/// Whether a commit of this position says that the finished record at this offset is finished: its metadata has room for so many
/// completions.
pub(crate) fn covers(position: &Position, offset: Offset) -> bool {
    offset.0 < position.next.0 || offset.0 < covered_until(position).0
}

/// The offset before which a commit of this position says of every finished record that it is finished.
pub(crate) fn covered_until(Position { next, finished }: &Position) -> NextOffset {
    finished.fitting(TOPIC_ID, *next).end().max(*next)
}

/// As long as the ids of Kafka's topics.
const TOPIC_ID: &str = "0123456789012345678901";
/// While fewer runs than this can be finished beyond the watermark, they fit into a commit.
const RUNS: usize = 300;
/// The number of completions until the next check.
const STEP: usize = 16;

impl Tracker {
    pub(crate) fn new(generation: u64) -> Self {
        Self {
            generation,
            first: 0,
            entries: VecDeque::new(),
            done: 0,
            watermark: None,
            before: Completions::default(),
            looked_at: 0,
            full: false,
        }
    }

    /// A record was read.
    #[cfg(test)]
    pub(crate) fn push(&mut self, offset: Offset) -> Ticket {
        self.push_dated(offset, None)
    }

    /// A record with this timestamp was read.
    pub(crate) fn push_dated(&mut self, offset: Offset, timestamp: Option<i64>) -> Ticket {
        let sequence = self.first + self.entries.len() as u64;
        self.entries.push_back(Entry {
            offset,
            timestamp: timestamp.unwrap_or(UNDATED),
            next: offset.next(),
            done: false,
        });
        Ticket {
            generation: self.generation,
            sequence,
        }
    }

    /// A record was read and is finished already.
    pub(crate) fn pass(&mut self, offset: Offset) {
        if self.entries.is_empty() {
            self.first += 1;
            self.watermark = Some(offset.next());
        } else {
            self.done += 1;
            self.entries.push_back(Entry {
                offset,
                timestamp: UNDATED,
                next: offset.next(),
                done: true,
            });
        }
    }

    /// Everything before this offset was read. Offsets after the last record have none, so they are finished with it.
    pub(crate) fn reached(&mut self, next: NextOffset) {
        match self.entries.back_mut() {
            Some(last) => last.next = last.next.max(next),
            None => self.watermark = self.watermark.max(Some(next)),
        }
    }

    /// A record is finished. A second time, or with another generation's ticket, nothing happens.
    pub(crate) fn done(&mut self, ticket: Ticket) {
        if ticket.generation != self.generation && !mutation::is(Mutation::IgnoreGeneration) {
            return;
        }
        let Some(index) = ticket.sequence.checked_sub(self.first) else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(index as usize)
            && !entry.done
        {
            entry.done = true;
            self.done += 1;
        }
        while let Some(entry) = self.entries.front().copied().filter(|entry| entry.done) {
            self.entries.pop_front();
            self.first += 1;
            self.done -= 1;
            self.watermark = Some(entry.next);
        }
    }

    /// The offset before which everything is finished; `None` if there is none yet.
    pub(crate) fn watermark(&self) -> Option<NextOffset> {
        self.watermark
    }

    /// What was finished beyond the committed offset before this assignment.
    pub(crate) fn finished_before(&mut self, completions: Completions) {
        self.before = completions;
    }

    /// Whether records beyond the committed offset were finished before this assignment.
    pub(crate) fn has_finished_before(&self) -> bool {
        !self.before.is_empty()
    }

    /// Whether a record was finished before this assignment, so that it must not be handled again.
    pub(crate) fn is_finished(&self, offset: Offset) -> bool {
        self.before.is_finished(offset)
    }

    /// The content of a commit: the offset before which everything is finished, and the finished records beyond it.
    /// `None` if there is nothing to commit.
    pub(crate) fn position(&self) -> Option<Position> {
        if mutation::is(Mutation::CommitBeforeFinish)
            && let Some(last) = self.entries.back()
        {
            return Some(last.next.into());
        }
        if mutation::is(Mutation::WatermarkOffByOne) {
            return Some(NextOffset(self.watermark?.0 + 1).into());
        }
        let Some(last) = self.entries.back() else {
            let watermark = self.watermark?;
            // Records finished before this assignment and not read yet still count as finished.
            let next = match self.before.end() > watermark {
                true => self
                    .before
                    .unfinished_from(watermark)
                    .next()
                    .map_or(self.before.end(), |offset| NextOffset(offset.0)),
                false => watermark,
            };
            let unread = self.before.unfinished_from(next);
            return Some(Position {
                next,
                finished: Completions::new(unread, self.before.end().max(next)),
            });
        };
        let unfinished = self.entries.iter().filter(|entry| !entry.done);
        let unread = self.before.unfinished_from(last.next);
        let finished = Completions::new(
            unfinished.map(|entry| entry.offset).chain(unread),
            last.next.max(self.before.end()),
        );
        // Offsets between the watermark and the first unfinished record have no record, or were finished before.
        let first = self.entries.front().map(|entry| NextOffset(entry.offset.0));
        let next = match (finished.is_empty(), self.before.is_empty()) {
            // While nothing is finished, there is nothing to say.
            (true, true) => self.watermark?,
            (false, true) => self.watermark.or(first)?,
            (_, false) => first?,
        };
        Some(Position { next, finished })
    }

    /// Whether the completions beyond the watermark no longer fit into a commit; then nothing more may be read. Cheap
    /// while little is finished out of order.
    pub(crate) fn is_full(&mut self) -> bool {
        let runs = self.done.min(self.entries.len() - self.done);
        if runs < RUNS {
            self.looked_at = 0;
            self.full = false;
        } else if self.looked_at.abs_diff(runs) >= STEP || self.looked_at == 0 {
            self.looked_at = runs;
            // Room for completions until the next check, and for the topic's id.
            let padding = "x".repeat(TOPIC_ID.len() + 200);
            self.full = self.position().is_some_and(|Position { next, finished }| {
                finished.fitting(&padding, next) != finished
            });
        }
        self.full
    }

    /// How many finished records a commit has no room for: the next member handles them again.
    pub(crate) fn redelivered(&self) -> usize {
        let Some(Position { next, finished }) = self.position().filter(|_| self.done > 0) else {
            return 0;
        };
        let written = finished.fitting(TOPIC_ID, next);
        let is_left_out =
            |entry: &&Entry| entry.done && NextOffset(entry.offset.0) >= written.end();
        self.entries.iter().filter(is_left_out).count()
    }

    /// The first record that was read and is not finished.
    pub(crate) fn first_unfinished(&self) -> Option<Unsettled> {
        let first = self.entries.front()?;
        Some(Unsettled {
            offset: first.offset.0,
            timestamp: Some(first.timestamp).filter(|timestamp| *timestamp != UNDATED),
        })
    }

    /// How many records a stuck record holds up: all from the first unfinished one on.
    pub(crate) fn uncommitted_span(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests;
