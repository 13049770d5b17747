//! Place: the partition and the offset at which `tail` reads, checked against what is there. Reads no record.

use anyhow::{anyhow, bail};
use kafkaesk_client::{Connection, broker::Bounds, consumer::OnePartition};
use kafkaesk_core::{Offset, Pattern, StreamId};

use super::TailArguments;
use crate::{commands::near, errors::Usage};

/// One partition, and where in it.
#[derive(Debug)]
pub(super) struct Place {
    wanted: OnePartition,
    /// The stream whose offset it is, where an offset is given.
    stream: Option<StreamId>,
}

impl Place {
    /// What the arguments name; nothing where all partitions are read.
    ///
    /// # Errors
    /// An offset for more than one stream.
    pub(super) fn of(arguments: &TailArguments, pattern: &Pattern) -> Result<Option<Self>, Usage> {
        let Some(partition) = arguments.partition else {
            return Ok(None);
        };
        let stream = match arguments.from_offset {
            None => None,
            Some(_) => Some(pattern.literal().ok_or_else(|| {
                Usage(format!(
                    "--from-offset is a place in one stream, and {:?} may match several; name one stream",
                    pattern.as_str()
                ))
            })?),
        };
        let from = arguments.from_offset.map(Offset);
        Ok(Some(Self {
            wanted: OnePartition { partition, from },
            stream,
        }))
    }

    /// What to read.
    pub(super) fn wanted(&self) -> OnePartition {
        self.wanted
    }

    /// Compares it with the streams that are there. Streams that come later are not known now.
    ///
    /// # Errors
    /// No stream has the partition, or the partition does not have the offset.
    pub(super) async fn check(
        &self,
        connection: &Connection,
        pattern: &Pattern,
    ) -> anyhow::Result<()> {
        let OnePartition { partition, from } = self.wanted;
        let prefix = &connection.settings().topic_prefix;
        let cluster = connection.broker().cluster().await?;
        let most = cluster
            .matching(prefix, pattern)
            .map(|topic| topic.partitions)
            .max();
        if let Some(most) = most
            && i64::from(partition) >= i64::from(most)
        {
            bail!(
                "--partition {partition} is not there: {:?} has the partitions 0 to {}",
                pattern.as_str(),
                most - 1
            );
        }
        let (Some(stream), Some(from)) = (&self.stream, from) else {
            return Ok(());
        };
        let Some(_) = most else {
            bail!(
                "there is no stream {stream} (topic prefix {:?}), so it has no offset {from}{}",
                prefix.as_str(),
                near::stream(connection, stream.as_str()).await
            );
        };
        let topic = prefix.topic(stream)?;
        let asked = [(topic, partition)];
        let bounds = connection.broker().bounds(&asked).await?;
        let Some(Bounds { first, end }) = bounds.into_iter().flatten().next() else {
            bail!("{stream}[{partition}] has no leader that answers; try again later");
        };
        if from.0 < first.0 || from.0 > end.0 {
            return Err(out_of_range(
                stream,
                self.wanted.partition,
                from,
                first.0,
                end.0,
            ));
        }
        Ok(())
    }
}

fn out_of_range(
    stream: &StreamId,
    partition: i32,
    from: Offset,
    first: i64,
    end: i64,
) -> anyhow::Error {
    let holds = match first == end {
        true => "it holds no records".to_owned(),
        false => format!("it holds the offsets {first} to {}", end - 1),
    };
    anyhow!(
        "--from-offset {from} is not in {stream}[{partition}]: {holds}, and the next record gets {end}; choose an offset from {first} to {end}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_outside_the_log_names_the_range() {
        let stream = StreamId::new("a").unwrap();
        let error = |first, end| out_of_range(&stream, 3, Offset(9), first, end).to_string();
        assert_eq!(
            error(2, 5),
            "--from-offset 9 is not in a[3]: it holds the offsets 2 to 4, and the next record gets 5; choose an offset from 2 to 5"
        );
        assert!(error(5, 5).contains("it holds no records"));
    }
}
