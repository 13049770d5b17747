//! Unsettled: how many dead letters of a group wait for somebody, since when, and how long the topic keeps them.

use std::time::Duration;

use super::DeadLetters;
use crate::ClientError;

/// The dead letters of a group that nobody redrove or purged yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsettled {
    /// How many.
    pub letters: u64,
    /// When the oldest of them was written, in milliseconds since the Unix epoch. `None` for none, or without a timestamp.
    pub oldest: Option<i64>,
    /// How long the topic keeps a letter. `None` where it keeps them for ever, or does not say.
    pub retention: Option<Duration>,
}

impl DeadLetters {
    /// Counts them. Reads the whole topic of dead letters, twice; keeps none. `None` if the topic does not exist.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub async fn unsettled(&self) -> Result<Option<Unsettled>, ClientError> {
        let Some(snapshot) = self.snapshot().await? else {
            return Ok(None);
        };
        let mut found = Unsettled {
            retention: self.retention().await?,
            ..Unsettled::default()
        };
        let mut letters = self.letters(&snapshot).await?;
        while let Some(letter) = letters.next().await? {
            if letter.settled.is_none() {
                found.letters += 1;
                let at = letter.record.timestamp;
                found.oldest = found.oldest.into_iter().chain(at).min();
            }
        }
        Ok(Some(found))
    }

    /// `None` for ever, and where the settings of the topic are not visible.
    async fn retention(&self) -> Result<Option<Duration>, ClientError> {
        let config = self.connection.broker().topic_config(&self.topic).await?;
        let millis = config.and_then(|config| config.get("retention.ms")?.parse().ok());
        Ok(millis.map(Duration::from_millis))
    }
}
