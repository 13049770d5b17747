//! Partitions: counts what each partition of a topic took, and keeps its last offset. Grows without a lock and never shrinks.

use std::sync::{
    OnceLock,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use kafkaesk_core::Offset;

use super::published::PublishedPartition;

/// The first block holds so many partitions, and each further one twice as many as the one before.
const FIRST: usize = 16;
/// So many blocks hold the first two million partitions, more than a cluster has. Later ones are not counted.
const BLOCKS: usize = 17;

/// One topic's partitions.
#[derive(Debug)]
pub(super) struct Partitions([OnceLock<Box<[Slot]>>; BLOCKS]);

#[derive(Debug)]
struct Slot {
    delivered: AtomicU64,
    /// The offset of the last record; negative where no answer named one.
    last: AtomicI64,
}

impl Slot {
    fn new() -> Self {
        Self {
            delivered: AtomicU64::new(0),
            last: AtomicI64::new(-1),
        }
    }
}

impl Default for Partitions {
    fn default() -> Self {
        Self([const { OnceLock::new() }; BLOCKS])
    }
}

impl Partitions {
    /// Counts a record that its partition took.
    pub(super) fn delivered(&self, partition: i32, offset: Option<Offset>) {
        let Ok(partition) = usize::try_from(partition) else {
            return;
        };
        let (block, place) = place_of(partition);
        let Some(slots) = self.0.get(block) else {
            return;
        };
        let slot = &slots.get_or_init(|| (0..FIRST << block).map(|_| Slot::new()).collect())[place];
        if let Some(offset) = offset {
            slot.last.store(offset.0, Ordering::Relaxed);
        }
        slot.delivered.fetch_add(1, Ordering::Relaxed);
    }

    /// Those that took a record, in the order of their numbers.
    pub(super) fn shown(&self) -> Vec<PublishedPartition> {
        let mut shown = Vec::new();
        for (block, slots) in self.0.iter().enumerate() {
            let Some(slots) = slots.get() else {
                continue;
            };
            let first = (FIRST << block) - FIRST;
            for (number, slot) in (first..).zip(slots.iter()) {
                let delivered = slot.delivered.load(Ordering::Relaxed);
                if delivered > 0 {
                    let last = slot.last.load(Ordering::Relaxed);
                    shown.push(PublishedPartition {
                        partition: number as i32,
                        delivered,
                        offset: Some(Offset(last)).filter(|offset| offset.0 >= 0),
                    });
                }
            }
        }
        shown
    }
}

/// The block that holds a partition, and its place there.
fn place_of(partition: usize) -> (usize, usize) {
    let number = partition + FIRST;
    let block = (number.ilog2() - FIRST.ilog2()) as usize;
    (block, number - (FIRST << block))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_partition_has_its_own_count_and_the_last_offset_that_was_named(
            reports in prop::collection::vec((0..2_000_i32, prop::option::of(0..100_i64)), 0..200),
        ) {
            let partitions = Partitions::default();
            let mut wanted = BTreeMap::new();
            for (partition, offset) in reports {
                let offset = offset.map(Offset);
                partitions.delivered(partition, offset);
                let (count, last) = wanted.entry(partition).or_insert((0, None));
                *count += 1;
                *last = offset.or(*last);
            }
            let shown = partitions.shown();
            let shown: Vec<_> = shown.iter().map(|it| (it.partition, (it.delivered, it.offset))).collect();
            prop_assert_eq!(shown, wanted.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_number_that_no_partition_has_is_passed_over() {
        let partitions = Partitions::default();
        for number in [-1, i32::MIN, i32::MAX] {
            partitions.delivered(number, Some(Offset(0)));
        }
        assert!(partitions.shown().is_empty());
        assert_eq!(place_of(0), (0, 0));
        assert_eq!(place_of(2_097_135), (16, (FIRST << 16) - 1));
    }
}
