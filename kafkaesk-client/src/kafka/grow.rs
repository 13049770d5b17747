//! Partitions added to a topic, and what is asked before: what a group committed in it, and where its partitions end. Next:
//! `growth` decides.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use kafkaesk_core::{Completions, NextOffset, TopicName};
use rdkafka::{
    Offset as KafkaOffset,
    admin::NewPartitions,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    admin,
    clients::Clients,
    coordinator::while_coordinator_moves,
    errors::{Operation, client_error, code_error, code_of, other},
    lag,
    metadata::Lookup,
    native,
};
use crate::{ClientError, broker::GroupCommit};

/// Between two looks at whether the partitions are there.
const LOOK: Duration = Duration::from_millis(20);

/// Asks for partitions until there are `to`; with `check_only` whether the brokers would add them.
pub(super) async fn grow(
    clients: &Arc<Clients>,
    topic: &TopicName,
    to: u32,
    check_only: bool,
) -> Result<(), ClientError> {
    let action = format!("growing topic {topic} to {to} partitions");
    let doing = Operation::topic(&action, "Alter", topic.as_str());
    let options = admin::options(&clients.settings).validate_only(check_only);
    let wanted = NewPartitions::new(topic.as_str(), to as usize);
    let admin = clients.admin().await?;
    let answers = admin.create_partitions(&[wanted], &options).await;
    clients.keep_admin(admin);
    let answers = answers.map_err(|error| client_error(error, doing))?;
    match answers.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(code_error(code, doing)),
        None => Err(other(&action, "the broker answered nothing".into())),
    }
}

/// Blocks until metadata shows so many partitions, or `connect_timeout` is over.
pub(super) fn wait_for(
    lookup: &Lookup,
    topic: &TopicName,
    partitions: u32,
) -> Result<(), ClientError> {
    let until = Instant::now() + lookup.timeout();
    loop {
        let there = lookup.topic(topic.as_str(), "Describe")?;
        if there.is_some_and(|there| there.partitions >= partitions) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(other(
                &format!("growing topic {topic} to {partitions} partitions"),
                "the cluster's metadata does not show them yet; run it again".into(),
            ));
        }
        thread::sleep(LOOK);
    }
}

/// What a group committed in a topic, by partition. What it committed for a deleted topic of that name is left out.
pub(super) fn group_commits(
    lookup: &Lookup,
    group: &str,
    topic: &TopicName,
) -> Result<BTreeMap<i32, GroupCommit>, ClientError> {
    let action = format!("asking what group {group} committed in {topic}");
    let doing = Operation {
        group: Some(group),
        ..Operation::cluster(&action)
    };
    let ask = || {
        native::group_offsets(lookup.consumer(), group, None, lookup.timeout())
            .map_err(KafkaError::AdminOp)
    };
    let commits = match while_coordinator_moves(lookup.timeout(), ask) {
        Ok(commits) => commits,
        Err(error) if code_of(&error) == Some(RDKafkaErrorCode::GroupIdNotFound) => Vec::new(),
        Err(error) => return Err(lookup.explain(error, doing)),
    };
    let mut found = BTreeMap::new();
    let mut id = None;
    for commit in commits {
        if commit.topic != topic.as_str() {
            continue;
        }
        let next = NextOffset(commit.offset);
        let named = Completions::topic_id(&commit.metadata, next);
        if let Some(named) = named {
            if id.is_none() {
                let mut ids = lookup.topic_ids(&[topic.as_str()], lookup.timeout())?;
                id = Some(ids.remove(topic.as_str()));
            }
            if id.as_ref().and_then(Option::as_deref) != Some(named) {
                continue;
            }
        }
        let commit_of = GroupCommit {
            next,
            is_marked: named.is_some(),
        };
        found.insert(commit.partition, commit_of);
    }
    Ok(found)
}

/// Where these partitions end, records of open transactions included.
pub(super) fn written_ends(
    lookup: &Lookup,
    partitions: &[(TopicName, i32)],
) -> Result<Vec<Option<NextOffset>>, ClientError> {
    let ends = lag::offsets(
        lookup,
        partitions.to_vec(),
        KafkaOffset::End,
        native::Isolation::Uncommitted,
    )?;
    let ends = partitions.iter().map(|it| ends.get(&lag::key(it)).copied());
    Ok(ends.collect())
}
