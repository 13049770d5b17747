//! Letters: the group's topic of dead letters, from outside: creates it so that the broker stamps what is written, reads
//! all of it, deletes it and creates it again.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result, bail};
use kafkaesk_client::{Connection, DeadLetters, broker::TopicSpec};

use crate::ledger::{Letter, Place};

/// What the topic holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) letters: Vec<Letter>,
    /// Records that are not dead letters.
    pub(super) strange: Vec<String>,
}

/// The topic.
pub(super) struct Letters {
    topic: DeadLetters,
    replicas: u16,
    /// What it held when it was deleted.
    gone: Found,
}

impl Letters {
    pub(super) async fn create(connection: &Connection, group: &str) -> Result<Self> {
        let topic = Self {
            topic: DeadLetters::of(connection, group)?,
            replicas: 1,
            gone: Found::default(),
        };
        topic.create_again().await?;
        Ok(topic)
    }

    /// Everything that was written by now.
    pub(super) async fn read(&self) -> Result<Found> {
        let mut found = self.gone.clone();
        let Some(snapshot) = self.topic.snapshot().await? else {
            return Ok(found);
        };
        let mut letters = self.topic.letters(&snapshot).await?;
        while let Some(letter) = letters.next().await? {
            let record = &letter.record;
            let at = record.timestamp.context("a record without a time")?;
            match letter.origin {
                Ok(origin) => found.letters.push(Letter {
                    origin: Place {
                        topic: Arc::from(origin.topic.as_str()),
                        partition: origin.partition,
                        offset: origin.offset.0,
                    },
                    reason: origin.reason.to_string(),
                    attempts: origin.attempts,
                    at: at * 1000,
                }),
                Err(error) => found.strange.push(format!(
                    "{}@{} is not a dead letter: {error}",
                    record.source, record.offset.0
                )),
            }
        }
        Ok(found)
    }

    pub(super) async fn delete(&mut self) -> Result<()> {
        self.gone = self.read().await?;
        let broker = self.topic.connection().broker();
        if !broker.delete_topic(self.topic.topic()).await? {
            bail!("there is no topic of dead letters to delete");
        }
        Ok(())
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.topic.topic().as_str()
    }

    pub(super) async fn create_again(&self) -> Result<()> {
        let spec = TopicSpec {
            topic: self.topic.topic().clone(),
            partitions: 3,
            replication_factor: self.replicas,
            config: BTreeMap::from([(
                "message.timestamp.type".to_owned(),
                "LogAppendTime".to_owned(),
            )]),
        };
        let broker = self.topic.connection().broker();
        if !broker.create_topic(&spec).await? {
            bail!("somebody else created the topic of dead letters");
        }
        Ok(())
    }
}
