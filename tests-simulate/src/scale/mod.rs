//! Scale: the worker's controllers themselves, by the paths of their files, behind traits that rivals and tests can fulfil as well.
//! `process`, `leader` and `windows` measure for them as the worker does. Decides nothing itself.

#[allow(
    dead_code,
    reason = "what is for people alone is not read in a simulation"
)]
#[path = "../../../kafkaesk-worker/src/scale/handlers/mod.rs"]
mod handlers;
#[allow(
    dead_code,
    reason = "what is for people alone is not read in a simulation"
)]
#[path = "../../../kafkaesk-worker/src/scale/instances/mod.rs"]
mod instances;
#[allow(
    dead_code,
    reason = "what is for people alone is not read in a simulation"
)]
#[path = "../../../kafkaesk-worker/src/scale/processes/mod.rs"]
mod processes;
#[allow(
    dead_code,
    reason = "what is for people alone is not read in a simulation"
)]
#[path = "../../../kafkaesk-worker/src/scale/remembered.rs"]
mod remembered;
#[path = "../../../kafkaesk-worker/src/scale/sampling.rs"]
mod sampling;

mod leader;
mod process;
mod windows;

use std::time::Duration;

pub use leader::Leader;
pub use process::{Lags, Look, Process, Totals};
pub use windows::Windows;

/// What arrives in a partition, in records a second, and how many wait there.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Records a second.
    pub arrivals: f64,
    /// Records.
    pub lag: u64,
}

/// What a process did in one span of time: the worker's sample.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// How long the span is.
    pub elapsed: Duration,
    /// Instances that ran.
    pub instances: u32,
    /// Partitions that they have together.
    pub partitions: u32,
    /// Records that were finished.
    pub finished: u64,
    /// The share of their time in which they worked.
    pub busy: f64,
    /// Records that came; `None`: not known.
    pub came: Option<u64>,
    /// Records that wait; `None`: not known.
    pub lag: Option<u64>,
    /// Many partitions came or went.
    pub disturbed: bool,
}

/// A change of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Before.
    pub from: u32,
    /// After.
    pub to: u32,
}

/// Seeks how many instances a process needs.
pub trait SeeksInstances {
    /// Takes a sample.
    fn sample(&mut self, figures: &Figures) -> Option<Step>;
    /// How many the last sample asked for.
    fn wish(&self) -> Option<u32>;
    /// A step up brought nothing, and is not tried again for now.
    fn is_barred(&self) -> bool;
}

/// Seeks how many processes a group needs.
pub trait SeeksProcesses {
    /// Takes what each partition needs, what an instance gives, and how many instances a process has.
    fn look(&mut self, elapsed: Duration, needs: &[Need], each: f64, instances: u32)
    -> Option<u32>;
    /// A figure is missing.
    fn forget(&mut self);
}

/// How long a backlog may take: the worker's default for `catch-up`.
pub const CATCH_UP: Duration = Duration::from_secs(600);

/// Makes the controllers of a process.
pub trait Controllers: Sync {
    /// For the instances of a process: at most `most`.
    fn instances(&self, most: u32, spread: f64) -> Box<dyn SeeksInstances>;
    /// For the processes of a group.
    fn processes(&self) -> Box<dyn SeeksProcesses>;
}

/// The worker's own.
#[derive(Clone, Copy, Debug)]
pub struct Ours;

impl Controllers for Ours {
    fn instances(&self, most: u32, spread: f64) -> Box<dyn SeeksInstances> {
        let bounds = instances::Bounds {
            most,
            catch_up: CATCH_UP,
            is_static: false,
        };
        Box::new(instances::Instances::new(bounds, spread))
    }

    fn processes(&self) -> Box<dyn SeeksProcesses> {
        Box::new(processes::Processes::default())
    }
}

impl SeeksInstances for instances::Instances {
    fn sample(&mut self, figures: &Figures) -> Option<Step> {
        let Figures {
            elapsed,
            instances,
            partitions,
            finished,
            busy,
            came,
            lag,
            disturbed,
        } = *figures;
        let sample = instances::Sample {
            elapsed,
            instances,
            partitions,
            finished,
            busy,
            came,
            lag,
            disturbed,
        };
        let instances::Decision { from, to, .. } = instances::Instances::sample(self, sample)?;
        Some(Step { from, to })
    }

    fn wish(&self) -> Option<u32> {
        instances::Instances::wish(self)
    }

    fn is_barred(&self) -> bool {
        matches!(self.hold(), instances::Hold::Barred(_))
    }
}

impl SeeksProcesses for processes::Processes {
    fn look(
        &mut self,
        elapsed: Duration,
        needs: &[Need],
        each: f64,
        instances: u32,
    ) -> Option<u32> {
        let needs: Vec<_> = needs
            .iter()
            .map(|need| processes::Need {
                arrivals: need.arrivals,
                lag: need.lag,
            })
            .collect();
        let wish = processes::wish(&needs, each, instances, CATCH_UP);
        self.take(elapsed, wish.processes)
    }

    fn forget(&mut self) {
        processes::Processes::forget(self);
    }
}

/// What was measured of an instance's handlers in one span of time.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// How long it was.
    pub seconds: u32,
    /// Attempts that ended.
    pub ended: u64,
    /// Of these, the ones whose answer meant *too much*.
    pub too_much: u64,
    /// Whether all places were taken while work waited.
    pub limited: bool,
}

/// Seeks how many handlers of an instance run at a time.
pub trait SeeksHandlers {
    /// How many may run.
    fn level(&self) -> u32;
    /// Takes a window.
    fn window(&mut self, window: &Window);
}

/// The worker's own, between these bounds.
#[must_use]
pub fn our_handlers(least: u32, most: u32, spread: f64) -> Box<dyn SeeksHandlers> {
    Box::new(handlers::Handlers::new(least, most, spread))
}

impl SeeksHandlers for handlers::Handlers {
    fn level(&self) -> u32 {
        handlers::Handlers::level(self)
    }

    fn window(&mut self, window: &Window) {
        let _changed = handlers::Handlers::window(
            self,
            handlers::Window {
                elapsed: Duration::from_secs(u64::from(window.seconds)),
                ended: window.ended,
                too_much: window.too_much,
                limited: window.limited,
            },
        );
    }
}
