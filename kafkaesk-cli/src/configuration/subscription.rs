//! Reads one `[[subscriptions]]` table into a checked subscription, or an error with file and line.

use std::{collections::BTreeMap, time::Duration};

use kafkaesk_client::{
    Settings,
    consumer::Start,
    settings::{Origin, Section, Span, Whole},
};
use kafkaesk_core::{Pattern, span::parse_span};
use kafkaesk_worker::{
    BatchOptions, Commit, Concurrency, Contradiction, Delivery, FailureLimit, Handle, HandlerCall,
    OnFailure, OnMismatch, OnNoEvent, OnReject, Ordering, Subscription, retry,
};
use serde::{Deserialize, de::IgnoredAny};

use super::{concurrency::Handlers, handler::HandlerSettings};

/// A subscription as `kafkaesk.toml` declares it.
#[derive(Clone, Debug)]
pub(crate) struct SubscriptionSettings {
    /// Where it is declared.
    pub(crate) origin: Origin,
    /// Which streams.
    pub(crate) pattern: String,
    /// Without `group-prefix`.
    pub(crate) group: String,
    /// What its messages go to.
    pub(crate) handler: HandlerSettings,
    start: Option<Start>,
    options: Options,
    batch: Option<BatchOptions>,
    /// As it is stated: `Some(None)` for "off".
    failure_limit: Option<Option<FailureLimit>>,
    pub(crate) kafka_settings: BTreeMap<String, String>,
}

/// The table as written, without what [`SubscriptionSettings::read`] checks further.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Options {
    pattern: String,
    group: String,
    start: Option<String>,
    #[serde(rename = "handler")]
    _handler: Option<IgnoredAny>,
    #[serde(rename = "kafka-settings")]
    _kafka_settings: Option<IgnoredAny>,
    max_partitions: Option<Whole<u32, 1, 100_000>>,
    max_concurrency: Option<Whole<u32, 1, 1_000>>,
    concurrency: Option<Handlers>,
    validate: Option<bool>,
    ordering: Option<Ordering>,
    on_mismatch: Option<OnMismatch>,
    on_no_event: Option<OnNoEvent>,
    on_reject: Option<OnReject>,
    on_failure: Option<OnFailure>,
    max_attempts: Option<Whole<u32, 0, 1_000_000>>,
    retry_backoff: Option<Backoff>,
    #[serde(rename = "failure-limit")]
    _failure_limit: Option<IgnoredAny>,
    #[serde(rename = "batch")]
    _batch: Option<IgnoredAny>,
    stuck_after: Option<Span<100, DAY>>,
    throttle: Option<Whole<u32, 1, 1_000_000>>,
    commit: Option<Commit>,
    max_uncommitted: Option<Whole<u32, 1, 65_536>>,
}

impl SubscriptionSettings {
    /// Its pattern, if its group begins with the earliest record where it has committed nothing.
    pub(crate) fn pattern_from_start(&self) -> Option<Pattern> {
        match self.start {
            None | Some(Start::Earliest) => Pattern::new(&self.pattern).ok(),
            Some(_) => None,
        }
    }
}

impl SubscriptionSettings {
    /// The number of partitions up to which its streams may grow.
    pub(crate) fn partition_ceiling(&self) -> u32 {
        let declared = self.options.max_partitions.as_ref();
        declared.map_or(Subscription::MAX_PARTITIONS, |partitions| partitions.0)
    }
}

impl Options {
    /// Whether a message is done when its answer comes, whenever that is, and its lane goes on meanwhile.
    fn commits_by_hand(&self) -> bool {
        self.commit == Some(Commit::Manual)
    }
}

/// A day in milliseconds.
const DAY: u64 = 86_400_000;
/// An hour in milliseconds: the longest wait between two attempts.
const HOUR: u64 = 3_600_000;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backoff {
    first: Option<Span<1, HOUR>>,
    longest: Option<Span<1, HOUR>>,
}

impl Backoff {
    fn first(self) -> Duration {
        self.first.map_or(retry::FIRST, |Span(first)| first)
    }

    fn longest(self) -> Duration {
        self.longest.map_or(retry::LONGEST, |Span(longest)| longest)
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    share: Option<f64>,
    of: Option<Whole<u32, 1, 10_000>>,
    streak: Option<Whole<u32, 1, 1_000_000>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    max: Option<Whole<u32, 1, { BatchOptions::MAX as i64 }>>,
    bytes: Option<
        Whole<usize, { BatchOptions::LEAST_BYTES as i64 }, { BatchOptions::MOST_BYTES as i64 }>,
    >,
    wait: Option<
        Span<
            { BatchOptions::SHORTEST.as_millis() as u64 },
            { BatchOptions::LONGEST.as_millis() as u64 },
        >,
    >,
    transaction: Option<bool>,
}

impl SubscriptionSettings {
    /// Reads one table to its end.
    pub(super) fn read(section: &Section, settings: &Settings) -> anyhow::Result<Self> {
        let options: Options = section.read()?;
        Pattern::new(&options.pattern).map_err(|e| section.error("pattern", e.to_string()))?;
        if options.group.is_empty() {
            return Err(section.error("group", "it is empty").into());
        }
        let start = options.start.as_deref().map(start).transpose();
        let group = format!("{}{}", settings.group_prefix, options.group);
        if settings.dead_letters
            && let Err(error) = settings.topic_prefix.dead_topic(&group)
        {
            let problem = format!(
                "the group cannot have a topic of dead letters: {error}; give it another name, or set `dead-letters = false`"
            );
            return Err(section.error("group", problem).into());
        }
        let batch = batch(section)?;
        let mut handler = HandlerSettings::read(section, &group, options.commits_by_hand())?;
        if batch.is_some() {
            handler = handler
                .with_batches()
                .map_err(|why| section.error("batch", why))?;
        }
        let read = Self {
            batch,
            failure_limit: failure_limit(section)?,
            origin: section.origin(),
            start: start.map_err(|problem| section.error("start", problem))?,
            kafka_settings: section
                .consumer_settings("kafka-settings")?
                .unwrap_or_default(),
            handler,
            pattern: options.pattern.clone(),
            group: options.group.clone(),
            options,
        };
        match read.without_handler().contradiction(settings.dead_letters) {
            Some(Contradiction {
                setting, problem, ..
            }) => Err(section.error(setting, problem).into()),
            None => Ok(read),
        }
    }

    /// The subscription before its handler is started, for checks: it handles nothing.
    pub(crate) fn without_handler(&self) -> Subscription {
        struct Nothing;
        impl Handle for Nothing {
            fn handle(&self, _: &Delivery) -> HandlerCall {
                HandlerCall::run(async {})
            }
        }
        self.subscription(Nothing)
    }

    /// The subscription, with the handler that was started for it.
    pub(crate) fn subscription(&self, handler: impl Handle) -> Subscription {
        let mut to = Subscription::new(&self.pattern, handler)
            .group(&self.group)
            .kafka_settings(self.kafka_settings.clone());
        if let Some(Whole(partitions)) = self.options.max_partitions {
            to = to.max_partitions(partitions);
        }
        if let Some(Whole(instances)) = self.options.max_concurrency {
            to = to.max_concurrency(instances);
        }
        let concurrency = self.options.concurrency.map(|Handlers(written)| written);
        // A child's places are not places of handlers where the lane goes on once the child has the line.
        let places = || {
            let by_hand = self.options.commits_by_hand();
            let places = self.handler.concurrency().filter(|_| !by_hand);
            places.map(Concurrency::Fixed)
        };
        if let Some(handlers) = concurrency.or_else(places) {
            to = to.concurrency(handlers);
        }
        if let Some(start) = self.start {
            to = to.start(start);
        }
        if let Some(validate) = self.options.validate {
            to = to.validate(validate);
        }
        if let Some(ordering) = self.options.ordering {
            to = to.ordering(ordering);
        }
        if let Some(policy) = self.options.on_mismatch {
            to = to.on_mismatch(policy);
        }
        if let Some(policy) = self.options.on_no_event {
            to = to.on_no_event(policy);
        }
        if let Some(policy) = self.options.on_reject {
            to = to.on_reject(policy);
        }
        if let Some(policy) = self.options.on_failure {
            to = to.on_failure(policy);
        }
        if let Some(Whole(attempts)) = self.options.max_attempts {
            to = to.max_attempts(attempts);
        }
        if let Some(backoff) = self.options.retry_backoff {
            to = to.retry_backoff(backoff.first(), backoff.longest());
        }
        if let Some(limit) = self.failure_limit {
            to = to.failure_limit(limit);
        }
        if let Some(Span(age)) = self.options.stuck_after {
            to = to.stuck_after(age);
        }
        if let Some(Whole(per_second)) = self.options.throttle {
            to = to.throttle(per_second);
        }
        if let Some(batch) = self.batch {
            to = to.batch(batch);
        }
        if let Some(commit) = self.options.commit {
            to = to.commit(commit);
        }
        if let Some(Whole(messages)) = self.options.max_uncommitted {
            to = to.max_uncommitted(messages);
        }
        to
    }
}

fn batch(section: &Section) -> anyhow::Result<Option<BatchOptions>> {
    const KEY: &str = "batch";
    if !section.has(KEY) {
        return Ok(None);
    }
    let table = section.table(KEY)?;
    let written: Batch = table.read()?;
    if written.transaction == Some(true) {
        let problem = "what a handler of the configuration does is not part of a Kafka transaction; a Rust handler's `Publisher` is";
        return Err(table.error("transaction", problem).into());
    }
    let mut batch = BatchOptions::new();
    if let Some(Whole(messages)) = written.max {
        batch = batch.max(messages);
    }
    if let Some(Whole(bytes)) = written.bytes {
        batch = batch.bytes(bytes);
    }
    if let Some(Span(wait)) = written.wait {
        batch = batch.wait(wait);
    }
    Ok(Some(batch))
}

fn failure_limit(section: &Section) -> anyhow::Result<Option<Option<FailureLimit>>> {
    const KEY: &str = "failure-limit";
    match section.text(KEY) {
        Some("off") => return Ok(Some(None)),
        Some(_) => {
            let problem =
                "write \"off\", or a table such as { share = 0.5, of = 100, streak = 20 }";
            return Err(section.error(KEY, problem).into());
        }
        None if !section.has(KEY) => return Ok(None),
        None => {}
    }
    let written: Limit = section.table(KEY)?.read()?;
    let mut limit = FailureLimit::default();
    if let Some(share) = written.share {
        limit.share = share;
    }
    if let Some(Whole(of)) = written.of {
        limit.of = of;
    }
    if let Some(Whole(streak)) = written.streak {
        limit.streak = streak;
    }
    Ok(Some(Some(limit)))
}

fn start(text: &str) -> Result<Start, String> {
    match text {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        span => parse_span(span).map(Start::Back).map_err(|_| {
            format!("{span:?} is neither \"earliest\", \"latest\" nor a span such as \"2h\"")
        }),
    }
}
