//! Suite: each scenario with each seed, ours beside the rivals, on all cores, with the results in the order of the seeds.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    laws::{Broken, broken},
    rivals::Rule,
    run::{rival, worker},
    scale::Ours,
    scenarios::Scenario,
};

/// What is kept of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept {
    /// The longest time behind, in seconds.
    pub behind: u32,
    /// What was paid for.
    pub hours: f64,
    /// Changes of direction within half an hour.
    pub turns: usize,
}

/// A scenario with one seed.
#[derive(Debug)]
pub struct Compared {
    /// The scenario's name.
    pub name: &'static str,
    /// The seed.
    pub seed: u64,
    /// Of the worker's controllers.
    pub ours: Kept,
    /// Of the rivals, as in [`Rule::ALL`].
    pub rivals: [Kept; 5],
    /// The laws that ours broke.
    pub broken: Vec<Broken>,
}

/// Runs these scenarios.
#[must_use]
pub fn run(scenarios: &[(&'static str, u64)]) -> Vec<Compared> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some((name, seed)) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let compared = compare(name, *seed);
                    if let Ok(mut done) = done.lock() {
                        done.extend(compared);
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|it| {
        scenarios
            .iter()
            .position(|(name, seed)| (*name, *seed) == (it.name, it.seed))
    });
    done
}

fn compare(name: &str, seed: u64) -> Option<Compared> {
    let scenario = Scenario::named(name, seed)?;
    let keep = |outcome: &crate::run::Outcome| Kept {
        behind: outcome.behind(),
        hours: outcome.instance_hours(),
        turns: outcome.turns(),
    };
    let ours = worker(&scenario, &Ours);
    let mut rivals = [Kept::default(); 5];
    let mut laws = Vec::new();
    for (kept, rule) in rivals.iter_mut().zip(Rule::ALL) {
        let outcome = rival(&scenario, rule);
        *kept = keep(&outcome);
        if rule == Rule::Oracle {
            laws = broken(&ours, &outcome);
        }
    }
    Some(Compared {
        name: scenario.name,
        seed,
        ours: keep(&ours),
        rivals,
        broken: laws,
    })
}
