//! Where a new group begins: written as its offsets before it joins, so that every member and every later start agree.
//!
//! Partitions that appear later have no offset and begin at their earliest (docs/decisions.md, start).

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use kafkaesk_core::{Completions, NextOffset};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::setup::Setup;
use crate::{
    ClientError,
    broker::Cluster,
    consumer::Start,
    kafka::{
        coordinator::{ASK_AGAIN, while_coordinator_moves},
        errors::{Operation, client_error, code_of, leader_moves},
    },
};

/// Writes a new group's first offsets, unless it starts at the earliest or has offsets already. `cluster` tells the topics'
/// ids.
pub(super) fn settle<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    setup: &Setup,
    group: &str,
    found: &HashMap<String, u32>,
    cluster: &Cluster,
) -> Result<(), ClientError> {
    if setup.spec.start == Start::Earliest || found.is_empty() {
        return Ok(());
    }
    let timeout = setup.settings.connect_timeout;
    let action = format!("settling where group {group} starts");
    let doing = Operation {
        group: Some(group),
        ..Operation::cluster(&action)
    };
    let asked = partitions(found, Offset::Invalid)?;
    let committed = while_coordinator_moves(timeout, || {
        consumer.committed_offsets(asked.clone(), timeout)
    })
    .map_err(|e| client_error(e, doing))?;
    if committed
        .elements()
        .iter()
        .any(|element| element.offset() != Offset::Invalid)
    {
        return Ok(());
    }
    let starts =
        offsets(consumer, setup.spec.start, found, timeout).map_err(|e| client_error(e, doing))?;
    if starts.count() == 0 {
        return Ok(());
    }
    name_topics(&starts, cluster);
    match while_coordinator_moves(timeout, || consumer.commit(&starts, CommitMode::Sync)) {
        Ok(()) => Ok(()),
        // The group has members: the first of them has decided the start.
        Err(error)
            if matches!(
                code_of(&error),
                Some(
                    RDKafkaErrorCode::UnknownMemberId
                        | RDKafkaErrorCode::IllegalGeneration
                        | RDKafkaErrorCode::RebalanceInProgress
                )
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(client_error(error, doing)),
    }
}

/// Asks for offsets by time, again while a partition's leader is not settled, as in the first moments of a topic.
fn by_time<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    wanted: &TopicPartitionList,
    timeout: Duration,
) -> KafkaResult<TopicPartitionList> {
    let deadline = Instant::now() + timeout;
    loop {
        let answer = consumer.offsets_for_times(wanted.clone(), timeout);
        let moves = match &answer {
            Ok(found) => found.elements().iter().any(|element| {
                let error = element.error().err();
                error.as_ref().is_some_and(is_of_a_moving_leader)
            }),
            Err(error) => is_of_a_moving_leader(error),
        };
        if !moves || Instant::now() + ASK_AGAIN >= deadline {
            return answer;
        }
        std::thread::sleep(ASK_AGAIN);
    }
}

/// Names the topics' ids beside the offsets, so that they do not count for a later topic of the same name.
fn name_topics(starts: &TopicPartitionList, cluster: &Cluster) {
    for mut element in starts.elements() {
        let topic = cluster.topics.get(element.topic());
        if let (Some(id), Offset::Offset(next)) =
            (topic.and_then(|topic| topic.id.as_ref()), element.offset())
        {
            element.set_metadata(Completions::default().metadata(id, NextOffset(next)));
        }
    }
}

fn is_of_a_moving_leader(error: &KafkaError) -> bool {
    code_of(error).is_some_and(leader_moves)
}

/// Each partition's offset at that start. One that is empty starts at its end.
pub(super) fn offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    start: Start,
    found: &HashMap<String, u32>,
    timeout: Duration,
) -> KafkaResult<TopicPartitionList> {
    if found.is_empty() {
        return Ok(TopicPartitionList::new());
    }
    let ends = by_time(consumer, &fill(found, Offset::End)?, timeout)?;
    let Start::Back(back) = start else {
        return Ok(ends);
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let since = i64::try_from(now.saturating_sub(back).as_millis()).unwrap_or(0);
    let mut found = by_time(consumer, &fill(found, Offset::Offset(since))?, timeout)?;
    let end_of: HashMap<(String, i32), Offset> = ends.to_topic_map();
    let mut starts = TopicPartitionList::with_capacity(found.count());
    for element in found.elements() {
        let key = (element.topic().to_owned(), element.partition());
        let offset = match element.offset() {
            Offset::Offset(offset) => Offset::Offset(offset),
            // Nothing is that young.
            _ => end_of.get(&key).copied().unwrap_or(Offset::Beginning),
        };
        starts.add_partition_offset(&key.0, key.1, offset)?;
    }
    found = starts;
    Ok(found)
}

fn partitions(
    found: &HashMap<String, u32>,
    offset: Offset,
) -> Result<TopicPartitionList, ClientError> {
    fill(found, offset).map_err(|e| client_error(e, Operation::cluster("naming partitions")))
}

fn fill(found: &HashMap<String, u32>, offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (topic, partitions) in found {
        for partition in 0..*partitions as i32 {
            if offset == Offset::Invalid {
                list.add_partition(topic, partition);
            } else {
                list.add_partition_offset(topic, partition, offset)?;
            }
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_moving_coordinator_is_asked_again_and_any_other_error_is_not() {
        let asked = Cell::new(0);
        let answers = |code, good_at| {
            asked.set(0);
            while_coordinator_moves(Duration::from_secs(5), || {
                asked.set(asked.get() + 1);
                if asked.get() == good_at {
                    Ok(())
                } else {
                    Err(KafkaError::MetadataFetch(code))
                }
            })
        };
        assert!(answers(RDKafkaErrorCode::NotCoordinator, 3).is_ok());
        assert_eq!(asked.get(), 3);
        assert!(answers(RDKafkaErrorCode::GroupAuthorizationFailed, 3).is_err());
        assert_eq!(asked.get(), 1);
    }
}
