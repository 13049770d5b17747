//! Stream: the topic that a run publishes to, from outside: creates it, deletes it, and finds what left its log.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use kafkaesk_client::{Connection, broker::TopicSpec};
use kafkaesk_core::TopicName;

use crate::{ledger::Published, line::Micros};

/// Kafka's tool that names a topic's first offsets, and its arguments beside the topic.
pub(super) const OFFSETS: (&str, [&str; 2]) =
    ("org.apache.kafka.tools.GetOffsetShell", ["--time", "-2"]);
/// Kafka's tool that prints the partition and offset of each record.
pub(super) const RECORDS: (&str, [&str; 9]) = (
    "org.apache.kafka.tools.consumer.ConsoleConsumer",
    [
        "--from-beginning",
        "--timeout-ms",
        "3000",
        "--formatter-property",
        "print.partition=true",
        "--formatter-property",
        "print.offset=true",
        "--formatter-property",
        "print.value=false",
    ],
);

/// The topic.
pub(super) struct Stream {
    connection: Connection,
    spec: TopicSpec,
}

impl Stream {
    pub(super) fn new(
        connection: Connection,
        topic: &str,
        partitions: u32,
        config: &[(&str, &str)],
    ) -> Result<Self> {
        let config = config.iter();
        Ok(Self {
            connection,
            spec: TopicSpec {
                topic: TopicName::new(topic)?,
                partitions,
                replication_factor: 1,
                config: config
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
            },
        })
    }

    pub(super) async fn create(&self) -> Result<()> {
        if !self.connection.broker().create_topic(&self.spec).await? {
            bail!("somebody else created {}", self.spec.topic);
        }
        Ok(())
    }

    pub(super) async fn delete(&self) -> Result<()> {
        let broker = self.connection.broker();
        if !broker.delete_topic(&self.spec.topic).await? {
            bail!("there is no {} to delete", self.spec.topic);
        }
        Ok(())
    }

    pub(super) async fn is_there(&self) -> Result<bool> {
        let broker = self.connection.broker();
        Ok(broker
            .topic(&self.spec.topic, "looking for the topic")
            .await?
            .is_some())
    }
}

/// The first offset of each partition, as `OFFSETS` prints it.
pub(super) fn first_offsets(printed: &str) -> Result<BTreeMap<i32, i64>> {
    printed
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let mut parts = line.rsplitn(3, ':');
            let (offset, partition) = (parts.next(), parts.next());
            let parsed = partition.zip(offset).and_then(|(partition, offset)| {
                Some((partition.parse().ok()?, offset.trim().parse().ok()?))
            });
            parsed.with_context(|| format!("not an offset of a partition: {line}"))
        })
        .collect()
}

/// Partition and offset of each record, as `RECORDS` prints them.
pub(super) fn records(printed: &str) -> BTreeSet<(i32, i64)> {
    printed
        .lines()
        .filter_map(|line| {
            let (partition, rest) = line.strip_prefix("Partition:")?.split_once('\t')?;
            let offset = rest.strip_prefix("Offset:")?;
            let offset = offset.split('\t').next()?;
            Some((partition.parse().ok()?, offset.trim().parse().ok()?))
        })
        .collect()
}

/// When each record was followed by one of its key, and compaction might take it from then on.
pub(super) fn superseded(published: &[Published]) -> BTreeMap<(i32, i64), Micros> {
    let mut sorted: Vec<&Published> = published.iter().collect();
    sorted.sort_by_key(|it| (it.place.partition, it.place.offset));
    let mut last: BTreeMap<(i32, &str), i64> = BTreeMap::new();
    let mut superseded = BTreeMap::new();
    for it in sorted {
        let (partition, offset) = (it.place.partition, it.place.offset);
        if let Some(before) = last.insert((partition, &it.key), offset) {
            superseded.insert((partition, before), it.at);
        }
    }
    superseded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Place;

    #[test]
    fn the_tools_words_are_read() {
        let first = first_offsets("p.load:0:12\np.load:1:0\n").unwrap();
        assert_eq!(first, BTreeMap::from([(0, 12), (1, 0)]));
        assert!(first_offsets("nothing").is_err());
        let printed = "Partition:2\tOffset:17\nPartition:3\tOffset:4\tnull\nProcessed 2\n";
        assert_eq!(records(printed), BTreeSet::from([(2, 17), (3, 4)]));
    }

    #[test]
    fn a_record_is_superseded_by_the_next_of_its_key_in_its_partition() {
        let published = |partition, offset, key: &str, at| Published {
            place: Place {
                topic: "t".into(),
                partition,
                offset,
            },
            key: key.into(),
            seq: 0,
            poison: None,
            at,
        };
        let log = [
            published(0, 5, "a", 50),
            published(0, 1, "a", 10),
            published(0, 2, "b", 20),
            published(1, 3, "a", 30),
        ];
        assert_eq!(superseded(&log), BTreeMap::from([((0, 1), 50)]));
    }
}
