//! `streams`: lists and shows streams with what they are bound to; grows, deletes and unbinds one. Creates none.

mod ceiling;
mod delete;
mod grow;
mod show;

use clap::{Args, Subcommand};
use kafkaesk_core::{Pattern, StreamProperties};
use serde_json::json;
use tracing::warn;

use crate::{
    commands::near, context::Context, errors::Usage, exit::Exit, format::OutputFormat, output,
};

pub use delete::DeleteArguments;
pub use grow::GrowArguments;

/// Arguments of `streams`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct StreamsArguments {
    /// What to do
    #[command(subcommand)]
    pub command: StreamsCommand,
}

/// What `streams` can do.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum StreamsCommand {
    /// List the streams behind the prefix, with what they are bound to
    List {
        /// Only those that match
        pattern: Option<String>,
    },
    /// Show a stream: its binding, whether it takes keys, how it grows and up to how many partitions
    Show {
        /// The stream
        stream: String,
    },
    /// Add partitions to a stream
    ///
    /// Checks everything first: the ceiling (`max-partitions`), the rights, groups and writers that would not follow. A stream
    /// that takes keys needs --when-drained or --accept-reordering. It can be run again after whatever ended it: the stream has
    /// the former number of partitions or the new one.
    Grow(GrowArguments),
    /// Delete a stream's topic with all of its records, and unbind the stream
    ///
    /// Refused while a group reads the stream. Committed offsets of the stream are deleted with it.
    Delete(DeleteArguments),
    /// Unbind a stream from its schema, so that its next publisher may bind it to another one
    ///
    /// The topic and its records stay. Publishers that know the stream see it within a minute.
    Unbind(DeleteArguments),
}

/// Runs one of them.
pub(crate) async fn run(context: &Context, arguments: &StreamsArguments) -> anyhow::Result<Exit> {
    match &arguments.command {
        StreamsCommand::List { pattern } => list(context, pattern.as_deref()).await,
        StreamsCommand::Show { stream } => show::run(context, stream).await,
        StreamsCommand::Grow(arguments) => grow::run(context, arguments).await,
        StreamsCommand::Delete(arguments) => delete::run(context, arguments, true).await,
        StreamsCommand::Unbind(arguments) => delete::run(context, arguments, false).await,
    }
}

/// The properties that are not the default, in words.
pub(super) fn not_default(properties: StreamProperties) -> Vec<String> {
    let default = StreamProperties::default();
    let mut words = Vec::new();
    if properties.keys != default.keys {
        words.push(format!("keys {}", properties.keys));
    }
    if properties.partition_growth != default.partition_growth {
        words.push(format!("partition-growth {}", properties.partition_growth));
    }
    words
}

async fn list(context: &Context, pattern: Option<&str>) -> anyhow::Result<Exit> {
    let pattern = pattern.map(Pattern::new).transpose().map_err(Usage::of)?;
    let connection = context.connect().await?;
    let cluster = connection.broker().cluster().await?;
    let bindings = connection.catalog().bindings().await?;
    let prefix = &connection.settings().topic_prefix;
    let log = prefix.bindings_topic()?;
    for ignored in &bindings.ignored {
        warn!("{log}@{}: {}", ignored.offset, ignored.reason);
    }
    if bindings.more_ignored > 0 {
        warn!("{log}: {} more records do not count", bindings.more_ignored);
    }
    let mut rows = Vec::new();
    let mut any = false;
    for topic in cluster.topics.values() {
        let Some(stream) = prefix.stream_of(&topic.name) else {
            continue;
        };
        any = true;
        if pattern
            .as_ref()
            .is_some_and(|pattern| !pattern.matches(stream.as_str()))
        {
            continue;
        }
        let binding = bindings.streams.get(&stream);
        let schema = binding.map(|binding| binding.schema.as_str());
        let properties = binding.map(|it| it.properties).unwrap_or_default();
        if context.options.format() == OutputFormat::Json {
            output::json(&json!({
                "stream": stream.as_str(),
                "topic": topic.name,
                "schema": schema,
                "partitions": topic.partitions,
                "replication-factor": topic.replication_factor,
                "keys": properties.keys.as_str(),
                "partition-growth": properties.partition_growth.as_str(),
            }))?;
        } else {
            rows.push(vec![
                stream.to_string(),
                schema.unwrap_or("(not bound)").to_owned(),
                format!("{} partitions", topic.partitions),
                format!("replication {}", topic.replication_factor),
                not_default(properties).join(", "),
            ]);
        }
    }
    for line in output::table(&rows) {
        output::line(line)?;
    }
    if rows.is_empty() && context.options.format() == OutputFormat::Text {
        let prefix = prefix.as_str();
        output::note(match &pattern {
            Some(pattern) if any => {
                let near = near::stream(&connection, pattern.as_str()).await;
                format!(
                    "no stream matches {:?} (topic prefix {prefix:?}){near}",
                    pattern.as_str()
                )
            }
            _ => format!("no stream behind the prefix {prefix:?}"),
        });
    }
    Ok(Exit::Done)
}
