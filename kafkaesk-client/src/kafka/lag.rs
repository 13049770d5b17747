//! What a lag is made of: groups, what they committed, and where partitions begin and end. Joins no group. All of it blocks:
//! never on tokio.

use kafkaesk_core::{NextOffset, TopicName};
use rdkafka::{
    Offset as KafkaOffset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    consume::by_time,
    coordinator::while_coordinator_moves,
    errors::{Operation, client_error, code_of},
    metadata::Lookup,
    native,
};
use crate::{
    ClientError,
    broker::{Bounds, GroupOffsets, Groups},
};

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

/// Everything that a group committed.
pub(super) fn group_offsets(lookup: &Lookup, group: &str) -> Result<GroupOffsets, ClientError> {
    let action = format!("asking what group {group} committed");
    let doing = Operation {
        group: Some(group),
        ..Operation::cluster(&action)
    };
    let ask = || {
        native::group_offsets(lookup.consumer(), group, lookup.timeout())
            .map_err(KafkaError::AdminOp)
    };
    match while_coordinator_moves(lookup.timeout(), ask) {
        Ok(offsets) => Ok(offsets
            .into_iter()
            .map(|(topic, partition, next)| ((topic, partition), NextOffset(next)))
            .collect()),
        Err(error) if code_of(&error) == Some(RDKafkaErrorCode::GroupIdNotFound) => {
            Ok(GroupOffsets::new())
        }
        Err(error) => Err(client_error(error, doing)),
    }
}

/// Where partitions begin and end for a reader of committed records.
pub(super) fn bounds(
    lookup: &Lookup,
    partitions: &[(TopicName, i32)],
) -> Result<Vec<Option<Bounds>>, ClientError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let doing = Operation::cluster("asking where partitions begin and end");
    let ask = |which: KafkaOffset| {
        let mut wanted = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            wanted.add_partition_offset(topic.as_str(), *partition, which)?;
        }
        by_time(lookup.consumer(), &wanted, lookup.timeout())
    };
    let firsts = ask(KafkaOffset::Beginning).map_err(|error| client_error(error, doing))?;
    let ends = ask(KafkaOffset::End).map_err(|error| client_error(error, doing))?;
    let offset = |list: &TopicPartitionList, topic: &TopicName, partition| {
        let element = list.find_partition(topic.as_str(), partition)?;
        element.error().ok()?;
        element.offset().to_raw().filter(|offset| *offset >= 0)
    };
    Ok(partitions
        .iter()
        .map(|(topic, partition)| {
            Some(Bounds {
                first: NextOffset(offset(&firsts, topic, *partition)?),
                end: NextOffset(offset(&ends, topic, *partition)?),
            })
        })
        .collect())
}
