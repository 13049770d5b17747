//! Demand: what all partitions of a subscription need, as Kafka says it, for `processes` and `partitions`. One process of a
//! group says it: the one that holds the first partition.

use std::{collections::HashMap, time::Duration};

use kafkaesk_client::{Connection, lag::PartitionLag};
use kafkaesk_core::{NextOffset, Pattern, TopicName};
use tokio::time::{Instant, timeout};

use super::{
    measure::{ANSWERED, Looked, Subject},
    partitions::StreamNeed,
    processes::{Need, Processes, wish},
};
use crate::snapshot::WantedProcesses;

/// What a member gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gives {
    /// Records a second that one instance finishes at most.
    pub(crate) each: f64,
    /// Instances of a process, where the load asks for them.
    pub(crate) instances: u32,
}

/// What is known of a whole group.
#[derive(Debug)]
pub(crate) enum Whole {
    /// Another process of the group says it.
    Elsewhere,
    /// A figure is missing.
    Unknown,
    /// All figures are there.
    Known {
        /// The time since the last look.
        elapsed: Duration,
        /// `None` until two looks in a row are known.
        processes: Option<WantedProcesses>,
        /// By name.
        streams: Vec<StreamNeed>,
    },
}

/// The end of each partition.
type Ends = HashMap<(TopicName, i32), NextOffset>;

/// Follows what a subscription needs in the whole group.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    /// What was seen at the last look.
    last: Option<(Instant, Ends)>,
    processes: Processes,
}

impl Demand {
    /// Looks at all partitions of the pattern.
    pub(crate) async fn look(
        &mut self,
        connection: &Connection,
        subject: &Subject,
        pattern: &Pattern,
        looked: &[Looked],
        gives: Option<Gives>,
    ) -> Whole {
        let last = self.last.take();
        let held = || {
            let partitions = looked.iter().flat_map(|(_, shown, _)| &shown.partitions);
            partitions.filter(|it| it.source.partition == 0 && !it.revoking)
        };
        // Without a first partition of anything, another process says it: Kafka need not be asked.
        if held().next().is_none() {
            return Whole::Elsewhere;
        }
        let asked = connection.lag_of_pattern(&subject.group, pattern);
        let Ok(Ok(lags)) = timeout(ANSWERED, asked).await else {
            return Whole::Unknown;
        };
        let is_first = lags
            .first()
            .is_some_and(|first| held().any(|it| it.source.topic == first.topic));
        if !is_first {
            return Whole::Elsewhere;
        }
        let Some(last) = last else {
            // What was known before the gap says nothing any more.
            self.processes.forget();
            self.last = ends(&lags).map(|ends| (Instant::now(), ends));
            return Whole::Unknown;
        };
        let known = self.needs(&lags, &last, gives, subject);
        known.unwrap_or(Whole::Unknown)
    }

    /// `None` where a figure is missing.
    fn needs(
        &mut self,
        lags: &[PartitionLag],
        last: &(Instant, Ends),
        gives: Option<Gives>,
        subject: &Subject,
    ) -> Option<Whole> {
        let now = Instant::now();
        let (before, known) = last;
        self.last = Some((now, ends(lags)?));
        let elapsed = now.saturating_duration_since(*before);
        let seconds = elapsed.as_secs_f64().max(1e-6);
        let gives = gives?;
        let needs = lags
            .iter()
            .map(|lag| {
                let place = (lag.topic.clone(), lag.partition);
                let end = lag.bounds?.end.0;
                // A partition that is new has all of its records from now on.
                let came = end - known.get(&place).map_or(end, |end| end.0);
                Some(Need {
                    arrivals: came as f64 / seconds,
                    lag: lag.records()?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        let wish = wish(&needs, gives.each, gives.instances, subject.catch_up);
        let wanted = self.processes.take(elapsed, wish.processes);
        let hot = wish
            .hot
            .and_then(|(at, members)| Some((lags.get(at)?, members)));
        Some(Whole::Known {
            elapsed,
            processes: wanted.map(|wanted| WantedProcesses {
                wanted,
                instances: gives.instances,
                partitions: lags.len(),
                state: state(wanted, gives, lags.len(), hot, wish.bounded),
            }),
            streams: streams(lags, &needs, gives.each, subject.catch_up),
        })
    }
}

/// Where each partition ends; `None` where one of them is not known.
fn ends(lags: &[PartitionLag]) -> Option<Ends> {
    let ends = lags.iter();
    ends.map(|lag| Some(((lag.topic.clone(), lag.partition), lag.bounds?.end)))
        .collect()
}

/// What each stream needs; the partitions of one stand together.
fn streams(
    lags: &[PartitionLag],
    needs: &[Need],
    each: f64,
    catch_up: Duration,
) -> Vec<StreamNeed> {
    let both: Vec<_> = lags.iter().zip(needs).collect();
    both.chunk_by(|(a, _), (b, _)| a.stream == b.stream)
        .map(|of| StreamNeed {
            stream: of[0].0.stream.clone(),
            partitions: u32::try_from(of.len()).unwrap_or(u32::MAX),
            members: of
                .iter()
                .map(|(_, need)| (need.rate(catch_up) / each.max(1e-9)).min(1.0))
                .sum(),
        })
        .collect()
}

fn state(
    wanted: u32,
    gives: Gives,
    partitions: usize,
    hot: Option<(&PartitionLag, f64)>,
    bounded: bool,
) -> String {
    match hot {
        Some(_) if bounded => format!(
            "each of the {partitions} partitions needs a whole member or more: more processes would have none; raise the handlers, or grow the stream"
        ),
        Some((lag, members)) => format!(
            "{}[{}] alone needs {members:.1} members: more processes do not help it; raise the handlers (`concurrency`), or spread its keys",
            lag.stream, lag.partition
        ),
        None => format!(
            "{wanted} of {} instance(s) can do what comes, with the backlog",
            gives.instances
        ),
    }
}
