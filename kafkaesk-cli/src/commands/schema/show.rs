//! `schema show NAME[:VERSION]`: prints a stored document, byte for byte as it was pushed.

use anyhow::bail;
use kafkaesk_core::{SchemaId, SchemaName};

use crate::{context::Context, errors::Usage, exit::Exit, format::OutputFormat, output};

/// Prints one document.
pub(super) async fn run(context: &Context, schema: &str) -> anyhow::Result<Exit> {
    let (name, version) = if schema.contains(':') {
        let id: SchemaId = schema.parse().map_err(Usage::of)?;
        (id.name().clone(), Some(id.version()))
    } else {
        (SchemaName::new(schema).map_err(Usage::of)?, None)
    };
    let connection = context.connect().await?;
    let log = connection.catalog().log(&name).await?;
    let topic = connection.settings().topic_prefix.schema_topic(&name)?;
    let found = match version {
        Some(version) => log.versions.get_key_value(&version),
        None => log
            .versions
            .iter()
            .rfind(|(_, stored)| !stored.withdrawn)
            .or_else(|| log.versions.last_key_value()),
    };
    let Some((version, stored)) = found else {
        let known: Vec<String> = log.versions.keys().map(|v| format!("{name}:{v}")).collect();
        if known.is_empty() {
            let near = connection.catalog().near_schema(&name).await;
            let near = near.map(|near| format!("did you mean `{near}`? "));
            bail!(
                "there is no schema {name} (topic {topic}); {}`schema list` shows what there is, `schema push {name}.1.json` would store it",
                near.unwrap_or_default()
            );
        }
        bail!(
            "schema {schema} is not in {topic}; there are {}",
            known.join(", ")
        );
    };
    if stored.withdrawn {
        output::note(format!("warning: {name}:{version} was withdrawn"));
    }
    match context.options.format() {
        OutputFormat::Text => output::line(stored.document.bytes())?,
        OutputFormat::Json => {
            let document: Box<serde_json::value::RawValue> =
                serde_json::from_slice(stored.document.bytes())?;
            output::json(&Shown {
                schema: format!("{name}:{version}"),
                topic: topic.to_string(),
                offset: stored.offset,
                withdrawn: stored.withdrawn,
                document: one_line(&document),
            })?;
        }
    }
    Ok(Exit::Done)
}

#[derive(serde::Serialize)]
struct Shown {
    schema: String,
    topic: String,
    offset: i64,
    withdrawn: bool,
    document: Box<serde_json::value::RawValue>,
}

/// The same document on one line: raw line ends stand only between tokens.
fn one_line(document: &serde_json::value::RawValue) -> Box<serde_json::value::RawValue> {
    let text = document.get().replace(['\r', '\n'], " ");
    serde_json::value::RawValue::from_string(text)
        .unwrap_or_else(|_| serde_json::value::RawValue::NULL.to_owned())
}
