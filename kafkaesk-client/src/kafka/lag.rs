//! What a lag is made of: groups, what they committed, and where partitions begin and end. Joins no group. All of it blocks:
//! never on tokio.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use kafkaesk_core::{NextOffset, TopicName};
use rdkafka::{
    Offset as KafkaOffset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    coordinator::{ASK_AGAIN, while_coordinator_moves},
    errors::{Operation, client_error, code_of, leader_moves},
    metadata::Lookup,
    native::{self, Isolation},
};
use crate::{
    ClientError,
    broker::{Bounds, GroupOffsets, Groups},
};

/// Partitions of one question: librdkafka compares each with every other of its question.
const TOGETHER: usize = 500;
/// How long a leader that has just changed is asked again.
const SETTLE: Duration = Duration::from_secs(2);

/// The groups that may be described, and whether they have members, where the brokers say so. None on the dev broker.
pub(super) fn groups(lookup: &Lookup) -> Result<Groups, ClientError> {
    let doing = Operation::cluster("listing the consumer groups");
    let list = || native::groups(lookup.consumer(), lookup.timeout()).map_err(KafkaError::AdminOp);
    let groups = while_coordinator_moves(lookup.timeout(), list)
        .map_err(|error| client_error(error, doing))?;
    Ok(groups
        .into_iter()
        .map(|group| (group.name, group.has_members))
        .collect())
}

/// What a group committed, in these partitions or everywhere.
pub(super) fn group_offsets(
    lookup: &Lookup,
    group: &str,
    only: Option<&[(TopicName, i32)]>,
) -> Result<GroupOffsets, ClientError> {
    let only = match only {
        Some([]) => return Ok(GroupOffsets::new()),
        only => only.map(|only| list(only, KafkaOffset::Invalid)),
    };
    let action = format!("asking what group {group} committed");
    let doing = Operation {
        group: Some(group),
        ..Operation::cluster(&action)
    };
    let ask = || {
        native::group_offsets(lookup.consumer(), group, only.as_ref(), lookup.timeout())
            .map_err(KafkaError::AdminOp)
    };
    match while_coordinator_moves(lookup.timeout(), ask) {
        Ok(offsets) => Ok(offsets
            .into_iter()
            .map(|it| ((it.topic, it.partition), NextOffset(it.offset)))
            .collect()),
        Err(error) if code_of(&error) == Some(RDKafkaErrorCode::GroupIdNotFound) => {
            Ok(GroupOffsets::new())
        }
        Err(error) => Err(lookup.explain(error, doing)),
    }
}

/// Where partitions begin and end for a reader of committed records. A partition without a beginning is not asked for its end:
/// one leader that does not answer delays the others once.
pub(super) fn bounds(
    lookup: &Lookup,
    partitions: &[(TopicName, i32)],
) -> Result<Vec<Option<Bounds>>, ClientError> {
    let committed = Isolation::Committed;
    let firsts = offsets(
        lookup,
        partitions.to_vec(),
        KafkaOffset::Beginning,
        committed,
    )?;
    let known = |partition: &&(TopicName, i32)| firsts.contains_key(&key(partition));
    let known = partitions.iter().filter(known).cloned().collect();
    let ends = offsets(lookup, known, KafkaOffset::End, committed)?;
    Ok(partitions
        .iter()
        .map(|partition| {
            Some(Bounds {
                first: *firsts.get(&key(partition))?,
                end: *ends.get(&key(partition))?,
            })
        })
        .collect())
}

/// The first or the last offsets of partitions, of those that have one. A leader that has just changed is asked again for
/// [`SETTLE`], as in the first moments of a topic.
pub(super) fn offsets(
    lookup: &Lookup,
    mut wanted: Vec<(TopicName, i32)>,
    which: KafkaOffset,
    isolation: Isolation,
) -> Result<BTreeMap<(String, i32), NextOffset>, ClientError> {
    let doing = Operation::cluster("asking where partitions begin and end");
    let until = Instant::now() + SETTLE;
    let mut found = BTreeMap::new();
    while !wanted.is_empty() {
        let lists: Vec<_> = wanted.chunks(TOGETHER).map(|it| list(it, which)).collect();
        let asked = native::list_offsets(lookup.consumer(), &lists, isolation, lookup.timeout());
        let answers = match asked {
            Ok(answers) => answers,
            Err(code) => return Err(lookup.explain(KafkaError::AdminOp(code), doing)),
        };
        let mut moving = BTreeSet::new();
        for (topic, partition, answer) in answers {
            match answer {
                Ok(offset) => {
                    found.insert((topic, partition), NextOffset(offset));
                }
                Err(code) if leader_moves(code) => {
                    moving.insert((topic, partition));
                }
                Err(code) => {
                    tracing::debug!(topic, partition, %code, "where the partition begins and ends is unknown");
                }
            }
        }
        wanted.retain(|partition| moving.contains(&key(partition)));
        if Instant::now() + ASK_AGAIN >= until {
            break;
        }
        if !wanted.is_empty() {
            thread::sleep(ASK_AGAIN);
        }
    }
    Ok(found)
}

pub(super) fn key((topic, partition): &(TopicName, i32)) -> (String, i32) {
    (topic.as_str().to_owned(), *partition)
}

/// librdkafka's list of these partitions, all at this offset.
fn list(partitions: &[(TopicName, i32)], offset: KafkaOffset) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        let mut element = list.add_partition(topic.as_str(), *partition);
        drop(element.set_offset(offset));
    }
    list
}
