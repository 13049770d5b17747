//! Processes: computes how many processes a group needs. Input: what each partition needs, and what a member gives. Output: a
//! wish, for autoscalers and people. Pure: it has no clock and starts nothing.
//!
//! A partition feeds one member at a time, so what it needs beyond one member's rate counts for nothing: more processes would not
//! help it. The wish rises with the second sample in a row that asks for more, and falls to the highest one of a quarter of an hour.

use std::time::Duration;

use super::{instances::TARGET, remembered::Remembered};

/// What one partition needs, in records a second: what arrives, and what works off its backlog in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Need {
    pub(super) arrivals: f64,
    pub(super) lag: u64,
}

impl Need {
    pub(super) fn rate(self, catch_up: Duration) -> f64 {
        self.arrivals.max(0.0) + self.lag as f64 / catch_up.as_secs_f64().max(1.0)
    }
}

/// What a group needs at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wish {
    /// Processes.
    pub(super) processes: u32,
    /// The partition that needs most, if that is more than one member gives: which one, and how many members it needs.
    pub(super) hot: Option<(usize, f64)>,
    /// More would be needed than there are partitions.
    pub(super) bounded: bool,
}

/// Computes the wish of one sample. `each`: records a second that one instance gives at most. `instances`: how many of them a
/// process runs.
pub(super) fn wish(needs: &[Need], each: f64, instances: u32, catch_up: Duration) -> Wish {
    let planned = (each * TARGET).max(1e-9);
    let rates = needs.iter().map(|need| need.rate(catch_up));
    let useful: f64 = rates.clone().map(|rate| rate.min(planned)).sum();
    let hot = rates
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .filter(|(_, rate)| *rate > each)
        .map(|(at, rate)| (at, rate / each));
    let members = (useful / planned).ceil().max(1.0);
    let fed = needs.len().max(1) as f64;
    let processes = (members / f64::from(instances.max(1))).ceil();
    let bound = (fed / f64::from(instances.max(1))).ceil();
    Wish {
        processes: processes.min(bound) as u32,
        hot,
        // All partitions need a whole member each.
        bounded: members >= fed && hot.is_some(),
    }
}

/// Smooths the wishes of a group, so that what follows them does not flap.
#[derive(Debug, Default)]
pub(super) struct Processes {
    last: Option<u32>,
    wishes: Remembered,
}

impl Processes {
    /// Takes the wish of a sample. `None` until two samples in a row are known.
    pub(super) fn take(&mut self, elapsed: Duration, wish: u32) -> Option<u32> {
        self.wishes.pass(elapsed);
        self.wishes.add(wish.min(self.last.replace(wish)?));
        self.wishes.highest()
    }

    /// A figure is missing, or another process computes the wish: what was known says nothing any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: Duration = Duration::from_secs(600);
    const TICK: Duration = Duration::from_secs(30);

    fn arriving(rates: &[f64]) -> Vec<Need> {
        let needs = rates.iter().map(|arrivals| Need {
            arrivals: *arrivals,
            lag: 0,
        });
        needs.collect()
    }

    #[test]
    fn the_wish_is_what_arrives_divided_by_what_a_process_gives() {
        for (rates, instances, processes) in [
            (vec![0.0; 12], 1, 1),
            (vec![50.0; 12], 1, 9), // 600 by 70
            (vec![50.0; 12], 3, 3),
            (vec![500.0; 12], 1, 12),
            (vec![500.0; 12], 5, 3), // twelve partitions feed no more
            (vec![], 1, 1),
        ] {
            let wish = wish(&arriving(&rates), 100.0, instances, MINUTES);
            assert_eq!(wish.processes, processes, "{rates:?} {instances}");
        }
        let behind = [Need {
            arrivals: 10.0,
            lag: 60_000,
        }; 4];
        let wish = wish(&behind, 200.0, 1, MINUTES);
        assert_eq!(wish.processes, 4, "110 a second for each partition");
        assert!(!wish.bounded);
    }

    #[test]
    fn one_hot_partition_asks_for_no_useless_process_and_is_named() {
        let mut rates = vec![0.0; 64];
        rates[3] = 140.0;
        let found = wish(&arriving(&rates), 100.0, 1, MINUTES);
        assert_eq!(found.processes, 1, "63 others would have nothing to do");
        let (at, members) = found.hot.unwrap();
        assert_eq!((at, (members * 10.0).round()), (3, 14.0));
        assert!(!found.bounded);
        let even = wish(&arriving(&[90.0; 4]), 100.0, 1, MINUTES);
        assert_eq!((even.processes, even.hot), (4, None));
        assert!(wish(&arriving(&[120.0; 4]), 100.0, 1, MINUTES).bounded);
    }

    #[test]
    fn a_wish_rises_with_the_second_sample_and_falls_after_a_quarter_of_an_hour() {
        let mut processes = Processes::default();
        assert_eq!(processes.take(TICK, 2), None, "one sample may be a spike");
        assert_eq!(processes.take(TICK, 2), Some(2));
        assert_eq!(processes.take(TICK, 9), Some(2));
        assert_eq!(processes.take(TICK, 2), Some(2));
        assert_eq!(processes.take(TICK, 7), Some(2));
        assert_eq!(processes.take(TICK, 6), Some(6));
        for _ in 0..30 {
            assert_eq!(processes.take(TICK, 1), Some(6));
        }
        assert_eq!(processes.take(TICK, 1), Some(1));
        processes.forget();
        assert_eq!(processes.take(TICK, 3), None);
    }
}
