//! Table: makes rows of medians, spreads and targets from the rounds, as text and as JSON.

use serde::Serialize;

use crate::{result::Run, rounds::Rounds};

/// A number over all rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Spread {
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) && middle > 0 {
            f64::midpoint(at(middle - 1), at(middle))
        } else {
            at(middle)
        };
        Self {
            median,
            lowest: at(0),
            highest: at(sorted.len().saturating_sub(1)),
        }
    }

    fn text(self, digits: usize) -> String {
        format!(
            "{:.digits$} ({:.digits$}–{:.digits$})",
            self.median, self.lowest, self.highest
        )
    }
}

/// One target and what was measured for it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) measured: Spread,
    pub(crate) target: f64,
    pub(crate) met: bool,
    #[serde(skip)]
    rule: &'static str,
}

impl Row {
    /// The ratio of the two in each round, which must be at least this.
    pub(crate) fn ratio(name: &'static str, rounds: &Rounds, target: f64) -> Self {
        let ratios = rounds
            .ours
            .iter()
            .zip(&rounds.raw)
            .map(|(ours, raw)| ours.per_second() / raw.per_second());
        let measured = Spread::of(ratios);
        Self {
            name,
            measured,
            target,
            met: measured.median >= target,
            rule: "≥",
        }
    }

    /// How much more CPU a message takes than with the other one, in microseconds: at most this.
    pub(crate) fn more_cpu(name: &'static str, rounds: &Rounds, target: f64) -> Self {
        let more = rounds
            .ours
            .iter()
            .zip(&rounds.raw)
            .map(|(ours, raw)| ours.cpu_micros() - raw.cpu_micros());
        let measured = Spread::of(more);
        Self {
            name,
            measured,
            target,
            met: measured.median <= target,
            rule: "≤",
        }
    }

    /// The worst peak, which must be at most this.
    pub(crate) fn peak(name: &'static str, runs: &[Run], target: f64) -> Self {
        let measured = Spread::of(runs.iter().map(Run::peak_mib));
        Self {
            name,
            measured,
            target,
            met: measured.highest <= target,
            rule: "≤",
        }
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "| {} | {} | {} {} | {} |",
            self.name,
            self.measured.text(2),
            self.rule,
            self.target,
            if self.met { "met" } else { "MISSED" }
        )
    }
}

/// What one contender needed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Contention {
    pub(crate) name: &'static str,
    pub(crate) messages_per_second: Spread,
    pub(crate) cpu_micros: Spread,
    pub(crate) peak_mib: Spread,
}

impl Contention {
    pub(crate) fn of(name: &'static str, runs: &[Run]) -> Self {
        Self {
            name,
            messages_per_second: Spread::of(runs.iter().map(Run::per_second)),
            cpu_micros: Spread::of(runs.iter().map(Run::cpu_micros)),
            peak_mib: Spread::of(runs.iter().map(Run::peak_mib)),
        }
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "| {} | {} | {} | {} |",
            self.name,
            self.messages_per_second.text(0),
            self.cpu_micros.text(2),
            self.peak_mib.text(0)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_ones() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(Spread::of([3.0, 1.0]).lowest, 1.0);
    }
}
