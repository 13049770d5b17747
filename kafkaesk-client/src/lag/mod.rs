//! Lag: what consumer groups have not read yet, asked of Kafka alone. Joins no group, commits nothing, and needs no worker.
//! Next: `verdict` says from several looks whether a group keeps up.

mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use kafkaesk_core::{NextOffset, Offset, Pattern, Source, StreamId, TopicName, TopicPrefix};

pub use self::verdict::{Look, Verdict, Window};
use crate::{
    ClientError, Connection,
    broker::{Bounds, Cluster, GroupOffsets},
};

/// Of how many partitions one look reads the first unread record, those with the most lag first: each costs a fetch.
const OLDEST: usize = 50;

/// Where a group stands in the streams that it reads.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupLag {
    /// The group, as Kafka knows it.
    pub group: String,
    /// Whether anybody is in it; `None` where the brokers do not say.
    pub has_members: Option<bool>,
    /// All partitions of the streams in which it committed something, by stream and number.
    pub partitions: Vec<PartitionLag>,
}

/// Where a group stands in one partition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartitionLag {
    /// The topic.
    pub topic: TopicName,
    /// The stream that it carries.
    pub stream: StreamId,
    /// The partition.
    pub partition: i32,
    /// What the group committed; `None` for nothing.
    pub committed: Option<NextOffset>,
    /// Where the partition begins and ends for a reader of committed records; `None` where its leader did not answer.
    pub bounds: Option<Bounds>,
    /// The timestamp of the first record that it has not read, in milliseconds since the Unix epoch. `None` where there is
    /// no such record, where it was not looked for or could not be read, and where 50 partitions of this look are further
    /// behind.
    pub oldest: Option<i64>,
    /// Whether nothing is left to read up to the end: only the marks of transactions, aborted records, or what compaction
    /// took. Looked for where [`Self::oldest`] is.
    pub read_whole: bool,
}

impl PartitionLag {
    /// Where a group stands, without the time of its first unread record.
    pub fn new(source: Source, committed: Option<NextOffset>, bounds: Option<Bounds>) -> Self {
        Self {
            topic: source.topic,
            stream: source.stream,
            partition: source.partition,
            committed,
            bounds,
            oldest: None,
            read_whole: false,
        }
    }

    /// What a group committed there; the rest is not known yet.
    fn of(source: Source, committed: &GroupOffsets) -> Self {
        let place = (source.topic.as_str().to_owned(), source.partition);
        Self::new(source, committed.get(&place).copied(), None)
    }

    /// How many records the group has not read: from what it committed, or from the first record that is still there, to the
    /// end. In topics with transactions or compaction these are offsets, some of which hold no record; 0 where none does
    /// ([`Self::read_whole`]). `None` where the bounds are not known.
    pub fn records(&self) -> Option<u64> {
        if self.read_whole {
            return Some(0);
        }
        let Bounds { first, end } = self.bounds?;
        let next = self.committed.map_or(first, |next| next.max(first));
        Some(u64::try_from(end.0 - next.0).unwrap_or(0))
    }
}

impl GroupLag {
    /// How many records the group has not read, over all partitions of which that is known.
    pub fn records(&self) -> u64 {
        let records = self.partitions.iter().filter_map(PartitionLag::records);
        records.sum()
    }

    /// The timestamp of the oldest record that it has not read, as far as that is known.
    pub fn oldest(&self) -> Option<i64> {
        self.partitions.iter().filter_map(|it| it.oldest).min()
    }
}

impl Connection {
    /// Looks at these groups, or at all groups that committed something in the streams of this prefix where none is named.
    /// Groups of other libraries are seen as well. A named group that is not listed and committed nothing here is
    /// left out; one that is listed and committed nothing here has no partitions.
    ///
    /// Takes one question to each group's coordinator, two to the leaders of the partitions, and a fetch for each of the 50
    /// partitions that are furthest behind. Each is bounded by `connect-timeout`.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], and [`ClientError::Unauthorized`] where a group that was named may not be described.
    pub async fn lag(&self, groups: &[String]) -> Result<Vec<GroupLag>, ClientError> {
        let broker = self.broker();
        let listed = broker.groups().await?;
        let wanted: Vec<&String> = match groups {
            [] => listed.keys().collect(),
            named => named.iter().collect(),
        };
        let cluster = broker.cluster().await?;
        let prefix = &self.settings().topic_prefix;
        let mut all = Vec::new();
        for group in wanted {
            let offsets = match broker.group_offsets(group, None).await {
                // Somebody else's group, which nobody asked for.
                Err(ClientError::Unauthorized { .. }) if groups.is_empty() => continue,
                offsets => offsets?,
            };
            let read = offsets.keys().map(|(topic, _)| topic.as_str());
            let read = sources(&cluster, prefix, read.collect()).into_iter();
            let partitions: Vec<_> = read
                .map(|source| PartitionLag::of(source, &offsets))
                .collect();
            if partitions.is_empty() && (groups.is_empty() || !listed.contains_key(group)) {
                continue;
            }
            all.push(GroupLag {
                group: group.clone(),
                has_members: listed.get(group).copied().flatten(),
                partitions,
            });
        }
        let found = all.iter_mut().flat_map(|group| &mut group.partitions);
        self.find_bounds(found.collect()).await?;
        self.find_oldest(&mut all).await;
        Ok(all)
    }

    /// Looks at a group that has committed nothing yet, in the streams of these patterns: its lag is all that is there, for a
    /// group that starts at the earliest record. `None` if no stream matches. Takes two questions more than [`Self::lag`].
    ///
    /// # Errors
    /// As [`Self::lag`].
    pub async fn lag_from_start(
        &self,
        group: &str,
        patterns: &[Pattern],
    ) -> Result<Option<GroupLag>, ClientError> {
        let broker = self.broker();
        let cluster = broker.cluster().await?;
        let prefix = &self.settings().topic_prefix;
        let topics = patterns
            .iter()
            .flat_map(|pattern| cluster.matching(prefix, pattern));
        let topics = topics.map(|topic| topic.name.as_str()).collect();
        let partitions = sources(&cluster, prefix, topics);
        if partitions.is_empty() {
            return Ok(None);
        }
        let listed = broker.groups().await?;
        let mut found = [GroupLag {
            group: group.to_owned(),
            has_members: match listed.get(group) {
                Some(members) => *members,
                // Nobody knows it, so nobody is in it; the dev broker lists no groups at all.
                None => (!listed.is_empty()).then_some(false),
            },
            partitions: self.lag_of(group, &partitions).await?,
        }];
        self.find_oldest(&mut found).await;
        let [found] = found;
        Ok(Some(found))
    }

    /// Looks at a group in all partitions of the streams of a pattern, in the order of topic and partition, whether it committed
    /// something there or not. As [`Self::lag_of`] otherwise; takes one question more.
    ///
    /// # Errors
    /// As [`Self::lag_of`].
    pub async fn lag_of_pattern(
        &self,
        group: &str,
        pattern: &Pattern,
    ) -> Result<Vec<PartitionLag>, ClientError> {
        let cluster = self.broker().cluster().await?;
        let prefix = &self.settings().topic_prefix;
        let topics = cluster.matching(prefix, pattern);
        let topics = topics.map(|topic| topic.name.as_str()).collect();
        self.lag_of(group, &sources(&cluster, prefix, topics)).await
    }

    /// Looks at a group in exactly these partitions, and answers in their order. Lists no groups, and reads no records:
    /// [`PartitionLag::oldest`] is `None`. A partition whose leader does not answer, or that there is not any more, has no
    /// bounds.
    ///
    /// Takes one question to the group's coordinator and two to the leaders of the partitions, each bounded by
    /// `connect-timeout`. Cancel safe.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], and [`ClientError::Unauthorized`] where the group may not be described.
    pub async fn lag_of(
        &self,
        group: &str,
        partitions: &[Source],
    ) -> Result<Vec<PartitionLag>, ClientError> {
        let lags = self.lags_of(&[(group, partitions)]).await?;
        lags.into_iter().next().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Looks at several groups as [`Self::lag_of`] does, and answers in their order. The leaders are asked once for all of
    /// them, so a partition that several groups read costs no more than one that a single group reads. A group whose
    /// coordinator does not answer leaves the others as they are.
    ///
    /// # Errors
    /// Of one group: as [`Self::lag_of`]. Of all: [`ClientError::Unreachable`] where the leaders cannot be asked.
    pub async fn lags_of(
        &self,
        groups: &[(&str, &[Source])],
    ) -> Result<Vec<Result<Vec<PartitionLag>, ClientError>>, ClientError> {
        // Before the bounds, so that no commit lies beyond its end.
        let committed = groups.iter().map(async |(group, partitions)| {
            let asked = distinct(partitions.iter().map(|it| (&it.topic, it.partition)));
            let committed = self.broker().group_offsets(group, Some(&asked)).await?;
            let partitions = partitions.iter();
            Ok(partitions
                .map(|source| PartitionLag::of(source.clone(), &committed))
                .collect::<Vec<_>>())
        });
        let mut lags: Vec<Result<Vec<PartitionLag>, ClientError>> = join_all(committed).await;
        let found = lags.iter_mut().flatten().flatten();
        self.find_bounds(found.collect()).await?;
        Ok(lags)
    }

    async fn find_bounds(&self, partitions: Vec<&mut PartitionLag>) -> Result<(), ClientError> {
        let asked = distinct(partitions.iter().map(|it| (&it.topic, it.partition)));
        let found = self.broker().bounds(&asked).await?;
        let bounds: BTreeMap<_, _> = asked.into_iter().zip(found).collect();
        for it in partitions {
            it.bounds = bounds
                .get(&(it.topic.clone(), it.partition))
                .copied()
                .flatten();
        }
        Ok(())
    }

    /// Reads the first unread record of the partitions that are furthest behind. What cannot be read has no time.
    async fn find_oldest(&self, groups: &mut [GroupLag]) {
        let mut behind: Vec<&mut PartitionLag> = groups
            .iter_mut()
            .flat_map(|group| &mut group.partitions)
            .filter(|it| it.records().is_some_and(|records| records > 0))
            .collect();
        behind.sort_by_key(|it| std::cmp::Reverse(it.records()));
        for it in behind.into_iter().take(OLDEST) {
            let first = it.bounds.map_or(NextOffset(0), |bounds| bounds.first);
            let next = it.committed.map_or(first, |next| next.max(first));
            let record = self
                .broker()
                .record(&it.topic, it.partition, Offset(next.0))
                .await;
            match record {
                Ok(Some(record)) => it.oldest = record.timestamp,
                Ok(None) => it.read_whole = true,
                Err(error) => {
                    tracing::debug!(topic = %it.topic, partition = it.partition, %error, "the first unread record has no time");
                }
            }
        }
    }
}

/// All partitions of those of these topics that carry a stream of this prefix.
fn sources(cluster: &Cluster, prefix: &TopicPrefix, topics: BTreeSet<&str>) -> Vec<Source> {
    let mut sources = Vec::new();
    for name in topics {
        let (Ok(topic), Some(stream), Some(there)) = (
            TopicName::new(name),
            prefix.consumed_stream(name),
            cluster.topics.get(name),
        ) else {
            continue;
        };
        sources.extend((0..there.partitions.cast_signed()).map(|partition| Source {
            topic: topic.clone(),
            stream: stream.clone(),
            partition,
        }));
    }
    sources
}

/// Each partition once, as the broker wants them.
fn distinct<'a>(partitions: impl Iterator<Item = (&'a TopicName, i32)>) -> Vec<(TopicName, i32)> {
    let distinct: BTreeSet<_> = partitions.collect();
    let distinct = distinct.into_iter();
    distinct
        .map(|(topic, partition)| (topic.clone(), partition))
        .collect()
}
