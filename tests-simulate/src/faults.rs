//! Faults: what goes wrong, and when. Pure.

/// What goes wrong in a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The share of the processes that crash each minute.
    pub crashes: f64,
    /// Each rebalance stops all instances for a second, as with an eager assignment.
    pub stops_all: bool,
    /// The brokers answer no question from this second on, for so many. Records flow on.
    pub silent: Option<(u32, u32)>,
}

impl Faults {
    /// Whether the brokers answer no question at this second.
    #[must_use]
    pub fn is_silent(&self, second: u32) -> bool {
        self.silent
            .is_some_and(|(from, lasting)| (from..from + lasting).contains(&second))
    }

    /// Whether a process crashes within this second.
    #[must_use]
    pub fn crash(&self, rng: &mut fastrand::Rng) -> bool {
        self.crashes > 0.0 && rng.f64() < self.crashes / 60.0
    }
}

/// What all instances call: it does the work of `knee` instances at most, and less where more of them ask.
#[derive(Clone, Copy, Debug)]
pub struct Downstream {
    /// Instances.
    pub knee: f64,
    /// The larger, the faster its goodput falls beyond the knee.
    pub collapse: f64,
}

impl Downstream {
    /// The work of how many instances it does for so many.
    #[must_use]
    pub fn does(&self, instances: f64) -> f64 {
        let beyond = (instances / self.knee - 1.0).max(0.0);
        instances.min(self.knee) / (1.0 + self.collapse * beyond)
    }
}
