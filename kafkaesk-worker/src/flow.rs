//! Backpressure: what waits in, when to read and which partitions to pause out. Pure.
//!
//! Bounds, for one instance: [`FULL`] records wait for a handler before reading slows down to one event every [`PEEK`]
//! (reading never stops, so that a revoke is seen soon however full it is). What waits for a backoff to end is not among
//! them: slower reading would not make it less, and would hold up others. At [`PACKED`], backoffs included, every
//! partition that has its share waiting is paused, and what is still on its way is at most the event stream's bound. A
//! partition with less than its share goes on: what waits behind records that keep failing may never get less. A
//! partition is paused alone when one of its lanes has enough to do, or when one unfinished record holds up [`WINDOW`]
//! later ones: the others go on.

use std::{sync::Arc, time::Duration};

use kafkaesk_client::consumer::ConsumerControl;
use kafkaesk_core::Source;

use crate::{partitions::Partitions, schedule::Schedule};

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
pub(crate) const WINDOW: usize = 65_536;

/// Whether reading is slowed down.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) full: bool,
    packed: bool,
    /// Some partition is paused.
    paused: bool,
}

impl Flow {
    /// Pauses and resumes partitions by what waits now.
    pub(crate) fn regulate(
        &mut self,
        partitions: &mut Partitions,
        schedule: &Schedule,
        control: &dyn ConsumerControl,
    ) {
        if schedule.is_empty() && !self.paused {
            self.full = false;
            return;
        }
        let (mut records, mut bytes, mut all_records, mut all_bytes) = (0, 0, 0, 0);
        for (generation, partition) in partitions.iter_mut() {
            let load = schedule.load(generation);
            all_records += load.all.records;
            all_bytes += load.all.bytes;
            if !partition.paused {
                records += load.all.records - load.backing_off.records;
                bytes += load.all.bytes - load.backing_off.bytes;
            }
        }
        self.packed = match self.packed {
            false => all_records >= PACKED || all_bytes >= PACKED_BYTES,
            true => all_records > FULL / 2 || all_bytes > FULL_BYTES / 2,
        };
        self.full = !self.packed && (records >= FULL || bytes >= FULL_BYTES);

        let share = partitions.len().max(1);
        self.paused = false;
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (generation, partition) in partitions.iter_mut() {
            let window = partition.tracker.window();
            let held = window >= WINDOW || (partition.paused && window > WINDOW / 2);
            let load = schedule.load(generation);
            // Half a share brings a paused one back, so that it does not pause and resume with each record.
            let part = if partition.paused {
                share * 4
            } else {
                share * 2
            };
            let greedy = load.all.records > PACKED / part || load.all.bytes > PACKED_BYTES / part;
            let wanted = held || load.deep > 0 || (self.packed && greedy);
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
        if !resume.is_empty() {
            control.resume(&resume);
        }
    }
}
