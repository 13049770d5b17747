//! Growth: carries out what `partitions` decides: checks what stands against it, then proposes more partitions or adds them. Next:
//! `kafkaesk_client::growth`.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use kafkaesk_client::{
    Connection,
    growth::{GrowthError, GrowthPlan, GrowthRequest},
};
use kafkaesk_core::{Keys, PartitionGrowth, Pattern, StreamId, span::rough_span};
use tokio::time::{Instant, timeout};

use super::{
    history::History,
    measure::Subject,
    partitions::{Partitions, Short, StreamNeed},
};
use crate::snapshot::{ScaleDecision, ScaledPartitions, ShortStream};

/// Partitions are added to a stream once within this time at most, and proposed as often.
const APART: Duration = Duration::from_secs(24 * 60 * 60);
/// What stood against it is looked at again after this time.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// How long one growth may take, with all that it asks.
const WITHIN: Duration = Duration::from_secs(60);

/// The numbers of partitions up to which subscriptions let their streams grow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ceilings(Vec<Ceiling>);

#[derive(Clone, Debug)]
struct Ceiling {
    pattern: Pattern,
    group: String,
    partitions: u32,
}

impl Ceilings {
    /// `max-partitions` of a subscription.
    pub(crate) fn add(&mut self, pattern: Pattern, group: &str, partitions: u32) {
        self.0.push(Ceiling {
            pattern,
            group: group.to_owned(),
            partitions,
        });
    }

    /// The smallest of those that read a stream.
    fn of(&self, stream: &StreamId) -> Option<&Ceiling> {
        let reads = self
            .0
            .iter()
            .filter(|it| it.pattern.matches(stream.as_str()));
        reads.min_by_key(|it| it.partitions)
    }
}

/// What was decided on a stream.
#[derive(Debug)]
pub(crate) struct Decided {
    /// Partitions were added; otherwise they are proposed.
    pub(crate) grown: bool,
    pub(crate) decision: ScaleDecision,
}

/// Follows the streams of one subscription.
#[derive(Debug)]
pub(crate) struct Growth {
    ceilings: Ceilings,
    partitions: Partitions,
    /// What was found when a need had lasted long enough; one entry for a stream at most.
    found: BTreeMap<StreamId, Found>,
    history: History,
}

#[derive(Debug)]
struct Found {
    outcome: Outcome,
    again: Instant,
}

impl Found {
    fn is_decision(&self) -> bool {
        !matches!(self.outcome, Outcome::Held(_))
    }
}

/// What became of a need.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing now, and why.
    Held(String),
    /// A person decides.
    Proposed(u32, String),
    /// Partitions were added.
    Grown(u32, String),
}

impl Growth {
    pub(crate) fn new(ceilings: Ceilings) -> Self {
        Self {
            ceilings,
            partitions: Partitions::default(),
            found: BTreeMap::new(),
            history: History::default(),
        }
    }

    /// Another process of the group decides.
    pub(crate) fn forget(&mut self) {
        self.partitions.forget();
        self.found.clear();
    }

    /// Takes a look at all streams, and grows or proposes where a need has lasted. Returns what was decided.
    pub(crate) async fn look(
        &mut self,
        connection: &Connection,
        subject: &Subject,
        elapsed: Duration,
        needs: &[StreamNeed],
    ) -> Vec<Decided> {
        self.partitions.take(elapsed, needs);
        let now = Instant::now();
        let short: BTreeMap<_, _> = self
            .partitions
            .all()
            .map(|(stream, short)| (stream.clone(), short))
            .collect();
        // A decision counts for a day, whether the need goes on or not.
        self.found.retain(|stream, found| {
            short.contains_key(stream) || (found.again > now && found.is_decision())
        });
        let mut decisions = Vec::new();
        for (stream, short) in short {
            let is_early = |found: &Found| found.again > now;
            if !short.is_due() || self.found.get(&stream).is_some_and(is_early) {
                continue;
            }
            let consider = self.consider(connection, subject, &stream, short);
            let outcome = match timeout(WITHIN, consider).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => Outcome::Held(format!("it cannot be grown: {error}")),
                Err(_) => Outcome::Held(format!(
                    "the brokers did not answer within {}",
                    rough_span(WITHIN)
                )),
            };
            let wait = match &outcome {
                Outcome::Held(_) => AGAIN,
                Outcome::Proposed(to, reason) | Outcome::Grown(to, reason) => {
                    let decision = ScaleDecision {
                        at: SystemTime::now(),
                        from: short.partitions,
                        to: *to,
                        reason: format!("{stream}: {reason}"),
                    };
                    self.history.add(decision.clone());
                    let grown = matches!(outcome, Outcome::Grown(..));
                    decisions.push(Decided { grown, decision });
                    APART
                }
            };
            if matches!(outcome, Outcome::Grown(..)) {
                self.partitions.begin_again(&stream);
            }
            let again = now + wait;
            self.found.insert(stream, Found { outcome, again });
        }
        decisions
    }

    /// What becomes of a need that has lasted.
    async fn consider(
        &self,
        connection: &Connection,
        subject: &Subject,
        stream: &StreamId,
        short: Short,
    ) -> Result<Outcome, GrowthError> {
        let held = |why: String| Ok(Outcome::Held(why));
        let most = self.ceilings.of(stream);
        let (most, group) = most.map_or((short.partitions, ""), |it| (it.partitions, &it.group));
        let to = short.partitions.saturating_mul(2).min(most);
        if to <= short.partitions {
            return held(format!(
                "`max-partitions = {most}` of group {group} allows no more; raise it in every program, or make the handler faster"
            ));
        }
        let plan = connection
            .plan_growth(&GrowthRequest::new(stream.clone(), to))
            .await?;
        if plan.partition_growth == PartitionGrowth::Off {
            return held("`partition-growth = \"off\"` of the stream forbids it".to_owned());
        }
        if plan.from != short.partitions {
            return held(format!("it has {} partitions by now", plan.from));
        }
        if let Some(obstacle) = plan.obstacles.first() {
            return held(obstacle.to_string());
        }
        let readers = connection.broker().readers(&plan.topic).await?;
        let members = readers.get(&subject.group).copied().unwrap_or(0);
        if members < short.partitions as usize {
            return held(format!(
                "its {} partitions are read by {members} member(s) of the group: more members help first, by more processes or a higher `max-concurrency`",
                short.partitions
            ));
        }
        let grown = plan.grown_ago(connection).await?;
        if let Some(ago) = grown.filter(|ago| *ago < APART) {
            return held(format!(
                "partitions were added {} ago; a stream grows by itself once in {} at most",
                rough_span(ago),
                rough_span(APART)
            ));
        }
        let why = format!(
            "each of its {} partitions has kept a member of its own busy for {}",
            short.partitions,
            rough_span(short.lasting)
        );
        if !acts(&plan, subject) {
            return Ok(Outcome::Proposed(to, format!("{why}; {}", proposal(&plan))));
        }
        plan.grow_at_once(connection).await?;
        Ok(Outcome::Grown(to, why))
    }

    /// What a snapshot says of it.
    pub(crate) fn shown(&self) -> ScaledPartitions {
        let short = self.partitions.all().map(|(stream, short)| {
            let found = self.found.get(stream).map(|found| &found.outcome);
            let (wanted, state) = match found {
                Some(Outcome::Held(why)) => (None, why.clone()),
                Some(Outcome::Proposed(to, why)) => (Some(*to), why.clone()),
                Some(Outcome::Grown(..)) => (
                    None,
                    format!(
                        "this process has added partitions; a stream grows by itself once in {} at most",
                        rough_span(APART)
                    ),
                ),
                None => (                    None,
                    format!(
                        "each partition keeps a member busy; that must last {}",
                        rough_span(super::partitions::SUSTAINED)
                    ),
                ),
            };
            ShortStream {
                stream: stream.clone(),
                partitions: short.partitions,
                lasting: short.lasting,
                wanted,
                state,
            }
        });
        ScaledPartitions {
            short_total: self.partitions.all().count(),
            short: short.take(ScaledPartitions::LISTED).collect(),
            decisions: self.history.raised,
            recent: self.history.recent.clone(),
        }
    }
}

/// Whether partitions are added without a person's word.
fn acts(plan: &GrowthPlan, subject: &Subject) -> bool {
    let is_auto = plan.partition_growth == PartitionGrowth::Auto;
    is_auto && plan.keys == Keys::None && subject.acts
}

/// What a person can do.
fn proposal(plan: &GrowthPlan) -> String {
    let command = format!(
        "kafkaesk-cli streams grow {} --to {}",
        plan.request.stream, plan.request.to
    );
    match plan.keys {
        Keys::None => format!("`{command}` adds more"),
        _ => format!(
            "`{command} --when-drained` adds more and keeps each key's order while publishing is paused, `--accept-reordering` adds them at once"
        ),
    }
}
