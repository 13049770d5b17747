//! kafkaesk's publisher: enqueue everything, validated, then wait until everything is delivered.

use std::{collections::VecDeque, time::Instant};

use anyhow::{Result, ensure};
use kafkaesk_client::{Connection, Delivery, Settings, core::TopicPrefix};

use super::Job;
use crate::{event::Reading, result::Run};

/// How many deliveries are awaited behind the newest enqueued event.
const WINDOW: usize = 20_000;

pub(super) fn run(job: &Job) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(publish(job))
}

async fn publish(job: &Job) -> Result<()> {
    let mut settings = Settings::new(&job.servers);
    settings.topic_prefix = TopicPrefix::new(&job.prefix)?;
    let publisher = Connection::open(&settings).await?.publisher();
    // Schema, binding, topic and the producer's id are settled before the clock starts.
    let warm = Reading::new(0);
    publisher.publish(&job.run, &warm).key(warm.key()).await?;

    let started = Instant::now();
    let mut waiting: VecDeque<Delivery> = VecDeque::with_capacity(WINDOW);
    let (mut delivered, mut ids) = (0, 0);
    for id in 0..job.count {
        let reading = Reading::new(id);
        let delivery = publisher
            .publish(&job.run, &reading)
            .key(reading.key())
            .enqueue()
            .await?;
        ids += id;
        waiting.push_back(delivery);
        if waiting.len() == WINDOW
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.await?;
            delivered += 1;
        }
    }
    for delivery in waiting {
        let receipt = delivery.await?;
        ensure!(receipt.offset.is_some(), "no offset for {receipt}");
        delivered += 1;
    }
    let took = started.elapsed();
    Run::tell(job.count, delivered, ids, took)
}
