//! Input: the `streams`, `schemas` and `subscriptions` of a configuration. Output: typed declarations with their places.
//! Reads no document.

use std::{collections::BTreeMap, fmt::Display, path::PathBuf, time::Duration};

use kafkaesk_core::{
    DeclaredProperties, Keys, PartitionGrowth, SchemaName, StreamId, schema_id::MAX_VERSION,
};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    Origin, SettingsError,
    limits::{MAX_PARTITIONS, MAX_REPLICATION, MAX_RETENTION},
    node::Node,
    section::Section,
    typed::{Scalar, Span, Whole},
};
use crate::StreamSpec;

/// A stream as `[[streams]]` declares it, and where.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamDeclaration {
    /// The stream to create and bind.
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
    /// Streams to create and bind to this schema.
    pub streams: Vec<StreamId>,
    /// For the topics of its streams.
    pub retention: Option<Duration>,
    /// Where it is declared.
    pub origin: Origin,
}

/// A `[[streams]]` table as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Stream {
    name: String,
    schema: Option<String>,
    partitions: Option<Whole<u32, 1, MAX_PARTITIONS>>,
    replication_factor: Option<Whole<u16, 1, MAX_REPLICATION>>,
    retention: Option<Span<0, MAX_RETENTION>>,
    keys: Option<String>,
    partition_growth: Option<String>,
    #[serde(rename = "config")]
    _config: Option<IgnoredAny>,
}

/// A `[[schemas]]` table as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Schema {
    file: String,
    name: Option<String>,
    version: Option<Whole<u32, 1, { MAX_VERSION as i64 }>>,
    #[serde(default)]
    streams: Vec<String>,
    retention: Option<Span<0, MAX_RETENTION>>,
}

pub(super) fn streams(node: Node) -> Result<Vec<StreamDeclaration>, SettingsError> {
    let mut declared: Vec<StreamDeclaration> = Vec::new();
    for item in node.items(false)? {
        let declaration = stream(item)?;
        let stream = &declaration.spec.stream;
        if let Some(other) = declared.iter().find(|other| other.spec.stream == *stream) {
            return Err(SettingsError::Value {
                key: "streams.name".to_owned(),
                problem: format!("{stream} is declared at {} already; keep one", other.origin),
                origin: declaration.origin,
            });
        }
        declared.push(declaration);
    }
    Ok(declared)
}

fn stream(node: Node) -> Result<StreamDeclaration, SettingsError> {
    let config = node.member("config");
    let section = Section::new(node)?;
    let written: Stream = section.read()?;
    let mut spec = StreamSpec::new(checked(&section, "name", StreamId::new(written.name))?);
    let schema = written.schema.map(SchemaName::new).transpose();
    spec.schema = checked(&section, "schema", schema)?;
    spec.partitions = written.partitions.map(|number| number.0);
    spec.replication_factor = written.replication_factor.map(|number| number.0);
    spec.retention = written.retention.map(|span| span.0);
    let keys = written.keys.as_deref().map(Keys::parse).transpose();
    let growth = written.partition_growth.as_deref();
    let growth = growth.map(PartitionGrowth::parse).transpose();
    spec.properties = DeclaredProperties {
        keys: checked(&section, "keys", keys)?,
        partition_growth: checked(&section, "partition-growth", growth)?,
    };
    for key in ["keys", "partition-growth"] {
        if section.has(key) && spec.schema.is_none() {
            let problem = "it is kept beside the schema that the stream is bound to; declare `schema` as well";
            return Err(section.error(key, problem));
        }
    }
    spec.config = config.map(topic_settings).transpose()?.unwrap_or_default();
    if spec.retention.is_some() && spec.config.contains_key("retention.ms") {
        return Err(section.error(
            "config",
            "`retention.ms` and `retention` are both set; keep `retention`",
        ));
    }
    let origin = section.origin();
    Ok(StreamDeclaration { spec, origin })
}

fn topic_settings(node: Node) -> Result<BTreeMap<String, String>, SettingsError> {
    let table = Section::new(node)?;
    let leaves = table.node.leaves().into_iter();
    leaves
        .map(|(name, leaf)| Ok((name, leaf.read::<Scalar>()?.0)))
        .collect()
}

pub(super) fn schemas(node: Node) -> Result<Vec<SchemaDeclaration>, SettingsError> {
    node.items(true)?.into_iter().map(schema).collect()
}

fn schema(node: Node) -> Result<SchemaDeclaration, SettingsError> {
    // A table declares a schema; it is not a reference, though it has a `file`.
    let written = match node.value.as_dict() {
        Some(_) => node.clone().read()?,
        None => Schema {
            file: node.clone().read()?,
            name: None,
            version: None,
            streams: Vec::new(),
            retention: None,
        },
    };
    let section = Section { node };
    let name = written.name.map(SchemaName::new).transpose();
    let streams = written.streams.iter().map(StreamId::new).collect();
    Ok(SchemaDeclaration {
        files: section.directory().join(&written.file),
        name: checked(&section, "name", name)?,
        version: written.version.map(|number| number.0),
        streams: checked(&section, "streams", streams)?,
        retention: written.retention.map(|span| span.0),
        origin: section.origin(),
        written: written.file,
    })
}

/// An error of a name gets the place of its key.
fn checked<T, E: Display>(
    section: &Section,
    key: &str,
    name: Result<T, E>,
) -> Result<T, SettingsError> {
    name.map_err(|error| section.error(key, error.to_string()))
}

pub(super) fn subscriptions(node: Node) -> Result<Vec<Section>, SettingsError> {
    node.items(false)?.into_iter().map(Section::new).collect()
}
