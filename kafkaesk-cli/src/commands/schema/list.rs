//! `schema list`: prints a line for each version in the schema logs, with the streams that are bound to its schema.

use kafkaesk_client::ClientError;
use serde_json::json;
use tracing::warn;

use crate::{context::Context, exit::Exit, format::OutputFormat, output};

/// Lists.
pub(super) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let connection = context.connect().await?;
    let catalog = connection.catalog();
    let bindings = match catalog.bindings().await {
        // Without the right to read the bindings, only the schemas are listed.
        Err(error @ ClientError::Unauthorized { .. }) => {
            warn!("streams are left out: {error}");
            None
        }
        bindings => Some(bindings?),
    };
    let prefix = &connection.settings().topic_prefix;
    let mut rows = Vec::new();
    let mut any = false;
    for name in catalog.schema_names().await? {
        let topic = prefix.schema_topic(&name)?;
        let log = catalog.log(&name).await?;
        for ignored in &log.ignored {
            warn!("{topic}@{}: {}", ignored.offset, ignored.reason);
        }
        let streams: Option<Vec<&str>> = bindings.as_ref().map(|bindings| {
            let bound = bindings.streams.iter();
            bound
                .filter(|(_, binding)| binding.schema == name)
                .map(|(stream, _)| stream.as_str())
                .collect()
        });
        for (version, stored) in &log.versions {
            any = true;
            let id = format!("{name}:{version}");
            match context.options.format() {
                OutputFormat::Json => output::json(&json!({
                    "schema": id, "topic": topic.as_str(), "offset": stored.offset,
                    "withdrawn": stored.withdrawn, "identity": stored.document.identity(),
                    "streams": streams,
                }))?,
                OutputFormat::Text => {
                    let mut notes = Vec::new();
                    if stored.withdrawn {
                        notes.push("withdrawn".to_owned());
                    }
                    if let Some(streams) = streams.as_ref().filter(|streams| !streams.is_empty()) {
                        notes.push(format!("streams {}", streams.join(", ")));
                    }
                    rows.push(vec![id, topic.to_string(), notes.join("; ")]);
                }
            }
        }
    }
    for line in output::table(&rows) {
        output::line(line)?;
    }
    if !any && context.options.format() == OutputFormat::Text {
        output::note(format!("no schema behind the prefix {:?}", prefix.as_str()));
    }
    Ok(Exit::Done)
}
