//! A subscription: a handler on a pattern of streams, with its options; checks them before they are used.

use std::{collections::BTreeMap, fmt, sync::Arc};

use kafkaesk_client::consumer::Start;
use kafkaesk_core::Pattern;
use serde::Deserialize;

use crate::{
    AppError,
    handler::{Function, Handle, HandlerFn, Needs, function_name},
    retry::RetryPolicy,
};

/// What keeps its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ordering {
    /// Messages of one key in one partition, one after the other; messages without a key have no order.
    #[default]
    Key,
    /// All messages of one partition, one after the other.
    Partition,
    /// Nothing.
    None,
}

/// What happens to a message that does not fit its handler's arguments (or, with `validate`, its schema).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnMismatch {
    /// Kept and retried in its lane with backoff, loudly: the consumer is usually the older side of a deployment.
    #[default]
    Hold,
    /// As if the handler had rejected it.
    Reject,
    /// Passed over.
    Skip,
}

/// What happens to a record that holds no event (a null or empty value, not JSON, no schema id) where the handler needs
/// one. `Raw`, `Record` and, for a null value, an `Option` argument need none, and get such records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnNoEvent {
    /// Passed over: no later version of a handler could take it. Null and empty values are usual on compacted topics and
    /// only counted ([`crate::RunReport::without_event`]); for the others the log has a warning at the 1st, 2nd, 4th,
    /// 8th, …
    #[default]
    Skip,
    /// As if the handler had rejected it.
    Reject,
    /// Kept and retried in its lane with backoff, loudly.
    Hold,
}

/// What happens to a rejected message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnReject {
    /// Logged with topic, partition, offset, key, schema and reason, and passed over.
    #[default]
    Log,
    /// Kept and retried in its lane with backoff, loudly.
    Hold,
}

/// A subscription's options.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) max_partitions: u32,
    pub(crate) max_concurrency: u32,
    pub(crate) concurrency: u32,
    pub(crate) start: Start,
    pub(crate) validate: bool,
    pub(crate) ordering: Ordering,
    pub(crate) on_mismatch: OnMismatch,
    pub(crate) on_no_event: OnNoEvent,
    pub(crate) on_reject: OnReject,
    pub(crate) retry: RetryPolicy,
    pub(crate) kafka_settings: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_partitions: 40,
            max_concurrency: 3,
            concurrency: 32,
            start: Start::Earliest,
            validate: false,
            ordering: Ordering::Key,
            on_mismatch: OnMismatch::Hold,
            on_no_event: OnNoEvent::Skip,
            on_reject: OnReject::Log,
            retry: RetryPolicy::default(),
            kafka_settings: BTreeMap::new(),
        }
    }
}

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

    /// How many partitions one instance takes before another is started; 1 to 100,000, default 40.
    /// Used by scaling (not yet).
    #[must_use]
    pub fn max_partitions(mut self, partitions: u32) -> Self {
        self.options.max_partitions = partitions;
        self
    }

    /// How many consumer instances this process starts at most; 1 to 1,000, default 3. Used by scaling (not yet).
    #[must_use]
    pub fn max_concurrency(mut self, instances: u32) -> Self {
        self.options.max_concurrency = instances;
        self
    }

    /// How many handlers of one instance run at a time; 1 to 100,000, default 32.
    #[must_use]
    pub fn concurrency(mut self, handlers: u32) -> Self {
        self.options.concurrency = handlers;
        self
    }

    /// Where a group without offsets starts. Default [`Start::Earliest`]. With [`Start::Latest`], a first start at which
    /// no topic matched yet does not count: what was written before the next one is passed over.
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

    /// What happens to a message that does not fit. Default [`OnMismatch::Hold`].
    #[must_use]
    pub fn on_mismatch(mut self, policy: OnMismatch) -> Self {
        self.options.on_mismatch = policy;
        self
    }

    /// What happens to a record that holds no event where the handler needs one. Default [`OnNoEvent::Skip`].
    #[must_use]
    pub fn on_no_event(mut self, policy: OnNoEvent) -> Self {
        self.options.on_no_event = policy;
        self
    }

    /// What happens to a rejected message. Default [`OnReject::Log`].
    #[must_use]
    pub fn on_reject(mut self, policy: OnReject) -> Self {
        self.options.on_reject = policy;
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
        ("concurrency", options.concurrency, 100_000),
    ] {
        if value == 0 || value > most {
            return Err(refused(format!(
                "{option} is {value}; it must be from 1 to {most}"
            )));
        }
    }
    Ok(pattern)
}

/// A subscription as an application shows it.
impl Subscription {
    /// The pattern as written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The group without `Settings::group_prefix`; `None` only for a closure or handler object that was not given one.
    pub fn group_name(&self) -> Option<&str> {
        self.group.as_deref()
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
