//! `schema validate SCHEMA --data …`: checks data against a document and prints every broken rule. Needs no Kafka.

use anyhow::{Context as _, anyhow, bail};
use kafkaesk_schema::Validator;
use serde_json::json;

use super::ValidateArguments;
use crate::{
    configuration::schemas, exit::Exit, format::OutputFormat, input, lines::Input, output,
    violations,
};

/// Checks a document, and data against it.
pub(super) async fn run(
    arguments: &ValidateArguments,
    format: OutputFormat,
) -> anyhow::Result<Exit> {
    let file = arguments.schema.display();
    let document = schemas::document(&arguments.schema)?;
    let validator = Validator::new(&document)
        .map_err(|error| anyhow!("{error}{}", schemas::remedy(&error)))
        .with_context(|| file.to_string())?;
    let data = match (&arguments.data, &arguments.file) {
        (Some(json), _) => Some(json.clone().into_bytes()),
        (None, Some(path)) => Some(input::read(&Input::parse(path)).await?),
        (None, None) => None,
    };
    let Some(data) = data else {
        match format {
            OutputFormat::Text => output::line(format!("{file} is a valid schema"))?,
            OutputFormat::Json => output::json(&json!({"valid": true}))?,
        }
        return Ok(Exit::Done);
    };
    match validator.validate(&data) {
        Ok(()) => match format {
            OutputFormat::Text => output::line(format!("the data fits {file}"))?,
            OutputFormat::Json => output::json(&json!({"valid": true}))?,
        },
        Err(error) => {
            if format == OutputFormat::Json {
                let mut value = violations::invalid_json(&error);
                value["valid"] = false.into();
                output::json(&value)?;
            }
            bail!(
                "the data does not fit {file}{}",
                violations::invalid(&error)
            );
        }
    }
    Ok(Exit::Done)
}
