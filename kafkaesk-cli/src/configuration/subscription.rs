//! Reads one `[[subscriptions]]` table into a checked subscription, or an error with file and line.

use std::collections::BTreeMap;

use kafkaesk_client::{
    consumer::Start,
    settings::{Origin, Section, Whole},
};
use kafkaesk_core::{Pattern, span::parse_span};
use kafkaesk_worker::{Handle, OnMismatch, OnNoEvent, OnReject, Ordering, Subscription};
use serde::{Deserialize, de::IgnoredAny};

use super::handler::HandlerSettings;

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
    concurrency: Option<Whole<u32, 1, 100_000>>,
    validate: Option<bool>,
    ordering: Option<Ordering>,
    on_mismatch: Option<OnMismatch>,
    on_no_event: Option<OnNoEvent>,
    on_reject: Option<OnReject>,
}

impl SubscriptionSettings {
    /// Reads one table to its end.
    pub(super) fn read(section: &Section, group_prefix: &str) -> anyhow::Result<Self> {
        let options: Options = section.read()?;
        Pattern::new(&options.pattern).map_err(|e| section.error("pattern", e.to_string()))?;
        if options.group.is_empty() {
            return Err(section.error("group", "it is empty").into());
        }
        let start = options.start.as_deref().map(start).transpose();
        let group = format!("{group_prefix}{}", options.group);
        Ok(Self {
            origin: section.origin(),
            start: start.map_err(|problem| section.error("start", problem))?,
            kafka_settings: section
                .consumer_settings("kafka-settings")?
                .unwrap_or_default(),
            handler: HandlerSettings::read(section, &group)?,
            pattern: options.pattern.clone(),
            group: options.group.clone(),
            options,
        })
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
        let concurrency = self.options.concurrency.map(|Whole(handlers)| handlers);
        if let Some(handlers) = concurrency.or_else(|| self.handler.concurrency()) {
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
        to
    }
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
