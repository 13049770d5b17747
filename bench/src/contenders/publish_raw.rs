//! rdkafka's ThreadedProducer with serde_json, unvalidated. The same guarantees as kafkaesk asks for: idempotence,
//! acks=all, no compression, linger 5 ms; everything else by its own defaults.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};

use super::Job;
use crate::{
    backlog,
    event::{Envelope, Reading, SCHEMA},
    result::Run,
};

/// Counts deliveries.
#[derive(Debug, Default)]
struct Deliveries {
    done: AtomicU64,
    failed: AtomicU64,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() {
            &self.done
        } else {
            &self.failed
        };
        counter.fetch_add(1, Relaxed);
    }
}

pub(super) fn run(job: &Job) -> Result<()> {
    let topic = format!("{}{}", job.prefix, job.run);
    backlog::create(&job.servers, &topic)?;
    let producer: ThreadedProducer<Deliveries> = ClientConfig::new()
        .set("bootstrap.servers", &job.servers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "5")
        .create_with_context(Deliveries::default())?;
    let counts = || producer.context();
    send(&producer, &topic, &Reading::new(0))?;
    producer.flush(Duration::from_secs(30))?;
    let warm = counts().done.load(Relaxed);
    ensure!(warm == 1, "the first message was not delivered");

    let started = Instant::now();
    let mut ids = 0;
    for id in 0..job.count {
        send(&producer, &topic, &Reading::new(id))?;
        ids += id;
    }
    producer.flush(Duration::from_secs(60))?;
    let took = started.elapsed();
    let failed = counts().failed.load(Relaxed);
    ensure!(failed == 0, "{failed} deliveries failed");
    Run::tell(job.count, counts().done.load(Relaxed) - warm, ids, took)
}

fn send(producer: &ThreadedProducer<Deliveries>, topic: &str, reading: &Reading) -> Result<()> {
    let value = serde_json::to_vec(&Envelope {
        schema: SCHEMA,
        data: reading,
    })?;
    let mut record = BaseRecord::to(topic).key(reading.key()).payload(&value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(anyhow!(error)),
        }
    }
}
