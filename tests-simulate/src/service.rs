//! Service: what handlers call, and how many of them run at a time: instances that share a service with a knee, which moves after
//! twenty minutes. Judges its runs by laws of its own.

use crate::scale::{SeeksHandlers, Window, Windows, our_handlers};

/// Name and what it is, of all.
pub const ALL: [(&str, &str); 5] = [
    (
        "service",
        "handlers of one instance: the service's knee moves after 20 minutes",
    ),
    (
        "service-shared",
        "handlers of four instances that share the service",
    ),
    (
        "service-refuses",
        "handlers of one instance: beyond its knee the service refuses",
    ),
    (
        "service-shared-refuses",
        "handlers of four instances that share a service which refuses beyond its knee",
    ),
    ("service-idle", "handlers of one instance: no work waits"),
];

/// The bounds of `concurrency = "auto"`.
pub const BOUNDS: (u32, u32) = (1, 512);
/// How long it lasts, in seconds.
pub const SECONDS: u32 = 3600;
/// When the knee moves.
pub const MOVES: u32 = 1200;
/// Until when the first knee is found.
pub const FOUND: u32 = 60;
/// Until when the second one is: the longest rest of a search is 10 minutes.
pub const FOUND_AGAIN: u32 = MOVES + 900;

/// What handlers call.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Messages at a time that it works on at most, before and after it moves.
    pub knees: (f64, f64),
    /// Seconds of one message.
    pub takes: f64,
    /// The larger, the faster its goodput falls beyond the knee.
    pub collapse: f64,
    /// The share of the answers that refuse, beyond the knee.
    pub refuses: f64,
    /// Instances that share it.
    pub instances: u32,
    /// Work waits.
    pub busy: bool,
    /// What decides everything that chance decides.
    pub seed: u64,
}

impl Service {
    /// The scenario of this name; `None`: there is none.
    #[must_use]
    pub fn named(wanted: &str, seed: u64) -> Option<Self> {
        let at = ALL.iter().position(|(name, _)| *name == wanted)?;
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(7919) + at as u64);
        let first = 20.0 + 180.0 * rng.f64();
        let times = if rng.bool() { 0.4 } else { 2.0 };
        Some(Self {
            knees: (first, first * times),
            takes: 0.01 + 0.09 * rng.f64(),
            collapse: 0.6 * rng.f64(),
            refuses: if wanted.ends_with("refuses") {
                0.1
            } else {
                0.0
            },
            instances: if wanted.starts_with("service-shared") {
                4
            } else {
                1
            },
            busy: wanted != "service-idle",
            seed: rng.u64(..),
        })
    }

    fn knee(&self, second: u32) -> f64 {
        match second < MOVES {
            true => self.knees.0,
            false => self.knees.1,
        }
    }

    /// Messages a second that end well with so many at a time.
    #[must_use]
    pub fn goodput(&self, second: u32, level: f64) -> f64 {
        let knee = self.knee(second);
        let beyond = (level / knee - 1.0).max(0.0);
        let done = level.min(knee) / self.takes / (1.0 + self.collapse * beyond);
        done * (1.0 - self.refused(second, level))
    }

    fn refused(&self, second: u32, level: f64) -> f64 {
        match level > self.knee(second) {
            true => self.refuses,
            false => 0.0,
        }
    }

    /// The best that any number of handlers reaches.
    #[must_use]
    pub fn best(&self, second: u32) -> f64 {
        let most = BOUNDS.1 * self.instances;
        let levels = self.instances..=most;
        levels
            .map(|level| self.goodput(second, f64::from(level)))
            .fold(0.0, f64::max)
    }
}

/// A rule for the number of handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The worker's.
    Ours,
    /// The worker's default, 32.
    Fixed,
    /// One more after each window, a third fewer after one with refusals.
    Aimd,
}

struct Fixed;

impl SeeksHandlers for Fixed {
    fn level(&self) -> u32 {
        32
    }

    fn window(&mut self, _: &Window) {}
}

struct Aimd(u32);

impl SeeksHandlers for Aimd {
    fn level(&self) -> u32 {
        self.0
    }

    fn window(&mut self, window: &Window) {
        let is_too_much = window.too_much as f64 > window.ended as f64 * 0.01;
        self.0 = match (is_too_much, window.limited) {
            (true, _) => (self.0 * 2 / 3).max(BOUNDS.0),
            (false, true) => (self.0 + 1).min(BOUNDS.1),
            (false, false) => self.0,
        };
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was called.
    pub service: Service,
    /// By second: how many handlers might run, and how many messages ended well.
    pub seconds: Vec<(u32, f64)>,
    /// Changes.
    pub changes: Vec<(u32, u32, u32)>,
}

/// The service under this rule.
#[must_use]
pub fn run(service: &Service, rule: Rule) -> Outcome {
    run_with(service, &|spread| match rule {
        Rule::Ours => our_handlers(BOUNDS.0, BOUNDS.1, spread),
        Rule::Fixed => Box::new(Fixed),
        Rule::Aimd => Box::new(Aimd(8)),
    })
}

/// The service under the rule that this makes for each instance.
#[must_use]
pub fn run_with(service: &Service, make: &dyn Fn(f64) -> Box<dyn SeeksHandlers>) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(service.seed);
    let mut instances: Vec<_> = (0..service.instances)
        .map(|_| (make(0.75 + rng.f64() / 2.0), Windows::default()))
        .collect();
    let mut outcome = Outcome {
        service: *service,
        seconds: Vec::new(),
        changes: Vec::new(),
    };
    for second in 0..SECONDS {
        let level: u32 = instances.iter().map(|(seeks, _)| seeks.level()).sum();
        let all = f64::from(level);
        // Without work that waits, a tenth of what the service can comes.
        let share = if service.busy { 1.0 } else { 0.1 };
        let good = service.goodput(second, all) * share;
        let refused = service.refused(second, all);
        for (seeks, windows) in &mut instances {
            let noise = 1.0 + (rng.f64() + rng.f64() - 1.0) * 0.05;
            let part = f64::from(seeks.level()) / all * noise;
            let ended = good / (1.0 - refused) * part;
            let changed = windows.second(seeks.as_mut(), ended, ended * refused, service.busy);
            if let Some((from, to)) = changed {
                outcome.changes.push((second, from, to));
            }
        }
        outcome.seconds.push((level, good));
    }
    outcome
}

impl Outcome {
    /// The share of the best goodput that was reached between these seconds.
    #[must_use]
    pub fn share(&self, from: u32, to: u32) -> f64 {
        let span = &self.seconds[from as usize..to as usize];
        let good = span.iter().map(|(_, good)| good).sum::<f64>() / span.len() as f64;
        good / self.service.best(from)
    }

    /// The laws that it breaks.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (at, from, to) in &self.changes {
            if *to < BOUNDS.0 || *to > BOUNDS.1 {
                broken.push(format!("handlers' bounds: at {at} s from {from} to {to}"));
            }
            if !self.service.busy {
                broken.push(format!("no work, no change: at {at} s from {from} to {to}"));
            }
        }
        let least = match (self.service.instances, self.service.refuses > 0.0) {
            (1, false) => (0.9, 0.85),
            (_, true) => REFUSES,
            // What holds then is bad: see docs/scaling.md.
            (_, false) => (0.0, 0.0),
        };
        for (what, from, to, least) in [
            ("goodput", FOUND, MOVES, least.0),
            (
                "goodput after the knee moved",
                FOUND_AGAIN,
                SECONDS,
                least.1,
            ),
        ] {
            let share = self.share(from, to);
            if self.service.busy && share < least {
                broken.push(format!("{what}: {share:.2} of the best, allowed {least}"));
            }
        }
        broken
    }
}

/// Each refusal takes three tenths of the handlers, which come back in small steps: so much of the best is reached.
const REFUSES: (f64, f64) = (0.65, 0.65);
