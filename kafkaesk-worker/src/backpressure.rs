//! Backpressure: decides from the backlog when to read and which partitions to pause. Pure.
//!
//! The bounds are those of one instance. Once [`FULL`] records wait for a handler, one event is read every [`PEEK`].
//! Reading never stops, so that a revoke is seen soon. Records in backoff do not count here, since reading slower would
//! not shrink them. Once [`PACKED`] records wait, backoffs included, every partition with more than its share is
//! paused. The event stream bounds the records that still arrive. A partition with less than its share goes on: the
//! backlog of records that keep failing may never shrink. A single partition is paused when one of its lanes is deep,
//! when one unfinished record holds up [`MAX_SPAN`] later ones, when its completions out of order no longer fit into
//! a commit, or when its committers have not finished `max-uncommitted` messages.

use std::{sync::Arc, time::Duration};

use kafkaesk_client::{
    consumer::ConsumerControl,
    mutation::{self, Mutation},
};
use kafkaesk_core::Source;

use crate::{
    options::BatchOptions,
    partitions::{Partition, Partitions},
    schedule::{Amount, Schedule},
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
    /// How many messages of a partition may be unfinished by their committers, if there are committers.
    max_uncommitted: Option<usize>,
    /// Some partition is paused.
    paused: bool,
    /// How many records and bytes a batch needs.
    batch: Amount,
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
        schedule: &Schedule,
        control: &dyn ConsumerControl,
    ) {
        if schedule.is_empty() && !self.paused && self.max_uncommitted.is_none() {
            self.full = false;
            return;
        }
        let (mut records, mut bytes, mut all_records, mut all_bytes) = (0, 0, 0, 0);
        for (generation, partition) in partitions.iter_mut() {
            let backlog = schedule.backlog(generation);
            all_records += backlog.all.records;
            all_bytes += backlog.all.bytes;
            if !partition.paused {
                records += backlog.all.records - backlog.backing_off.records;
                bytes += backlog.all.bytes - backlog.backing_off.bytes;
            }
        }
        // There is room for two batches before reading slows down, and for eight before all is paused.
        let (full, full_bytes) = (
            FULL.max(2 * self.batch.records),
            FULL_BYTES.max(2 * self.batch.bytes),
        );
        let (packed, packed_bytes) = (PACKED.max(4 * full), PACKED_BYTES.max(4 * full_bytes));
        self.packed = match self.packed {
            false => all_records >= packed || all_bytes >= packed_bytes,
            true => all_records > full / 2 || all_bytes > full_bytes / 2,
        };
        self.full = !self.packed && (records >= full || bytes >= full_bytes);

        let share = partitions.len().max(1);
        self.paused = false;
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (generation, partition) in partitions.iter_mut() {
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
                let list: &mut Vec<Arc<Source>> = if wanted { &mut pause } else { &mut resume };
                list.push(partition.source.clone());
            }
            self.paused |= partition.paused;
        }
        if !pause.is_empty() {
            control.pause(&pause);
        }
        if !resume.is_empty() && !mutation::is(Mutation::PauseNeverResumed) {
            control.resume(&resume);
        }
    }

    fn is_custody_full(&self, partition: &Partition) -> bool {
        let (Some(most), Some(custody)) = (self.max_uncommitted, &partition.custody) else {
            return false;
        };
        custody.open() >= most || (partition.paused && custody.open() > most / 2)
    }
}
