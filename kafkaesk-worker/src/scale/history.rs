//! History: the changes of one number, counted, and the last of them.

use crate::snapshot::{ScaleDecision, ScaledHandlers};

/// What became of a number so far.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Newest first, [`ScaledHandlers::RECENT`] at most.
    pub(super) recent: Vec<ScaleDecision>,
    pub(super) raised: u64,
    pub(super) lowered: u64,
}

impl History {
    /// Keeps a change.
    pub(super) fn add(&mut self, decision: ScaleDecision) {
        match decision.to > decision.from {
            true => self.raised += 1,
            false => self.lowered += 1,
        }
        self.recent.truncate(ScaledHandlers::RECENT - 1);
        self.recent.insert(0, decision);
    }
}
