//! A group's offset in a partition: reads it, and moves it while the group has no members. Joins no group. Every
//! function blocks: never call it on tokio.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafkaesk_core::{Completions, NextOffset, Offset, Record, Source, TopicName};
use rdkafka::{
    Offset as KafkaOffset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::RDKafkaErrorCode,
};

use super::{
    clients::Clients,
    config::{Role, client_config},
    consume::one,
    context::Context,
    coordinator::while_coordinator_moves,
    errors::{Operation, client_error, code_error, code_of, other},
    librdkafka_log::{Meaning, meaning},
    metadata::Lookup,
    native::{Batch, GroupMember, Message, Queue, Reading, group_members},
};
use crate::{
    ClientError,
    broker::{GroupPosition, Upcoming},
};

/// Where a group stands.
pub(super) fn position(
    clients: &Clients,
    lookup: &Lookup,
    group: &str,
    topic: &TopicName,
    partition: i32,
) -> Result<GroupPosition, ClientError> {
    let action = format!("looking at group {group} in {topic}[{partition}]");
    let doing = Operation {
        group: Some(group),
        ..Operation::topic(&action, "Read", topic.as_str())
    };
    let timeout = clients.settings.connect_timeout;
    let (low, high) = lookup.watermarks(topic.as_str(), partition)?;
    let asking = stranger(clients, group)?;
    let mut list = TopicPartitionList::new();
    list.add_partition(topic.as_str(), partition);
    let committed =
        while_coordinator_moves(timeout, || asking.committed_offsets(list.clone(), timeout))
            .map_err(|e| client_error(e, doing))?;
    let committed = committed.elements();
    let committed = match committed.first().map(|it| (it.offset(), it.metadata())) {
        Some((KafkaOffset::Offset(offset), metadata)) => {
            let next = NextOffset(offset);
            // What was committed for a deleted topic of that name counts for no member either.
            let deleted = match Completions::topic_id(metadata, next) {
                Some(named) => id_of(lookup, topic, timeout)?.is_some_and(|now| now != named),
                None => false,
            };
            (!deleted).then_some(next)
        }
        _ => None,
    };
    let members = members(&asking, group, timeout, doing)?;
    let from = committed.map_or(low, |next| next.0).max(low);
    let upcoming = match from < high {
        true => upcoming(peek(clients, topic, partition, from, doing, described)?),
        false => Upcoming::Nothing,
    };
    Ok(GroupPosition {
        members,
        committed,
        first: NextOffset(low),
        end: NextOffset(high),
        upcoming,
    })
}

fn described(message: Message<'_>) -> Upcoming {
    Upcoming::Record {
        offset: Offset(message.offset()),
        key: message.key().map(Bytes::copy_from_slice),
        bytes: message.payload().map_or(0, <[u8]>::len),
        timestamp: message.timestamp(),
    }
}

fn upcoming(first: First<Upcoming>) -> Upcoming {
    match first {
        First::Record(record) => record,
        First::Nothing => Upcoming::Nothing,
        First::Unreadable { offset, reason, .. } => Upcoming::Unreadable { offset, reason },
    }
}

/// A topic's id, if it has one.
fn id_of(
    lookup: &Lookup,
    topic: &TopicName,
    timeout: Duration,
) -> Result<Option<String>, ClientError> {
    if lookup.is_dev() {
        return Ok(None);
    }
    Ok(lookup
        .topic_ids(&[topic.as_str()], timeout)?
        .remove(topic.as_str()))
}

/// Commits for a group without members.
pub(super) fn move_to(
    clients: &Clients,
    lookup: &Lookup,
    group: &str,
    topic: &TopicName,
    partition: i32,
    next: NextOffset,
) -> Result<(), ClientError> {
    let action = format!("moving group {group} in {topic}[{partition}]");
    let doing = Operation {
        group: Some(group),
        ..Operation::topic(&action, "Read", topic.as_str())
    };
    let timeout = clients.settings.connect_timeout;
    let asking = stranger(clients, group)?;
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(topic.as_str(), partition);
    element
        .set_offset(KafkaOffset::Offset(next.0))
        .map_err(|e| client_error(e, doing))?;
    if let Some(id) = id_of(lookup, topic, timeout)? {
        element.set_metadata(Completions::default().metadata(&id, next));
    }
    while_coordinator_moves(timeout, || asking.commit(&list, CommitMode::Sync)).map_err(|error| {
        match code_of(&error) {
            // Kafka accepts an offset from outside only while the group has no members.
            Some(
                RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::StaleMemberEpoch,
            ) => ClientError::GroupHasMembers {
                group: group.to_owned(),
                members: members(&asking, group, timeout, doing)
                    .unwrap_or_default()
                    .join(", "),
            },
            _ => client_error(error, doing),
        }
    })
}

/// A client that has the group's name and never joins it.
fn stranger(clients: &Clients, group: &str) -> Result<BaseConsumer<Context>, ClientError> {
    let mut config = client_config(&clients.settings, Role::Lookup);
    config.set("group.id", group);
    let asking: BaseConsumer<Context> = config
        .create_with_context(Context(clients.shared.clone()))
        .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
    clients.shared.log_in(asking.client(), &clients.settings)?;
    Ok(asking)
}

fn members(
    asking: &BaseConsumer<Context>,
    group: &str,
    timeout: Duration,
    doing: Operation<'_>,
) -> Result<Vec<String>, ClientError> {
    let list = || asking.fetch_group_list(Some(group), timeout);
    let list = match while_coordinator_moves(timeout, list) {
        Ok(list) => list,
        Err(error) => match code_of(&error) {
            Some(RDKafkaErrorCode::GroupIdNotFound) => {
                return members_by_broker(asking, group, timeout, doing);
            }
            _ => return Err(client_error(error, doing)),
        },
    };
    let members: Vec<String> = list
        .groups()
        .iter()
        .filter(|found| found.name() == group)
        .flat_map(|found| found.members())
        .map(|member| {
            format!(
                "{} at {} ({})",
                member.client_id(),
                member.client_host().trim_start_matches('/'),
                member.id()
            )
        })
        .collect();
    match members.is_empty() {
        true => members_by_broker(asking, group, timeout, doing),
        false => Ok(members),
    }
}

/// The members of a group whose partitions the brokers assign (KIP-848), which is described otherwise.
fn members_by_broker(
    asking: &BaseConsumer<Context>,
    group: &str,
    timeout: Duration,
    doing: Operation<'_>,
) -> Result<Vec<String>, ClientError> {
    let members =
        group_members(asking, &[group], timeout).map_err(|code| code_error(code, doing))?;
    Ok(members.iter().map(person).collect())
}

fn person(member: &GroupMember) -> String {
    let host = member.host.trim_start_matches('/');
    format!("{} at {host} ({})", member.client, member.id)
}

/// The first record of a partition from an offset on, whole.
pub(super) fn record(
    clients: &Clients,
    topic: &TopicName,
    partition: i32,
    from: Offset,
) -> Result<Option<Record>, ClientError> {
    let action = format!("reading {topic}[{partition}]@{from}");
    let doing = Operation::topic(&action, "Read", topic.as_str());
    let settings = &clients.settings;
    let Some(stream) = settings.topic_prefix.consumed_stream(topic.as_str()) else {
        return Ok(None);
    };
    let source = Arc::new(Source {
        topic: topic.clone(),
        stream,
        partition,
    });
    let limit = settings.max_message_bytes;
    let found = peek(clients, topic, partition, from.0, doing, |message| {
        one(message, limit, source.clone())
    })?;
    match found {
        First::Record(record) => Ok(record),
        First::Nothing => Ok(None),
        First::Unreadable {
            offset,
            reason,
            help,
        } => Err(ClientError::Unreadable {
            topic: topic.clone(),
            partition,
            offset,
            reason,
            help: help.to_owned(),
        }),
    }
}

/// What stands first from an offset on.
enum First<T> {
    Record(T),
    Unreadable {
        offset: Offset,
        reason: String,
        help: &'static str,
    },
    Nothing,
}

/// The first record from an offset on.
fn peek<T>(
    clients: &Clients,
    topic: &TopicName,
    partition: i32,
    from: i64,
    doing: Operation<'_>,
    take: impl Fn(Message<'_>) -> T,
) -> Result<First<T>, ClientError> {
    let reader = clients.reader()?;
    let queue = Queue::new(&reader).ok_or_else(|| other(doing.action, "no queue".into()))?;
    let reading = Reading::start(&reader, &queue, topic.as_str(), partition, from)
        .map_err(|code| code_error(code, doing))?;
    let mut batch = Batch::new(1);
    let found = first(clients, &reader, &queue, &mut batch, from, doing, take);
    // All of these before the client.
    drop(batch);
    drop(reading);
    drop(queue);
    if found.is_ok() {
        clients.keep_reader(reader);
    }
    found
}

fn first<T>(
    clients: &Clients,
    reader: &BaseConsumer<Context>,
    queue: &Queue,
    batch: &mut Batch,
    from: i64,
    doing: Operation<'_>,
    take: impl Fn(Message<'_>) -> T,
) -> Result<First<T>, ClientError> {
    let started = Instant::now();
    while started.elapsed() < clients.settings.connect_timeout {
        // Events only: the records go into the queue.
        let _ = reader.poll(Duration::ZERO);
        batch.fill(queue, 20, 1);
        let Some(message) = batch.iter().next() else {
            continue;
        };
        let Some(code) = message.error() else {
            return Ok(First::Record(take(message)));
        };
        match meaning(code) {
            Meaning::End => return Ok(First::Nothing),
            Meaning::Passing => {}
            Meaning::Denied => return Err(code_error(code, doing)),
            Meaning::Unreadable(help) => {
                return Ok(First::Unreadable {
                    // A batch may begin before the record that is wanted.
                    offset: Offset(message.offset().max(from)),
                    reason: String::from_utf8_lossy(message.payload().unwrap_or_default())
                        .into_owned(),
                    help,
                });
            }
        }
    }
    Err(other(
        doing.action,
        format!(
            "no record came within {:?}",
            clients.settings.connect_timeout
        )
        .into(),
    ))
}
