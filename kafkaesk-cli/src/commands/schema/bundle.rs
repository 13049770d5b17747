//! `schema bundle FILE`: makes one document from a schema in several files, as a push would store it. Needs no Kafka.

use anyhow::{Context as _, anyhow};
use kafkaesk_schema::Validator;

use super::BundleArguments;
use crate::{configuration::schemas, exit::Exit, output};

/// Bundles, checks what came out, and writes it.
pub(super) fn run(arguments: &BundleArguments) -> anyhow::Result<Exit> {
    let file = arguments.schema.display();
    let mut document = schemas::document(&arguments.schema)?;
    if arguments.portable {
        document = schemas::portable_document(&document, &file.to_string())?;
    }
    Validator::new(&document)
        .map_err(|error| anyhow!("{error}{}", schemas::remedy(&error)))
        .with_context(|| file.to_string())?;
    match &arguments.out {
        Some(path) => std::fs::write(path, document.bytes())
            .with_context(|| format!("writing {}", path.display()))?,
        None => output::line(document.bytes().trim_ascii_end())?,
    }
    Ok(Exit::Done)
}
