//! Scenarios: each a load, its faults and the size of a group. The seed chooses heights and times. Runs nothing.

use crate::{
    faults::{Downstream, Faults},
    loads::{Load, Spread},
};

/// Which number follows the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// The instances of one process.
    Instances,
    /// The processes of a deployment; each has instances that follow the load as well.
    Processes,
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// For `--scenario`.
    pub name: &'static str,
    /// For `--list`.
    pub about: &'static str,
    /// What decides everything that chance decides.
    pub seed: u64,
    /// What follows the load.
    pub knob: Knob,
    /// Partitions.
    pub partitions: usize,
    /// How the load is spread over them.
    pub spread: Spread,
    /// Records a second that an instance finishes.
    pub each: f64,
    /// `max-concurrency`: instances of a process.
    pub most: u32,
    /// Processes at most.
    pub processes: u32,
    /// What arrives.
    pub load: Load,
    /// What goes wrong.
    pub faults: Faults,
    /// What all instances call, if that can be too slow.
    pub downstream: Option<Downstream>,
    /// Seconds that a process needs to start.
    pub start: u32,
    /// How long it lasts.
    pub seconds: u32,
}

/// Name and what it is, of all.
pub const ALL: [(&str, &str); 18] = [
    ("steps", "one process: ten times the load for half an hour"),
    (
        "sine",
        "one process: the load rises and falls within 40 minutes",
    ),
    ("spike", "one process: eight times the load for two minutes"),
    (
        "flapping",
        "one process: the load changes fourfold every few minutes",
    ),
    (
        "hot-partition",
        "one process: one partition needs more than one instance",
    ),
    (
        "saturating",
        "one process: what its handlers call does the work of a few instances, and less for more",
    ),
    (
        "silent-brokers",
        "one process: the load rises while the brokers answer no question for five minutes",
    ),
    (
        "fleet-steps",
        "processes of up to 3 instances: ten times the load for half an hour",
    ),
    (
        "fleet-sine",
        "processes: the load rises and falls within 40 minutes",
    ),
    (
        "fleet-spike",
        "processes: eight times the load for two minutes",
    ),
    (
        "fleet-flapping",
        "processes: the load changes fourfold every few minutes",
    ),
    (
        "fleet-zipf",
        "processes: keys by Zipf's law, and one partition that needs more than one instance",
    ),
    (
        "fleet-crashes",
        "processes: a tenth of them crashes each minute",
    ),
    (
        "fleet-silent-brokers",
        "processes: the load rises while the brokers answer no question for five minutes",
    ),
    (
        "fleet-slow-starts",
        "processes that need two minutes to start: ten times the load",
    ),
    (
        "fleet-stopped-world",
        "processes: ten times the load; each rebalance stops all for a second",
    ),
    (
        "fleet-few-partitions",
        "processes: more load than 24 partitions can feed instances",
    ),
    (
        "large",
        "up to 1,000 instances in 334 processes, 10,000 partitions: five times the load",
    ),
];

impl Scenario {
    /// The scenario of this name; `None`: there is none.
    #[must_use]
    pub fn named(wanted: &str, seed: u64) -> Option<Self> {
        let at = ALL.iter().position(|(name, _)| *name == wanted)?;
        let (name, about) = ALL[at];
        let rng = &mut fastrand::Rng::with_seed(seed.wrapping_mul(1000) + at as u64);
        let fleet = name.starts_with("fleet-");
        let size = if fleet { 6.0 } else { 1.0 };
        let mut scenario = Self {
            name,
            about,
            seed: rng.u64(..),
            knob: if fleet {
                Knob::Processes
            } else {
                Knob::Instances
            },
            partitions: if fleet { 240 } else { 64 },
            spread: Spread::Even,
            each: 50.0 + 950.0 * rng.f64(),
            most: if fleet { 3 } else { 16 },
            processes: if fleet { 40 } else { 1 },
            load: Load::Step {
                low: 0.5 * size,
                high: (4.0 + 2.0 * rng.f64()) * size,
                from: rng.u32(300..420),
                to: rng.u32(2000..2300),
            },
            faults: Faults::default(),
            downstream: None,
            start: 20,
            seconds: 3600,
        };
        scenario.load = match name.trim_start_matches("fleet-") {
            "sine" => Load::Sine {
                low: 0.6 * size,
                high: (4.0 + 3.0 * rng.f64()) * size,
                period: rng.u32(2200..2600),
            },
            "spike" => {
                let (low, from) = ((0.5 + 0.2 * rng.f64()) * size, rng.u32(400..900));
                Load::Step {
                    low,
                    high: low * 8.0,
                    from,
                    to: from + 120,
                }
            }
            "flapping" => {
                let low = (0.8 + 0.4 * rng.f64()) * size;
                Load::Flapping {
                    low,
                    high: low * 4.0,
                    period: rng.u32(120..600),
                }
            }
            "hot-partition" | "zipf" => Load::Step {
                low: 3.0 * size,
                high: (4.0 + rng.f64()) * size,
                from: 600,
                to: 2400,
            },
            "crashes" => Load::Step {
                low: 2.0 * size,
                high: (3.0 + rng.f64()) * size,
                from: 600,
                to: 2400,
            },
            _ => scenario.load,
        };
        match name.trim_start_matches("fleet-") {
            "hot-partition" => scenario.spread = Spread::Hot(0.3 + 0.1 * rng.f64()),
            "zipf" => scenario.spread = Spread::Zipf(0.7 + 0.2 * rng.f64()),
            "saturating" => {
                scenario.downstream = Some(Downstream {
                    knee: 1.5 + 2.0 * rng.f64(),
                    collapse: 0.3 * rng.f64(),
                });
            }
            "silent-brokers" => scenario.faults.silent = Some((280, 300)),
            "crashes" => scenario.faults.crashes = 0.1,
            "few-partitions" => scenario.partitions = 24,
            "stopped-world" => scenario.faults.stops_all = true,
            "slow-starts" => scenario.start = 120,
            "large" => {
                scenario.knob = Knob::Processes;
                (scenario.partitions, scenario.most, scenario.processes) = (10_000, 3, 334);
                scenario.load = Load::Step {
                    low: 120.0,
                    high: 550.0 + 100.0 * rng.f64(),
                    from: 300,
                    to: 2100,
                };
            }
            _ => {}
        }
        Some(scenario)
    }

    /// Instances at most.
    #[must_use]
    pub fn most_instances(&self) -> u32 {
        let most = self.most.saturating_mul(self.processes);
        most.min(self.partitions as u32)
    }
}
