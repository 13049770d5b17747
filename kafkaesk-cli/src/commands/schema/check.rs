//! `schema export` and `schema check`: the application's own schemas as files. Needs no Kafka.

use std::path::Path;

use anyhow::{Context as _, bail};
use kafkaesk_schema::EventSchema;
use serde_json::json;

use crate::{
    configuration::schemas, context::Context, errors::Usage, exit::Exit, format::OutputFormat,
    output,
};

/// Writes each of the application's schemas.
pub(super) fn export(context: &Context, directory: &Path) -> anyhow::Result<Exit> {
    let own = own(context)?;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("creating the folder {}", directory.display()))?;
    for schema in own {
        let path = directory.join(file_name(&schema));
        let present = path.exists()
            && schemas::document(&path).is_ok_and(|there| there.same_as(&schema.document));
        if !present {
            std::fs::write(&path, pretty(&schema)?)
                .with_context(|| format!("writing {}", path.display()))?;
        }
        let action = if present { "present" } else { "written" };
        say(
            context.options.format(),
            action,
            &schema,
            &path.display().to_string(),
        )?;
    }
    Ok(Exit::Done)
}

/// Compares each of the application's schemas with its file.
pub(super) fn check(context: &Context, directory: &Path) -> anyhow::Result<Exit> {
    let mut differences = Vec::new();
    for schema in own(context)? {
        let path = directory.join(file_name(&schema));
        let shown = path.display().to_string();
        if !path.exists() {
            differences.push(format!(
                "{shown} is missing; `schema export {}` writes it",
                directory.display()
            ));
            say(context.options.format(), "missing", &schema, &shown)?;
            continue;
        }
        let there = schemas::document(&path)?;
        if there.same_as(&schema.document) {
            say(context.options.format(), "same", &schema, &shown)?;
        } else {
            say(context.options.format(), "differs", &schema, &shown)?;
            differences.push(format!(
                "{shown} differs from the event type (- the file, + the type); give the type a new version, or export again if it was never pushed\n{}",
                there.diff(&schema.document)
            ));
        }
    }
    if differences.is_empty() {
        return Ok(Exit::Done);
    }
    bail!("{}", differences.join("\n"))
}

fn own(context: &Context) -> anyhow::Result<Vec<EventSchema>> {
    let own = context.app.schemas()?;
    if own.is_empty() {
        return Err(Usage(
            "this program has no event types of its own; `schema export` and `schema check` are for an application's command line"
                .into(),
        )
        .into());
    }
    Ok(own)
}

fn file_name(schema: &EventSchema) -> String {
    format!("{}.{}.json", schema.id.name(), schema.id.version())
}

fn pretty(schema: &EventSchema) -> anyhow::Result<String> {
    let value: serde_json::Value = serde_json::from_slice(schema.document.bytes())?;
    let mut text = serde_json::to_string_pretty(&value)?;
    // A parser would drop digits of numbers beyond a double: then the document is printed unchanged.
    let kept = kafkaesk_schema::Document::parse(text.clone())
        .is_ok_and(|written| written.same_as(&schema.document));
    if !kept {
        text = String::from_utf8_lossy(schema.document.bytes()).into_owned();
    }
    text.push('\n');
    Ok(text)
}

fn say(
    format: OutputFormat,
    action: &str,
    schema: &EventSchema,
    file: &str,
) -> std::io::Result<()> {
    match format {
        OutputFormat::Text => output::line(format!("{action:<7} {}  {file}", schema.id)),
        OutputFormat::Json => {
            output::json(&json!({"action": action, "schema": schema.id.to_string(), "file": file}))
        }
    }
}
