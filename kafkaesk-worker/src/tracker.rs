//! Follows which offsets are read and finished, and gives the contiguous watermark. Pure: no I/O, no clock.
//!
//! One tracker follows one assignment of one partition. Records are finished in any order; what may be committed is
//! the offset after the last record before which everything is finished. Offsets may have gaps (compaction,
//! transactions), so order is kept by a sequence of our own. An answer from another assignment carries another
//! generation and changes nothing.
//!
//! Next: `commit` takes the watermark.

use std::collections::VecDeque;

use kafkaesk_core::{NextOffset, Offset};

/// A record's place in its tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    generation: u64,
    sequence: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// What may be committed once this record and all before it are finished.
    next: NextOffset,
    done: bool,
}

/// The offsets of one assignment of one partition.
#[derive(Debug)]
pub(crate) struct Tracker {
    generation: u64,
    /// The sequence number of the first entry.
    first: u64,
    /// From the first unfinished record on.
    entries: VecDeque<Entry>,
    watermark: Option<NextOffset>,
}

impl Tracker {
    pub(crate) fn new(generation: u64) -> Self {
        Self {
            generation,
            first: 0,
            entries: VecDeque::new(),
            watermark: None,
        }
    }

    /// A record was read.
    pub(crate) fn push(&mut self, offset: Offset) -> Ticket {
        let sequence = self.first + self.entries.len() as u64;
        self.entries.push_back(Entry {
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
            self.entries.push_back(Entry {
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
        if ticket.generation != self.generation {
            return;
        }
        let Some(index) = ticket.sequence.checked_sub(self.first) else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.done = true;
        }
        while let Some(entry) = self.entries.front().copied().filter(|entry| entry.done) {
            self.entries.pop_front();
            self.first += 1;
            self.watermark = Some(entry.next);
        }
    }

    /// What may be committed; `None` while nothing is.
    pub(crate) fn watermark(&self) -> Option<NextOffset> {
        self.watermark
    }

    /// How many finished records follow the first unfinished one: a restart delivers them again.
    pub(crate) fn redelivered(&self) -> usize {
        self.entries.iter().filter(|entry| entry.done).count()
    }

    /// How many records stand at or after the first unfinished one: what a stuck record holds up.
    pub(crate) fn uncommitted_span(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
