//! Laws of the exposition.

use std::collections::BTreeMap;

use kafkaesk_client::meter::{Histogram, SIZES};
use kafkaesk_worker::snapshot::{AttemptEnd, State, TopicMeter};
use proptest::prelude::*;

use super::*;
use crate::testing::{running, source, view};

/// The series of an exposition by name and labels, as written.
fn series(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(pair).collect()
}

fn metrics(detail: MetricsDetail, max_series: usize) -> Metrics {
    let mut settings = OperateSettings::default();
    settings.detail = detail;
    settings.max_series = max_series;
    Metrics::new(&settings)
}

fn exposed(view: &View) -> BTreeMap<String, f64> {
    let metrics = metrics(MetricsDetail::Partition, 20_000);
    series(&metrics.text(Arc::new(view.clone()), Format::Prometheus))
}

#[test]
fn the_document_is_made_of_the_declaration() {
    let written = include_str!("../../../docs/metrics.md");
    assert_eq!(
        written,
        document(),
        "run: cargo run -p kafkaesk-operate --example documents -- metrics > docs/metrics.md"
    );
}

#[test]
fn the_names_of_the_python_library_stay() {
    for name in [
        "kafkaesk_consumed_messages",
        "kafkaesk_consumed_topic_offset",
        "kafkaesk_consumed_message_elapsed_time",
        "kafkaesk_message_lead_time",
        "kafkaesk_consumed_messages_batch_size",
        "kafkaesk_consumer_rebalanced",
        "kafkaesk_consumer_health",
        "kafkaesk_publish_messages",
        "kafkaesk_publish_messages_time",
        "kafkaesk_published_messages",
        "kafkaesk_published_messages_time",
        "kafkaesk_produced_topic_offset",
        "kafkaesk_kafka_action",
        "kafkaesk_kafka_action_time",
    ] {
        assert!(FAMILIES.iter().any(|family| family.name == name), "{name}");
    }
}

#[test]
fn names_are_distinct_and_valid_and_a_help_text_is_one_sentence() {
    let mut names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
    names.sort_unstable();
    let valid = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    for family in FAMILIES {
        assert!(valid(family.name) && family.labels.iter().all(|label| valid(label)));
        assert!(family.help.ends_with('.'), "{}", family.name);
        assert!(!family.name.ends_with("_total"), "the encoder adds it");
    }
}

#[test]
fn counters_have_total_at_their_end_in_both_forms() {
    let view = Arc::new(view(vec![running("billing", &["orders.placed"])]));
    let metrics = metrics(MetricsDetail::Partition, 20_000);
    let name = "kafkaesk_consumed_messages_total{stream_id=\"shop.orders.placed\",partition=\"0\",group_id=\"billing\",error=\"none\"} 3\n";
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let text = metrics.text(view.clone(), format);
        assert!(text.contains(name), "{text}");
        assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
        assert!(!text.contains(".."), "a help text ends once: {text}");
    }
}

#[test]
fn what_accept_asks_for_is_given() {
    for (accept, format) in [
        ("", Format::Prometheus),
        ("*/*", Format::Prometheus),
        ("text/plain;version=0.0.4", Format::Prometheus),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4",
            Format::OpenMetrics,
        ),
        (
            "text/plain, application/openmetrics-text;q=0",
            Format::Prometheus,
        ),
    ] {
        assert_eq!(Format::accepted(accept), format, "{accept}");
    }
}

#[test]
fn gauges_of_a_partition_end_with_its_assignment_and_counters_stay() {
    let mut it = running("billing", &["orders.placed"]);
    let before = exposed(&view(vec![it.clone()]));
    it.partitions.clear();
    let after = exposed(&view(vec![it]));
    let of = |all: &BTreeMap<String, f64>, name: &str| {
        all.keys().filter(|key| key.starts_with(name)).count()
    };
    assert_eq!(of(&before, "kafkaesk_consumed_topic_offset"), 1);
    assert_eq!(of(&after, "kafkaesk_consumed_topic_offset"), 0);
    assert_eq!(of(&after, "kafkaesk_consumed_messages_total"), 1);
}

#[test]
fn what_is_unknown_has_no_series() {
    let all = exposed(&view(vec![running("billing", &["orders.placed"])]));
    for name in [
        "kafkaesk_consumer_lag",
        "kafkaesk_stream_end",
        "kafkaesk_consumer_committed",
    ] {
        assert!(!all.keys().any(|key| key.starts_with(name)), "{name}");
    }
    assert_eq!(
        all["kafkaesk_consumer_status{group_id=\"billing\",status=\"UNKNOWN\"}"],
        1.0
    );
    assert_eq!(
        all["kafkaesk_consumer_status{group_id=\"billing\",status=\"OK\"}"],
        0.0
    );
}

#[test]
fn subscriptions_of_one_group_are_counted_together() {
    let (a, b) = (
        running("billing", &["orders.placed"]),
        running("billing", &["orders.placed", "orders.paid"]),
    );
    let all = exposed(&view(vec![a, b]));
    let placed = "{stream_id=\"shop.orders.placed\",partition=\"0\",group_id=\"billing\"}";
    assert_eq!(
        all[&format!("kafkaesk_consumer_finished_messages_total{placed}")],
        6.0
    );
    assert_eq!(
        all["kafkaesk_consumer_instances{group_id=\"billing\"}"],
        2.0
    );
    assert_eq!(
        all["kafkaesk_consumer_assigned_partitions{group_id=\"billing\"}"],
        3.0
    );
}

#[test]
fn a_subscription_that_ended_keeps_its_counters_and_has_no_health() {
    let mut it = running("billing", &["orders.placed"]);
    it.state = State::Ended;
    it.instances = 0;
    it.partitions.clear();
    let all = exposed(&view(vec![it]));
    assert!(
        !all.keys()
            .any(|key| key.starts_with("kafkaesk_consumer_health"))
    );
    assert_eq!(
        all["kafkaesk_consumer_instances{group_id=\"billing\"}"],
        0.0
    );
    assert!(
        all.keys()
            .any(|key| key.starts_with("kafkaesk_consumed_messages_total"))
    );
}

#[test]
fn less_detail_leaves_labels_out_and_keeps_the_sums() {
    let mut it = running("billing", &["orders.placed"]);
    let (_, counts) = it.counts[0].clone();
    it.counts.push((source("orders.placed", 1), counts));
    let view = Arc::new(view(vec![it]));
    let text = |detail| metrics(detail, 20_000).text(view.clone(), Format::Prometheus);
    let by_stream = series(&text(MetricsDetail::Stream));
    assert_eq!(
        by_stream["kafkaesk_consumer_finished_messages_total{stream_id=\"shop.orders.placed\",group_id=\"billing\"}"],
        6.0
    );
    let by_group = series(&text(MetricsDetail::Group));
    assert_eq!(
        by_group["kafkaesk_consumer_finished_messages_total{group_id=\"billing\"}"],
        6.0
    );
    for all in [by_stream, by_group] {
        assert!(!all.keys().any(|key| key.contains("partition=")), "{all:?}");
        assert!(!all.keys().any(|key| key.contains("_offset")), "{all:?}");
    }
}

#[test]
fn observations_are_exposed_as_they_were_counted() {
    let mut it = running("billing", &["orders.placed"]);
    let mut batches = Histogram::new(SIZES);
    batches.observe(7.0);
    batches.observe(3000.0);
    let topic = it.partitions[0].source.clone();
    it.topics.push((
        topic.topic.clone(),
        TopicMeter {
            stream: topic.stream.clone(),
            elapsed: Histogram::of_times(),
            lead: Histogram::of_times(),
            batches,
        },
    ));
    let all = exposed(&view(vec![it]));
    let name = "kafkaesk_consumed_messages_batch_size";
    let labels = "stream_id=\"shop.orders.placed\",group_id=\"billing\"";
    for (bound, count) in [("5.0", 0.0), ("10.0", 1.0), ("1000.0", 1.0), ("+Inf", 2.0)] {
        let written = all.iter().find(|(key, _)| {
            key.starts_with(&format!("{name}_bucket{{{labels}"))
                && key.contains(&format!("le=\"{}", bound.trim_end_matches(".0")))
                && !key.contains(&format!("le=\"{}0", bound.trim_end_matches(".0")))
        });
        assert_eq!(
            written.map(|(_, value)| *value),
            Some(count),
            "{bound}: {all:?}"
        );
    }
    assert_eq!(all[&format!("{name}_sum{{{labels}}}")], 3007.0);
    assert_eq!(all[&format!("{name}_count{{{labels}}}")], 2.0);
}

proptest! {
    /// Whatever streams come and go: there are never more series than allowed (those of groups and of the process aside), no
    /// count is lost by folding, and a counter never goes back.
    #[test]
    fn folding_bounds_the_series_and_loses_no_count(
        steps in prop::collection::vec(prop::collection::vec(0_u8..60, 0..40), 1..5),
    ) {
        let metrics = metrics(MetricsDetail::Partition, 120);
        let mut it = running("billing", &[]);
        let mut last: BTreeMap<String, f64> = BTreeMap::new();
        for step in steps {
            it.partitions.clear();
            for number in step {
                let stream = format!("orders.s{number}");
                let one = running("billing", &[&stream]);
                match it.counts.iter_mut().find(|(source, _)| source.stream.as_str() == stream) {
                    Some((_, counts)) => counts.finished += 1,
                    None => it.counts.extend(one.counts),
                }
                if it.partitions.iter().all(|own| own.source.stream.as_str() != stream) {
                    it.partitions.extend(one.partitions);
                }
            }
            let text = metrics.text(Arc::new(view(vec![it.clone()])), Format::Prometheus);
            let all = series(&text);
            let of_streams = all.keys().filter(|key| key.contains("stream_id=") && !key.contains("(other)"));
            prop_assert!(of_streams.count() <= 120);
            let name = "kafkaesk_consumer_finished_messages_total";
            let finished: f64 = all.iter().filter(|(key, _)| key.starts_with(name)).map(|(_, value)| value).sum();
            let truth: u64 = it.counts.iter().map(|(_, counts)| counts.finished).sum();
            prop_assert_eq!(finished, truth as f64);
            for (key, value) in &all {
                if key.contains("_total") {
                    prop_assert!(last.get(key).is_none_or(|before| before <= value), "{} went back", key);
                }
            }
            // A counter that was there is there.
            let gone = last.keys().find(|key| key.starts_with(name) && !all.contains_key(*key));
            prop_assert_eq!(gone, None);
            last = all;
        }
    }
}

#[test]
fn every_way_to_end_has_its_own_label() {
    let mut it = running("billing", &["orders.placed"]);
    for (number, count) in it.counts[0].1.attempts.iter_mut().enumerate() {
        *count = number as u64 + 1;
    }
    let all = exposed(&view(vec![it]));
    for (number, end) in AttemptEnd::ALL.iter().enumerate() {
        let key = format!(
            "kafkaesk_consumed_messages_total{{stream_id=\"shop.orders.placed\",partition=\"0\",group_id=\"billing\",error=\"{}\"}}",
            end.name()
        );
        assert_eq!(all[&key], number as f64 + 1.0);
    }
}
