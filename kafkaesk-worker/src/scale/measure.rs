//! Measure: how many instances of a subscription should run: what `instances` decides from the load that this measures.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use kafkaesk_client::Connection;
use kafkaesk_core::{Source, span::rough_span};
use tokio::time::{Instant, timeout};

use super::{
    demand::Gives,
    history::History,
    instances::{Bounds, Decision, Hold, Instances, Reason, Sample},
    sampling::{self, MOVED, PLENTY, learned},
};
use crate::{
    registry::Entry,
    snapshot::{ScaleDecision, ScaledInstances, State, SubscriptionSnapshot},
};

/// How long Kafka may take to say how far behind the group is.
pub(super) const ANSWERED: Duration = Duration::from_secs(5);

/// What is scaled, and within what.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The group, as sent to Kafka.
    pub(crate) group: String,
    /// `max-concurrency`.
    pub(crate) most: u32,
    /// `catch-up`.
    pub(crate) catch_up: Duration,
    /// Its members have a `group.instance.id`.
    pub(crate) is_static: bool,
    /// Decisions are carried out.
    pub(crate) acts: bool,
}

/// An instance, what it shows, and how long its task held a thread.
pub(crate) type Looked = (Arc<Entry>, Arc<SubscriptionSnapshot>, Duration);

/// Follows the load of one subscription.
#[derive(Debug)]
pub(crate) struct Measure {
    subject: Subject,
    instances: Instances,
    last: Option<Look>,
    /// The lags at the last look, if they were asked for.
    lags: Option<Lags>,
    /// The load is so small that one instance is plenty.
    plenty: bool,
    /// Records a second that one instance finishes at most, as measured so far.
    each: Option<f64>,
    /// Instances that ran at the last look.
    running: u32,
    partitions: u32,
    history: History,
}

/// How many records of each partition are not finished.
type Lags = HashMap<Source, u64>;

/// What was seen at one time.
#[derive(Debug)]
struct Look {
    at: Instant,
    /// By instance.
    figures: Vec<(Arc<Entry>, Figures)>,
}

/// Totals of an instance.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    finished: u64,
    /// Its task held a thread.
    worked: Duration,
    /// Its handlers ran.
    busy: Duration,
    /// Partitions that came and went.
    moved: u64,
}

impl Figures {
    fn of(shown: &SubscriptionSnapshot, worked: Duration) -> Self {
        let rebalanced = shown.rebalanced;
        Self {
            finished: shown.counts.iter().map(|(_, counts)| counts.finished).sum(),
            worked,
            busy: shown.busy,
            moved: rebalanced.assigned + rebalanced.revoked + rebalanced.lost,
        }
    }
}

impl Measure {
    pub(crate) fn new(subject: Subject) -> Self {
        let bounds = Bounds {
            most: subject.most,
            catch_up: subject.catch_up,
            is_static: subject.is_static,
        };
        Self {
            instances: Instances::new(bounds, 0.75 + fastrand::f64() / 2.0),
            subject,
            last: None,
            lags: None,
            plenty: false,
            each: None,
            running: 1,
            partitions: 0,
            history: History::default(),
        }
    }

    /// Whether decisions are carried out.
    pub(crate) fn acts(&self) -> bool {
        self.subject.acts
    }

    /// Looks at all instances, and decides. Asks Kafka how far behind they are, if that matters.
    pub(crate) async fn look(
        &mut self,
        connection: &Connection,
        looked: &[Looked],
        now: Instant,
    ) -> Option<ScaleDecision> {
        let figures: Vec<_> = looked
            .iter()
            .map(|(entry, shown, worked)| (entry.clone(), Figures::of(shown, *worked)))
            .collect();
        let last = self.last.replace(Look { at: now, figures })?;
        let figures = &self.last.as_ref()?.figures;
        let mut sample = sample(&last, figures, looked, now);
        (self.partitions, self.running) = (sample.partitions, sample.instances);
        self.learn(&sample);
        self.plenty = sample.instances == 1 && sample.busy < PLENTY && !sample.disturbed;
        let before = self.lags.take();
        // One instance that can have no other is measured for `gives` alone.
        if self.subject.most > 1 && !self.plenty && !sample.disturbed {
            self.lags = lags(connection, &self.subject.group, looked).await;
        }
        if let Some(lags) = &self.lags {
            sample.lag = Some(lags.values().sum());
            sample.came = before.and_then(|before| came(sample.finished, &before, lags));
        }
        let decision = self.instances.sample(sample)?;
        self.keep(decision)
    }

    /// What an instance gives, from spans in which it did enough to tell.
    fn learn(&mut self, sample: &Sample) {
        if !sample.disturbed {
            let seconds = sample.elapsed.as_secs_f64() * f64::from(sample.instances);
            self.each = learned(self.each, sample.finished, sample.busy, seconds);
        }
    }

    /// What a process of the group gives, with as many instances as the load may bring.
    pub(crate) fn gives(&self) -> Option<Gives> {
        let may_grow = self.subject.acts && !matches!(self.instances.hold(), Hold::Barred(_));
        Some(Gives {
            each: self.each?,
            instances: match may_grow {
                true => self.subject.most,
                false => self.running.max(1),
            },
        })
    }

    /// Keeps a decision. `None` if the last one was the same and nothing came of it, since decisions are not carried out.
    fn keep(&mut self, decision: Decision) -> Option<ScaleDecision> {
        let (from, to) = (decision.from, decision.to);
        let known = self.history.recent.first();
        if !self.subject.acts && known.is_some_and(|it| (it.from, it.to) == (from, to)) {
            return None;
        }
        let decision = ScaleDecision {
            at: SystemTime::now(),
            from,
            to,
            reason: words(&decision, &self.subject),
        };
        self.history.add(decision.clone());
        Some(decision)
    }

    /// What a snapshot says of it.
    pub(crate) fn shown(&self) -> ScaledInstances {
        ScaledInstances {
            acts: self.subject.acts,
            max: self.subject.most,
            wanted: match self.plenty {
                true => Some(1),
                false => self.instances.wish(),
            },
            raised: self.history.raised,
            lowered: self.history.lowered,
            state: self.state(),
            recent: self.history.recent.clone(),
        }
    }

    /// What it does, or why it does nothing.
    fn state(&self) -> String {
        if self.plenty {
            return "one instance is enough: it is idle for most of its time".to_owned();
        }
        match self.instances.hold() {
            Hold::NoFigures => {
                "it holds: a figure is missing (the lag, or how fast messages are finished)".to_owned()
            }
            Hold::Quiet(left) => format!(
                "it holds for {} s: partitions moved, the subscription was paused, or the number changed",
                left.as_secs()
            ),
            Hold::Trial => "it measures what the last step brought".to_owned(),
            Hold::Enough => "the instances can do what comes".to_owned(),
            Hold::Short => "the instances are busy; it waits whether that lasts a minute".to_owned(),
            Hold::Most => format!(
                "more instances are needed than `max-concurrency = {}` allows: raise it, or run more processes",
                self.subject.most
            ),
            Hold::Partitions => format!(
                "more instances are needed, but its {} partitions can feed no more: grow the stream, or look whether one partition has most of the load",
                self.partitions
            ),
            Hold::Barred(left) => format!(
                "more instances are needed, but the last step up brought next to nothing; it is tried again in {} min",
                left.as_secs().div_ceil(60)
            ),
            Hold::Needed => "fewer instances would do, if that lasts 15 minutes".to_owned(),
            Hold::Settled(left) => format!(
                "fewer instances would do, but the number went down and up again lately: it stays for {} min",
                left.as_secs().div_ceil(60)
            ),
            Hold::Static => {
                "fewer instances would do, but static members (`group.instance.id`) do not leave their group".to_owned()
            }
        }
    }
}

/// What happened between two looks. Its lag is not known yet.
fn sample(
    last: &Look,
    figures: &[(Arc<Entry>, Figures)],
    looked: &[Looked],
    now: Instant,
) -> Sample {
    let elapsed = now.saturating_duration_since(last.at);
    let mut sample = Sample {
        elapsed,
        instances: u32::try_from(looked.len()).unwrap_or(u32::MAX),
        partitions: 0,
        finished: 0,
        busy: 0.0,
        came: None,
        lag: None,
        disturbed: last.figures.len() != figures.len(),
    };
    let mut moved = 0;
    for ((entry, now), (_, shown, _)) in figures.iter().zip(looked) {
        let before = last.figures.iter().find(|(it, _)| Arc::ptr_eq(it, entry));
        let Some((_, before)) = before else {
            sample.disturbed = true;
            continue;
        };
        moved += now.moved.saturating_sub(before.moved);
        sample.disturbed |= shown.state != State::Running
            || shown.pause.is_some()
            || shown.throttle.is_some()
            || shown.apart.is_some()
            // It did not answer: its figures are those of an earlier look.
            || shown.silent_for > elapsed / 2;
        sample.finished += now.finished.saturating_sub(before.finished);
        sample.busy += busy(before, now, shown, elapsed) / looked.len() as f64;
        let kept = shown.partitions.iter().filter(|it| !it.revoking).count();
        sample.partitions += u32::try_from(kept).unwrap_or(u32::MAX);
    }
    sample.disturbed |= moved as f64 > f64::from(sample.partitions) * MOVED;
    sample
}

/// How many records came, where so many were finished.
fn came(finished: u64, before: &Lags, now: &Lags) -> Option<u64> {
    let kept = now
        .iter()
        .filter_map(|(source, now)| Some((*before.get(source)? as f64, *now as f64)));
    sampling::came(finished as f64, now.len(), kept)
}

/// The share of its time in which an instance worked: its task, or its handlers where they run beside it. A number of
/// handlers that follows the load counts only where it can rise no more.
fn busy(before: &Figures, now: &Figures, shown: &SubscriptionSnapshot, elapsed: Duration) -> f64 {
    let elapsed = elapsed.as_secs_f64().max(1e-6);
    let worked = now.worked.saturating_sub(before.worked);
    let handlers = now.busy.saturating_sub(before.busy).saturating_sub(worked);
    let at_most = shown
        .scaled
        .as_ref()
        .is_none_or(|scaled| shown.concurrency >= scaled.max);
    let places = f64::from(shown.concurrency.max(1));
    let handlers = match at_most {
        true => handlers.as_secs_f64() / elapsed / places,
        false => 0.0,
    };
    (worked.as_secs_f64() / elapsed).max(handlers).min(1.0)
}

/// How many records of these partitions are not finished; `None` where that is not known of all.
async fn lags(connection: &Connection, group: &str, looked: &[Looked]) -> Option<Lags> {
    let partitions = looked.iter().flat_map(|(_, shown, _)| &shown.partitions);
    // What is finished is known here earlier than to the brokers.
    let finished: HashMap<Source, _> = partitions
        .map(|it| ((*it.source).clone(), it.position))
        .collect();
    let sources: Vec<Source> = finished.keys().cloned().collect();
    let asked = connection.lag_of(group, &sources);
    let lags = timeout(ANSWERED, asked).await.ok()?.ok()?;
    let known = lags.into_iter().zip(sources).map(|(mut lag, source)| {
        lag.committed = lag.committed.max(finished.get(&source).copied().flatten());
        Some((source, lag.records()?))
    });
    known.collect()
}

fn words(decision: &Decision, subject: &Subject) -> String {
    match decision.reason {
        Reason::Busy { busy, need, each } => format!(
            "an instance is busy {:.0}% of the time and finishes {each:.0} records a second at most; {need:.0} a second are needed to keep up and to work off the backlog within {}",
            busy * 100.0,
            rough_span(subject.catch_up),
        ),
        Reason::Idle { busy, highest } => format!(
            "the instances are busy {:.0}% of the time, and no more than {highest} were needed in 15 minutes",
            busy * 100.0
        ),
        Reason::BroughtLittle { brought, promised } => format!(
            "the step up promised {promised:.0} records a second and brought {brought:.0}: it is taken back, and not tried again for about an hour"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partitions::source;

    fn lags(all: &[(i32, u64)]) -> Lags {
        let all = all.iter().map(|(partition, lag)| {
            let source = source(*partition);
            ((*source).clone(), *lag)
        });
        all.collect()
    }

    #[test]
    fn a_backlog_that_moves_with_its_partition_did_not_come_and_did_not_go() {
        let before = lags(&[(0, 100), (1, 100), (2, 5000)]);
        assert_eq!(came(600, &before, &lags(&[(0, 100), (1, 100)])), Some(600));
        let now = lags(&[(0, 110), (1, 110), (2, 5000), (3, 7000)]);
        let even = came(600, &before, &now).unwrap();
        assert!((620..630).contains(&even), "{even}");
        assert_eq!(came(0, &before, &lags(&[])), Some(0));
        assert_eq!(
            came(600, &before, &lags(&[(3, 10)])),
            None,
            "nothing is known"
        );
    }
}
