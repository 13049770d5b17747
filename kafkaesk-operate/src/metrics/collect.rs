//! Collect: reads a view into the values of all metrics. Next: `sheet`.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kafkaesk_client::{
    dead_letters::Unsettled,
    lag::{PartitionLag, Verdict},
    meter::{PublishEnd, Published, PublishedElsewhere},
};
use kafkaesk_core::TopicName;
use kafkaesk_worker::snapshot::{
    AttemptEnd, PausedBy, RebalanceEvent, State, SubscriptionSnapshot,
};

use super::{
    names::Id,
    process::Process,
    sheet::{Labels, OTHER, Sheet, Value},
};
use crate::{
    board::JudgedGroup,
    health::is_alive,
    lag::Judged,
    traces::DropReason,
    view::{View, silence},
};

/// A process that runs subscriptions.
pub(super) fn of_view<'a>(view: &'a View, sheet: &mut Sheet<'a>) {
    let mut verdicts: BTreeMap<&str, Verdict> = BTreeMap::new();
    // The subscriptions of a group share its processes.
    let mut processes: BTreeMap<&str, u32> = BTreeMap::new();
    for (index, (subscription, judged)) in view.subscriptions().enumerate() {
        of_partitions(subscription, judged, sheet);
        of_topics(subscription, sheet);
        of_group(subscription, is_alive(view, index), sheet);
        if subscription.state != State::Ended {
            let verdict = verdicts.entry(&subscription.group).or_insert(Verdict::Ok);
            *verdict = view.verdict(subscription, judged).max(*verdict);
            if let Some(it) = &subscription.wanted_processes {
                let most = processes.entry(&subscription.group).or_default();
                *most = it.wanted.max(*most);
            }
        }
    }
    for (group, worst) in verdicts {
        of_status(group, worst, sheet);
    }
    for (group, wanted) in processes {
        of_processes(group, wanted.into(), sheet);
    }
    for (group, letters) in &view.letters {
        of_letters(group, letters, sheet);
    }
    of_published(&view.published, sheet);
    if let Some(dropped) = &view.spans_dropped {
        for reason in DropReason::ALL {
            let labels = Labels {
                own: [reason.name(), ""],
                ..Labels::default()
            };
            sheet.add(Id::SpansDropped, labels, count(dropped.of(reason)));
        }
    }
    of_brokers(view.hears(), sheet);
}

fn count(value: u64) -> Value<'static> {
    Value::Whole(i64::try_from(value).unwrap_or(i64::MAX))
}

fn size(value: usize) -> Value<'static> {
    count(value as u64)
}

fn seconds(span: Duration) -> Value<'static> {
    Value::Float(span.as_secs_f64())
}

/// One partition of a group.
fn place<'a>(topic: &'a TopicName, partition: i32, group: &'a str) -> Labels<'a> {
    Labels {
        stream: topic.as_str(),
        partition: Some(partition),
        group,
        ..Labels::default()
    }
}

fn of_partitions<'a>(it: &'a SubscriptionSnapshot, judged: &'a [Judged], sheet: &mut Sheet<'a>) {
    let group = it.group.as_str();
    for (source, counts) in &it.counts {
        let labels = place(&source.topic, source.partition, group);
        for end in AttemptEnd::ALL {
            // A series for each way to end would be eight for each partition; most stay at zero.
            if counts.of(end) > 0 || end == AttemptEnd::Done {
                let own = [end.name(), ""];
                sheet.add(
                    Id::Consumed,
                    Labels { own, ..labels },
                    count(counts.of(end)),
                );
            }
        }
        sheet.add(Id::Retries, labels, count(counts.retries));
        sheet.add(Id::Finished, labels, count(counts.finished));
    }
    for (own, judged) in it.partitions.iter().zip(judged) {
        let labels = place(&own.source.topic, own.source.partition, group);
        if let Some(position) = own.position {
            sheet.add(Id::ConsumedOffset, labels, Value::Whole(position.0 - 1));
        }
        if let Some(age) = judged.age {
            sheet.add(Id::LagSeconds, labels, seconds(age));
        }
        if let Some(lag) = &judged.lag {
            of_lag(lag, labels, sheet);
        }
    }
}

/// Groups as Kafka knows them; `None` where it did not answer.
pub(super) fn of_groups<'a>(groups: Option<&'a [JudgedGroup]>, sheet: &mut Sheet<'a>) {
    of_brokers(groups.is_some(), sheet);
    let now = now();
    for it in groups.unwrap_or_default() {
        let group = it.lag.group.as_str();
        of_status(group, it.verdict(), sheet);
        if let Some(letters) = &it.letters {
            of_letters(group, letters, sheet);
        }
        let unread: Option<Vec<_>> = it
            .lag
            .partitions
            .iter()
            .map(PartitionLag::records)
            .collect();
        if let Some(unread) = unread {
            of_processes(
                group,
                unread.iter().any(|records| *records > 0).into(),
                sheet,
            );
        }
        for lag in &it.lag.partitions {
            let labels = place(&lag.topic, lag.partition, group);
            of_lag(lag, labels, sheet);
            let age = match lag.oldest {
                Some(oldest) => u64::try_from(now - oldest).ok(),
                None => lag.records().filter(|records| *records == 0),
            };
            if let Some(millis) = age {
                let age = Duration::from_millis(millis);
                sheet.add(Id::LagSeconds, labels, seconds(age));
            }
        }
    }
}

fn of_processes<'a>(group: &'a str, wanted: u64, sheet: &mut Sheet<'a>) {
    let labels = Labels {
        group,
        own: ["processes", ""],
        ..Labels::default()
    };
    sheet.add(Id::ScalingWanted, labels, count(wanted));
}

/// In milliseconds since the Unix epoch.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

fn of_letters<'a>(group: &'a str, letters: &Unsettled, sheet: &mut Sheet<'a>) {
    let labels = Labels {
        group,
        ..Labels::default()
    };
    sheet.add(Id::Unsettled, labels, count(letters.letters));
    let age = letters.oldest.map(|oldest| u64::try_from(now() - oldest));
    let age = Duration::from_millis(age.map_or(0, Result::unwrap_or_default));
    if letters.oldest.is_some() || letters.letters == 0 {
        sheet.add(Id::UnsettledAge, labels, seconds(age));
    }
    if let Some(retention) = letters.retention {
        sheet.add(Id::LetterRetention, labels, seconds(retention));
    }
}

/// What Kafka says of a partition.
fn of_lag<'a>(lag: &PartitionLag, labels: Labels<'a>, sheet: &mut Sheet<'a>) {
    if let Some(records) = lag.records() {
        sheet.add(Id::LagRecords, labels, count(records));
    }
    if let Some(committed) = lag.committed {
        sheet.add(Id::Committed, labels, Value::Whole(committed.0));
    }
    if let Some(bounds) = lag.bounds {
        let labels = Labels {
            group: "",
            ..labels
        };
        sheet.add(Id::StreamEnd, labels, Value::Whole(bounds.end.0));
        sheet.add(Id::StreamStart, labels, Value::Whole(bounds.first.0));
    }
}

fn of_status<'a>(group: &'a str, worst: Verdict, sheet: &mut Sheet<'a>) {
    for verdict in Verdict::ALL {
        let labels = Labels {
            group,
            own: [verdict.name(), ""],
            ..Labels::default()
        };
        sheet.add(Id::Status, labels, size(usize::from(verdict == worst)));
    }
}

fn of_topics<'a>(it: &'a SubscriptionSnapshot, sheet: &mut Sheet<'a>) {
    for (topic, meter) in &it.topics {
        let labels = Labels {
            stream: topic.as_str(),
            group: &it.group,
            ..Labels::default()
        };
        for (id, histogram) in [
            (Id::Elapsed, &meter.elapsed),
            (Id::Lead, &meter.lead),
            (Id::BatchSize, &meter.batches),
        ] {
            sheet.add(id, labels, Value::Observed(Cow::Borrowed(histogram)));
        }
    }
    for (topic, schema, refused) in &it.refused {
        let labels = Labels {
            stream: topic.as_str(),
            own: [schema, "consume"],
            ..Labels::default()
        };
        sheet.add(Id::Refused, labels, count(*refused));
    }
}

fn of_group<'a>(it: &'a SubscriptionSnapshot, is_alive: bool, sheet: &mut Sheet<'a>) {
    let labels = Labels {
        group: &it.group,
        ..Labels::default()
    };
    let with = |own: &'a str| Labels {
        own: [own, ""],
        ..labels
    };
    let runs = it.state != State::Ended;
    let gauges = [
        (Id::Assigned, size(it.partitions.len())),
        (Id::Instances, count(it.instances.into())),
        (Id::Concurrency, count(it.concurrency.into())),
        (Id::Inflight, size(it.running)),
        (Id::Stuck, size(it.stuck)),
        (Id::Custody, size(it.custody)),
        (Id::Uncommitted, size(it.uncommitted)),
        (Id::Held, size(it.held_total)),
        (Id::Pauses, count(it.pauses)),
        (Id::Commits, count(it.commits)),
        (Id::Busy, seconds(it.busy)),
    ];
    for (id, value) in gauges {
        sheet.add(id, labels, value);
    }
    for (event, partitions) in [
        (RebalanceEvent::Assigned, it.rebalanced.assigned),
        (RebalanceEvent::Revoked, it.rebalanced.revoked),
        (RebalanceEvent::Lost, it.rebalanced.lost),
    ] {
        sheet.add(Id::Rebalanced, with(event.name()), count(partitions));
    }
    let handlers = it.scaled.as_ref();
    let instances = it.scaled_instances.as_ref();
    for (knob, changes) in [
        ("handlers", handlers.map(|it| (it.raised, it.lowered))),
        ("instances", instances.map(|it| (it.raised, it.lowered))),
    ] {
        let Some((raised, lowered)) = changes else {
            continue;
        };
        for (direction, changes) in [("up", raised), ("down", lowered)] {
            let own = Labels {
                own: [knob, direction],
                ..labels
            };
            sheet.add(Id::ScalingDecisions, own, count(changes));
        }
    }
    if let Some(partitions) = &it.scaled_partitions {
        // They cannot be taken away.
        let own = Labels {
            own: ["partitions", "up"],
            ..labels
        };
        sheet.add(Id::ScalingDecisions, own, count(partitions.decisions));
    }
    if let Some(wanted) = instances.and_then(|it| it.wanted).filter(|_| runs) {
        sheet.add(Id::ScalingWanted, with("instances"), count(wanted.into()));
    }
    for (reason, letters) in &it.dead_letters {
        sheet.add(Id::DeadLetters, with(reason.as_str()), count(*letters));
    }
    for (state, waiting) in [("ready", it.ready), ("backoff", it.backing_off)] {
        sheet.add(Id::Waiting, with(state), size(waiting.records));
        sheet.add(Id::WaitingBytes, with(state), size(waiting.bytes));
    }
    let by_flow = it.partitions.iter().filter(|own| own.paused).count();
    sheet.add(Id::Paused, with("flow"), size(by_flow));
    for by in PausedBy::ALL {
        let paused = it.pause.as_ref().is_some_and(|pause| pause.by == by);
        let partitions = if paused { it.partitions.len() } else { 0 };
        sheet.add(Id::Paused, with(by.name()), size(partitions));
    }
    if !runs {
        return;
    }
    let oldest = it
        .oldest_running
        .first()
        .map_or(Duration::ZERO, |it| it.age);
    sheet.add(Id::OldestInflight, labels, seconds(oldest));
    let oldest = it.oldest_in_custody.as_ref();
    let oldest = oldest.map_or(Duration::ZERO, |it| it.age);
    sheet.add(Id::OldestCustody, labels, seconds(oldest));
    sheet.add(Id::Heartbeat, labels, seconds(silence(it)));
    sheet.add(Id::Health, labels, size(usize::from(is_alive)));
}

fn of_published<'a>(published: &'a Published, sheet: &mut Sheet<'a>) {
    for it in &published.topics {
        let labels = Labels {
            stream: it.topic.as_str(),
            ..Labels::default()
        };
        let with = |first, second| Labels {
            own: [first, second],
            ..labels
        };
        of_calls(&it.called, labels, sheet);
        if it.failed > 0 {
            let failed = Labels {
                partition: Some(-1),
                ..with("failed", "")
            };
            sheet.add(Id::Delivered, failed, count(it.failed));
        }
        for own in &it.partitions {
            let partition = Some(own.partition);
            let delivered = Labels {
                partition,
                ..with("none", "")
            };
            sheet.add(Id::Delivered, delivered, count(own.delivered));
            if let Some(offset) = own.offset {
                let labels = Labels {
                    partition,
                    ..labels
                };
                sheet.add(Id::ProducedOffset, labels, Value::Whole(offset.0));
            }
        }
        for (id, histogram) in [
            (Id::CalledTime, &it.called_time),
            (Id::DeliveredTime, &it.delivery_time),
        ] {
            sheet.add(id, labels, Value::Observed(Cow::Borrowed(histogram)));
        }
        for (schema, refused) in &it.refused {
            sheet.add(Id::Refused, with(schema, "publish"), count(*refused));
        }
    }
    of_others(&published.others, sheet);
    for action in &published.actions {
        let with = |error| Labels {
            own: [action.kind.name(), error],
            ..Labels::default()
        };
        if action.ok + action.failed == 0 {
            continue;
        }
        sheet.add(Id::Action, with("none"), count(action.ok));
        sheet.add(Id::Action, with("failed"), count(action.failed));
        let time = Value::Observed(Cow::Borrowed(&action.time));
        sheet.add(Id::ActionTime, with(""), time);
    }
    let none = Labels::default();
    sheet.add(Id::QueueMessages, none, count(published.queue_records));
    sheet.add(Id::QueueBytes, none, count(published.queue_bytes));
}

/// What was published to topics beyond those that the client counts one by one.
fn of_others(others: &PublishedElsewhere, sheet: &mut Sheet<'_>) {
    if *others == PublishedElsewhere::default() {
        return;
    }
    let labels = Labels {
        stream: OTHER,
        ..Labels::default()
    };
    of_calls(&others.called, labels, sheet);
    for (error, records) in [("none", others.delivered), ("failed", others.failed)] {
        let own = [error, ""];
        sheet.add(Id::Delivered, Labels { own, ..labels }, count(records));
    }
}

fn of_calls<'a>(called: &[u64], labels: Labels<'a>, sheet: &mut Sheet<'a>) {
    for (end, calls) in PublishEnd::ALL.iter().zip(called) {
        if *calls > 0 || *end == PublishEnd::Accepted {
            let own = [end.name(), ""];
            sheet.add(Id::Called, Labels { own, ..labels }, count(*calls));
        }
    }
}

fn of_brokers(answers: bool, sheet: &mut Sheet<'_>) {
    sheet.add(Id::Brokers, Labels::default(), size(usize::from(answers)));
}

/// The process itself.
pub(super) fn of_process(process: &Process, sheet: &mut Sheet<'_>) {
    let none = Labels::default();
    let version = Labels {
        own: [env!("CARGO_PKG_VERSION"), ""],
        ..none
    };
    sheet.add(Id::Build, version, Value::Whole(1));
    sheet.add(Id::Start, none, Value::Float(process.start()));
    for (id, value) in [
        (Id::Cpu, process.cpu().map(Value::Float)),
        (Id::Memory, process.memory().map(count)),
        (Id::Files, process.files().map(size)),
    ] {
        if let Some(value) = value {
            sheet.add(id, none, value);
        }
    }
}
