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
    /// Of a batch: one result for each of its messages, in their order ([`BatchOutcome`]).
    Batch(Vec<AttemptResult>),
    /// Of a batch, before its handler was called: these messages, by their place in it, end like this. The handler gets the
    /// others at once.
    Unfit(Vec<(usize, AttemptResult)>),
}

/// One result for each message of a [`Batch`](crate::Batch), in their order. Each is judged for itself, as if the message had
/// been handled alone. Another number of results than messages is a failed batch.
///
/// ```
/// use kafkaesk_worker::prelude::*;
///
/// #[subscribe("orders.*", group = "load", batch())]
/// async fn load(orders: Batch<Json>) -> BatchOutcome {
///     let one = |order: &Json| match order["total"].as_f64() {
///         Some(_) => Outcome::Done,
///         None => Outcome::reject("it has no total"),
///     };
///     orders.iter().map(one).collect()
/// }
/// # App::new().subscribe(load).check().unwrap();
/// ```
#[derive(Debug, Default)]
pub struct BatchOutcome(Vec<AttemptResult>);

impl BatchOutcome {
    /// Without results.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the result of the next message: `()`, an [`Outcome`], or a `Result` of those with [`HandlerError`].
    pub fn push(&mut self, result: impl IntoAttemptResult) {
        self.0.push(result.into_attempt_result());
    }

    /// How many results there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<R: IntoAttemptResult> FromIterator<R> for BatchOutcome {
    fn from_iter<I: IntoIterator<Item = R>>(results: I) -> Self {
        let results = results.into_iter();
        Self(results.map(R::into_attempt_result).collect())
    }
}

impl<R: IntoAttemptResult> Extend<R> for BatchOutcome {
    fn extend<I: IntoIterator<Item = R>>(&mut self, results: I) {
        let results = results.into_iter();
        self.0.extend(results.map(R::into_attempt_result));
    }
}

impl IntoAttemptResult for BatchOutcome {
    fn into_attempt_result(self) -> AttemptResult {
        AttemptResult::Batch(self.0)
    }
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
    /// Of a batch: these of its messages, by their place in it, and why. The handler gets the others at once.
    Messages(Vec<(usize, Rejection)>),
}

impl AttemptResult {
    /// Whether it says that a dependency of the handler has more work than it can do.
    pub(crate) fn is_too_much(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_overloaded())
    }

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
            Self::Batch(each) => {
                let mut ends = each.iter().map(Self::end);
                ends.find(|end| *end != AttemptEnd::Done)
                    .unwrap_or(AttemptEnd::Done)
            }
            Self::Unfit(unfit) => {
                let first = unfit.first();
                first.map_or(AttemptEnd::Mismatch, |(_, first)| first.end())
            }
        }
    }

    /// The result of a message that was handled alone: a batch of one.
    pub(crate) fn of_one(self) -> Self {
        match self {
            Self::Batch(mut each) => match (each.pop(), each.len()) {
                (Some(only), 0) => only.of_one(),
                (last, others) => wrong_number(others + usize::from(last.is_some()), 1),
            },
            Self::Unfit(mut unfit) => match unfit.pop() {
                Some((_, only)) => only.of_one(),
                None => wrong_number(0, 1),
            },
            other => other,
        }
    }
}

/// A handler returned so many results for so many messages.
pub(crate) fn wrong_number(results: usize, messages: usize) -> AttemptResult {
    AttemptResult::Failed(HandlerError::msg(format!(
        "the handler returned {results} result(s) for a batch of {messages} message(s); a `BatchOutcome` holds one for each, in their order"
    )))
}

impl From<Rejection> for AttemptResult {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Mismatch(message) => AttemptResult::Mismatch(message),
            Rejection::NoEvent(why) => AttemptResult::NoEvent(why),
            Rejection::Outcome(outcome) => AttemptResult::Outcome(outcome),
            Rejection::Messages(messages) => AttemptResult::Unfit(
                messages
                    .into_iter()
                    .map(|(at, why)| (at, why.into()))
                    .collect(),
            ),
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

/// What a handler may return: `()`, [`Outcome`], [`BatchOutcome`], or a `Result` of those with [`HandlerError`].
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
