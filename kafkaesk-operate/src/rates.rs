//! Rates: how many messages each subscription finished and how far it was behind, over the last five minutes. Pure.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use kafkaesk_worker::snapshot::Snapshot;

use crate::lag::Judged;

/// What is kept, and how often.
const SPAN: Duration = Duration::from_secs(300);
const STEP: Duration = Duration::from_secs(5);

/// One moment of a subscription.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// How long ago.
    pub(crate) ago: Duration,
    /// Messages that it had finished until then.
    pub(crate) finished: u64,
    /// Records that it was behind; `None` where that was not known.
    pub(crate) lag: Option<u64>,
}

/// The moments of all subscriptions: 61 for each, at most.
#[derive(Debug, Default)]
pub(crate) struct Rates(HashMap<Key, VecDeque<Moment>>);

/// Group and pattern.
type Key = (String, String);

#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Duration,
    finished: u64,
    lag: Option<u64>,
}

impl Rates {
    /// Keeps this moment, and returns the last five minutes of each subscription, oldest first, this moment included.
    pub(crate) fn look(
        &mut self,
        snapshot: &Snapshot,
        lags: &[Vec<Judged>],
        at: Duration,
    ) -> Vec<Vec<Point>> {
        let looked = snapshot.subscriptions.iter().zip(lags).map(|(it, judged)| {
            let now = Moment {
                at,
                finished: it.counts.iter().map(|(_, counts)| counts.finished).sum(),
                lag: lag(judged),
            };
            let key = (it.group.clone(), it.pattern.clone());
            let moments = self.0.entry(key).or_default();
            let last = moments.back().map(|last| last.at);
            if last.is_none_or(|last| at.saturating_sub(last) >= STEP) {
                moments.push_back(now);
            }
            while moments
                .front()
                .is_some_and(|first| at.saturating_sub(first.at) > SPAN)
            {
                moments.pop_front();
            }
            let is_kept = moments.back().is_some_and(|last| last.at == at);
            let now = (!is_kept).then_some(now);
            let points = moments.iter().copied().chain(now).map(|moment| Point {
                ago: at.saturating_sub(moment.at),
                finished: moment.finished,
                lag: moment.lag,
            });
            points.collect()
        });
        looked.collect()
    }
}

/// Records behind in all partitions; `None` where that is not known of every one.
pub(crate) fn lag(judged: &[Judged]) -> Option<u64> {
    let lags = judged.iter().map(Judged::records);
    lags.sum()
}

/// Messages a second over the last half minute, or as long as it is known.
pub(crate) fn per_second(points: &[Point]) -> Option<f64> {
    let now = points.last()?;
    let recent = |point: &&Point| point.ago <= Duration::from_secs(30);
    let first = points.iter().find(recent)?;
    let span = first.ago.saturating_sub(now.ago).as_secs_f64();
    let finished = now.finished.saturating_sub(first.finished);
    (span >= 1.0).then(|| finished as f64 / span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{running, view};

    fn look(rates: &mut Rates, finished: u64, second: u64) -> Vec<Point> {
        let mut it = running("billing", &["orders.placed"]);
        it.counts[0].1.finished = finished;
        let view = view(vec![it]);
        let at = Duration::from_secs(second);
        rates.look(&view.snapshot, &view.lags, at).remove(0)
    }

    #[test]
    fn five_minutes_are_kept_in_steps_and_the_last_moment_is_always_there() {
        let mut rates = Rates::default();
        for second in 0..1000 {
            let points = look(&mut rates, second * 10, second);
            assert!(points.len() <= 62);
            assert!(points.iter().all(|point| point.ago <= SPAN));
            let last = points.last().unwrap();
            assert_eq!((last.ago, last.finished), (Duration::ZERO, second * 10));
        }
    }

    #[test]
    fn a_rate_is_that_of_the_last_half_minute() {
        let mut rates = Rates::default();
        assert_eq!(per_second(&look(&mut rates, 0, 0)), None);
        assert_eq!(per_second(&look(&mut rates, 50, 5)), Some(10.0));
        assert_eq!(per_second(&look(&mut rates, 50, 20)), Some(2.5));
        assert_eq!(per_second(&look(&mut rates, 50, 100)), None);
        assert_eq!(per_second(&look(&mut rates, 150, 110)), Some(10.0));
    }

    #[test]
    fn a_lag_that_is_not_known_of_every_partition_is_not_known() {
        let view = view(vec![running("billing", &["orders.placed"])]);
        assert_eq!(lag(&view.lags[0]), None);
        assert_eq!(lag(&[]), Some(0));
    }
}
