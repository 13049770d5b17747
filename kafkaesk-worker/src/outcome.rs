//! How one attempt at one message ends: turns what a handler returns into an [`AttemptResult`]. Decides nothing (`judge`
//! does).

use std::{future::Future, time::Duration};

use kafkaesk_client::broker::BoxFuture;
use kafkaesk_core::{DeadLetter, EnvelopeError};

use crate::{
    HandlerError,
    error::{Cause, Class},
    snapshot::AttemptEnd,
};

/// A handler's answer about one message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Handled; its offset may be committed.
    Done,
    /// Try the message again, after this long (at most [`crate::retry::MAX_AFTER`]) or after the lane's backoff.
    Retry {
        /// How long to wait; the lane's backoff if absent.
        after: Option<Duration>,
    },
    /// The message can never succeed. The subscription's [`crate::OnReject`] decides what follows.
    Reject {
        /// Why, for the log.
        reason: String,
    },
    /// Ignore the message and commit past it; logged at debug level only.
    Skip,
    /// Stop this worker; the message stays uncommitted and `run` returns an error.
    Abort,
}

impl Outcome {
    /// Again after the lane's backoff.
    pub fn retry() -> Self {
        Self::Retry { after: None }
    }

    /// Again after this long.
    pub fn retry_after(after: Duration) -> Self {
        Self::Retry { after: Some(after) }
    }

    /// Never again.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject {
            reason: reason.into(),
        }
    }
}

/// How an attempt ended, before the subscription's policies are applied.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttemptResult {
    /// What the handler returned.
    Outcome(Outcome),
    /// An error or a panic; its class says whether it is retried.
    Failed(HandlerError),
    /// The message does not fit the handler's arguments: the subscription's [`crate::OnMismatch`] decides.
    Mismatch(String),
    /// The record holds no event, and the handler needs one: the subscription's [`crate::OnNoEvent`] decides.
    NoEvent(EnvelopeError),
    /// No message is the cause: a dependency of the handler is misconfigured or unreachable, such as its URL, its
    /// credentials or its database. The whole subscription pauses and tries one message after a backoff (at most
    /// [`crate::retry::LONGEST`]), until an attempt ends otherwise. Nothing is passed over, whatever the subscription's
    /// policies say. A handler returns it as [`HandlerError::unavailable`].
    Unavailable(HandlerError),
}

/// Why an argument could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The message does not fit: the subscription's [`crate::OnMismatch`] decides.
    Mismatch(String),
    /// The record holds no event at all, and the argument needs one: the subscription's [`crate::OnNoEvent`] decides.
    NoEvent(EnvelopeError),
    /// This outcome, whatever the message is.
    Outcome(Outcome),
}

impl AttemptResult {
    /// How the attempt is counted.
    pub(crate) fn end(&self) -> AttemptEnd {
        match self {
            Self::Outcome(Outcome::Done) => AttemptEnd::Done,
            Self::Outcome(Outcome::Retry { .. }) | Self::Unavailable(_) => AttemptEnd::Retry,
            Self::Outcome(Outcome::Reject { .. }) => AttemptEnd::Reject,
            Self::Outcome(Outcome::Skip) | Self::NoEvent(_) => AttemptEnd::Skip,
            Self::Outcome(Outcome::Abort) => AttemptEnd::Abort,
            Self::Mismatch(_) => AttemptEnd::Mismatch,
            Self::Failed(error) => match (error.cause(), error.class()) {
                (Cause::Panicked, _) => AttemptEnd::Panic,
                (Cause::TimedOut, _) => AttemptEnd::Timeout,
                (Cause::Returned, Class::Reject(_)) => AttemptEnd::Reject,
                (Cause::Returned, _) => AttemptEnd::Retry,
            },
        }
    }
}

impl From<Rejection> for AttemptResult {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Mismatch(message) => AttemptResult::Mismatch(message),
            Rejection::NoEvent(why) => AttemptResult::NoEvent(why),
            Rejection::Outcome(outcome) => AttemptResult::Outcome(outcome),
        }
    }
}

/// What happens to a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// The message is finished; so is its offset.
    Finish,
    /// It is tried again.
    Retry {
        /// After this long.
        wait: Duration,
        /// Whether the attempt counts against `max-attempts`.
        counts: bool,
    },
    /// The message is given up; it is finished once this dead letter is written.
    DeadLetter(Box<DeadLetter>),
    /// In tests: the message would be held, and was tried often enough.
    Exhausted,
    /// The whole subscription pauses for this reason, and the message is tried again after this long at the soonest.
    Pause(String, Duration),
    /// The worker stops, and the message stays uncommitted.
    Stop,
}

/// What a handler may return: `()`, [`Outcome`], or a `Result` of those with [`HandlerError`].
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "a handler returns `()`, `Outcome`, or `Result<_, HandlerError>`",
    note = "inside a handler that returns `Result<(), HandlerError>`, `?` takes any error",
    note = "see https://docs.rs/kafkaesk-worker/latest/kafkaesk_worker/docs/handlers/"
)]
pub trait IntoAttemptResult {
    /// The ending that it stands for.
    fn into_attempt_result(self) -> AttemptResult;
}

impl IntoAttemptResult for () {
    fn into_attempt_result(self) -> AttemptResult {
        AttemptResult::Outcome(Outcome::Done)
    }
}

impl IntoAttemptResult for Outcome {
    fn into_attempt_result(self) -> AttemptResult {
        AttemptResult::Outcome(self)
    }
}

impl IntoAttemptResult for AttemptResult {
    fn into_attempt_result(self) -> AttemptResult {
        self
    }
}

impl<T: IntoAttemptResult> IntoAttemptResult for Result<T, HandlerError> {
    fn into_attempt_result(self) -> AttemptResult {
        match self {
            Ok(value) => value.into_attempt_result(),
            Err(error) => AttemptResult::Failed(error),
        }
    }
}

/// The result of calling a handler: the end of the attempt, or a future that has not ended yet.
#[must_use]
pub enum HandlerCall {
    /// It is over already; costs no allocation.
    Ended(AttemptResult),
    /// The rest of it. Polled once in place, and as a task of its own if it is not ready then.
    Running(BoxFuture<'static, AttemptResult>),
}

impl HandlerCall {
    /// Boxes a future whose output is an ending.
    pub fn run<F>(future: F) -> Self
    where
        F: Future + Send + 'static,
        F::Output: IntoAttemptResult,
    {
        Self::Running(Box::pin(async move { future.await.into_attempt_result() }))
    }
}

impl std::fmt::Debug for HandlerCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(ending) => f.debug_tuple("Ended").field(ending).finish(),
            Self::Running(_) => f.write_str("Running"),
        }
    }
}
