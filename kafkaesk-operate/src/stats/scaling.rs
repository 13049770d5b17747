//! Scaling: reads a view into the document of `/scale`: the numbers that follow the load, and why they are as they are.

use std::time::SystemTime;

use kafkaesk_worker::snapshot::{
    ScaleDecision, ScaledHandlers, ScaledInstances, ScaledPartitions, State, SubscriptionSnapshot,
    WantedProcesses,
};
use serde::Serialize;

use super::document as doc;
use crate::{lag::time, view::View};

/// Subscriptions that are listed, at most.
const LISTED: usize = 200;

/// The answer of `/scale`.
#[derive(Debug, Serialize)]
struct Scale {
    /// When.
    at: String,
    /// Those that run, by group and pattern: 200 at most.
    subscriptions: Vec<Scaled>,
    /// How many there are.
    subscriptions_total: usize,
}

/// The numbers of one subscription.
#[derive(Debug, Serialize)]
struct Scaled {
    group: String,
    pattern: String,
    handlers: Number<doc::Scaled>,
    instances: Number<doc::ScaledInstances>,
    /// Absent where another process of the group says it, or a figure is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<doc::WantedProcesses>,
    /// Absent where no stream has too few of them, and nothing was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<doc::ScaledPartitions>,
}

/// One number.
#[derive(Debug, Serialize)]
struct Number<S> {
    /// What it is now.
    now: u32,
    /// How it follows the load; absent for a fixed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    scaled: Option<S>,
}

/// The document as text. `group`: only this one, with or without its prefix.
pub(crate) fn text(view: &View, group: Option<&str>) -> String {
    let is_wanted = |it: &&SubscriptionSnapshot| {
        it.state != State::Ended && group.is_none_or(|group| it.group == group || it.name == group)
    };
    let all = view.subscriptions().map(|(it, _)| it);
    let mut all: Vec<_> = all.filter(is_wanted).collect();
    all.sort_by_key(|it| (&it.group, &it.pattern));
    let scale = Scale {
        at: time(SystemTime::now()),
        subscriptions_total: all.len(),
        subscriptions: all.into_iter().take(LISTED).map(scaled).collect(),
    };
    serde_json::to_string(&scale).unwrap_or_default() + "\n"
}

fn scaled(it: &SubscriptionSnapshot) -> Scaled {
    Scaled {
        group: it.group.clone(),
        pattern: it.pattern.clone(),
        handlers: Number {
            now: it.concurrency,
            scaled: it.scaled.as_ref().map(handlers),
        },
        instances: Number {
            now: it.instances,
            scaled: it.scaled_instances.as_deref().map(instances),
        },
        processes: it.wanted_processes.as_deref().map(processes),
        partitions: it.scaled_partitions.as_deref().and_then(partitions),
    }
}

pub(super) fn handlers(it: &ScaledHandlers) -> doc::Scaled {
    doc::Scaled {
        min: it.min,
        max: it.max,
        raised: it.raised,
        lowered: it.lowered,
        state: it.state.clone(),
        changes: changes(&it.recent),
    }
}

pub(super) fn instances(it: &ScaledInstances) -> doc::ScaledInstances {
    doc::ScaledInstances {
        acts: it.acts,
        max: it.max,
        wanted: it.wanted,
        raised: it.raised,
        lowered: it.lowered,
        state: it.state.clone(),
        changes: changes(&it.recent),
    }
}

pub(super) fn processes(it: &WantedProcesses) -> doc::WantedProcesses {
    doc::WantedProcesses {
        wanted: it.wanted,
        instances: it.instances,
        partitions: it.partitions,
        state: it.state.clone(),
    }
}

pub(super) fn partitions(it: &ScaledPartitions) -> Option<doc::ScaledPartitions> {
    let short = it.short.iter().map(|it| doc::ShortStream {
        stream: it.stream.to_string(),
        partitions: it.partitions,
        seconds: it.lasting.as_secs_f64(),
        wanted: it.wanted,
        state: it.state.clone(),
    });
    (it.short_total > 0 || it.decisions > 0).then(|| doc::ScaledPartitions {
        short: short.collect(),
        short_total: it.short_total,
        decisions: it.decisions,
        changes: changes(&it.recent),
    })
}

fn changes(decisions: &[ScaleDecision]) -> Vec<doc::Change> {
    let changes = decisions.iter().map(|change| doc::Change {
        at: time(change.at),
        from: change.from,
        to: change.to,
        reason: change.reason.clone(),
    });
    changes.collect()
}
