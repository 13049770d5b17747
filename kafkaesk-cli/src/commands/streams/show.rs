//! `streams show STREAM`: one stream with its binding, its properties and the ceiling of its partitions. Changes nothing.

use anyhow::bail;
use kafkaesk_core::{Keys, PartitionGrowth, StreamId};
use serde_json::json;

use super::ceiling::Ceiling;
use crate::{
    commands::near, context::Context, errors::Usage, exit::Exit, format::OutputFormat, output,
};

/// Shows it.
pub(super) async fn run(context: &Context, stream: &str) -> anyhow::Result<Exit> {
    let stream = StreamId::new(stream).map_err(Usage::of)?;
    let ceiling = Ceiling::of(context, &stream)?;
    let connection = context.connect().await?;
    let name = connection.settings().topic_prefix.topic(&stream)?;
    let topic = connection.broker().topic(&name, "Describe").await?;
    let binding = connection.catalog().bindings().await?;
    let binding = binding.streams.get(&stream);
    if topic.is_none() && binding.is_none() {
        let near = near::stream(&connection, stream.as_str()).await;
        bail!("there is no stream {stream} (topic {name}){near}");
    }
    let properties = binding.map(|it| it.properties).unwrap_or_default();
    let partitions = topic.as_ref().map(|it| it.partitions);
    let replication = topic.as_ref().map(|it| it.replication_factor);
    if context.options.format() == OutputFormat::Json {
        output::json(&json!({
            "stream": stream.as_str(),
            "topic": name.as_str(),
            "schema": binding.map(|it| it.schema.as_str()),
            "epoch": binding.map(|it| it.epoch),
            "partitions": partitions,
            "replication-factor": replication,
            "keys": properties.keys.as_str(),
            "partition-growth": properties.partition_growth.as_str(),
            "max-partitions": ceiling.partitions,
            "max-partitions-set-by": ceiling.set_by,
        }))?;
        return Ok(Exit::Done);
    }
    let absent = || "(there is no topic)".to_owned();
    let growth = match (properties.partition_growth, properties.keys) {
        (PartitionGrowth::Auto, Keys::Any) => {
            "auto (only proposed: the stream takes keys, and more partitions move them)".to_owned()
        }
        (growth, _) => growth.to_string(),
    };
    let rows = [
        ("stream", stream.to_string()),
        ("topic", name.to_string()),
        (
            "schema",
            binding.map_or("(not bound)".to_owned(), |it| {
                format!("{} (epoch {})", it.schema, it.epoch)
            }),
        ),
        (
            "partitions",
            partitions.map_or_else(absent, |it| it.to_string()),
        ),
        (
            "replication",
            replication.map_or_else(absent, |it| it.to_string()),
        ),
        ("keys", properties.keys.to_string()),
        ("partition-growth", growth),
        (
            "max-partitions",
            format!("{} ({})", ceiling.partitions, ceiling.set_by),
        ),
    ];
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    for line in output::table(&rows) {
        output::line(line)?;
    }
    Ok(Exit::Done)
}
