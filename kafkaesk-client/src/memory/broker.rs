//! The `Broker` seam, answered from memory.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use kafkaesk_core::{Headers, NextOffset, Offset, Record, TopicName};
use kafkaesk_schema::LogRecord;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    MemoryBroker,
    fetch::{self, Fetch},
    group::Wanted,
    member::{Member, MemberControl, Membership},
    reader::{Asked, Reader, ReaderControl},
    store::{Stored, Topic, TopicPartition},
    transaction,
};
use crate::{
    ClientError, Delivery, Receipt,
    broker::{
        Bounds, BoxFuture, Broker, Cluster, Creation, GroupCommit, GroupOffsets, GroupPosition,
        Groups, LogSink, Outgoing, Readers, SendError, TopicInfo, TopicSpec, Upcoming, sealed,
    },
    consumer::{Consumer, ConsumerSpec, EVENT_BOUND},
    meter::Tally,
    transaction::Transaction,
};

/// What Apache Kafka answers for a topic that sets nothing itself.
const TOPIC_DEFAULTS: [(&str, &str); 6] = [
    ("cleanup.policy", "delete"),
    ("max.message.bytes", "1048588"),
    ("min.insync.replicas", "1"),
    ("retention.bytes", "-1"),
    ("retention.ms", "604800000"),
    ("unclean.leader.election.enable", "false"),
];

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

fn info(name: &str, topic: &Topic) -> TopicInfo {
    TopicInfo {
        name: name.to_owned(),
        id: Some(topic.id.to_string()),
        partitions: topic.partitions.len() as u32,
        replication_factor: topic.replication_factor,
    }
}

/// Memory always knows where a record is.
pub(super) fn receipt(topic: TopicName, (partition, offset): (i32, Offset)) -> Receipt {
    Receipt {
        topic,
        partition,
        offset: Some(offset),
    }
}

impl sealed::Sealed for MemoryBroker {}

impl Broker for MemoryBroker {
    fn cluster(&self) -> BoxFuture<'_, Result<Arc<Cluster>, ClientError>> {
        let topics = self
            .shared
            .state()
            .store
            .topics
            .iter()
            .map(|(name, topic)| (name.clone(), info(name, topic)))
            .collect();
        ready(Ok(Arc::new(Cluster {
            id: None,
            topics,
            brokers: 1,
            is_dev: false,
        })))
    }

    fn topic<'a>(
        &'a self,
        topic: &'a TopicName,
        _operation: &'static str,
    ) -> BoxFuture<'a, Result<Option<TopicInfo>, ClientError>> {
        let name = topic.as_str();
        let state = self.shared.state();
        let found = state.store.topics.get(name);
        ready(Ok(found.map(|found| info(name, found))))
    }

    fn create_topics<'a>(
        &'a self,
        specs: &'a [TopicSpec],
    ) -> BoxFuture<'a, Vec<Result<Creation, ClientError>>> {
        ready(self.shared.change(|state| {
            let created = specs
                .iter()
                .map(|spec| {
                    let created = state.store.create(spec)?;
                    let name = spec.topic.as_str();
                    let there = state.store.topics.get(name).ok_or(ClientError::Closed)?;
                    Ok(Creation {
                        created,
                        topic: info(name, there),
                    })
                })
                .collect();
            for group in state.groups.values_mut() {
                group.rebalance(&state.store);
            }
            created
        }))
    }

    fn delete_topic<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<bool, ClientError>> {
        ready(Ok(MemoryBroker::delete_topic(self, topic.as_str())))
    }

    fn grow_topic<'a>(
        &'a self,
        topic: &'a TopicName,
        to: u32,
        check_only: bool,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        let there = self
            .shared
            .state()
            .store
            .topics
            .get(topic.as_str())
            .map(|it| it.partitions.len());
        if there.is_none_or(|there| to as usize <= there) {
            return ready(Err(ClientError::Kafka {
                action: format!("growing topic {topic} to {to} partitions"),
                source: match there {
                    Some(there) => format!("it has {there} partitions").into(),
                    None => "there is no such topic".into(),
                },
            }));
        }
        if !check_only {
            self.add_partitions(topic.as_str(), to);
        }
        ready(Ok(()))
    }

    fn group_commits<'a>(
        &'a self,
        group: &'a str,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<BTreeMap<i32, GroupCommit>, ClientError>> {
        let state = self.shared.state();
        let committed = state.groups.get(group).map(|found| &found.committed);
        let commits = committed
            .into_iter()
            .flatten()
            .filter(|((name, _), _)| name == topic.as_str())
            // Nobody else's groups are in this broker.
            .map(|((_, partition), next)| {
                let commit = GroupCommit {
                    next: NextOffset(*next),
                    is_marked: true,
                };
                (*partition, commit)
            });
        ready(Ok(commits.collect()))
    }

    fn written_ends<'a>(
        &'a self,
        partitions: &'a [(TopicName, i32)],
    ) -> BoxFuture<'a, Result<Vec<Option<NextOffset>>, ClientError>> {
        // What it shows of a transaction is committed.
        let state = self.shared.state();
        let ends = partitions.iter().map(|(topic, partition)| {
            let log = state.store.log(topic.as_str(), *partition)?;
            Some(NextOffset(log.end()))
        });
        ready(Ok(ends.collect()))
    }

    fn readers<'a>(&'a self, topic: &'a TopicName) -> BoxFuture<'a, Result<Readers, ClientError>> {
        let state = self.shared.state();
        let mut readers = Readers::new();
        for (name, group) in &state.groups {
            let owners = group.owners.iter();
            let owners = owners.filter(|((read, _), _)| read == topic.as_str());
            let members: BTreeSet<_> = owners.map(|(_, member)| *member).collect();
            if !members.is_empty() {
                readers.insert(name.clone(), members.len());
            }
        }
        ready(Ok(readers))
    }

    fn check_topics<'a>(
        &'a self,
        specs: &'a [TopicSpec],
    ) -> BoxFuture<'a, Vec<Result<(), ClientError>>> {
        let state = self.shared.state();
        ready(specs.iter().map(|spec| state.store.check(spec)).collect())
    }

    fn topic_config<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<Option<BTreeMap<String, String>>, ClientError>> {
        let own = |text: &str| text.to_owned();
        let state = self.shared.state();
        let config = state.store.topics.get(topic.as_str()).map(|found| {
            let mut config: BTreeMap<String, String> = TOPIC_DEFAULTS
                .iter()
                .map(|(name, value)| (own(name), own(value)))
                .collect();
            config.extend(found.config.clone());
            config
        });
        ready(Ok(config))
    }

    /// Memory has no transactions: what was appended is there.
    fn read_log<'a>(
        &'a self,
        topic: &'a TopicName,
        from: NextOffset,
        _until: Option<Offset>,
        mut sink: LogSink,
    ) -> BoxFuture<'a, Result<Option<NextOffset>, ClientError>> {
        let records: Vec<LogRecord> = {
            let state = self.shared.state();
            let end = state.store.end(topic.as_str(), 0);
            if end < from.0 {
                return ready(Ok(None));
            }
            state
                .store
                .tail(topic.as_str(), 0, from.0)
                .map(|(offset, stored)| LogRecord {
                    offset,
                    key: stored.key.clone(),
                    value: stored.value.clone(),
                })
                .collect()
        };
        let mut next = from;
        for record in records {
            next = Offset(record.offset).next();
            if let Err(error) = sink(record) {
                return ready(Err(error));
            }
        }
        ready(Ok(Some(next)))
    }

    fn append_log<'a>(
        &'a self,
        topic: &'a TopicName,
        records: Vec<(Bytes, Bytes)>,
    ) -> BoxFuture<'a, Result<Vec<Offset>, ClientError>> {
        let append = |(key, value)| {
            self.append(topic, Some(0), Some(key), Some(value), Headers::new(), None)
                .map(|(_, offset)| offset)
        };
        ready(records.into_iter().map(append).collect())
    }

    fn last_value<'a>(
        &'a self,
        topic: &'a TopicName,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ClientError>> {
        let state = self.shared.state();
        let newest = state.store.newest(topic.as_str());
        ready(Ok(newest.and_then(|stored| stored.value.clone())))
    }

    fn groups(&self) -> BoxFuture<'_, Result<Groups, ClientError>> {
        let state = self.shared.state();
        let groups = state.groups.iter();
        let groups = groups.map(|(name, group)| {
            let has_members = !group.member_names().is_empty();
            (name.clone(), Some(has_members))
        });
        ready(Ok(groups.collect()))
    }

    fn group_offsets<'a>(
        &'a self,
        group: &'a str,
        only: Option<&'a [(TopicName, i32)]>,
    ) -> BoxFuture<'a, Result<GroupOffsets, ClientError>> {
        let state = self.shared.state();
        let Some(found) = state.groups.get(group) else {
            return ready(Ok(GroupOffsets::new()));
        };
        let committed = |partition: TopicPartition| {
            let next = NextOffset(*found.committed.get(&partition)?);
            Some((partition, next))
        };
        let offsets = match only {
            Some(only) => only
                .iter()
                .filter_map(|(topic, partition)| committed((topic.as_str().to_owned(), *partition)))
                .collect(),
            None => found
                .committed
                .keys()
                .cloned()
                .filter_map(committed)
                .collect(),
        };
        ready(Ok(offsets))
    }

    fn bounds<'a>(
        &'a self,
        partitions: &'a [(TopicName, i32)],
    ) -> BoxFuture<'a, Result<Vec<Option<Bounds>>, ClientError>> {
        let state = self.shared.state();
        let bounds = partitions.iter().map(|(topic, partition)| {
            let log = state.store.log(topic.as_str(), *partition)?;
            Some(Bounds {
                first: NextOffset(log.first()),
                end: NextOffset(state.store.end(topic.as_str(), *partition)),
            })
        });
        ready(Ok(bounds.collect()))
    }

    fn group_position<'a>(
        &'a self,
        group: &'a str,
        topic: &'a TopicName,
        partition: i32,
    ) -> BoxFuture<'a, Result<GroupPosition, ClientError>> {
        let state = self.shared.state();
        let name = topic.as_str();
        let found = state.groups.get(group);
        let committed = found
            .and_then(|found| found.committed.get(&(name.to_owned(), partition)))
            .map(|next| NextOffset(*next));
        let first = state
            .store
            .log(name, partition)
            .map_or(0, |log| log.first());
        let from = committed.map_or(first, |next| next.0);
        let upcoming = state.store.tail(name, partition, from).next();
        ready(Ok(GroupPosition {
            members: found.map_or_else(Vec::new, |found| found.member_names()),
            committed,
            first: NextOffset(first),
            end: NextOffset(state.store.end(name, partition)),
            upcoming: upcoming.map_or(Upcoming::Nothing, |(offset, stored)| Upcoming::Record {
                offset: Offset(offset),
                key: stored.key.clone(),
                bytes: stored.value.as_ref().map_or(0, Bytes::len),
                timestamp: Some(stored.timestamp),
            }),
        }))
    }

    fn record<'a>(
        &'a self,
        topic: &'a TopicName,
        partition: i32,
        from: Offset,
    ) -> BoxFuture<'a, Result<Option<Record>, ClientError>> {
        let place = (topic.as_str().to_owned(), partition);
        let state = self.shared.state();
        let found = fetch::source(&self.prefix, &place).and_then(|source| {
            let mut records = state.store.tail(topic.as_str(), partition, from.0);
            let (offset, stored) = records.next()?;
            Some(fetch::record(&Arc::new(source), offset, stored))
        });
        ready(Ok(found))
    }

    fn move_group<'a>(
        &'a self,
        group: &'a str,
        topic: &'a TopicName,
        partition: i32,
        next: NextOffset,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        let members = self.shared.change(|state| {
            let found = state.groups.entry(group.to_owned()).or_default();
            let members = found.member_names();
            if members.is_empty() {
                let key = (topic.as_str().to_owned(), partition);
                found.committed.insert(key, next.0);
            }
            members
        });
        ready(if members.is_empty() {
            Ok(())
        } else {
            Err(ClientError::GroupHasMembers {
                group: group.to_owned(),
                members: members.join(", "),
            })
        })
    }

    fn send_counted(
        &self,
        record: Outgoing,
        tally: Option<Tally<'_>>,
    ) -> Result<Delivery, SendError> {
        let (answer, delivery) = oneshot::channel();
        let handed = tally.map(Tally::hand_over);
        let appended = self.append(
            &record.topic,
            record.partition,
            record.key,
            record.value,
            record.headers,
            record.timestamp,
        );
        if let Err(error @ ClientError::TooLarge { .. }) = appended {
            return Err(SendError::Refused(error));
        }
        if let Some(handed) = handed {
            handed.accepted();
            match &appended {
                Ok((partition, offset)) => handed.flight().delivered(*partition, Some(*offset)),
                Err(_) => handed.flight().failed(),
            }
        }
        let _ = answer.send(appended.map(|at| receipt(record.topic, at)));
        Ok(Delivery(delivery))
    }

    fn queue_counted<'a>(
        &'a self,
        record: Outgoing,
        tally: Option<Tally<'a>>,
    ) -> BoxFuture<'a, Result<Delivery, ClientError>> {
        ready(
            self.send_counted(record, tally)
                .map_err(|refused| match refused {
                    SendError::Refused(error) => error,
                    // Memory has no bound.
                    SendError::Full(_) => ClientError::Closed,
                }),
        )
    }

    fn flush(&self, _timeout: Duration) -> BoxFuture<'_, Result<(), ClientError>> {
        ready(Ok(()))
    }

    fn transaction_within<'a>(
        &'a self,
        id: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<Transaction, ClientError>> {
        ready(Ok(transaction::begin(&self.shared, id)))
    }

    fn consume(&self, spec: ConsumerSpec) -> BoxFuture<'_, Result<Consumer, ClientError>> {
        Box::pin(async move {
            spec.check()?;
            let wanted = Wanted {
                prefix: self.prefix.clone(),
                spec: spec.clone(),
            };
            Ok(match spec.group.clone() {
                Some(group) => self.join(group, wanted, &spec),
                None => self.read(wanted, &spec),
            })
        })
    }
}

impl MemoryBroker {
    pub(super) fn append(
        &self,
        topic: &TopicName,
        partition: Option<i32>,
        key: Option<Bytes>,
        value: Option<Bytes>,
        headers: Headers,
        timestamp: Option<i64>,
    ) -> Result<(i32, Offset), ClientError> {
        let record = Stored {
            sequence: 0,
            timestamp: timestamp.unwrap_or_else(|| self.shared.now()),
            key,
            value,
            headers,
        };
        self.shared
            .change(|state| state.store.append(topic, partition, record))
    }

    fn join(&self, group: String, wanted: Wanted, spec: &ConsumerSpec) -> Consumer {
        let changes = self.shared.changed.subscribe();
        let now = self.shared.now();
        let member = self.shared.change(|state| {
            let member = state.next_member;
            state.next_member += 1;
            let joined = state.groups.entry(group.clone()).or_default();
            joined.join(member, wanted.clone(), spec.start, &state.store, now);
            member
        });
        let membership = Arc::new(Membership {
            shared: self.shared.clone(),
            group,
            member,
        });
        let (sender, events) = mpsc::channel(EVENT_BOUND);
        tokio::spawn(
            Member {
                membership: membership.clone(),
                wanted,
                drain: spec.drain,
                events: sender,
                changes,
                fetch: Fetch::default(),
                lost: Vec::new(),
                ids: BTreeMap::new(),
                settled: None,
                skip: spec.skip.clone(),
                first: VecDeque::new(),
                warned: false,
            }
            .run(),
        );
        Consumer::new(events, Arc::new(MemberControl(membership)))
    }

    fn read(&self, wanted: Wanted, spec: &ConsumerSpec) -> Consumer {
        let (sender, events) = mpsc::channel(EVENT_BOUND);
        let (control, asked) = watch::channel(Asked::default());
        let reader = Reader::new(self.shared.clone(), wanted, spec.start, sender, asked);
        tokio::spawn(reader.run());
        Consumer::new(events, Arc::new(ReaderControl(control)))
    }
}
