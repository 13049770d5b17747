//! Encode: writes the values of all metrics as Prometheus text or OpenMetrics.

use std::fmt;

use axum::http::{HeaderMap, header};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text},
    metrics::MetricType,
    registry::Registry,
};

use super::{
    names::{Family, Id, Kind},
    sheet::{Labels, OTHER, Sheet, Value},
};

/// The two forms of an exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text, 0.0.4.
    Prometheus,
    /// OpenMetrics text, 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What an `Accept` header asks for: OpenMetrics where it is named and not refused, otherwise Prometheus text.
    pub fn accepted(accept: &str) -> Self {
        let wants = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let is_it = parts.next() == Some("application/openmetrics-text");
            is_it && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
        };
        match accept.split(',').any(|range| wants(range.trim())) {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// What a request asks for.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get_all(header::ACCEPT).iter();
        let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
        Self::accepted(&accept.join(","))
    }

    /// The `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All metrics in one form.
pub(super) fn text_of(collector: impl Collector, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    let written = match format {
        Format::Prometheus => prometheus_text::encode(&mut text, &registry),
        Format::OpenMetrics => text::encode(&mut text, &registry),
    };
    // Writing to a text does not fail.
    debug_assert!(written.is_ok());
    text
}

/// Writes every value of the sheet.
pub(super) fn write(sheet: &Sheet<'_>, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    for id in Id::ALL {
        let family = id.family();
        let values = &sheet.values[*id as usize];
        if values.is_empty() {
            continue;
        }
        let kind = match family.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
        for (labels, value) in values {
            let labels = named(family, labels);
            write_one(family.kind, metric.encode_family(&labels)?, value)?;
        }
    }
    Ok(())
}

fn write_one(kind: Kind, mut metric: MetricEncoder<'_>, value: &Value<'_>) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Whole(value)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(&value.unsigned_abs(), None)
        }
        (Kind::Counter, Value::Float(value)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(value, None)
        }
        (_, Value::Whole(value)) => metric.encode_gauge(value),
        (_, Value::Float(value)) => metric.encode_gauge(value),
        (_, Value::Observed(histogram)) => {
            let buckets: Vec<(f64, u64)> = histogram.buckets().collect();
            let (sum, count) = (histogram.sum(), histogram.count());
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        }
    }
}

/// The labels by name. Those that are left out by `metrics-detail` are absent.
fn named<'a>(family: &Family, labels: &Labels<'a>) -> Vec<(&'static str, Text<'a>)> {
    let mut own = labels.own.into_iter();
    let mut named = Vec::with_capacity(family.labels.len());
    for label in family.labels {
        let text = match *label {
            "stream_id" => Text::Borrowed(labels.stream),
            "group_id" => Text::Borrowed(labels.group),
            "partition" => match labels.partition {
                Some(partition) => Text::Owned(partition.to_string()),
                None if labels.stream == OTHER => Text::Borrowed(OTHER),
                None => Text::Borrowed(""),
            },
            _ => Text::Borrowed(own.next().unwrap_or_default()),
        };
        if !text.is_empty() {
            named.push((*label, text));
        }
    }
    named
}

type Text<'a> = std::borrow::Cow<'a, str>;
