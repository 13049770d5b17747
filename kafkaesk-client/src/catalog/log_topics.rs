//! Log topics: creates `__schema__…` and `__streams__`, checks their settings, and bounds what is kept of them in memory.

use kafkaesk_core::{TopicName, names::collide};

use super::Catalog;
use crate::{
    ClientError,
    broker::{Cluster, LOG_RECORD_BYTES, TopicSpec},
};

/// How many bytes a record takes beside its value, rounded up.
pub(super) const RECORD_OVERHEAD: usize = 256;
/// Every topic takes a record of this many bytes, unless it was made for smaller ones.
pub(super) const ALWAYS_TAKEN: usize = 1_000_000;
/// How many bytes of records that count a log may hold: all of them are kept in memory.
const MAX_LOG_KEPT: usize = 64 * 1024 * 1024;

impl Catalog {
    /// Creates a bookkeeping topic if it is absent, and refuses one whose settings would delete its records.
    ///
    /// `bytes` is the length of the longest value that will be written. A topic that is created for a long value
    /// accepts it; by default, brokers accept one mebibyte.
    pub(super) async fn ensure_log_topic(
        &self,
        topic: &TopicName,
        bytes: usize,
    ) -> Result<(), ClientError> {
        if self.checked.lock().contains(topic) {
            return Ok(());
        }
        let cluster = self.broker.cluster().await?;
        if !self.log_exists(&cluster, topic).await? {
            let replication_factor = self.replication_factor(cluster.brokers);
            let min_insync = replication_factor.min(2).to_string();
            let room = LOG_RECORD_BYTES.to_string();
            let room = (bytes + RECORD_OVERHEAD > ALWAYS_TAKEN)
                .then_some(("max.message.bytes", room.as_str()));
            let spec = TopicSpec {
                topic: topic.clone(),
                partitions: 1,
                replication_factor,
                config: [
                    ("cleanup.policy", "delete"),
                    ("retention.ms", "-1"),
                    ("retention.bytes", "-1"),
                    ("min.insync.replicas", &*min_insync),
                    ("unclean.leader.election.enable", "false"),
                ]
                .into_iter()
                .chain(room)
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            };
            if !self.broker.create_topic(&spec).await? {
                // Another program was faster.
                return self.check_log_topic(&cluster, topic).await;
            }
            self.checked.lock().insert(topic.clone());
        }
        Ok(())
    }

    /// Whether a bookkeeping topic is there, as it must be; an absent one could be created.
    pub(super) async fn log_exists(
        &self,
        cluster: &Cluster,
        topic: &TopicName,
    ) -> Result<bool, ClientError> {
        let exists = cluster.topics.contains_key(topic.as_str());
        if exists {
            self.check_log_topic(cluster, topic).await?;
        } else {
            check_collision(cluster, topic)?;
        }
        Ok(exists)
    }

    /// The topic must keep all records (checked if its settings are visible) in one partition.
    async fn check_log_topic(
        &self,
        cluster: &Cluster,
        topic: &TopicName,
    ) -> Result<(), ClientError> {
        if self.checked.lock().contains(topic) {
            return Ok(());
        }
        let mut has = self.broker.topic_config(topic).await?.unwrap_or_default();
        let there = cluster.topics.get(topic.as_str());
        // The dev broker's topics all have several; its log is partition 0.
        if let Some(there) = there.filter(|_| !cluster.is_dev) {
            has.insert("partitions".to_owned(), there.partitions.to_string());
        }
        let wrong: Vec<(&str, &str, &str)> = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            ("partitions", "1"),
        ]
        .into_iter()
        .filter_map(|(name, needed)| {
            let found = has.get(name)?;
            (found != needed).then_some((name, found.as_str(), needed))
        })
        .collect();
        if !wrong.is_empty() {
            let list = |text: fn(&(&str, &str, &str)) -> String| {
                wrong.iter().map(text).collect::<Vec<_>>().join(", ")
            };
            return Err(ClientError::LogSettings {
                topic: topic.clone(),
                found: list(|(name, found, _)| format!("{name}={found}")),
                needed: list(|(name, _, needed)| format!("{name}={needed}")),
            });
        }
        self.checked.lock().insert(topic.clone());
        Ok(())
    }
}

/// Kafka takes names that differ only in `.` and `_` for one; the error names both.
pub(super) fn check_collision(cluster: &Cluster, topic: &TopicName) -> Result<(), ClientError> {
    match cluster
        .topics
        .keys()
        .find(|existing| collide(existing, topic.as_str()))
    {
        Some(existing) => Err(ClientError::Collision {
            topic: topic.clone(),
            existing: existing.clone(),
        }),
        None => Ok(()),
    }
}

/// Refuses a log that holds more than the memory bound. `what`: what its records hold, in words.
pub(super) fn check_kept(kept: usize, topic: &TopicName, what: &str) -> Result<(), ClientError> {
    if kept > MAX_LOG_KEPT {
        return Err(ClientError::LogTooLarge {
            topic: topic.clone(),
            what: format!("more than {} MiB of {what}", MAX_LOG_KEPT >> 20),
        });
    }
    Ok(())
}

/// The error for a record that was acknowledged but is not in the log.
pub(super) fn not_read_back(topic: &TopicName) -> ClientError {
    ClientError::Kafka {
        action: format!("reading back what was appended to {topic}"),
        source: "the record was acknowledged but is not in the log; look at that topic's replicas"
            .into(),
    }
}
