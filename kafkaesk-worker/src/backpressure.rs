//! Backpressure: decides from the backlog when to read and which partitions to pause. Pure.
//!
//! The bounds are those of one instance. Once [`FULL`] records wait for a handler, one event is read every [`PEEK`].
//! Reading never stops, so that a revoke is seen soon. Records in backoff do not count here, since reading slower would
//! not shrink them. Once [`PACKED`] records wait, backoffs included, every partition with more than its share is
//! paused. The event stream bounds the records that still arrive. A partition with less than its share goes on: the
//! backlog of records that keep failing may never shrink. A single partition is paused when one of its lanes is deep,
//! when one unfinished record holds up [`MAX_SPAN`] later ones, when its completions out of order no longer fit into
//! a commit, or when its committers have not finished `max-uncommitted` messages.
//!
//! Thousands of partitions may be assigned, so a turn looks only at those whose backlog changed and at those that are paused.

use std::{sync::Arc, time::Duration};

use kafkaesk_client::{
    consumer::ConsumerControl,
    mutation::{self, Mutation},
};
use kafkaesk_core::Source;
use rustc_hash::FxHashMap;

use crate::{
    options::BatchOptions,
    partitions::{Generation, Partition, Partitions},
    schedule::{Amount, Backlog, Schedule},
};

/// Records that wait for a handler before reading slows down, of partitions that are not paused.
pub(crate) const FULL: usize = 4096;
/// Their bytes.
pub(crate) const FULL_BYTES: usize = 8 * 1024 * 1024;
/// How often one more event is read while it is full.
pub(crate) const PEEK: Duration = Duration::from_millis(20);
/// Records that wait before everything is paused.
pub(crate) const PACKED: usize = 16_384;
/// Their bytes.
pub(crate) const PACKED_BYTES: usize = 32 * 1024 * 1024;
/// Records that one unfinished record of a partition may hold up before it is paused.
pub(crate) const MAX_SPAN: usize = 65_536;

/// Whether reading is slow, and which partitions are paused.
#[derive(Debug, Default)]
pub(crate) struct Backpressure {
    pub(crate) full: bool,
    packed: bool,
    /// What waited at the last look, of assignments that had something.
    seen: FxHashMap<Generation, Seen>,
    /// The sum of these.
    waiting: Waiting,
    /// The assignments that are paused.
    paused: Vec<Generation>,
    /// Empty between two looks: its memory is used again.
    looked: Vec<Generation>,
    /// Which were assigned at the last look.
    edition: (usize, Generation),
    /// How many messages of a partition may be unfinished by their committers, if there are committers.
    max_uncommitted: Option<usize>,
    /// How many records and bytes a batch needs.
    batch: Amount,
}

/// What one assignment had waiting.
#[derive(Clone, Copy, Debug)]
struct Seen {
    backlog: Backlog,
    paused: bool,
}

/// What all assignments have waiting.
#[derive(Debug, Default)]
struct Waiting {
    all: Amount,
    /// The part that handlers could take and that comes from partitions that are not paused.
    open: Amount,
}

impl Seen {
    fn open(self) -> Amount {
        match self.paused {
            true => Amount::default(),
            false => Amount {
                records: self.backlog.all.records - self.backlog.backing_off.records,
                bytes: self.backlog.all.bytes - self.backlog.backing_off.bytes,
            },
        }
    }
}

impl Backpressure {
    /// With the bound of custody, if there are committers, and what a batch gathers, if there are batches.
    pub(crate) fn new(max_uncommitted: Option<usize>, batch: Option<BatchOptions>) -> Self {
        let batch = batch.map_or(Amount::default(), |batch| Amount {
            records: batch.max as usize,
            bytes: batch.bytes,
        });
        Self {
            max_uncommitted,
            batch,
            ..Self::default()
        }
    }

    /// Whether reading is slowed down, or as good as stopped.
    pub(crate) fn is_slow(&self) -> bool {
        self.full || self.packed
    }

    /// Pauses and resumes partitions by their backlog.
    pub(crate) fn update(
        &mut self,
        partitions: &mut Partitions,
        schedule: &mut Schedule,
        control: &dyn ConsumerControl,
    ) {
        if schedule.is_empty() && self.paused.is_empty() && self.max_uncommitted.is_none() {
            (self.full, self.packed) = (false, false);
            self.seen.clear();
            self.waiting = Waiting::default();
            schedule.forget_changes();
            return;
        }
        let mut looked = std::mem::take(&mut self.looked);
        looked.append(&mut self.paused);
        schedule.take_changed(&mut looked);
        // Shares change with the number of partitions.
        if self.edition != partitions.edition() {
            looked.extend(self.seen.keys());
            looked.extend(partitions.iter().map(|(generation, _)| generation));
            self.edition = partitions.edition();
        }
        self.count(&mut looked, partitions, schedule);
        // There is room for two batches before reading slows down, and for eight before all is paused.
        let (full, full_bytes) = (
            FULL.max(2 * self.batch.records),
            FULL_BYTES.max(2 * self.batch.bytes),
        );
        let (packed, packed_bytes) = (PACKED.max(4 * full), PACKED_BYTES.max(4 * full_bytes));
        let (all, open) = (self.waiting.all, self.waiting.open);
        let was_packed = self.packed;
        self.packed = match was_packed {
            false => all.records >= packed || all.bytes >= packed_bytes,
            true => all.records > full / 2 || all.bytes > full_bytes / 2,
        };
        self.full = !self.packed && (open.records >= full || open.bytes >= full_bytes);
        if self.packed && !was_packed {
            // Each that has something waiting may have more than its share.
            looked.extend(self.seen.keys());
            sort(&mut looked);
        }

        let share = partitions.len().max(1);
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        let mut turned = Vec::new();
        for &generation in &looked {
            let Some(partition) = partitions.get_mut(generation) else {
                continue;
            };
            let span = partition.tracker.uncommitted_span();
            let held = span >= MAX_SPAN
                || (partition.paused && span > MAX_SPAN / 2)
                || self.is_custody_full(partition)
                || partition.tracker.is_full();
            let backlog = schedule.backlog(generation);
            // A paused partition resumes at half its share, so that it does not pause and resume with each record.
            let part = if partition.paused {
                share * 4
            } else {
                share * 2
            };
            let greedy =
                backlog.all.records > packed / part || backlog.all.bytes > packed_bytes / part;
            let wanted = held || backlog.deep > 0 || (self.packed && greedy);
            if wanted != partition.paused && !partition.revoking {
                partition.paused = wanted;
                turned.push(generation);
                let list: &mut Vec<Arc<Source>> = if wanted { &mut pause } else { &mut resume };
                list.push(partition.source.clone());
            }
            if partition.paused {
                self.paused.push(generation);
            }
        }
        self.count(&mut turned, partitions, schedule);
        looked.clear();
        self.looked = looked;
        if !pause.is_empty() {
            control.pause(&pause);
        }
        if !resume.is_empty() && !mutation::is(Mutation::PauseNeverResumed) {
            control.resume(&resume);
        }
    }

    /// Brings the sums up to date with what changed. Sorts it, each once.
    fn count(
        &mut self,
        changed: &mut Vec<Generation>,
        partitions: &Partitions,
        schedule: &Schedule,
    ) {
        sort(changed);
        for &generation in &*changed {
            if let Some(seen) = self.seen.remove(&generation) {
                self.waiting.all -= seen.backlog.all;
                self.waiting.open -= seen.open();
            }
            let backlog = schedule.backlog(generation);
            let Some(partition) = partitions.get(generation) else {
                continue;
            };
            if backlog != Backlog::default() {
                let paused = partition.paused;
                let seen = Seen { backlog, paused };
                self.waiting.all += backlog.all;
                self.waiting.open += seen.open();
                self.seen.insert(generation, seen);
            }
        }
    }

    fn is_custody_full(&self, partition: &Partition) -> bool {
        let (Some(most), Some(custody)) = (self.max_uncommitted, &partition.custody) else {
            return false;
        };
        custody.open() >= most || (partition.paused && custody.open() > most / 2)
    }
}

fn sort(generations: &mut Vec<Generation>) {
    generations.sort_unstable();
    generations.dedup();
}
