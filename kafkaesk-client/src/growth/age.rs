//! Age: when the partitions of a stream were added, as far as its records tell. Kafka keeps no such time.

use std::time::{Duration, SystemTime};

use kafkaesk_core::Offset;

use super::GrowthPlan;
use crate::{ClientError, Connection};

/// Partitions whose first records lie closer together were created together.
const TOGETHER: Duration = Duration::from_secs(20 * 60);

impl GrowthPlan {
    /// How long ago partitions were added to the stream. `None` if that never happened, or so long ago that the new
    /// partition's first record is gone: then at least the topic's retention has passed.
    ///
    /// The time is that of the newest partition's first record, as its publisher set it. Zero where that partition has no
    /// record yet.
    ///
    /// # Errors
    /// As asking the brokers fails.
    pub async fn grown_ago(
        &self,
        connection: &Connection,
    ) -> Result<Option<Duration>, ClientError> {
        let newest = self.from.cast_signed() - 1;
        let asked = [(self.topic.clone(), 0), (self.topic.clone(), newest)];
        let bounds = connection.broker().bounds(&asked).await?;
        let [Some(oldest_bounds), Some(newest_bounds)] = bounds[..] else {
            return Ok(None);
        };
        if newest == 0 || newest_bounds.first.0 > 0 {
            return Ok(None);
        }
        if newest_bounds.end.0 == 0 {
            // A topic without any record was not grown for its load.
            return Ok((oldest_bounds.end.0 > 0).then_some(Duration::ZERO));
        }
        let Some(added) = self.first_at(connection, newest).await? else {
            return Ok(None);
        };
        let ago = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH + added)
            .unwrap_or_default();
        if oldest_bounds.first.0 > 0 {
            return Ok(Some(ago));
        }
        let began = self.first_at(connection, 0).await?;
        let is_grown = began.is_some_and(|began| began + TOGETHER < added);
        Ok(is_grown.then_some(ago))
    }

    /// The time of a partition's first record, since 1970.
    async fn first_at(
        &self,
        connection: &Connection,
        partition: i32,
    ) -> Result<Option<Duration>, ClientError> {
        let record = connection
            .broker()
            .record(&self.topic, partition, Offset(0))
            .await?;
        let millis = record.and_then(|record| record.timestamp);
        Ok(millis
            .and_then(|millis| u64::try_from(millis).ok())
            .map(Duration::from_millis))
    }
}
