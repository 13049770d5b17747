//! Laws: what must hold for every run of the worker's controllers. Pure.

use crate::{run::Outcome, scale::CATCH_UP, scenarios::Knob};

/// Within half an hour, a number turns at most so often.
pub const TURNS: usize = 2;
/// A backlog is worked off within so many times the oracle's time.
pub const TIME: f64 = 1.5;
/// So many times the oracle's instance-hours are paid for, at most.
pub const HOURS: f64 = 1.25;

/// Where a law does not hold for every seed: what holds instead, in the law's own measure, with the reason. See docs/scaling.md.
pub const EXCEPTIONS: [(&str, Law, f64); 8] = [
    // A step up stays if it brings a tenth of what it promised, so the last one may be larger than what helps.
    ("saturating", Law::Hours, 1.5),
    // What was added for a backlog stays while the instances are busy for two fifths of their time.
    ("steps", Law::Hours, 1.35),
    ("silent-brokers", Law::Hours, 1.35),
    // Each crash moves so many partitions that their new owners wait a minute.
    ("fleet-crashes", Law::WorkedOff, 1.8),
    // Instances that are stopped so often seem not to be busy.
    ("fleet-stopped-world", Law::WorkedOff, 2.0),
    // The load rises for twenty minutes, and each step up is followed by a quiet minute.
    ("fleet-sine", Law::WorkedOff, 1.8),
    // More comes than instances with a partition each can do: the last of them counts.
    ("fleet-few-partitions", Law::WorkedOff, 1.8),
    // A need of nearly a whole number of instances: noise asks for a process more, and a quarter of an hour later for it no more.
    ("fleet-spike", Law::Turns, 3.0),
];

/// A law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// No number leaves its bounds, and no step is larger than one to twice or to half.
    Bounds,
    /// Nothing changes while a figure is missing.
    NoDataNoChange,
    /// No number turns more than [`TURNS`] times within half an hour.
    Turns,
    /// A backlog is worked off within [`TIME`] times what the oracle takes, or `catch-up` where that is longer.
    WorkedOff,
    /// No more than [`HOURS`] times the oracle's instance-hours.
    Hours,
    /// No instance is without a partition for longer than a minute.
    Useful,
}

impl Law {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Bounds,
        Self::NoDataNoChange,
        Self::Turns,
        Self::WorkedOff,
        Self::Hours,
        Self::Useful,
    ];

    /// For messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bounds => "bounds",
            Self::NoDataNoChange => "no data, no change",
            Self::Turns => "turns",
            Self::WorkedOff => "worked off",
            Self::Hours => "instance-hours",
            Self::Useful => "useful",
        }
    }
}

/// A law that does not hold, and where.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which.
    pub law: Law,
    /// What was seen.
    pub seen: String,
}

/// What the law allows in this scenario.
fn allowed(run: &Outcome, law: Law, general: f64) -> f64 {
    let here = EXCEPTIONS
        .iter()
        .find(|(name, excepted, _)| *name == run.scenario.name && *excepted == law);
    here.map_or(general, |(_, _, allowed)| *allowed)
}

/// Judges a run by the laws, beside the oracle's run of the same scenario and seed.
#[must_use]
pub fn broken(run: &Outcome, oracle: &Outcome) -> Vec<Broken> {
    let mut all = Vec::new();
    let mut add = |law, seen| all.push(Broken { law, seen });
    for it in &run.decided {
        let (low, high) = it.bounds;
        let too_far =
            it.knob == Knob::Instances && (it.to > it.from * 2 || it.to < it.from.div_ceil(2));
        if it.to < low || it.to > high || too_far {
            add(Law::Bounds, format!("at {} s {:?}", it.at, it));
        }
        if !it.known {
            add(Law::NoDataNoChange, format!("at {} s {:?}", it.at, it));
        }
    }
    let turns = run.turns();
    let at_most = allowed(run, Law::Turns, TURNS as f64);
    if turns as f64 > at_most {
        add(
            Law::Turns,
            format!("{turns} within half an hour, allowed {at_most}"),
        );
    }
    let (took, best) = (run.behind(), oracle.behind());
    let times = allowed(run, Law::WorkedOff, TIME);
    let within = times * f64::from(best).max(CATCH_UP.as_secs_f64());
    if f64::from(took) > within {
        add(
            Law::WorkedOff,
            format!("{took} s, the oracle {best} s, allowed {within:.0} s"),
        );
    }
    let (paid, least) = (run.instance_hours(), oracle.instance_hours());
    let most = least * allowed(run, Law::Hours, HOURS);
    if paid > most {
        add(
            Law::Hours,
            format!("{paid:.1}, the oracle {least:.1}, allowed {most:.1}"),
        );
    }
    let mut useless = 0;
    for (at, second) in run.seconds.iter().enumerate() {
        useless = if second.useless > 0 { useless + 1 } else { 0 };
        if useless == 61 {
            add(
                Law::Useful,
                format!("at {at} s {} instances have no partition", second.useless),
            );
        }
    }
    all
}
