//! Copies: reads what handlers published in transactions, as readers of committed records see it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use kafkaesk_client::{
    Connection,
    consumer::{ConsumerEvent, ConsumerSpec, Start},
};
use kafkaesk_core::{Envelope, Pattern, Record};
use tokio::time::{Instant, sleep, timeout_at};

use super::COPIES;
use crate::{
    ledger::{Copy, Place},
    work::Work,
};

/// How long an open transaction may hold copies back: 20 s, and until the brokers look.
const HELD_BACK: Duration = Duration::from_secs(40);
/// Between two looks.
const AGAIN: Duration = Duration::from_millis(200);
/// The number of a message that the suite writes behind all copies of a partition.
const LAST: u64 = u64::MAX;

/// All copies, once no open transaction holds any back: when what the suite writes behind them can be read.
pub(super) async fn read(connection: &Connection) -> Result<Vec<Copy>> {
    let prefix = &connection.settings().topic_prefix;
    let topic = format!("{}{COPIES}", prefix.as_str());
    let cluster = connection.broker().cluster().await?;
    let Some(info) = cluster.topics.get(&topic) else {
        // Nothing was ever copied.
        return Ok(Vec::new());
    };
    let publisher = connection.publisher();
    let last = Work {
        seq: LAST,
        ..Work::default()
    };
    for partition in 0..i32::try_from(info.partitions)? {
        let publish = publisher.publish(COPIES, &last);
        publish.partition(partition).await?;
    }
    let until = Instant::now() + HELD_BACK;
    loop {
        let reading = once(connection, info.partitions);
        let (last, copies) = timeout_at(until, reading)
            .await
            .context("reading the copies takes too long")??
            .into_iter()
            .partition::<Vec<_>, _>(|copy| copy.seq == LAST);
        if last.len() == usize::try_from(info.partitions)? {
            return Ok(copies);
        }
        if Instant::now() >= until {
            bail!("a transaction stays open on {topic}: what stands behind it cannot be read");
        }
        sleep(AGAIN).await;
    }
}

async fn once(connection: &Connection, partitions: u32) -> Result<Vec<Copy>> {
    let spec = ConsumerSpec {
        group: None,
        pattern: Pattern::new(COPIES)?,
        retry_topic: None,
        start: Start::Earliest,
        drain: Duration::ZERO,
        kafka_settings: BTreeMap::new(),
        skip: Vec::new(),
        exact: false,
        partition: None,
    };
    let mut consumer = connection.broker().consume(spec).await?;
    let (mut copies, mut open) = (Vec::new(), partitions);
    while open > 0 {
        match consumer.next().await {
            Some(ConsumerEvent::End(_)) => open -= 1,
            Some(ConsumerEvent::Records(batch)) => {
                for record in &batch.records {
                    copies.push(copy(record)?);
                }
            }
            Some(ConsumerEvent::Failed(error)) => return Err(error.into()),
            Some(_) => {}
            None => bail!("the copies cannot be read to their end"),
        }
    }
    copies.sort_by(|a: &Copy, b: &Copy| a.place.cmp(&b.place));
    Ok(copies)
}

fn copy(record: &Record) -> Result<Copy> {
    let envelope = Envelope::of(record.value.as_deref())
        .with_context(|| format!("{}@{} is not a copy", record.source, record.offset.0))?;
    let work: Work = serde_json::from_slice(envelope.data)?;
    Ok(Copy {
        place: Place {
            topic: Arc::from(record.topic()),
            partition: record.partition(),
            offset: record.offset.0,
        },
        key: String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into(),
        seq: work.seq,
    })
}
