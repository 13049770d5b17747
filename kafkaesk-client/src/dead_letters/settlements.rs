//! Settlements: which dead letters are settled, and by what. Pure; neighbours settled by the same are kept as one run.

use std::collections::{BTreeMap, HashMap};

use kafkaesk_core::{Offset, SettledBy};

/// At most this many runs are kept, some 50 bytes each.
pub(super) const MOST: usize = 1_000_000;

/// What is settled, by partition.
#[derive(Debug, Default)]
pub(super) struct Settlements {
    /// For each run its first offset, the offset after its last, and what settled it.
    partitions: HashMap<i32, BTreeMap<i64, (i64, SettledBy)>>,
    runs: usize,
}

impl Settlements {
    /// Records a marker. The first marker of a letter counts. Returns `false`, and records nothing, if there are too
    /// many runs.
    pub(super) fn add(&mut self, partition: i32, Offset(offset): Offset, by: SettledBy) -> bool {
        if self.get(partition, Offset(offset)).is_some() {
            return true;
        }
        let runs = self.partitions.entry(partition).or_default();
        let before = runs.range_mut(..offset).next_back();
        let begin = match before {
            Some((begin, (end, of))) if *end == offset && *of == by => {
                *end = offset + 1;
                *begin
            }
            _ if self.runs == MOST => return false,
            _ => {
                runs.insert(offset, (offset + 1, by));
                self.runs += 1;
                offset
            }
        };
        if let Some((end, of)) = runs.get(&(offset + 1)).copied()
            && of == by
        {
            runs.remove(&(offset + 1));
            runs.insert(begin, (end, by));
            self.runs -= 1;
        }
        true
    }

    /// What settled a letter.
    pub(super) fn get(&self, partition: i32, Offset(offset): Offset) -> Option<SettledBy> {
        let runs = self.partitions.get(&partition)?;
        let (_, (end, by)) = runs.range(..=offset).next_back()?;
        (offset < *end).then_some(*by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run_in_whatever_order_they_come() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 1, 3], [3, 0, 2, 1]] {
            let mut settled = Settlements::default();
            for offset in order {
                assert!(settled.add(1, Offset(offset), SettledBy::Redrive));
                assert_eq!(
                    settled.get(1, Offset(offset)),
                    Some(SettledBy::Redrive),
                    "{order:?}"
                );
            }
            assert_eq!(settled.runs, 1, "{order:?}");
            assert_eq!(settled.get(1, Offset(4)), None);
            assert_eq!(settled.get(1, Offset(-1)), None);
            assert_eq!(settled.get(0, Offset(1)), None);
        }
    }

    #[test]
    fn the_first_marker_counts_and_other_ways_to_settle_make_runs_of_their_own() {
        let mut settled = Settlements::default();
        for (offset, by) in [
            (1, SettledBy::Redrive),
            (2, SettledBy::Purge),
            (2, SettledBy::Redrive),
            (3, SettledBy::Redrive),
            (9, SettledBy::Purge),
        ] {
            assert!(settled.add(0, Offset(offset), by));
        }
        let all: Vec<_> = (0..10).map(|o| settled.get(0, Offset(o))).collect();
        let (redrive, purge) = (Some(SettledBy::Redrive), Some(SettledBy::Purge));
        assert_eq!(all[..5], [None, redrive, purge, redrive, None]);
        assert_eq!(all[5..], [None, None, None, None, purge]);
        assert_eq!(settled.runs, 4);
    }

    #[test]
    fn beyond_the_bound_only_what_takes_no_room_is_noted() {
        let mut settled = Settlements {
            runs: MOST - 1,
            ..Settlements::default()
        };
        assert!(settled.add(0, Offset(5), SettledBy::Purge));
        assert!(!settled.add(0, Offset(9), SettledBy::Purge));
        assert!(settled.add(0, Offset(6), SettledBy::Purge));
        assert_eq!(settled.get(0, Offset(9)), None);
    }
}
