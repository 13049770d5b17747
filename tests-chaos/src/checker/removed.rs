//! Removed: what left its log before anybody handled it was passed over with a warning that names its partition, and a topic
//! that was created again was read with one that names it. Compaction takes what nobody needs, without a warning.

use super::History;
use crate::{ledger::FaultKind, line::Micros};

pub(super) fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let during = |kind| {
        history
            .ledger
            .faults
            .iter()
            .filter(move |it| it.what == kind)
    };
    for ((topic, partition), log) in &history.logs {
        for fault in during(FaultKind::Retention) {
            let place = format!("{topic}[{partition}]: ");
            let missed = log
                .messages
                .iter()
                .any(|it| it.removed.is_some() && it.done.is_none());
            // The partition has something to read after it, so that somebody notices.
            let read_on = log
                .messages
                .iter()
                .any(|it| it.removed.is_none() && it.done.is_some_and(|(done, _)| done > fault.at));
            if missed && read_on && !warned(history, &place, fault.at) {
                broken.push(format!(
                    "{place}records were deleted before they were handled, and no worker warned of it"
                ));
            }
        }
    }
    let topics = history
        .logs
        .keys()
        .filter_map(|(topic, _)| topic.strip_suffix("#2"));
    for topic in topics.collect::<std::collections::BTreeSet<_>>() {
        for fault in during(FaultKind::StreamAway) {
            if !warned(history, &format!("topic {topic} "), fault.at) {
                broken.push(format!(
                    "topic {topic} was deleted and created again, and no worker warned of it"
                ));
            }
        }
    }
    broken
}

fn warned(history: &History<'_>, of: &str, since: Micros) -> bool {
    let mut warnings = history.ledger.warnings.iter();
    warnings.any(|it| it.at >= since && it.text.contains(of))
}
