//! Autoscaler: follows a wish as KEDA with Kubernetes' autoscaler does: it looks every 30 s, and goes down to the highest wish of some
//! minutes. Knows nothing of the load.

use std::collections::VecDeque;

use crate::model::{State, World};

/// Between two looks: `pollingInterval` of `deploy/kubernetes/keda.yaml`.
pub(crate) const POLLS: u32 = 30;
/// `scaleDown.stabilizationWindowSeconds` of `deploy/kubernetes/keda.yaml`: a process that leads since a moment remembers no wish.
pub(crate) const STABLE: u32 = 900;
/// A change by a smaller share is left out: Kubernetes' default for `--horizontal-pod-autoscaler-tolerance`.
const TOLERANCE: f64 = 0.1;
/// The same as [`STABLE`], by Kubernetes' default.
pub(crate) const STABLE_BY_DEFAULT: u32 = 300;

/// Follows a wish.
#[derive(Debug)]
pub(crate) struct Autoscaler {
    stable: u32,
    wishes: VecDeque<(u32, u32)>,
}

impl Autoscaler {
    /// It goes down to the highest wish of so many seconds.
    pub(crate) fn new(stable: u32) -> Self {
        Self {
            stable,
            wishes: VecDeque::new(),
        }
    }

    /// Looks, if it is time. Gives the number of processes before and after, if it changes.
    pub(crate) fn second(
        &mut self,
        world: &mut World,
        wish: Option<u32>,
        most: u32,
    ) -> Option<(u32, u32)> {
        if !world.now.is_multiple_of(POLLS) {
            return None;
        }
        let now = world.now;
        let stable = self.stable;
        self.wishes.retain(|(at, _)| at + stable > now);
        // No value is not a zero: what runs goes on.
        let from = world.processes().count() as u32;
        let wish = wish?.clamp(1, most);
        let wish = match f64::from(wish.abs_diff(from)) <= f64::from(from) * TOLERANCE {
            true => from,
            false => wish,
        };
        self.wishes.push_back((now, wish));
        let highest = self.wishes.iter().map(|(_, wish)| *wish).max()?;
        let to = wish.max(from.min(highest));
        reach(world, to);
        (from != to).then_some((from, to))
    }
}

/// Starts and ends processes until there are so many: those that start end first, then the newest.
pub(crate) fn reach(world: &mut World, wanted: u32) {
    let all: Vec<_> = world.processes().collect();
    for _ in all.len()..wanted as usize {
        world.begin(world.scenario.start);
    }
    let surplus = all.len().saturating_sub(wanted as usize);
    let starting = |state: State| matches!(state, State::Starts(_));
    let first = all.iter().rev().filter(|(_, state)| starting(*state));
    let then = all.iter().rev().filter(|(_, state)| !starting(*state));
    let ended: Vec<usize> = first.chain(then).map(|(at, _)| *at).take(surplus).collect();
    for process in ended {
        world.end(process);
    }
}
