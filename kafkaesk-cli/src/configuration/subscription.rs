//! Reads one `[[subscriptions]]` table into a checked subscription, or an error with file and line.

use std::collections::BTreeMap;

use kafkaesk_client::{
    consumer::Start,
    settings::{Origin, Section},
};
use kafkaesk_core::{Pattern, span::parse_span};
use kafkaesk_worker::{Handle, OnMismatch, OnNoEvent, OnReject, Ordering, Subscription};

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
    max_partitions: Option<u32>,
    max_concurrency: Option<u32>,
    concurrency: Option<u32>,
    start: Option<Start>,
    validate: Option<bool>,
    ordering: Option<Ordering>,
    on_mismatch: Option<OnMismatch>,
    on_no_event: Option<OnNoEvent>,
    on_reject: Option<OnReject>,
    pub(crate) kafka_settings: BTreeMap<String, String>,
}

impl SubscriptionSettings {
    /// Reads one table to its end.
    pub(super) fn read(mut section: Section, group_prefix: &str) -> anyhow::Result<Self> {
        let pattern = section.required_text("pattern")?;
        Pattern::new(&pattern).map_err(|e| section.error("pattern", e.to_string()))?;
        let group = section.required_text("group")?;
        if group.is_empty() {
            return Err(section.error("group", "it is empty").into());
        }
        let start = match section.text("start")?.as_deref() {
            None => None,
            Some("earliest") => Some(Start::Earliest),
            Some("latest") => Some(Start::Latest),
            Some(span) => Some(Start::Back(parse_span(span).map_err(|_| {
                section.error(
                    "start",
                    format!(
                        "{span:?} is neither \"earliest\", \"latest\" nor a span such as \"2h\""
                    ),
                )
            })?)),
        };
        let ordering = section
            .choice("ordering", &["key", "partition", "none"])?
            .map(|word| match word {
                "key" => Ordering::Key,
                "partition" => Ordering::Partition,
                _ => Ordering::None,
            });
        let on_mismatch = section
            .choice("on-mismatch", &["hold", "reject", "skip"])?
            .map(|word| match word {
                "hold" => OnMismatch::Hold,
                "reject" => OnMismatch::Reject,
                _ => OnMismatch::Skip,
            });
        let on_no_event = section
            .choice("on-no-event", &["skip", "reject", "hold"])?
            .map(|word| match word {
                "skip" => OnNoEvent::Skip,
                "reject" => OnNoEvent::Reject,
                _ => OnNoEvent::Hold,
            });
        let on_reject = section
            .choice("on-reject", &["log", "hold"])?
            .map(|word| match word {
                "log" => OnReject::Log,
                _ => OnReject::Hold,
            });
        let kafka_settings = section
            .consumer_settings("kafka-settings")?
            .unwrap_or_default();
        let settings = Self {
            origin: section.origin().clone(),
            max_partitions: count(&mut section, "max-partitions", 100_000)?,
            max_concurrency: count(&mut section, "max-concurrency", 1_000)?,
            concurrency: count(&mut section, "concurrency", 100_000)?,
            validate: section.boolean("validate")?,
            handler: HandlerSettings::read(&mut section, &format!("{group_prefix}{group}"))?,
            pattern,
            group,
            start,
            ordering,
            on_mismatch,
            on_no_event,
            on_reject,
            kafka_settings,
        };
        section.finish()?;
        Ok(settings)
    }

    /// The subscription, with the handler that was started for it.
    pub(crate) fn subscription(&self, handler: impl Handle) -> Subscription {
        let mut to = Subscription::new(&self.pattern, handler)
            .group(&self.group)
            .kafka_settings(self.kafka_settings.clone());
        if let Some(partitions) = self.max_partitions {
            to = to.max_partitions(partitions);
        }
        if let Some(instances) = self.max_concurrency {
            to = to.max_concurrency(instances);
        }
        if let Some(handlers) = self.concurrency.or_else(|| self.handler.concurrency()) {
            to = to.concurrency(handlers);
        }
        if let Some(start) = self.start {
            to = to.start(start);
        }
        if let Some(validate) = self.validate {
            to = to.validate(validate);
        }
        if let Some(ordering) = self.ordering {
            to = to.ordering(ordering);
        }
        if let Some(policy) = self.on_mismatch {
            to = to.on_mismatch(policy);
        }
        if let Some(policy) = self.on_no_event {
            to = to.on_no_event(policy);
        }
        if let Some(policy) = self.on_reject {
            to = to.on_reject(policy);
        }
        to
    }
}

fn count(section: &mut Section, key: &'static str, most: i64) -> anyhow::Result<Option<u32>> {
    let number = section.integer(key, 1..=most)?;
    Ok(number.and_then(|number| u32::try_from(number).ok()))
}
