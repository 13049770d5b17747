//! Run: one scenario under one rule, second by second, and what came of it. Judges nothing.

use crate::{
    autoscaler::{Autoscaler, STABLE},
    model::{State, World},
    rivals::{Rival, Rule, planned},
    scale::{Controllers, Leader, Process},
    scenarios::{Knob, Scenario},
};

/// One change of a number.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// The second.
    pub at: u32,
    /// Which number.
    pub knob: Knob,
    /// Of which process; 0 for processes.
    pub who: usize,
    /// Before.
    pub from: u32,
    /// After.
    pub to: u32,
    /// Its bounds.
    pub bounds: (u32, u32),
    /// All figures were known.
    pub known: bool,
}

/// One second.
#[derive(Clone, Copy, Debug)]
pub struct Second {
    /// What arrived, in the work of so many instances.
    pub load: f64,
    /// Instances that were wished for.
    pub wish: f64,
    /// Instances that ran.
    pub running: u32,
    /// Instances that ran, and processes that started.
    pub paid: u32,
    /// Records that waited, in seconds of the work of one instance.
    pub lag: f64,
    /// Instances without a partition.
    pub useless: u32,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was run.
    pub scenario: Scenario,
    /// All changes.
    pub decided: Vec<Decided>,
    /// All seconds.
    pub seconds: Vec<Second>,
}

/// The scenario under this rule.
#[must_use]
pub fn rival(scenario: &Scenario, rule: Rule) -> Outcome {
    let begins = Rival::begins_with(rule, scenario);
    let mut world = match scenario.knob {
        Knob::Instances => World::new(scenario, 1, begins),
        Knob::Processes => World::new(scenario, begins, 1),
    };
    let mut rival = Rival::new(rule);
    let mut outcome = Outcome::new(scenario);
    let bounds = (1, scenario.most_instances());
    let mut wish = f64::from(begins);
    for _ in 0..scenario.seconds {
        world.second();
        if let Some((from, to)) = rival.second(&mut world) {
            wish = f64::from(to);
            outcome.decided.push(Decided {
                at: world.now,
                knob: scenario.knob,
                who: 0,
                from,
                to,
                bounds,
                known: true,
            });
        }
        outcome.keep(&world, wish);
    }
    outcome
}

/// The scenario under the worker's controllers, or others in their place.
#[must_use]
pub fn worker(scenario: &Scenario, controllers: &dyn Controllers) -> Outcome {
    let begins = planned(scenario.load.at(0), scenario);
    let processes = match scenario.knob {
        Knob::Instances => 1,
        Knob::Processes => begins.div_ceil(scenario.most),
    };
    let instances = begins.div_ceil(processes);
    let mut fleet = Fleet {
        world: World::new(scenario, processes, instances),
        controllers,
        processes: Vec::new(),
        autoscaler: Autoscaler::new(STABLE),
        wish: f64::from(begins),
        outcome: Outcome::new(scenario),
    };
    for _ in 0..scenario.seconds {
        fleet.second();
    }
    fleet.outcome
}

/// The processes of a group with their controllers.
struct Fleet<'a> {
    world: World,
    controllers: &'a dyn Controllers,
    processes: Vec<Control>,
    autoscaler: Autoscaler,
    wish: f64,
    outcome: Outcome,
}

/// The controllers of one process.
struct Control {
    process: Process,
    leader: Leader,
    next_look: u32,
    turn: u32,
    /// What it says that the group needs.
    says: Option<u32>,
}

impl Fleet<'_> {
    fn second(&mut self) {
        self.world.second();
        while self.processes.len() < self.world.begun() {
            let rng = &mut self.world.rng;
            let spread = 0.75 + rng.f64() / 2.0;
            let seeks = self.controllers.instances(self.world.scenario.most, spread);
            self.processes.push(Control {
                process: Process::new(seeks, self.world.scenario.most),
                leader: Leader::new(self.controllers.processes()),
                next_look: 0,
                turn: 0,
                says: None,
            });
        }
        let running: Vec<usize> = self
            .world
            .processes()
            .filter(|(_, state)| *state == State::Runs)
            .map(|(at, _)| at)
            .collect();
        for at in &running {
            self.look(*at);
        }
        match self.world.scenario.knob {
            Knob::Instances => {
                let wish = running
                    .iter()
                    .find_map(|at| self.processes[*at].process.wish());
                self.wish = wish.map_or(self.wish, f64::from);
            }
            Knob::Processes => self.follow(&running),
        }
        self.outcome.keep(&self.world, self.wish);
    }

    /// One process looks at its instances, and at the group, if it is time.
    fn look(&mut self, at: usize) {
        let (world, control) = (&mut self.world, &mut self.processes[at]);
        let now = world.now;
        if control.next_look == 0 {
            control.next_look = now + world.rng.u32(9..=11);
        }
        if control.next_look > now {
            return;
        }
        control.next_look = now + world.rng.u32(9..=11);
        let silent = world.scenario.faults.is_silent(now);
        let ask = || (!silent).then(|| world.lags_of(at));
        let look = control.process.look(now, world.totals(at), ask);
        if control.turn.is_multiple_of(3) {
            control.says = match world.leader() == Some(at) && !silent {
                true => {
                    let partitions = world.shares.iter().copied();
                    let partitions = partitions.zip(world.backlog.iter().copied());
                    let gives = control.process.gives();
                    control.leader.look(now, world.came, partitions, gives)
                }
                false => {
                    control.leader.misses();
                    None
                }
            };
        }
        control.turn += 1;
        let Some((look, step)) = look.and_then(|look| Some((look, look.step?))) else {
            return;
        };
        let fed = look.figures.partitions.max(step.from);
        self.outcome.decided.push(Decided {
            at: now,
            knob: Knob::Instances,
            who: at,
            from: step.from,
            to: step.to,
            bounds: (1, world.scenario.most.min(fed)),
            known: look.figures.lag.and(look.figures.came).is_some(),
        });
        world.set_instances(at, step.to);
    }

    /// The autoscaler follows what the processes say.
    fn follow(&mut self, running: &[usize]) {
        let says = running
            .iter()
            .filter_map(|at| self.processes[*at].says)
            .max();
        let scenario = &self.world.scenario;
        if let Some(says) = says {
            self.wish = f64::from(says * scenario.most);
        }
        let (most, instances) = (scenario.processes, scenario.most);
        let fed = (scenario.partitions as u32).div_ceil(instances);
        if let Some((from, to)) = self.autoscaler.second(&mut self.world, says, most) {
            self.outcome.decided.push(Decided {
                at: self.world.now,
                knob: Knob::Processes,
                who: 0,
                from,
                to: says.filter(|_| to > from).unwrap_or(to),
                bounds: (1, fed),
                known: says.is_some(),
            });
        }
    }
}

impl Outcome {
    fn new(scenario: &Scenario) -> Self {
        Self {
            scenario: scenario.clone(),
            decided: Vec::new(),
            seconds: Vec::with_capacity(scenario.seconds as usize),
        }
    }

    fn keep(&mut self, world: &World, wish: f64) {
        let each = self.scenario.each;
        self.seconds.push(Second {
            load: world.arriving / each,
            wish,
            running: world.running(),
            paid: world.paid(),
            lag: world.lag() / each,
            useless: world.useless(),
        });
    }

    /// What is paid for.
    #[must_use]
    pub fn instance_hours(&self) -> f64 {
        self.seconds
            .iter()
            .map(|it| f64::from(it.paid))
            .sum::<f64>()
            / 3600.0
    }

    /// The longest time for which more waited than arrives in ten seconds (of the load now, or of the mean one); in seconds. Those in
    /// which the brokers answer no question do not count, since nothing may be decided then.
    #[must_use]
    pub fn behind(&self) -> u32 {
        let mean = self.seconds.iter().map(|it| it.load).sum::<f64>() / self.seconds.len() as f64;
        let (mut longest, mut present) = (0, 0);
        for (at, second) in self.seconds.iter().enumerate() {
            let silent = self.scenario.faults.is_silent(at as u32 + 1);
            present = match second.lag > 10.0 * second.load.max(mean) {
                true => present + u32::from(!silent),
                false => 0,
            };
            longest = longest.max(present);
        }
        longest
    }

    /// The most that one number turned within half an hour.
    #[must_use]
    pub fn turns(&self) -> usize {
        const SPAN: u32 = 1800;
        let mut by_number = std::collections::BTreeMap::<_, Vec<&Decided>>::new();
        for decided in &self.decided {
            let key = (decided.knob == Knob::Processes, decided.who);
            by_number.entry(key).or_default().push(decided);
        }
        let turns = by_number.values().flat_map(|all| {
            all.iter().enumerate().map(move |(last, end)| {
                let within = all[..=last].iter().filter(|it| it.at + SPAN > end.at);
                let ups: Vec<bool> = within.map(|it| it.to > it.from).collect();
                ups.windows(2).filter(|pair| pair[0] != pair[1]).count()
            })
        });
        turns.max().unwrap_or(0)
    }
}
