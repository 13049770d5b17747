//! Creates a group's topics of dead letters and of redriven messages.

use std::collections::{BTreeMap, BTreeSet};

use kafkaesk_core::{Pattern, TopicName, dead_letter::MAX_BYTES};

use super::DeadLetters;
use crate::{
    ClientError,
    broker::{Cluster, TopicSpec},
};

/// Kafka's default of `message.max.bytes`: the largest record that a broker takes.
const DEFAULT_MESSAGE_BYTES: usize = 1_048_588;
/// How many source topics are asked for their `max.message.bytes`, at most.
const ASKED: usize = 100;

/// What became of a group's topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicState {
    /// It was created.
    Created,
    /// It was there.
    There,
}

/// What is planned for a group's topic of dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedTopic {
    /// Whether it is there, or is to be created.
    pub state: TopicState,
    /// How many partitions it has or gets.
    pub partitions: u32,
}

impl DeadLetters {
    /// Creates the topic of dead letters if it is absent: `dead-letter-partitions`, `dead-letter-retention`, and room
    /// for the largest record of the topics that the group's patterns match now, with its headers. A topic whose
    /// settings are not visible counts with Kafka's default. The dev broker creates topics by itself.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] where it is absent and may not be created, and others of [`ClientError`].
    pub async fn create(&self, patterns: &[Pattern]) -> Result<TopicState, ClientError> {
        self.create_topic(&self.topic, |cluster| self.sources(patterns, cluster))
            .await
    }

    /// What [`Self::create`] would do; creates nothing, needs no right to create.
    ///
    /// # Errors
    /// As [`Self::create`], as far as that can be known before.
    pub async fn plan(&self, patterns: &[Pattern]) -> Result<PlannedTopic, ClientError> {
        let broker = self.connection.broker();
        let cluster = broker.cluster().await?;
        let there = cluster.topics.get(self.topic.as_str());
        if let Some(there) = there {
            return Ok(PlannedTopic {
                state: TopicState::There,
                partitions: there.partitions,
            });
        }
        let sources = self.sources(patterns, &cluster);
        let spec = self.spec(&self.topic, &sources, &cluster).await?;
        let checked = broker.check_topics(std::slice::from_ref(&spec)).await;
        checked.into_iter().collect::<Result<(), _>>()?;
        Ok(PlannedTopic {
            state: TopicState::Created,
            partitions: spec.partitions,
        })
    }

    /// The same for the topic of redriven messages. It has room for every dead letter and the header of the redrive.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn create_retry(&self) -> Result<TopicState, ClientError> {
        self.create_topic(&self.retry_topic, |_| vec![self.topic.clone()])
            .await
    }

    /// The topics that the group's records come from.
    fn sources(&self, patterns: &[Pattern], cluster: &Cluster) -> Vec<TopicName> {
        let prefix = &self.connection.settings().topic_prefix;
        let matching = patterns
            .iter()
            .flat_map(|pattern| cluster.matching(prefix, pattern));
        let topics: BTreeSet<TopicName> = matching
            .filter_map(|topic| TopicName::new(&topic.name).ok())
            .collect();
        topics.into_iter().collect()
    }

    /// Whether the topic of dead letters is there.
    ///
    /// # Errors
    /// [`ClientError`] of asking for it.
    pub async fn exists(&self) -> Result<bool, ClientError> {
        let there = self.connection.broker().topic(&self.topic, "Read").await?;
        Ok(there.is_some())
    }

    async fn create_topic(
        &self,
        topic: &TopicName,
        sources: impl FnOnce(&Cluster) -> Vec<TopicName>,
    ) -> Result<TopicState, ClientError> {
        let broker = self.connection.broker();
        let cluster = broker.cluster().await?;
        if cluster.topics.contains_key(topic.as_str()) {
            return Ok(TopicState::There);
        }
        let spec = self.spec(topic, &sources(&cluster), &cluster).await?;
        Ok(match broker.create_topic(&spec).await? {
            true => TopicState::Created,
            false => TopicState::There,
        })
    }

    async fn spec(
        &self,
        topic: &TopicName,
        sources: &[TopicName],
        cluster: &Cluster,
    ) -> Result<TopicSpec, ClientError> {
        let settings = self.connection.settings();
        let mut largest = DEFAULT_MESSAGE_BYTES;
        for source in sources.iter().take(ASKED) {
            let config = self.connection.broker().topic_config(source).await?;
            let bytes = config.and_then(|config| config.get("max.message.bytes")?.parse().ok());
            largest = largest.max(bytes.unwrap_or_default());
        }
        let room = largest.saturating_add(MAX_BYTES).min(i32::MAX as usize);
        let retention = settings.dead_letter_retention.as_millis();
        Ok(TopicSpec {
            topic: topic.clone(),
            partitions: settings.dead_letter_partitions,
            replication_factor: self
                .connection
                .catalog()
                .replication_factor(cluster.brokers),
            config: BTreeMap::from([
                ("cleanup.policy".to_owned(), "delete".to_owned()),
                ("retention.ms".to_owned(), retention.to_string()),
                ("max.message.bytes".to_owned(), room.to_string()),
            ]),
        })
    }
}
