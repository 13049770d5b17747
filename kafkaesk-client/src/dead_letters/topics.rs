//! Creates a group's topics of dead letters and of redriven messages.

use std::collections::BTreeMap;

use kafkaesk_core::{TopicName, dead_letter::MAX_BYTES};

use super::DeadLetters;
use crate::{
    ClientError,
    broker::{Cluster, TopicSpec},
};

/// What a broker takes in one record where nobody says otherwise: Kafka's default of `message.max.bytes`.
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
    /// Creates the topic of dead letters if it is absent: `dead-letter-partitions`, `dead-letter-retention`, and room for
    /// the largest record of the topics that it is for, with its headers. Topics that it may not see settings of count as
    /// Kafka's default. On the dev broker, topics create themselves.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] where it is absent and may not be created, and others of [`ClientError`].
    pub async fn create(&self, sources: &[TopicName]) -> Result<TopicState, ClientError> {
        self.create_topic(&self.topic, sources).await
    }

    /// What [`Self::create`] would do; creates nothing, needs no right to create.
    ///
    /// # Errors
    /// As [`Self::create`], as far as that can be known before.
    pub async fn plan(&self, sources: &[TopicName]) -> Result<PlannedTopic, ClientError> {
        let broker = self.connection.broker();
        let cluster = broker.cluster().await?;
        let there = cluster.topics.get(self.topic.as_str());
        if let Some(there) = there {
            return Ok(PlannedTopic {
                state: TopicState::There,
                partitions: there.partitions,
            });
        }
        let spec = self.spec(&self.topic, sources, &cluster).await?;
        let checked = broker.check_topics(std::slice::from_ref(&spec)).await;
        checked.into_iter().collect::<Result<(), _>>()?;
        Ok(PlannedTopic {
            state: TopicState::Created,
            partitions: spec.partitions,
        })
    }

    /// The same for the topic of redriven messages.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn create_retry(&self, sources: &[TopicName]) -> Result<TopicState, ClientError> {
        self.create_topic(&self.retry_topic, sources).await
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
        sources: &[TopicName],
    ) -> Result<TopicState, ClientError> {
        let broker = self.connection.broker();
        let cluster = broker.cluster().await?;
        if cluster.is_dev || cluster.topics.contains_key(topic.as_str()) {
            return Ok(TopicState::There);
        }
        let spec = self.spec(topic, sources, &cluster).await?;
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
