//! `config show`: each effective value and where it came from. Secrets are redacted before they come here.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    configuration::Configuration, context::Context, exit::Exit, format::OutputFormat, output,
};

/// Arguments of `config`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct ConfigArguments {
    /// What to do
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What `config` can do.
#[derive(Clone, Copy, Debug, Subcommand)]
#[non_exhaustive]
pub enum ConfigCommand {
    /// Print each effective value and where it came from; secrets are redacted
    Show,
}

/// Shows.
pub(crate) fn run(context: &Context, arguments: &ConfigArguments) -> anyhow::Result<Exit> {
    let ConfigCommand::Show = arguments.command;
    let configuration = context.configuration()?;
    let rows = rows(configuration);
    match context.options.format() {
        OutputFormat::Json => {
            for [key, value, source] in rows {
                output::json(&json!({"key": key, "value": value, "source": source}))?;
            }
        }
        OutputFormat::Text => {
            if let Some(file) = &configuration.file {
                output::note(format!(
                    "configuration {}{}",
                    file.display(),
                    match &configuration.profile {
                        Some(profile) => format!(", profile {profile}"),
                        None => String::new(),
                    }
                ));
            }
            let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
            for line in output::table(&rows) {
                output::line(line)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn rows(configuration: &Configuration) -> Vec<[String; 3]> {
    configuration
        .effective
        .iter()
        .map(|setting| {
            [
                setting.key.clone(),
                setting.value.clone(),
                setting.source.clone(),
            ]
        })
        .collect()
}
