//! Loads: what arrives at each second, and how it is spread over partitions. Pure.

use std::f64::consts::TAU;

/// What arrives, in the work of so many instances.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// `low`, and from `from` until `to` `high`.
    Step {
        /// Before and after.
        low: f64,
        /// Between.
        high: f64,
        /// Seconds.
        from: u32,
        /// Seconds.
        to: u32,
    },
    /// Between `low` and `high`, up and down once in `period` seconds.
    Sine {
        /// The least.
        low: f64,
        /// The most.
        high: f64,
        /// Seconds.
        period: u32,
    },
    /// `low` and `high` in turn: each for half of `period` seconds.
    Flapping {
        /// In one half.
        low: f64,
        /// In the other.
        high: f64,
        /// Seconds.
        period: u32,
    },
}

impl Load {
    /// At this second.
    #[must_use]
    pub fn at(&self, second: u32) -> f64 {
        match *self {
            Self::Step {
                low,
                high,
                from,
                to,
            } => match (from..to).contains(&second) {
                true => high,
                false => low,
            },
            Self::Sine { low, high, period } => {
                let turn = f64::from(second) / f64::from(period) * TAU;
                low + (high - low) * (0.5 - 0.5 * turn.cos())
            }
            Self::Flapping { low, high, period } => match second % period < period / 2 {
                true => low,
                false => high,
            },
        }
    }
}

/// How the load is spread over partitions.
#[derive(Clone, Copy, Debug)]
pub enum Spread {
    /// Each has about as much.
    Even,
    /// The n-th has 1/n^`exponent` of the first one's.
    Zipf(f64),
    /// One has this share, the others the rest.
    Hot(f64),
}

impl Spread {
    /// The share of each partition; their sum is 1.
    #[must_use]
    pub fn shares(&self, partitions: usize, rng: &mut fastrand::Rng) -> Vec<f64> {
        let mut shares: Vec<f64> = (0..partitions)
            .map(|at| match self {
                Self::Even | Self::Hot(_) => 0.8 + 0.4 * rng.f64(),
                Self::Zipf(exponent) => (at as f64 + 1.0).powf(-exponent),
            })
            .collect();
        let others: f64 = shares.iter().skip(1).sum();
        if let (Self::Hot(share), Some(first)) = (self, shares.first_mut()) {
            *first = others * share / (1.0 - share);
        }
        rng.shuffle(&mut shares);
        let sum: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
        shares
    }
}
