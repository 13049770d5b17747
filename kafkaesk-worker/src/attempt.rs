//! Runs one attempt at one delivery: checks it against the stored schema (if asked), makes the arguments, calls the
//! handler. A panic ends the attempt like an error. The attempt runs in place until it must wait, and then as a task.
//!
//! Next: `judge`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context as PollContext, Poll, Waker},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use kafkaesk_client::{
    ClientError,
    broker::BoxFuture,
    catalog::StoredSchema,
    schema::{InvalidData, Validator},
};

use crate::{
    HandlerError, Rejection,
    context::{Context, SeenSchema},
    delivery::Delivery,
    outcome::{AttemptResult, HandlerCall},
};

/// How far an attempt got without waiting.
pub(crate) enum InPlace {
    /// To its end.
    Ended(AttemptResult),
    /// The rest must run as a task.
    Pending(BoxFuture<'static, AttemptResult>),
    /// Not started: something has to be fetched first.
    NotStarted,
}

/// Runs the attempt until it must wait. The single poll uses a waker that does nothing; no wake-up is lost, since a
/// task polls again when it starts.
pub(crate) fn in_place(context: &Context, delivery: &Delivery) -> InPlace {
    if context.options.validate {
        match checked(delivery) {
            Checked::Fits => {}
            Checked::Not(ending) => return InPlace::Ended(ending),
            Checked::Unknown(_) => return InPlace::NotStarted,
        }
    }
    match call(context, delivery) {
        HandlerCall::Ended(ending) => InPlace::Ended(ending),
        HandlerCall::Running(mut future) => {
            let mut cx = PollContext::from_waker(Waker::noop());
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
            match polled {
                Ok(Poll::Ready(ending)) => InPlace::Ended(ending),
                Ok(Poll::Pending) => InPlace::Pending(future),
                Err(panic) => {
                    InPlace::Ended(AttemptResult::Failed(HandlerError::panicked(&*panic)))
                }
            }
        }
    }
}

/// Attempts to the end; also gives how long the thread was held before the first wait.
pub(crate) async fn as_task(
    context: Arc<Context>,
    delivery: &Delivery,
) -> (AttemptResult, Duration) {
    if context.options.validate {
        let ending = match checked(delivery) {
            Checked::Fits => None,
            Checked::Not(ending) => Some(ending),
            Checked::Unknown(known) => match fetch(&context, &known).await {
                Ok(stored) => {
                    let _ = known.stored.set(stored);
                    match checked(delivery) {
                        Checked::Not(ending) => Some(ending),
                        Checked::Fits | Checked::Unknown(_) => None,
                    }
                }
                Err(ending) => Some(ending),
            },
        };
        if let Some(ending) = ending {
            return (ending, Duration::ZERO);
        }
    }
    let started = Instant::now();
    match call(&context, delivery) {
        HandlerCall::Ended(ending) => (ending, started.elapsed()),
        HandlerCall::Running(future) => {
            let mut future = AssertUnwindSafe(future).catch_unwind();
            let mut held = None;
            let polls = std::future::poll_fn(|cx| {
                let polled = future.poll_unpin(cx);
                held.get_or_insert_with(|| started.elapsed());
                polled.map(caught)
            });
            let ended = within(context.options.timeout, polls).await;
            (ended, held.unwrap_or_default())
        }
    }
}

/// The rest of an attempt that began in place.
pub(crate) async fn rest(
    context: Arc<Context>,
    future: BoxFuture<'static, AttemptResult>,
) -> AttemptResult {
    let rest = AssertUnwindSafe(future).catch_unwind().map(caught);
    within(context.options.timeout, rest).await
}

/// An attempt that takes longer has failed: its future is dropped.
async fn within(
    timeout: Option<Duration>,
    attempt: impl Future<Output = AttemptResult>,
) -> AttemptResult {
    let Some(timeout) = timeout else {
        return attempt.await;
    };
    let ended = tokio::time::timeout(timeout, attempt).await;
    ended.unwrap_or_else(|_| AttemptResult::Failed(HandlerError::timed_out(timeout)))
}

fn caught(ended: Result<AttemptResult, Box<dyn std::any::Any + Send>>) -> AttemptResult {
    ended.unwrap_or_else(|panic| AttemptResult::Failed(HandlerError::panicked(&*panic)))
}

fn call(context: &Context, delivery: &Delivery) -> HandlerCall {
    if let Some(unreadable) = &delivery.record().unreadable {
        return HandlerCall::Ended(AttemptResult::Mismatch(unreadable.to_string()));
    }
    catch_unwind(AssertUnwindSafe(|| context.handler.handle(delivery))).unwrap_or_else(|panic| {
        HandlerCall::Ended(AttemptResult::Failed(HandlerError::panicked(&*panic)))
    })
}

/// What the stored schema says of a delivery.
enum Checked {
    Fits,
    Not(AttemptResult),
    /// Its schema was not fetched yet.
    Unknown(Arc<SeenSchema>),
}

fn checked(delivery: &Delivery) -> Checked {
    let mismatch = |rejection: Rejection| Checked::Not(rejection.into());
    // A tombstone has no data: the handler's arguments decide. A record that was not read whole never comes here.
    if delivery.record().value.is_none() || delivery.record().unreadable.is_some() {
        return Checked::Fits;
    }
    let known = match delivery.proven_schema() {
        Ok(known) => known,
        Err(rejection) => return mismatch(rejection),
    };
    let Some(stored) = known.stored.get() else {
        return Checked::Unknown(known.clone());
    };
    let data = match delivery.data() {
        Ok(data) => data,
        Err(rejection) => return mismatch(rejection),
    };
    match stored.validator.validate(data) {
        Ok(()) => Checked::Fits,
        Err(invalid) => mismatch(Rejection::Mismatch(describe_violations(
            &known.text,
            &invalid,
        ))),
    }
}

/// The first few violations: a log line has no room for all of them.
fn describe_violations(schema: &str, invalid: &InvalidData) -> String {
    let InvalidData::Violations(violations) = invalid else {
        return format!("{schema}: {invalid}");
    };
    let shown = violations.iter().take(3);
    let described: Vec<_> = shown
        .map(|v| format!("{}: {} (rule {})", v.pointer, v.message, v.rule))
        .collect();
    format!(
        "{schema}: {} rule(s) broken: {}",
        violations.len(),
        described.join("; ")
    )
}

/// A version's document from the catalog. A withdrawn version still validates: publishers refuse it, consumers go on.
async fn fetch(context: &Context, known: &SeenSchema) -> Result<Arc<StoredSchema>, AttemptResult> {
    let catalog = context.connection.catalog();
    match catalog.schema(&known.id).await {
        Ok(stored) => Ok(stored),
        Err(ClientError::WithdrawnSchema { .. }) => {
            let log = catalog.log(known.id.name()).await;
            let log = log.map_err(|e| AttemptResult::Failed(e.into()))?;
            let Some(version) = log.versions.get(&known.version) else {
                return Err(AttemptResult::Mismatch(format!(
                    "schema {} is not stored",
                    known.text
                )));
            };
            let document = version.document.clone();
            let validator =
                Validator::new(&document).map_err(|e| AttemptResult::Mismatch(e.to_string()))?;
            Ok(Arc::new(StoredSchema {
                id: known.id.clone(),
                document,
                validator,
            }))
        }
        Err(e @ (ClientError::UnknownSchema { .. } | ClientError::Document { .. })) => {
            Err(AttemptResult::Mismatch(e.to_string()))
        }
        Err(e) => Err(AttemptResult::Failed(e.into())),
    }
}
