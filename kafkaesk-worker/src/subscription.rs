//! A subscription: a handler on a pattern of streams, with its options; checks them before they are used.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, sync::Arc, time::Duration};

use kafkaesk_client::consumer::Start;
use kafkaesk_core::Pattern;

use crate::{
    AppError,
    backpressure::MAX_SPAN,
    handle::Handle,
    handler::{Function, HandlerFn, function_name},
    needs::Needs,
    options::{BatchOptions, Commit, Concurrency, Options, Ordering},
    policy::{Contradiction, FailureLimit, OnFailure, OnMismatch, OnNoEvent, OnReject, Policies},
    retry::{MAX_AFTER, RetryPolicy},
};

/// A handler on a pattern of streams, with its options. See [`subscription`].
#[derive(Clone)]
pub struct Subscription {
    pub(crate) pattern: String,
    /// As given; the default is made of the application's name and `function`.
    pub(crate) group: Option<String>,
    pub(crate) function: Option<String>,
    pub(crate) options: Options,
    pub(crate) handler: Arc<dyn Handle>,
}

/// Subscribes an async function (or a closure, which must name its group) to the streams that match a pattern.
///
/// ```
/// use kafkaesk_worker::prelude::*;
///
/// async fn audit(record: Record) {
///     println!("{}", record.topic());
/// }
///
/// let app = App::new()
///     .subscribe(subscription("orders.*", audit).concurrency(8))
///     .subscribe(subscription("content.*", |raw: Raw| async move { drop(raw) }).group("closures"));
/// assert_eq!(app.subscriptions()[0].group_name(), Some("audit"));
/// ```
pub fn subscription<F, Arguments>(pattern: &str, handler: F) -> Subscription
where
    F: HandlerFn<Arguments>,
    Arguments: 'static,
{
    let mut subscription = Subscription::new(pattern, Function::new(handler));
    subscription.function = function_name::<F>().map(str::to_owned);
    subscription
}

impl Subscription {
    /// The default of [`Self::max_partitions`].
    pub const MAX_PARTITIONS: u32 = 40;

    /// Subscribes a handler object, as configuration makes them. Name its group.
    pub fn new(pattern: &str, handler: impl Handle) -> Self {
        Self {
            pattern: pattern.to_owned(),
            group: None,
            function: None,
            options: Options::default(),
            handler: Arc::new(handler),
        }
    }

    /// The function's name, for the default group; `#[subscribe]` sets it.
    #[must_use]
    pub fn named(mut self, function: &str) -> Self {
        self.function = Some(function.to_owned());
        self
    }

    /// The consumer group, sent to Kafka behind `Settings::group_prefix`. Default: the function's name.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// The number of partitions up to which a stream of this subscription may grow; 1 to 100,000, default
    /// [`Self::MAX_PARTITIONS`]. Of several subscriptions of a stream the smallest counts. `streams grow` keeps to it; a stream
    /// that has more is read all the same.
    #[must_use]
    pub fn max_partitions(mut self, partitions: u32) -> Self {
        self.options.max_partitions = partitions;
        self
    }

    /// How many consumer instances of this subscription the process runs at most; 1 to 1,000, default 3. It starts with one.
    /// `Settings::scaling` says whether others are added and removed as the load asks for it. Each instance is a member of the
    /// group, with partitions, handlers ([`Self::concurrency`]) and memory of its own.
    #[must_use]
    pub fn max_concurrency(mut self, instances: u32) -> Self {
        self.options.max_concurrency = instances;
        self
    }

    /// How many handlers of one instance run at a time: a number from 1 to 100,000, default 32, or bounds such as `1..=512`
    /// ([`Concurrency::AUTO`]), between which the worker seeks the level beyond which more do not help.
    #[must_use]
    pub fn concurrency(mut self, handlers: impl Into<Concurrency>) -> Self {
        self.options.concurrency = handlers.into();
        self
    }

    /// Where a group without offsets starts. Default [`Start::Earliest`]. With [`Start::Latest`], a first start without
    /// a matching topic does not count: the next start passes over what was written before it.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.options.start = start;
        self
    }

    /// Whether data is checked against its stored schema before the handler sees it. Default `false`. A tombstone has no
    /// data to check; any other record that holds no event then goes by [`OnNoEvent`], whatever the handler takes.
    #[must_use]
    pub fn validate(mut self, validate: bool) -> Self {
        self.options.validate = validate;
        self
    }

    /// What keeps its order. Default [`Ordering::Key`].
    #[must_use]
    pub fn ordering(mut self, ordering: Ordering) -> Self {
        self.options.ordering = ordering;
        self
    }

    /// When a message counts as finished. Default [`Commit::Interval`]: when its handler has returned. With
    /// [`Commit::Manual`] the handler takes a [`Committer`](crate::Committer).
    #[must_use]
    pub fn commit(mut self, commit: Commit) -> Self {
        self.options.commit = commit;
        self
    }

    /// With [`Commit::Manual`]: how many messages of one partition may be unfinished, from the begin of their handler on; 1 to
    /// 65,536, default 10,000. Then no further handler of the partition starts, and it is read no further. The messages are in
    /// memory.
    #[must_use]
    pub fn max_uncommitted(mut self, messages: u32) -> Self {
        self.options.max_uncommitted = Some(messages);
        self
    }

    /// The handler takes a [`Batch`](crate::Batch) of messages of one partition, gathered up to these bounds. Default: none; each
    /// message is handled alone.
    #[must_use]
    pub fn batch(mut self, batch: BatchOptions) -> Self {
        self.options.batch = Some(batch);
        self
    }

    /// What happens to a message that does not fit. Default [`OnMismatch::Hold`].
    #[must_use]
    pub fn on_mismatch(mut self, policy: OnMismatch) -> Self {
        self.options.stated.on_mismatch = Some(policy);
        self
    }

    /// What happens to a record that holds no event where the handler needs one. Default [`OnNoEvent::DeadLetter`], which
    /// passes over null and empty values; without dead letters, [`OnNoEvent::Skip`].
    #[must_use]
    pub fn on_no_event(mut self, policy: OnNoEvent) -> Self {
        self.options.stated.on_no_event = Some(policy);
        self
    }

    /// What happens to a rejected message. Default [`OnReject::DeadLetter`]; without dead letters, [`OnReject::Skip`].
    #[must_use]
    pub fn on_reject(mut self, policy: OnReject) -> Self {
        self.options.stated.on_reject = Some(policy);
        self
    }

    /// What happens to a message that used up its attempts. Default [`OnFailure::DeadLetter`]; without dead letters,
    /// [`OnFailure::Hold`].
    #[must_use]
    pub fn on_failure(mut self, policy: OnFailure) -> Self {
        self.options.stated.on_failure = Some(policy);
        self
    }

    /// How many failed attempts of one message come before [`Self::on_failure`]; default 20, which takes about five
    /// minutes with the default backoff. 0: never. Only attempts of one process count. Not counted are attempts whose
    /// handler was unavailable or asked for a delay, and attempts during a pause by [`Self::failure_limit`].
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.options.retry.attempts = NonZeroU32::new(attempts);
        self
    }

    /// How long a message waits for its next attempt: `first` after the first attempt, then doubling up to `longest`,
    /// each less a random part of up to a fifth. Default 100 ms and 30 s; allowed from 1 ms to an hour. The message
    /// waits in its lane, so its key keeps its order.
    #[must_use]
    pub fn retry_backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.options.retry.first = first;
        self.options.retry.longest = longest;
        self
    }

    /// How many failures pause the subscription; `None`: never. So an outage of a handler's dependency does not turn
    /// the whole topic into dead letters. Default [`FailureLimit::default`].
    #[must_use]
    pub fn failure_limit(mut self, limit: impl Into<Option<FailureLimit>>) -> Self {
        self.options.failure_limit = limit.into();
        self
    }

    /// How long an attempt may take; unlimited by default. After that its future is dropped, and the attempt has
    /// failed. A handler that blocks its thread cannot be interrupted.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// The age at which the log names a running attempt: a warning with stream, partition, offset, key and age,
    /// repeated at two, four, eight … times this age. Default 60 s; at least 100 ms.
    #[must_use]
    pub fn stuck_after(mut self, age: Duration) -> Self {
        self.options.stuck_after = age;
        self
    }

    /// How many messages may start per second in this process; repeated attempts count. Default, and with 0: no limit.
    #[must_use]
    pub fn throttle(mut self, per_second: u32) -> Self {
        self.options.throttle = NonZeroU32::new(per_second);
        self
    }

    /// librdkafka properties of this subscription's consumer; beat the connection's.
    #[must_use]
    pub fn kafka_settings(mut self, settings: BTreeMap<String, String>) -> Self {
        self.options.kafka_settings = settings;
        self
    }
}

/// Bounds, pattern and group, checked when the application registers it.
pub(crate) fn check(subscription: &Subscription) -> Result<Pattern, AppError> {
    let pattern = Pattern::new(&subscription.pattern).map_err(|e| AppError::Subscription {
        pattern: subscription.pattern.clone(),
        message: e.to_string(),
    })?;
    let refused = |message: String| AppError::Subscription {
        pattern: subscription.pattern.clone(),
        message,
    };
    match &subscription.group {
        None => {
            return Err(refused(
                "a closure has no name to take the group from; name it: `.group(\"…\")`".to_owned(),
            ));
        }
        Some(group) if group.is_empty() => {
            return Err(refused("the group is empty; name it".to_owned()));
        }
        Some(_) => {}
    }
    let options = &subscription.options;
    for (option, value, most) in [
        ("max-partitions", options.max_partitions, 100_000),
        ("max-concurrency", options.max_concurrency, 1_000),
    ] {
        if value == 0 || value > most {
            return Err(refused(format!(
                "{option} is {value}; it must be from 1 to {most}"
            )));
        }
    }
    if let Some(problem) = options.concurrency.problem() {
        return Err(refused(problem));
    }
    if let Some(contradiction) = contradiction(options) {
        return Err(refused(contradiction.to_string()));
    }
    let needs = subscription.needs();
    match options.commit {
        Commit::Manual if needs.by_arguments && !needs.committer => {
            return Err(refused(
                "commit = \"manual\" needs a handler with an argument `committer: Committer`, which finishes the message"
                    .to_owned(),
            ));
        }
        Commit::Interval if needs.committer && needs.batch => {
            return Err(refused(
                "a batch ends when its handler does, so it has no `Committer`; leave the argument out"
                    .to_owned(),
            ));
        }
        Commit::Interval if needs.committer => {
            return Err(refused(
                "the handler takes a `Committer`; write `commit = \"manual\"`, or leave the argument out"
                    .to_owned(),
            ));
        }
        Commit::Interval | Commit::Manual => {}
    }
    if let Some(message) = batch_misfit(options.batch, &needs) {
        return Err(refused(message.to_owned()));
    }
    Ok(pattern)
}

/// Where a handler and the batches of its subscription do not fit together.
fn batch_misfit(batch: Option<BatchOptions>, needs: &Needs) -> Option<&'static str> {
    match batch {
        None if needs.batch => Some(
            "the handler takes a `Batch`; write `batch()` for the default bounds, or such as `batch(max = 500, wait = \"200ms\")`, or leave the argument out",
        ),
        Some(batch) if batch.transaction && needs.batch => Some(
            "with `transaction = true` the messages of a batch are handled one by one; take the message's own type instead of a `Batch` of it",
        ),
        Some(batch) if batch.transaction => None,
        Some(_) if needs.by_arguments && !needs.batch => Some(
            "batches need a handler with an argument such as `batch: Batch<Json>`, which takes their messages",
        ),
        Some(_) if needs.batch && needs.one => Some(
            "an argument beside the `Batch` is made of one message; take a `Batch` of its type as well, which has all messages in the same order",
        ),
        _ => None,
    }
}

/// What is wrong with attempts, waits and limits.
fn contradiction(options: &Options) -> Option<Contradiction> {
    let wrong = |setting, problem| Some(Contradiction::new(setting, problem));
    let RetryPolicy { first, longest, .. } = options.retry;
    let milli = Duration::from_millis(1);
    if first < milli || longest > MAX_AFTER || first > longest {
        return wrong(
            "retry-backoff",
            format!(
                "it is from {first:?} to {longest:?}; it must be from 1ms up to 1h, the first not above the longest"
            ),
        );
    }
    if options.retry.attempts.is_none()
        && matches!(
            options.stated.on_failure,
            Some(OnFailure::DeadLetter | OnFailure::Skip)
        )
    {
        return wrong(
            "on-failure",
            "with max-attempts = 0 no message uses up its attempts; leave one of them out"
                .to_owned(),
        );
    }
    if options.timeout.is_some_and(|timeout| timeout < milli) {
        return wrong(
            "timeout",
            "it is below 1ms; give handlers more time".to_owned(),
        );
    }
    if options.stuck_after < Duration::from_millis(100) {
        return wrong(
            "stuck-after",
            format!("it is {:?}; it must be at least 100ms", options.stuck_after),
        );
    }
    let most = MAX_SPAN as u32;
    match (options.commit, options.max_uncommitted) {
        (Commit::Interval, Some(_)) => {
            return wrong(
                "max-uncommitted",
                "it bounds what a `Committer` has not finished; write commit = \"manual\" too, or leave it out"
                    .to_owned(),
            );
        }
        (Commit::Manual, Some(messages)) if messages == 0 || messages > most => {
            return wrong(
                "max-uncommitted",
                format!("it is {messages}; it must be from 1 to {most}"),
            );
        }
        _ => {}
    }
    if let Some(contradiction) = options.batch_contradiction() {
        return Some(contradiction);
    }
    options.failure_limit.as_ref()?.contradiction()
}

/// A subscription as an application shows it.
impl Subscription {
    /// The pattern as written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The group without `Settings::group_prefix`; `None` for a closure or handler object without a group.
    pub fn group_name(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// The number of partitions up to which its streams may grow, as [`Self::max_partitions`] says.
    pub fn partition_ceiling(&self) -> u32 {
        self.options.max_partitions
    }

    /// The first contradiction in its policies, with dead letters or without. The start of the application checks this
    /// too; a program that reads the policies from a file can name the place.
    pub fn contradiction(&self, dead_letters: bool) -> Option<Contradiction> {
        contradiction(&self.options)
            .or_else(|| Policies::of(&self.options.stated, dead_letters).err())
    }

    /// What its handler needs: schemas and states.
    pub(crate) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        self.handler.needs(&mut needs);
        needs
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("pattern", &self.pattern)
            .field("group", &self.group)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What `App::subscribe` takes: a function under `#[subscribe]`, or a [`Subscription`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a subscription",
    label = "not a subscription",
    note = "put `#[subscribe(\"pattern\")]` on the async fn, or wrap it: `subscription(\"pattern\", function)`"
)]
pub trait IntoSubscription {
    /// The subscription that it stands for.
    fn into_subscription(self) -> Subscription;
}

impl IntoSubscription for Subscription {
    fn into_subscription(self) -> Subscription {
        self
    }
}
