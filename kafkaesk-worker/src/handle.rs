//! Handle: an object that handles deliveries, as a context holds it.

use crate::{delivery::Delivery, needs::Needs, outcome::HandlerCall};

/// Handles deliveries. Object-safe, so that configuration can make handlers (the CLI's `http`, `exec` and `stdout`
/// do); functions implement it through [`crate::HandlerFn`].
///
/// Called on the consumer's own task: return [`HandlerCall::Running`] for everything that waits or computes for long.
pub trait Handle: Send + Sync + 'static {
    /// One attempt at one message. The delivery stays with the caller for further attempts; clone it to keep it
    /// (records share their bytes).
    fn handle(&self, delivery: &Delivery) -> HandlerCall;

    /// What this handler needs of its application, asked once at start.
    fn needs(&self, _needs: &mut Needs) {}
}
