//! Backlog: fills a topic with a number of envelopes, spread over its partitions, for consumers to read.

use std::time::Duration;

use anyhow::{Result, anyhow};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};

use crate::event::{Envelope, Reading, SCHEMA};

/// As many as kafkaesk creates.
pub(crate) const PARTITIONS: i32 = 7;

/// Creates a topic.
pub(crate) fn create(servers: &str, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .create()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let spec = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let answers = runtime.block_on(admin.create_topics([&spec], &options))?;
    for answer in answers {
        answer.map_err(|(topic, code)| anyhow!("creating {topic}: {code}"))?;
    }
    Ok(())
}

/// Deletes every topic that begins so.
pub(crate) fn delete(servers: &str, prefix: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .create()?;
    let metadata = admin
        .inner()
        .fetch_metadata(None, Duration::from_secs(30))?;
    let topics: Vec<&str> = metadata
        .topics()
        .iter()
        .map(|topic| topic.name())
        .filter(|topic| topic.starts_with(prefix))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for answer in runtime.block_on(admin.delete_topics(&topics, &AdminOptions::new()))? {
        answer.map_err(|(topic, code)| anyhow!("deleting {topic}: {code}"))?;
    }
    Ok(())
}

/// Fills a new topic; returns how many bytes an envelope has on average.
pub(crate) fn fill(servers: &str, topic: &str, count: u64) -> Result<f64> {
    create(servers, topic)?;
    spread(servers, &[topic.to_owned()], count)
}

/// Spreads the messages over topics that are there.
pub(crate) fn spread(servers: &str, topics: &[String], count: u64) -> Result<f64> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("partitioner", "murmur2_random")
        .create()?;
    let mut bytes = 0;
    for (id, topic) in (0..count).zip(topics.iter().cycle()) {
        let reading = Reading::new(id);
        let value = serde_json::to_vec(&Envelope {
            schema: SCHEMA,
            data: &reading,
        })?;
        bytes += value.len();
        let mut record = BaseRecord::to(topic).key(reading.key()).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            if !matches!(
                error,
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
            ) {
                return Err(error.into());
            }
            record = back;
            producer.poll(Duration::from_millis(10));
        }
        if id.is_multiple_of(100) {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(bytes as f64 / count as f64)
}
