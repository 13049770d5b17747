//! Histogram: counts observations by upper bounds, as Prometheus has them. Plain integers: one task owns it.

/// The upper bounds of times, in seconds: those of the Python library, and finer ones below and wider ones above.
pub const TIMES: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0,
    300.0, 600.0, 3600.0,
];

/// The upper bounds of numbers of records.
pub const SIZES: &[f64] = &[1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// Observations, counted by upper bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all of them.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// An empty histogram with these upper bounds, which must increase.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    /// An empty histogram of times in seconds ([`TIMES`]).
    pub fn of_times() -> Self {
        Self::new(TIMES)
    }

    /// Counts one observation.
    pub fn observe(&mut self, value: f64) {
        self.observe_many(value, 1);
    }

    /// Counts `count` observations of the same value.
    pub fn observe_many(&mut self, value: f64, count: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at] += count;
        self.sum += value * count as f64;
    }

    /// Counts `count` observations whose sum is `sum`, all between `least` and `most`. Those that may lie in different
    /// buckets are counted at their mean.
    pub fn observe_span(&mut self, least: f64, most: f64, sum: f64, count: u64) {
        let of = |value: f64| self.bounds.partition_point(|bound| *bound < value);
        let at = match (of(least), of(most)) {
            (first, last) if first == last => first,
            _ if count == 0 => return,
            _ => of(sum / count as f64),
        };
        self.counts[at] += count;
        self.sum += sum;
    }

    /// Adds another one's observations. Both must have the same bounds; otherwise nothing happens.
    pub fn add(&mut self, other: &Self) {
        if self.bounds != other.bounds {
            return;
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }

    /// The upper bound of each bucket, with the number of observations in it alone; the last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied())
    }

    /// How many observations there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(histogram: &Histogram) -> Vec<u64> {
        histogram.buckets().map(|(_, count)| count).collect()
    }

    #[test]
    fn a_value_counts_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut histogram = Histogram::new(&[1.0, 5.0]);
        for value in [0.0, 1.0, 1.1, 5.0, 5.1] {
            histogram.observe(value);
        }
        assert_eq!(counts(&histogram), [2, 2, 1]);
        assert_eq!((histogram.count(), histogram.sum()), (5, 12.2));
    }

    #[test]
    fn observations_within_one_bucket_are_counted_together_as_one_by_one() {
        let (mut one, mut all) = (Histogram::new(&[1.0, 5.0]), Histogram::new(&[1.0, 5.0]));
        for value in [2.0, 3.0, 4.0] {
            one.observe(value);
        }
        all.observe_span(2.0, 4.0, 9.0, 3);
        assert_eq!(one, all);
        all.observe_span(0.5, 8.0, 8.5, 2);
        assert_eq!(counts(&all), [0, 5, 0]);
        all.add(&one);
        assert_eq!((all.count(), all.sum()), (8, 26.5));
    }

    #[test]
    fn the_bounds_of_all_histograms_increase() {
        assert!(TIMES.is_sorted() && SIZES.is_sorted());
    }
}
