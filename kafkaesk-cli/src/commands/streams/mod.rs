//! `streams`: lists streams with what they are bound to; deletes and unbinds one. Creates nothing.

mod delete;

use clap::{Args, Subcommand};
use kafkaesk_core::Pattern;
use serde_json::json;
use tracing::warn;

use crate::{context::Context, errors::Usage, exit::Exit, format::OutputFormat, output};

pub use delete::DeleteArguments;

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
        StreamsCommand::Delete(arguments) => delete::run(context, arguments, true).await,
        StreamsCommand::Unbind(arguments) => delete::run(context, arguments, false).await,
    }
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
        let schema = bindings
            .streams
            .get(&stream)
            .map(|binding| binding.schema.as_str());
        if context.options.format() == OutputFormat::Json {
            output::json(&json!({
                "stream": stream.as_str(),
                "topic": topic.name,
                "schema": schema,
                "partitions": topic.partitions,
                "replication-factor": topic.replication_factor,
            }))?;
        } else {
            rows.push(vec![
                stream.to_string(),
                schema.unwrap_or("(not bound)").to_owned(),
                format!("{} partitions", topic.partitions),
                format!("replication {}", topic.replication_factor),
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
                let near = connection.catalog().near_stream(pattern.as_str()).await;
                let near = near.map(|near| format!("; did you mean `{near}`?"));
                format!(
                    "no stream matches {:?} (topic prefix {prefix:?}){}",
                    pattern.as_str(),
                    near.unwrap_or_default()
                )
            }
            _ => format!("no stream behind the prefix {prefix:?}"),
        });
    }
    Ok(Exit::Done)
}
