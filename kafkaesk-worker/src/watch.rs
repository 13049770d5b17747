//! The seam through which a test (later: metrics) sees every attempt end.

use std::time::Duration;

use crate::{delivery::Delivery, outcome::Outcome};

/// How an attempt ended, as an [`Observer`] sees it.
#[derive(Debug)]
pub(crate) struct Attempted<'a> {
    /// Which.
    pub(crate) delivery: &'a Delivery,
    /// What the policies made of it.
    pub(crate) outcome: &'a Outcome,
    /// The error chain or mismatch behind it.
    pub(crate) error: Option<&'a str>,
    /// When it is tried again; `None` if this was the last attempt.
    pub(crate) again: Option<Duration>,
}

/// Sees every attempt end. Called on the consumer's task: must not block.
pub(crate) trait Observer: Send + Sync {
    /// May replace the wait before the next attempt, or end the message here (`None`).
    fn attempted(&self, attempted: &Attempted<'_>) -> Option<Duration>;
}
