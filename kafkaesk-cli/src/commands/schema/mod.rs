//! `schema …`: push, look at and check schemas. One file for each of its commands.

mod bundle;
mod check;
mod dead_topics;
mod list;
mod push;
mod show;
mod tense;
mod validate;

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(crate) use push::sources;

use crate::{context::Context, exit::Exit};

/// Arguments of `schema`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct SchemaArguments {
    /// What to do
    #[command(subcommand)]
    pub command: SchemaCommand,
}

/// What `schema` can do.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum SchemaCommand {
    /// Store schemas in Kafka, and create and bind the streams declared with them
    ///
    /// Without paths, the topics of dead letters of the declared groups are created as well, unless
    /// `dead-letters = false`.
    ///
    /// Everything is planned before anything is written: a conflict shows the difference, and nothing is written.
    Push(PushArguments),
    /// List the stored schemas
    List,
    /// Print a stored document
    Show {
        /// NAME for its newest version, or NAME:VERSION
        #[arg(value_name = "NAME[:VERSION]")]
        schema: String,
    },
    /// Check a document, and data against it; needs no Kafka
    Validate(ValidateArguments),
    /// Write a schema in several files as one document; needs no Kafka
    ///
    /// Every local file below the working folder that a $ref leads to becomes a part of the document. Nothing is
    /// fetched. `schema push` does the same.
    Bundle(BundleArguments),
    /// Write the application's own schemas into a folder, as Name.version.json
    Export {
        /// The folder; created if it is absent
        directory: PathBuf,
    },
    /// Compare the application's own schemas with a folder's; exit status 1 when they differ
    Check {
        /// The folder
        directory: PathBuf,
    },
}

/// Arguments of `schema push`.
#[derive(Args, Clone, Debug, Default)]
#[non_exhaustive]
pub struct PushArguments {
    /// Schema files and folders; without any, the configuration's schemas and streams
    #[arg(value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// The schema's name, instead of the file name's
    #[arg(long, requires = "version", requires = "paths")]
    pub name: Option<String>,
    /// The schema's version, instead of the file name's
    #[arg(long, requires = "name")]
    pub version: Option<String>,
    /// Rewrite look-around in regular expressions as JSON Schema, where that is proved equal; shows what changes
    #[arg(long)]
    pub portable: bool,
    /// Print what would be done and write nothing; exit status 2 if there is something to do
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `schema bundle`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct BundleArguments {
    /// The schema document
    #[arg(value_name = "FILE")]
    pub schema: PathBuf,
    /// Where to write; without it, standard output
    #[arg(long, short, value_name = "OUT")]
    pub out: Option<PathBuf>,
    /// Rewrite look-around in regular expressions as JSON Schema, where that is proved equal; shows what changes
    #[arg(long)]
    pub portable: bool,
}

/// Arguments of `schema validate`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct ValidateArguments {
    /// The schema document
    #[arg(value_name = "SCHEMA")]
    pub schema: PathBuf,
    /// Data to check, as JSON
    #[arg(
        long,
        value_name = "JSON",
        allow_hyphen_values = true,
        conflicts_with = "file"
    )]
    pub data: Option<String>,
    /// Data to check, in a file; `-` is standard input
    #[arg(long)]
    pub file: Option<String>,
}

/// Runs one of them.
pub(crate) async fn run(context: &Context, arguments: &SchemaArguments) -> anyhow::Result<Exit> {
    match &arguments.command {
        SchemaCommand::Push(arguments) => push::run(context, arguments).await,
        SchemaCommand::List => list::run(context).await,
        SchemaCommand::Show { schema } => show::run(context, schema).await,
        SchemaCommand::Validate(arguments) => {
            validate::run(arguments, context.options.format()).await
        }
        SchemaCommand::Bundle(arguments) => bundle::run(arguments),
        SchemaCommand::Export { directory } => check::export(context, directory),
        SchemaCommand::Check { directory } => check::check(context, directory),
    }
}
