//! Types the `streams` and `schemas` of a configuration. Reads no document and asks no broker.

use std::{path::PathBuf, time::Duration};

use kafkaesk_core::{SchemaName, StreamId, schema_id::MAX_VERSION};

use super::{
    Origin, SettingsError,
    context::Field,
    section::Section,
    value::{Data, Value},
};
use crate::StreamSpec;

/// A stream as `[[streams]]` declares it, and where.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamDeclaration {
    /// What is to be created and bound.
    pub spec: StreamSpec,
    /// Where it is declared.
    pub origin: Origin,
}

/// A schema document, or several by a pattern, as `schemas` declares them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SchemaDeclaration {
    /// A file, or files by a pattern (`*`, `?`, `[…]` in any step of the path); absolute if the configuration's path is.
    pub files: PathBuf,
    /// As written, relative to the file that names it.
    pub written: String,
    /// Given with `name`; else from the file's name.
    pub name: Option<SchemaName>,
    /// Given with `version`, from 1; else from the file's name.
    pub version: Option<u32>,
    /// To be created ahead and bound to this schema.
    pub streams: Vec<StreamId>,
    /// For the topics of its streams.
    pub retention: Option<Duration>,
    /// Where it is declared.
    pub origin: Origin,
}

/// How long a topic may keep its records: up to 100 years.
const MAX_RETENTION: Duration = Duration::from_secs(100 * 365 * 86_400);
/// The most partitions that a declaration may ask for.
pub(super) const MAX_PARTITIONS: i64 = 10_000;
/// Kafka's replication factor is a 16-bit number.
pub(super) const MAX_REPLICATION: i64 = 32_767;

pub(super) fn streams(field: Field) -> Result<Vec<StreamDeclaration>, SettingsError> {
    let mut declared: Vec<StreamDeclaration> = Vec::new();
    for item in field.items(false)? {
        let section = Section::new(item)?;
        let declaration = stream(section)?;
        let other = declared
            .iter()
            .find(|other| other.spec.stream == declaration.spec.stream);
        if let Some(other) = other {
            return Err(SettingsError::Value {
                key: "streams.name".to_owned(),
                origin: declaration.origin,
                problem: format!(
                    "{} is declared at {} already; keep one",
                    declaration.spec.stream, other.origin
                ),
            });
        }
        declared.push(declaration);
    }
    Ok(declared)
}

fn stream(mut section: Section) -> Result<StreamDeclaration, SettingsError> {
    let name = section.required_text("name")?;
    let stream = StreamId::new(&name).map_err(|error| section.error("name", error.to_string()))?;
    let mut spec = StreamSpec::new(stream);
    spec.schema = section
        .text("schema")?
        .map(|name| {
            SchemaName::new(name).map_err(|error| section.error("schema", error.to_string()))
        })
        .transpose()?;
    spec.partitions = section
        .integer("partitions", 1..=MAX_PARTITIONS)?
        .and_then(|number| u32::try_from(number).ok());
    spec.replication_factor = section
        .integer("replication-factor", 1..=MAX_REPLICATION)?
        .and_then(|number| u16::try_from(number).ok());
    spec.retention = section.span("retention", Duration::ZERO..=MAX_RETENTION)?;
    if let Some(config) = section.dotted_map("config")? {
        spec.config = config;
    }
    if spec.retention.is_some() && spec.config.contains_key("retention.ms") {
        return Err(section.error(
            "config",
            "`retention.ms` and `retention` are both set; keep `retention`",
        ));
    }
    let origin = section.origin().clone();
    section.finish()?;
    Ok(StreamDeclaration { spec, origin })
}

pub(super) fn schemas(field: Field) -> Result<Vec<SchemaDeclaration>, SettingsError> {
    field
        .items(true)?
        .into_iter()
        .map(|item| match item.value {
            Value {
                data: Data::Table(_),
                ..
            } => schema_table(Section::new(item)?),
            _ => {
                let origin = item.value.origin.clone();
                let written = item.clone().text()?;
                Ok(SchemaDeclaration {
                    files: item.path()?,
                    written,
                    name: None,
                    version: None,
                    streams: Vec::new(),
                    retention: None,
                    origin,
                })
            }
        })
        .collect()
}

fn schema_table(mut section: Section) -> Result<SchemaDeclaration, SettingsError> {
    let written = section.required_text("file")?;
    let files = section.directory().join(&written);
    let name = section
        .text("name")?
        .map(|name| SchemaName::new(name).map_err(|error| section.error("name", error.to_string())))
        .transpose()?;
    let version = section
        .integer("version", 1..=i64::from(MAX_VERSION))?
        .and_then(|number| u32::try_from(number).ok());
    let streams: Result<Vec<StreamId>, SettingsError> = section
        .texts("streams")?
        .unwrap_or_default()
        .iter()
        .map(|name| {
            StreamId::new(name).map_err(|error| section.error("streams", error.to_string()))
        })
        .collect();
    let retention = section.span("retention", Duration::ZERO..=MAX_RETENTION)?;
    let origin = section.origin().clone();
    section.finish()?;
    Ok(SchemaDeclaration {
        files,
        written,
        name,
        version,
        streams: streams?,
        retention,
        origin,
    })
}

pub(super) fn subscriptions(field: Field) -> Result<Vec<Section>, SettingsError> {
    field.items(false)?.into_iter().map(Section::new).collect()
}
