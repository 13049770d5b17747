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
    scope::{Scope, Scoped},
};

/// How far an attempt got without waiting.
pub(crate) enum InPlace {
    /// To its end.
    Ended(AttemptResult),
    /// The rest must run as a task.
    Pending(Rest),
    /// Not started: something has to be fetched first.
    NotStarted,
}

/// The rest of an attempt that began in place.
pub(crate) struct Rest {
    scope: Scope,
    future: BoxFuture<'static, AttemptResult>,
}

/// Runs the attempt until it must wait. The single poll uses a waker that does nothing; no wake-up is lost, since a
/// task polls again when it starts.
pub(crate) fn in_place(delivery: &mut Delivery) -> InPlace {
    let mut early = None;
    if delivery.context().options.validate {
        match checked(delivery) {
            Checked::Fits => {}
            Checked::Not(ending) => early = Some(ending),
            Checked::Unknown(_) => return InPlace::NotStarted,
        }
    }
    let scope = Scope::begin(delivery);
    let ending = match early {
        Some(ending) => ending,
        None => match scope.run(|| first_poll(delivery)) {
            Ok(ending) => ending,
            Err(future) => return InPlace::Pending(Rest { scope, future }),
        },
    };
    scope.end(delivery, &ending);
    InPlace::Ended(ending)
}

/// Calls the handler and polls it once: the end, or the rest.
fn first_poll(delivery: &Delivery) -> Result<AttemptResult, BoxFuture<'static, AttemptResult>> {
    match call(delivery.context(), delivery) {
        HandlerCall::Ended(ending) => Ok(ending),
        HandlerCall::Running(mut future) => {
            let mut cx = PollContext::from_waker(Waker::noop());
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
            match polled {
                Ok(Poll::Ready(ending)) => Ok(ending),
                Ok(Poll::Pending) => Err(future),
                Err(panic) => Ok(AttemptResult::Failed(HandlerError::panicked(&*panic))),
            }
        }
    }
}

/// Attempts to the end; also gives how long the thread was held before the first wait.
pub(crate) async fn as_task(
    context: Arc<Context>,
    delivery: &mut Delivery,
) -> (AttemptResult, Duration) {
    let scope = Scope::begin(delivery);
    let (ending, held) = match known_to_fit(&context, delivery).await {
        Ok(()) => run_whole(&context, delivery, &scope).await,
        Err(ending) => (ending, Duration::ZERO),
    };
    scope.end(delivery, &ending);
    (ending, held)
}

/// Checks the delivery against its stored schema (if asked), which is fetched where it is not known.
async fn known_to_fit(context: &Context, delivery: &Delivery) -> Result<(), AttemptResult> {
    if !context.options.validate {
        return Ok(());
    }
    // The messages of a batch may have several schemas.
    loop {
        let known = match checked(delivery) {
            Checked::Fits => return Ok(()),
            Checked::Not(ending) => return Err(ending),
            Checked::Unknown(known) => known,
        };
        match fetch(context, &known).await {
            Ok(stored) => drop(known.stored.set(stored)),
            Err(AttemptResult::Mismatch(why)) => return Err(of_schema(delivery, &known, &why)),
            Err(ending) => return Err(ending),
        }
    }
}

/// The messages of this schema do not fit.
fn of_schema(delivery: &Delivery, schema: &SeenSchema, why: &str) -> AttemptResult {
    let mismatch = || AttemptResult::Mismatch(why.to_owned());
    let Some(batch) = delivery.batch() else {
        return mismatch();
    };
    let of_schema = batch.iter().enumerate().filter(|(_, message)| {
        let known = message.proven_schema();
        known.is_ok_and(|known| known.text == schema.text)
    });
    AttemptResult::Unfit(of_schema.map(|(at, _)| (at, mismatch())).collect())
}

/// Calls the handler and polls it to its end.
async fn run_whole(
    context: &Context,
    delivery: &Delivery,
    scope: &Scope,
) -> (AttemptResult, Duration) {
    let started = Instant::now();
    match scope.run(|| call(context, delivery)) {
        HandlerCall::Ended(ending) => (ending, started.elapsed()),
        HandlerCall::Running(rest) => {
            let mut future = AssertUnwindSafe(Scoped { scope, rest }).catch_unwind();
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
    delivery: &mut Delivery,
    Rest { scope, future }: Rest,
) -> AttemptResult {
    let polls = Scoped {
        scope: &scope,
        rest: future,
    };
    let polls = AssertUnwindSafe(polls).catch_unwind().map(caught);
    let ending = within(context.options.timeout, polls).await;
    scope.end(delivery, &ending);
    ending
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
    if let Some(ending) = unreadable(delivery) {
        return HandlerCall::Ended(ending);
    }
    catch_unwind(AssertUnwindSafe(|| context.handler.handle(delivery))).unwrap_or_else(|panic| {
        HandlerCall::Ended(AttemptResult::Failed(HandlerError::panicked(&*panic)))
    })
}

/// What was not read whole reaches no handler.
fn unreadable(delivery: &Delivery) -> Option<AttemptResult> {
    let why = |message: &Delivery| {
        let unreadable = message.record().unreadable.as_ref()?;
        Some(AttemptResult::Mismatch(unreadable.to_string()))
    };
    let Some(batch) = delivery.batch() else {
        return why(delivery);
    };
    let each = batch.iter().enumerate();
    let unfit: Vec<_> = each
        .filter_map(|(at, message)| Some((at, why(message)?)))
        .collect();
    (!unfit.is_empty()).then_some(AttemptResult::Unfit(unfit))
}

/// What the stored schema says of a delivery.
enum Checked {
    Fits,
    Not(AttemptResult),
    /// Its schema was not fetched yet.
    Unknown(Arc<SeenSchema>),
}

fn checked(delivery: &Delivery) -> Checked {
    let Some(batch) = delivery.batch() else {
        return checked_alone(delivery);
    };
    let mut unfit = Vec::new();
    for (at, message) in batch.iter().enumerate() {
        match checked_alone(message) {
            Checked::Fits => {}
            Checked::Not(ending) => unfit.push((at, ending)),
            unknown @ Checked::Unknown(_) => return unknown,
        }
    }
    match unfit.is_empty() {
        true => Checked::Fits,
        false => Checked::Not(AttemptResult::Unfit(unfit)),
    }
}

fn checked_alone(delivery: &Delivery) -> Checked {
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
