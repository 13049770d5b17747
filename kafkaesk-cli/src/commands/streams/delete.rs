//! `streams delete STREAM`, `streams unbind STREAM`: reads the current state, prints what will be done, asks, and does
//! it.

use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use clap::Args;
use kafkaesk_core::StreamId;
use serde_json::json;

use crate::{
    commands::near, context::Context, errors::Usage, exit::Exit, format::OutputFormat, input,
    output,
};

/// Arguments of `streams delete` and `streams unbind`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct DeleteArguments {
    /// The stream
    pub stream: String,
    /// Print what would be done and change nothing; exit status 2 if there is something to do
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do it without a question
    #[arg(long)]
    pub yes: bool,
}

/// What is done.
enum Step {
    Delete { topic: String, partitions: u32 },
    Unbind { schema: String, epoch: u64 },
}

/// Runs one of them; `topic`: the topic is deleted as well.
pub(super) async fn run(
    context: &Context,
    arguments: &DeleteArguments,
    topic: bool,
) -> anyhow::Result<Exit> {
    let stream = StreamId::new(&arguments.stream).map_err(Usage::of)?;
    let connection = context.connect().await?;
    let name = connection.settings().topic_prefix.topic(&stream)?;
    let catalog = connection.catalog();
    let mut steps = Vec::new();
    if topic && let Some(there) = connection.broker().topic(&name, "Delete").await? {
        let readers = connection.broker().readers(&name).await?;
        if !readers.is_empty() {
            bail!(
                "{name} is read by members of the group(s) {}; stop them first. Nothing was done",
                readers.into_keys().collect::<Vec<_>>().join(", ")
            );
        }
        steps.push(Step::Delete {
            topic: there.name,
            partitions: there.partitions,
        });
    }
    if let Some(binding) = catalog.bindings().await?.streams.get(&stream) {
        steps.push(Step::Unbind {
            schema: binding.schema.to_string(),
            epoch: binding.epoch + 1,
        });
    }
    if steps.is_empty() {
        bail!(
            "{} (topic {name}){}",
            match topic {
                true => format!("there is no stream {stream}"),
                false => format!("stream {stream} is not bound to a schema"),
            },
            near::stream(&connection, stream.as_str()).await
        );
    }
    if arguments.dry_run {
        for step in &steps {
            say(context, &stream, step, "would ")?;
        }
        return Ok(Exit::Partial);
    }
    if !arguments.yes {
        confirm(&stream, &steps)?;
    }
    for step in &steps {
        match step {
            Step::Delete { topic, .. } => {
                catalog
                    .delete_topic(&stream)
                    .await
                    .with_context(|| format!("deleting {topic}"))?;
            }
            Step::Unbind { .. } => {
                catalog.unbind(&stream).await.with_context(|| {
                    format!("unbinding {stream}; `streams unbind {stream}` tries it again")
                })?;
            }
        }
        say(context, &stream, step, "")?;
    }
    Ok(Exit::Done)
}

fn text(stream: &StreamId, step: &Step) -> String {
    match step {
        Step::Delete { topic, partitions } => {
            format!("delete  {topic} ({partitions} partitions, with all records)")
        }
        Step::Unbind { schema, epoch } => format!("unbind  {stream} from {schema} (epoch {epoch})"),
    }
}

fn say(context: &Context, stream: &StreamId, step: &Step, mood: &str) -> std::io::Result<()> {
    if context.options.format() == OutputFormat::Text {
        return output::line(format!("{mood}{}", text(stream, step)));
    }
    output::json(&match step {
        Step::Delete { topic, partitions } => {
            json!({"action": "delete", "stream": stream.as_str(), "topic": topic, "partitions": partitions})
        }
        Step::Unbind { schema, epoch } => {
            json!({"action": "unbind", "stream": stream.as_str(), "schema": schema, "epoch": epoch})
        }
    })
}

/// Asks for the stream's name, but only on a terminal.
fn confirm(stream: &StreamId, steps: &[Step]) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(Usage(format!(
            "this cannot be undone; give --yes to do it, or --dry-run to see what would be done to {stream}"
        ))
        .into());
    }
    for step in steps {
        output::note(text(stream, step));
    }
    let answer = input::ask(format!(
        "This cannot be undone. Type the stream's name, {stream}, to do it:"
    ))?;
    if answer != stream.as_str() {
        bail!("nothing was done");
    }
    Ok(())
}
