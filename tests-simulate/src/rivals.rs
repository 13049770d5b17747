//! Rivals: other rules for the number of instances: a fixed number, KEDA's rule, AIMD, and two oracles that know the load. Each
//! process of a rival has one instance.

use std::collections::VecDeque;

use crate::{
    autoscaler::{Autoscaler, POLLS, STABLE_BY_DEFAULT, reach},
    model::World,
    scale::CATCH_UP,
    scenarios::{Knob, Scenario},
};

/// The share of an instance's time that is planned for, as in the worker.
const TARGET: f64 = 0.7;
/// How long oracles and the worker remember what was needed, in seconds.
const REMEMBERED: u32 = 900;
/// A lag of so many seconds of an instance's work asks KEDA's rule for one instance: its `lagThreshold`.
const THRESHOLD: f64 = 60.0;

/// A rule for the number of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// What the mean load needs.
    Fixed,
    /// ⌈lag / threshold⌉.
    Keda,
    /// One more while records wait, a fifth fewer where none did for five minutes.
    Aimd,
    /// Knows the load and what an instance gives, and acts at once; goes down to the highest need of 15 minutes, as the worker.
    Oracle,
    /// The same, but it goes down at once.
    Free,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Fixed,
        Self::Keda,
        Self::Aimd,
        Self::Oracle,
        Self::Free,
    ];

    /// For tables and plots.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Keda => "KEDA",
            Self::Aimd => "AIMD",
            Self::Oracle => "oracle",
            Self::Free => "oracle without memory",
        }
    }
}

/// Instances for this load, with no backlog.
#[must_use]
pub fn planned(load: f64, scenario: &Scenario) -> u32 {
    let needed = (load / TARGET).ceil().max(1.0) as u32;
    needed.min(scenario.most_instances())
}

/// Instances that the load needs now: what arrives, and what works off the backlog within `catch-up`. More than a partition can
/// feed counts for nothing, nor does more than helps what they call.
#[must_use]
pub fn needed(world: &World) -> u32 {
    let each = world.scenario.each * TARGET;
    let catch_up = CATCH_UP.as_secs_f64();
    let all = world.shares.iter().zip(&world.backlog);
    let load = world.scenario.load.at(world.now) * world.scenario.each;
    let rates = all.map(|(share, lag)| (load * share + lag / catch_up).min(each));
    let needed = (rates.sum::<f64>() / each).ceil().max(1.0) as u32;
    let most = world.scenario.most_instances();
    let helps = match world.scenario.downstream {
        None => most,
        Some(downstream) => (1..=most)
            .max_by(|a, b| {
                let does = |it: &u32| downstream.does(f64::from(*it));
                // Of two that do the same, the smaller.
                does(a).total_cmp(&does(b)).then(b.cmp(a))
            })
            .unwrap_or(1),
    };
    needed.min(most).min(helps)
}

/// A rule at work.
#[derive(Debug)]
pub struct Rival {
    rule: Rule,
    wishes: VecDeque<(u32, u32)>,
    autoscaler: Autoscaler,
    clear_since: u32,
}

impl Rival {
    /// Before the first second.
    #[must_use]
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            wishes: VecDeque::new(),
            autoscaler: Autoscaler::new(STABLE_BY_DEFAULT),
            clear_since: 0,
        }
    }

    /// The instances that it begins with.
    #[must_use]
    pub fn begins_with(rule: Rule, scenario: &Scenario) -> u32 {
        match rule {
            Rule::Fixed => {
                let loads = (0..scenario.seconds).map(|at| scenario.load.at(at));
                planned(loads.sum::<f64>() / f64::from(scenario.seconds), scenario)
            }
            _ => planned(scenario.load.at(0), scenario),
        }
    }

    /// Decides, if it is time. Gives the number before and after, if it changes.
    pub fn second(&mut self, world: &mut World) -> Option<(u32, u32)> {
        let one_process = world.scenario.knob == Knob::Instances;
        let every = if one_process { 10 } else { POLLS };
        if !world.now.is_multiple_of(every) {
            return None;
        }
        let most = world.scenario.most_instances();
        let present = match one_process {
            true => world.running(),
            false => world.processes().count() as u32,
        };
        let silent = world.scenario.faults.is_silent(world.now);
        let lag = Some(world.lag()).filter(|_| !silent);
        let wish = match self.rule {
            Rule::Fixed => None,
            Rule::Keda => lag.map(|lag| (lag / (world.scenario.each * THRESHOLD)).ceil() as u32),
            Rule::Aimd => lag.map(|lag| self.aimd(world, lag, present)),
            // No data, no change: that holds for all.
            Rule::Oracle | Rule::Free => Some(needed(world)).filter(|_| !silent),
        };
        let memory = match self.rule {
            Rule::Oracle => REMEMBERED,
            // Kubernetes' own memory.
            Rule::Keda => STABLE_BY_DEFAULT,
            _ => 0,
        };
        let now = world.now;
        if self.rule == Rule::Keda && !one_process {
            return self.autoscaler.second(world, wish, most);
        }
        self.wishes.retain(|(at, _)| at + memory >= now);
        self.wishes.push_back((now, wish?));
        let highest = self.wishes.iter().map(|(_, wish)| *wish).max()?;
        let to = highest.clamp(1, most);
        match one_process {
            true => {
                let process = world.processes().next()?.0;
                world.set_instances(process, to);
            }
            false => reach(world, to),
        }
        (to != present).then_some((present, to))
    }

    fn aimd(&mut self, world: &World, lag: f64, present: u32) -> u32 {
        if lag > world.arriving * 10.0 {
            self.clear_since = world.now;
            return present + 1;
        }
        if world.now - self.clear_since < 300 {
            return present;
        }
        self.clear_since = world.now;
        (present * 4 / 5).max(1)
    }
}
