//! Leader: looks at all partitions of a group for the controller of its processes, as `worker/scale/demand.rs` does, without Kafka.

use std::time::Duration;

use super::{Need, SeeksProcesses};

/// Follows what a group needs. Each process has one; only the one of the leader gets figures.
pub struct Leader {
    seeks: Box<dyn SeeksProcesses>,
    /// When it looked last, and what had come then, for each partition as a share of all.
    last: Option<(u32, f64)>,
}

impl std::fmt::Debug for Leader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leader").finish_non_exhaustive()
    }
}

impl Leader {
    /// Of a process that was just started.
    #[must_use]
    pub fn new(seeks: Box<dyn SeeksProcesses>) -> Self {
        Self { seeks, last: None }
    }

    /// Another process leads, or a figure is missing.
    pub fn misses(&mut self) {
        self.last = None;
    }

    /// Looks at this second. `came`: records that came so far; `partitions`: each one's share of them and its lag.
    pub fn look(
        &mut self,
        now: u32,
        came: f64,
        partitions: impl Iterator<Item = (f64, f64)>,
        gives: Option<(f64, u32)>,
    ) -> Option<u32> {
        let Some((before, known)) = self.last.replace((now, came)) else {
            self.seeks.forget();
            return None;
        };
        let seconds = f64::from(now - before);
        let (each, instances) = gives?;
        let needs: Vec<Need> = partitions
            .map(|(share, lag)| Need {
                arrivals: (came - known) * share / seconds,
                lag: lag as u64,
            })
            .collect();
        let elapsed = Duration::from_secs(u64::from(now - before));
        self.seeks.look(elapsed, &needs, each, instances)
    }
}
