//! Model: a group on a stream, second by second: partitions with backlog, processes with instances, rebalances that stop the
//! partitions that move, or all. Decides nothing.

mod assign;
mod group;

use crate::scenarios::Scenario;

pub use group::State;
use group::{Member, Process};

/// A partition has no owner.
const NOBODY: usize = usize::MAX;
/// How long Kafka waits for a member that crashed: `session.timeout.ms`.
const SESSION: u32 = 45;
/// How long a rebalance stops what it moves, in seconds: as `cooperative-sticky` does, in two turns.
const STOPPED: u32 = 2;
/// How long it stops all, with [`Faults::stops_all`](crate::faults::Faults::stops_all).
const STOPPED_ALL: u32 = 1;

/// A stream and its group.
#[derive(Debug)]
pub struct World {
    /// What is modelled.
    pub scenario: Scenario,
    /// The seconds so far.
    pub now: u32,
    /// What arrives at this second, in records.
    pub arriving: f64,
    /// Records that came so far.
    pub came: f64,
    /// The share of each partition of what arrives.
    pub shares: Vec<f64>,
    /// Records that wait in each partition.
    pub backlog: Vec<f64>,
    owner: Vec<usize>,
    members: Vec<Member>,
    processes: Vec<Process>,
    stopped_until: u32,
    /// Members came or went.
    changed: bool,
    /// Records that wait in partitions of nobody.
    orphaned: bool,
    /// What chance decides.
    pub rng: fastrand::Rng,
}

impl World {
    /// With so many processes of so many instances, which are ready.
    #[must_use]
    pub fn new(scenario: &Scenario, processes: u32, instances: u32) -> Self {
        let mut rng = fastrand::Rng::with_seed(scenario.seed);
        let shares = scenario.spread.shares(scenario.partitions, &mut rng);
        let mut world = Self {
            backlog: vec![0.0; shares.len()],
            owner: vec![NOBODY; shares.len()],
            shares,
            scenario: scenario.clone(),
            now: 0,
            arriving: 0.0,
            came: 0.0,
            members: Vec::new(),
            processes: Vec::new(),
            stopped_until: 0,
            changed: false,
            orphaned: false,
            rng,
        };
        for _ in 0..processes.max(1) {
            let process = world.begin(0);
            world.ready(process);
            world.set_instances(process, instances);
        }
        world.rebalance();
        world
    }

    /// What waits in all partitions.
    #[must_use]
    pub fn lag(&self) -> f64 {
        let owned: f64 = self.members.iter().map(|member| member.lag).sum();
        match self.orphaned {
            true => self.backlog.iter().sum(),
            false => owned,
        }
    }

    /// A second passes.
    pub fn second(&mut self) {
        self.now += 1;
        let noise = 1.0 + (self.rng.f64() - 0.5) * 0.06;
        let load = self.scenario.load.at(self.now);
        self.arriving = load * self.scenario.each * noise;
        self.came += self.arriving;
        self.start_and_crash();
        if self.changed && self.now >= self.stopped_until {
            self.rebalance();
            self.stopped_until = self.now + STOPPED_ALL;
        }
        self.work();
    }

    fn work(&mut self) {
        let now = self.now;
        let stopped = self.scenario.faults.stops_all && now < self.stopped_until;
        let each = self.scenario.each;
        let mut per = 1.0;
        if let Some(downstream) = self.scenario.downstream {
            let asking = self
                .members
                .iter()
                .filter(|member| member.works() && !member.partitions.is_empty())
                .count() as f64;
            per = downstream.does(asking) / asking.max(1.0);
        }
        let arriving = self.arriving;
        for member in &mut self.members {
            let can = match stopped || !member.works() {
                true => 0.0,
                false => each * member.speed * per,
            };
            // What stands still can be worked off by nobody.
            let can = match member.still {
                (share, until) if now < until => can * (1.0 - share),
                _ => can,
            };
            let came = arriving * member.share;
            if member.lag == 0.0 && came <= can {
                member.finished += came;
                member.busy += came / can.max(1e-9);
                continue;
            }
            let all = member.lag + came;
            let done = all.min(can);
            let kept = if all > 0.0 { (all - done) / all } else { 0.0 };
            let mut lag = 0.0;
            for at in &member.partitions {
                let backlog = &mut self.backlog[*at as usize];
                *backlog = (*backlog + arriving * self.shares[*at as usize]) * kept;
                lag += *backlog;
            }
            member.finished += done;
            if can > 0.0 {
                member.busy += done / can;
            }
            member.lag = if kept == 0.0 { 0.0 } else { lag };
        }
        if self.orphaned {
            for (at, owner) in self.owner.iter().enumerate() {
                if *owner == NOBODY {
                    self.backlog[at] += arriving * self.shares[at];
                }
            }
        }
    }
}
