//! Telemetry: sees what happens to messages, and can change nothing, since it returns nothing.

use crate::{
    delivery::Delivery,
    outcome::{Disposition, Outcome},
};

/// How an attempt ended, after the subscription's policies.
#[derive(Debug)]
#[cfg_attr(not(feature = "memory"), allow(dead_code, reason = "read by TestApp"))]
pub(crate) struct AttemptEnded<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) outcome: &'a Outcome,
    /// The error with its sources, or why the message does not fit.
    pub(crate) error: Option<&'a str>,
    /// What happens to the message.
    pub(crate) disposition: &'a Disposition,
}

/// Observes messages. Its methods run on the consumer's task and must not block. Each has an empty default, so that a
/// new method breaks no implementation.
pub(crate) trait Telemetry: Send + Sync {
    /// An attempt ended.
    fn attempt_ended(&self, _ended: &AttemptEnded<'_>) {}

    /// A handler has returned, and the message is in custody until its committer says how it ends.
    fn kept(&self, _delivery: &Delivery) {}

    /// The brokers have the dead letter of a message.
    fn dead_letter_written(&self, _delivery: &Delivery) {}
}
