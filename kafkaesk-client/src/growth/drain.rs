//! Drain: waits until publishing has paused and every group has committed its end, and grows then; or grows at once. A growth is
//! one question to the brokers, so whatever ends the program leaves the former number of partitions or the new one.

use std::time::Duration;

use kafkaesk_core::{NextOffset, Offset, Source, TopicName};
use tokio::time::{Instant, sleep};

use super::{DrainLook, DrainWait, Grown, GrowthError, GrowthPlan, PUBLISHERS_FOLLOW, Unfinished};
use crate::{ClientError, Connection, broker::Bounds};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// A single look asks of so few records whether they are more than the marks of transactions.
const MARKS: u64 = 16;

impl GrowthPlan {
    /// Waits until the ends of the partitions have stood still for `wait.quiet` and every group has finished what is there; then
    /// checks everything again, and grows. So of each key, what was published before the growth is finished before what is
    /// published after it, provided that publishing pauses until this returns.
    ///
    /// Returns [`PUBLISHERS_FOLLOW`] after the growth. `progress` gets each look. Dropped, it has grown the stream or not, and
    /// nothing else.
    ///
    /// # Errors
    /// [`GrowthError`]. Nothing was changed, except where the brokers' answer to the growth itself is missing, which the error
    /// says.
    pub async fn grow_when_drained(
        &self,
        connection: &Connection,
        wait: DrainWait,
        mut progress: impl FnMut(&DrainLook),
    ) -> Result<Grown, GrowthError> {
        let begun = Instant::now();
        let mut groups = self.groups.clone();
        let mut last = DrainLook::default();
        let mut still_since = begun;
        loop {
            let mut look = self.look(connection, &groups, Some(&last.ends)).await?;
            if look.ends != last.ends {
                still_since = Instant::now();
            }
            look.quiet = still_since.elapsed();
            progress(&look);
            let missing = look.missing(wait.quiet);
            if missing.is_none() {
                // A group or an obstacle may have come meanwhile.
                let again = connection.plan_growth(&self.request).await?;
                if !again.obstacles.is_empty() {
                    return Err(GrowthError::Refused(again.obstacles));
                }
                if again.is_done() {
                    return Ok(self.grown(Vec::new(), Vec::new()));
                }
                groups = again.groups;
                let renewed = self.look(connection, &groups, Some(&look.ends)).await?;
                if renewed.ends == look.ends
                    && renewed.open.is_empty()
                    && renewed.unfinished.is_empty()
                {
                    self.add_partitions(connection).await?;
                    sleep(PUBLISHERS_FOLLOW).await;
                    let moved = self.moved(connection, &renewed.ends).await?;
                    return Ok(self.grown(moved, Vec::new()));
                }
            }
            last = look;
            if begun.elapsed() >= wait.within {
                return Err(GrowthError::NotDrained {
                    waited: wait.within,
                    missing: missing.unwrap_or_else(|| "records came at the last moment".into()),
                });
            }
            sleep(LOOK).await;
        }
    }

    /// Grows at once. What groups have not finished by then may be handled after what is published to another partition under
    /// the same key.
    ///
    /// # Errors
    /// [`GrowthError`], as [`Self::grow_when_drained`].
    pub async fn grow_at_once(&self, connection: &Connection) -> Result<Grown, GrowthError> {
        let look = self.look_now(connection).await?;
        self.add_partitions(connection).await?;
        Ok(self.grown(Vec::new(), look.unfinished))
    }

    /// Where the stream stands. Does not wait.
    ///
    /// # Errors
    /// As asking the brokers fails.
    pub async fn look_now(&self, connection: &Connection) -> Result<DrainLook, ClientError> {
        self.look(connection, &self.groups, None).await
    }

    fn grown(&self, moved: Vec<(i32, u64)>, unfinished: Vec<Unfinished>) -> Grown {
        Grown {
            from: self.from,
            to: self.request.to,
            moved,
            unfinished,
        }
    }

    async fn add_partitions(&self, connection: &Connection) -> Result<(), GrowthError> {
        let (broker, to) = (connection.broker(), self.request.to);
        match broker.grow_topic(&self.topic, to, false).await {
            Ok(()) => Ok(()),
            // Another program may have been faster, or the answer alone was lost.
            Err(error) => match broker.topic(&self.topic, "Alter").await {
                Ok(Some(there)) if there.partitions == to => Ok(()),
                _ => Err(error.into()),
            },
        }
    }

    /// The partitions whose ends moved since `before`; a new partition begins with 0.
    async fn moved(
        &self,
        connection: &Connection,
        before: &[NextOffset],
    ) -> Result<Vec<(i32, u64)>, ClientError> {
        let now = ends(connection, &self.topic, self.request.to).await?;
        let before = before
            .iter()
            .copied()
            .chain(std::iter::repeat(NextOffset(0)));
        Ok((0..)
            .zip(now.into_iter().zip(before))
            .filter_map(|(partition, (now, before))| {
                let records = u64::try_from(now.0 - before.0).ok()?;
                (records > 0).then_some((partition, records))
            })
            .collect())
    }

    /// The partitions with records of a transaction that is open: their committed part ends before their records do.
    async fn open(
        &self,
        connection: &Connection,
        ends: &[NextOffset],
    ) -> Result<Vec<i32>, ClientError> {
        let asked: Vec<_> = (0..)
            .zip(ends)
            .map(|(partition, _)| (self.topic.clone(), partition))
            .collect();
        let bounds = connection.broker().bounds(&asked).await?;
        let open =
            |(bounds, end): (Option<Bounds>, &NextOffset)| bounds.is_some_and(|it| it.end < *end);
        let open = bounds.into_iter().zip(ends).map(open);
        Ok((0..)
            .zip(open)
            .filter_map(|(partition, open)| open.then_some(partition))
            .collect())
    }

    /// Where the stream stands; `former` are the ends of the last look, where there was one. Only where they stand still it is
    /// worth a fetch for each partition to learn whether anything but marks of transactions is left.
    async fn look(
        &self,
        connection: &Connection,
        groups: &[String],
        former: Option<&[NextOffset]>,
    ) -> Result<DrainLook, ClientError> {
        let ends = ends(connection, &self.topic, self.from).await?;
        let sources: Vec<Source> = (0..self.from.cast_signed())
            .map(|partition| Source {
                topic: self.topic.clone(),
                stream: self.request.stream.clone(),
                partition,
            })
            .collect();
        let asked: Vec<_> = groups
            .iter()
            .map(|group| (group.as_str(), &sources[..]))
            .collect();
        let mut look = DrainLook {
            open: self.open(connection, &ends).await?,
            ends,
            ..DrainLook::default()
        };
        for (group, lags) in groups.iter().zip(connection.lags_of(&asked).await?) {
            for lag in lags? {
                let partition = lag.partition;
                // Of a partition that is not answered for nothing is known: not even that it is drained.
                let Some(records) = lag.records() else {
                    return Err(unanswered(&self.topic, partition));
                };
                if records == 0 {
                    continue;
                }
                let first = lag.bounds.map_or(NextOffset(0), |bounds| bounds.first);
                let next = Offset(lag.committed.map_or(first, |next| next.max(first)).0);
                let broker = connection.broker();
                let is_asked = former.map_or(records <= MARKS, |former| former == look.ends);
                if is_asked && broker.record(&self.topic, partition, next).await?.is_none() {
                    continue;
                }
                look.unfinished.push(Unfinished {
                    group: group.clone(),
                    partition,
                    records,
                });
            }
        }
        Ok(look)
    }
}

/// Where the first partitions of a topic end, records of open transactions included.
async fn ends(
    connection: &Connection,
    topic: &TopicName,
    partitions: u32,
) -> Result<Vec<NextOffset>, ClientError> {
    let asked: Vec<_> = (0..partitions.cast_signed())
        .map(|partition| (topic.clone(), partition))
        .collect();
    let ends = connection.broker().written_ends(&asked).await?;
    (0..)
        .zip(ends)
        .map(|(partition, end)| end.ok_or_else(|| unanswered(topic, partition)))
        .collect()
}

fn unanswered(topic: &TopicName, partition: i32) -> ClientError {
    ClientError::Kafka {
        action: format!("asking where {topic}[{partition}] ends"),
        source: "its leader does not answer; run it again when it does".into(),
    }
}
