//! Work: the event that the suite publishes. It says what its handler does, so that the seed decides it.

use kafkaesk_worker::prelude::*;

use crate::ledger::Poison;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Work", version = 1)]
pub(crate) struct Work {
    /// Its number in the run.
    pub(crate) seq: u64,
    /// How long a handler takes, in microseconds.
    pub(crate) takes: u64,
    /// How many attempts fail; [`u32::MAX`] for all of them.
    pub(crate) fails: u32,
    /// How many attempts panic, before those that fail.
    pub(crate) panics: u32,
    /// Whether it is rejected.
    pub(crate) rejects: bool,
}

impl Work {
    /// Why it can never be handled, if so.
    pub(crate) fn poison(&self) -> Option<Poison> {
        match (self.rejects, self.fails) {
            (true, _) => Some(Poison::Rejects),
            (false, u32::MAX) => Some(Poison::Fails),
            _ => None,
        }
    }
}
