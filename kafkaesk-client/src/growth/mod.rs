//! Growth: adds partitions to a stream. Input: a stream, and the number wanted. Output: what stands against it, what it means
//! for order, and the growth. `plan` and `age` look, `drain` waits and grows. Changes nothing before everything was checked.

mod age;
mod drain;
mod plan;

use std::{collections::BTreeSet, time::Duration};

use kafkaesk_core::{Keys, NextOffset, PartitionGrowth, StreamId, TopicName};
use thiserror::Error;

use crate::ClientError;

/// How long publishers of this client go by the number of partitions that they knew, at most.
pub const PUBLISHERS_FOLLOW: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GrowthRequest {
    /// The stream.
    pub stream: StreamId,
    /// How many partitions it is to have.
    pub to: u32,
    /// Groups, as Kafka knows them, that are neither checked nor waited for.
    pub allowed_groups: BTreeSet<String>,
    /// Whether records that no program under the contract writes stand against it.
    pub allow_foreign_writers: bool,
}

impl GrowthRequest {
    /// Everything is checked.
    pub fn new(stream: StreamId, to: u32) -> Self {
        Self {
            stream,
            to,
            allowed_groups: BTreeSet::new(),
            allow_foreign_writers: false,
        }
    }
}

/// What a growth would do, as far as that can be known.
#[derive(Debug)]
#[non_exhaustive]
pub struct GrowthPlan {
    /// As asked for.
    pub request: GrowthRequest,
    /// The stream's topic.
    pub topic: TopicName,
    /// How many partitions it has.
    pub from: u32,
    /// Whether its events have keys, which more partitions would move.
    pub keys: Keys,
    /// Whether programs may grow it by themselves.
    pub partition_growth: PartitionGrowth,
    /// What stands against it. Empty where it can be grown.
    pub obstacles: Vec<Obstacle>,
    /// The groups that committed something in the topic or read it now, and that are not left out.
    pub groups: Vec<String>,
    /// What is worth knowing and stands against nothing, in words.
    pub notes: Vec<String>,
}

impl GrowthPlan {
    /// Whether the stream has the number of partitions that was asked for.
    pub fn is_done(&self) -> bool {
        self.from == self.request.to
    }
}

/// Why a stream is not grown.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// It has more partitions than asked for.
    #[error(
        "topic {topic} has {has} partitions, and Kafka takes none away; ask for more than {has}"
    )]
    Smaller {
        /// The topic.
        topic: TopicName,
        /// How many there are.
        has: u32,
    },
    /// The topic is compacted.
    #[error(
        "topic {topic} is compacted (cleanup.policy={policy}): after a growth the old value of a key that moves would stay in its former partition for ever; copy the events to a new stream with more partitions instead"
    )]
    Compacted {
        /// The topic.
        topic: TopicName,
        /// As it is set.
        policy: String,
    },
    /// Whether the topic is compacted may not be seen.
    #[error(
        "whether topic {topic} is compacted cannot be seen; grant DescribeConfigs on it with an ACL"
    )]
    SettingsHidden {
        /// The topic.
        topic: TopicName,
    },
    /// The topic holds what no program under the contract writes to it.
    #[error(
        "{topic}[{partition}]@{offset} {what}: another program writes to this topic, and it may go by the old number of partitions for long; stop it, or leave such records out of account with --allow-foreign-writers"
    )]
    ForeignRecord {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// What it is.
        what: String,
    },
    /// A group whose members are not of this kind.
    #[error(
        "group {group} has offsets on {topic} without the mark of kafkaesk's workers (it may be a group of the Python library or of another program): it may see new partitions only after minutes, and with auto.offset.reset=latest it passes over what was written there before; restart its members after the growth, and leave it out of account with --allow-group {group}"
    )]
    ForeignGroup {
        /// The topic.
        topic: TopicName,
        /// The group.
        group: String,
    },
    /// The brokers would refuse it.
    #[error(transparent)]
    Refused(ClientError),
}

/// What a group has not finished in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The group.
    pub group: String,
    /// The partition.
    pub partition: i32,
    /// How many offsets lie between its commit and the end.
    pub records: u64,
}

/// One look at a stream that is to grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainLook {
    /// Where each partition ends, records of open transactions included.
    pub ends: Vec<NextOffset>,
    /// The partitions with an open transaction.
    pub open: Vec<i32>,
    /// What groups have not finished.
    pub unfinished: Vec<Unfinished>,
    /// How long the ends have stood still.
    pub quiet: Duration,
}

/// How long a growth waits for a stream to be drained.
#[derive(Clone, Copy, Debug)]
pub struct DrainWait {
    /// How long the ends must stand still before publishing counts as paused.
    pub quiet: Duration,
    /// The bound on the whole wait.
    pub within: Duration,
}

/// What a growth did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Grown {
    /// How many partitions there were.
    pub from: u32,
    /// How many there are.
    pub to: u32,
    /// The partitions to which records were written between the last look before the growth and
    /// [`PUBLISHERS_FOLLOW`] after it, with their number. Empty of a growth that did not wait for a drain.
    pub moved: Vec<(i32, u64)>,
    /// What groups had not finished when it grew.
    pub unfinished: Vec<Unfinished>,
}

/// Why a growth did not happen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GrowthError {
    /// There is neither a binding nor a topic of that name.
    #[error("there is no stream {stream} (topic {topic})")]
    Unknown {
        /// The stream.
        stream: StreamId,
        /// Its topic.
        topic: TopicName,
    },
    /// The topic is there, and no binding names it.
    #[error(
        "topic {topic} is not bound to a schema, so it is not known to be a stream of kafkaesk, and only those are grown; bind it by [[streams]] with its schema and `kafkaesk-cli schema push`, or grow it with Kafka's own tools"
    )]
    NotBound {
        /// The topic.
        topic: TopicName,
    },
    /// The stream is bound and has no topic.
    #[error(
        "stream {stream} is bound, but topic {topic} was deleted; declare it with the partitions that it needs and run `kafkaesk-cli schema push`"
    )]
    NoTopic {
        /// The stream.
        stream: StreamId,
        /// Its topic.
        topic: TopicName,
    },
    /// The stream cannot be grown.
    #[error("{}", joined(.0))]
    Refused(Vec<Obstacle>),
    /// It was not drained in time.
    #[error("the stream was not drained within {waited:?}: {missing}")]
    NotDrained {
        /// How long was waited.
        waited: Duration,
        /// What is missing, in words.
        missing: String,
    },
    /// Asking the brokers failed.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl DrainLook {
    /// What is missing before the stream counts as drained, in words; `None` if nothing is.
    pub fn missing(&self, quiet: Duration) -> Option<String> {
        let mut missing: Vec<String> = Vec::new();
        if let Some(first) = self.open.first() {
            let more = self.open.len() - 1;
            missing.push(format!(
                "a transaction is open in partition {first}{}",
                and_more(more)
            ));
        }
        missing.extend(in_groups(&self.unfinished));
        if missing.is_empty() && self.quiet < quiet {
            missing.push(format!(
                "publishing has paused for {:.0?} of {quiet:.0?}",
                self.quiet
            ));
        }
        (!missing.is_empty()).then(|| missing.join("; "))
    }
}

/// What each group has not finished, in words.
pub fn in_groups(unfinished: &[Unfinished]) -> Vec<String> {
    unfinished
        .chunk_by(|a, b| a.group == b.group)
        .map(|of| {
            let records: u64 = of.iter().map(|it| it.records).sum();
            let most = of.iter().max_by_key(|it| it.records);
            let most = most.map_or(0, |it| it.partition);
            let group = &of[0].group;
            match of.len() {
                1 => format!("group {group} has {records} unfinished records in partition {most}"),
                several => format!(
                    "group {group} has {records} unfinished records in {several} partitions, most of them in partition {most}"
                ),
            }
        })
        .collect()
}

fn joined(obstacles: &[Obstacle]) -> String {
    let lines: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn and_more(more: usize) -> String {
    match more {
        0 => String::new(),
        1 => " and in 1 more".to_owned(),
        more => format!(" and in {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfinished(group: &str, partition: i32, records: u64) -> Unfinished {
        Unfinished {
            group: group.to_owned(),
            partition,
            records,
        }
    }

    #[test]
    fn what_is_missing_is_named_by_group_and_nothing_is_missing_of_a_drained_stream() {
        let quiet = Duration::from_secs(10);
        let mut look = DrainLook {
            open: vec![3, 4],
            unfinished: vec![
                unfinished("a", 0, 1),
                unfinished("a", 2, 5),
                unfinished("b", 1, 7),
            ],
            ..DrainLook::default()
        };
        assert_eq!(
            look.missing(quiet).unwrap(),
            "a transaction is open in partition 3 and in 1 more; group a has 6 unfinished records in 2 partitions, most of them in partition 2; group b has 7 unfinished records in partition 1"
        );
        look.open.clear();
        look.unfinished.clear();
        assert_eq!(
            look.missing(quiet).unwrap(),
            "publishing has paused for 0ns of 10s"
        );
        look.quiet = quiet;
        assert_eq!(look.missing(quiet), None);
    }
}
