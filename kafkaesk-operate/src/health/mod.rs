//! Health: whether a restart would help (`/livez`), and whether the process takes part (`/readyz`). Pure: asks nobody.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use kafkaesk_core::span::rough_span;
use kafkaesk_worker::snapshot::State;
use serde::Serialize;

use crate::{lag::time, view::View};

/// The two questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// Would a restart help?
    Live,
    /// Does it take part?
    Ready,
}

/// An answer, as JSON.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answer {
    /// Whether every check is well.
    pub(crate) ok: bool,
    pub(crate) checks: Vec<Shown>,
}

/// One check, as JSON.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    check: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    ok: bool,
    since: String,
    sentence: String,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) check: &'static str,
    /// Group and pattern of a subscription.
    pub(crate) of: Option<(String, String)>,
    /// What is well, or what is wrong.
    pub(crate) result: Result<String, String>,
}

/// Since when each check is as it is.
#[derive(Debug, Default)]
pub(crate) struct History(HashMap<Key, (bool, SystemTime)>);

/// A question, a check, and the group and pattern of a subscription.
type Key = (Question, &'static str, Option<(String, String)>);

impl History {
    /// The answer with the time of each check's last change. Remembers as many checks as there are.
    pub(crate) fn answer(
        &mut self,
        question: Question,
        checks: Vec<Check>,
        now: SystemTime,
    ) -> Answer {
        let ok = checks.iter().all(|check| check.result.is_ok());
        let shown = checks.into_iter().map(|check| {
            let is_ok = check.result.is_ok();
            let key = (question, check.check, check.of.clone());
            let (was, since) = self.0.entry(key).or_insert((is_ok, now));
            if *was != is_ok {
                (*was, *since) = (is_ok, now);
            }
            let (group, pattern) = check.of.unzip();
            Shown {
                check: check.check,
                group,
                pattern,
                ok: is_ok,
                since: time(*since),
                sentence: check.result.unwrap_or_else(|wrong| wrong),
            }
        });
        Answer {
            checks: shown.collect(),
            ok,
        }
    }
}

/// The checks of a question.
pub(crate) fn checks(question: Question, view: &View) -> Vec<Check> {
    match question {
        Question::Live => {
            let all = view.snapshot.subscriptions.iter().enumerate();
            let running = all.filter(|(_, it)| it.state != State::Ended);
            running.flat_map(|(index, _)| live(view, index)).collect()
        }
        Question::Ready => ready(view),
    }
}

/// Whether nothing of a subscription of the view needs a restart.
pub(crate) fn is_alive(view: &View, index: usize) -> bool {
    live(view, index).iter().all(|check| check.result.is_ok())
}

/// Only what a restart would help: a task, a thread or all handlers that stand still, or a partition that does not move
/// although its next record can be read. What Kafka says of a partition, brokers that are away, lag, a pause, a rebalance or
/// the lack of partitions does not count.
fn live(view: &View, index: usize) -> Vec<Check> {
    let Some(it) = view.snapshot.subscriptions.get(index) else {
        return Vec::new();
    };
    let within = view.alive_within;
    let standing = view.standing.get(index).map_or(&[][..], Vec::as_slice);
    let of = Some((it.group.clone(), it.pattern.clone()));
    let check = |check, result| Check {
        check,
        of: of.clone(),
        result,
    };
    let turns = |silent: Duration, what: &str, why: &str| match silent > within {
        false => Ok(format!("the {what} answers")),
        true => Err(format!(
            "the {what} has given no sign of life for {}; {why}",
            rough_span(silent)
        )),
    };
    let slots = it.concurrency as usize;
    // Where a partition has one place for a handler, fewer stuck ones are all of them; the subscription itself knows.
    let all_stuck = (slots > 0 && it.stuck >= slots).then_some(slots);
    let all_stuck = it.apart.as_ref().map(|apart| apart.handlers).or(all_stuck);
    vec![
        check(
            "task",
            turns(
                it.silent_for,
                "subscription's task",
                "a handler that blocks its thread keeps it from running: move that work to spawn_blocking",
            ),
        ),
        check(
            "consumer",
            turns(
                it.thread_silent_for,
                "consumer's thread",
                "the Kafka client does not return",
            ),
        ),
        check(
            "handlers",
            match all_stuck {
                None => Ok(format!("{} of {slots} run", it.running)),
                Some(all) => Err(format!(
                    "all {all} handlers have been running for longer than max.poll.interval.ms, so the partitions go to the group's other members; give the handlers a timeout"
                )),
            },
        ),
        check(
            "partitions",
            match standing {
                [] => Ok("none stands still without a cause".to_owned()),
                [first, ..] => Err(format!(
                    "{} of its partitions do not move although their next record can be read, such as {}[{}], and joining the group again did not help",
                    standing.len(),
                    first.stream,
                    first.partition
                )),
            },
        ),
    ]
}

fn ready(view: &View) -> Vec<Check> {
    let check = |check, of, result| Check { check, of, result };
    let subscriptions = &view.snapshot.subscriptions;
    let mut checks = vec![
        check(
            "shutdown",
            None,
            match view.snapshot.shutdown {
                None => Ok("it has not begun".to_owned()),
                Some(at) => Err(format!("it began at {}", time(at))),
            },
        ),
        check(
            "broker",
            None,
            match view.answered {
                _ if view.hears() => Ok("a broker answers".to_owned()),
                Some(ago) => Err(format!("no broker has answered for {}", rough_span(ago))),
                None if view.connected => Err("no broker has answered yet".to_owned()),
                None => Err("it has not connected yet".to_owned()),
            },
        ),
        check(
            "started",
            None,
            match (subscriptions.len(), view.snapshot.expected) {
                (_, 0) => Err("no subscription has started yet".to_owned()),
                (some, all) if some < all => {
                    Err(format!("{some} of {all} subscriptions have started"))
                }
                (_, all) => Ok(format!("all {all} subscriptions have started")),
            },
        ),
    ];
    checks.extend(subscriptions.iter().map(|it| {
        let of = Some((it.group.clone(), it.pattern.clone()));
        let joined = match it.state {
            State::Running if it.apart.is_some() => {
                Err("it takes no part in its group, since its handlers are stuck".to_owned())
            }
            State::Joining => Err("it has not joined its group yet".to_owned()),
            State::Running => Ok(format!("it has {} partitions", it.partitions.len())),
            other => Err(format!("it is {}", other.name())),
        };
        check("joined", of, joined)
    }));
    checks
}

#[cfg(test)]
mod tests;
