//! Schema declarations, files and folders in, schema ids with their documents out. Asks no broker.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use kafkaesk_client::{
    catalog::StreamSpec,
    settings::{MAX_FILE_BYTES, SchemaDeclaration, read_file},
};
use kafkaesk_core::{SchemaId, StreamId};
use kafkaesk_schema::{Document, EventSchema, schema_id_of_file};

/// Where a schema came from that is a Rust type's.
const EVENT_TYPE: &str = "(event type)";

/// A schema to push, and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct SchemaSource {
    /// `Name:version`.
    pub(crate) id: SchemaId,
    /// Its document.
    pub(crate) document: Document,
    /// For people: the path as given, or [`EVENT_TYPE`].
    pub(crate) shown: String,
    /// To be created ahead and bound to it.
    pub(crate) streams: Vec<StreamSpec>,
}

impl SchemaSource {
    /// Reads a document from a file.
    ///
    /// # Errors
    /// Names the file.
    pub(crate) fn read(id: SchemaId, path: &Path, shown: String) -> anyhow::Result<Self> {
        Ok(Self {
            document: document(path)?,
            id,
            shown,
            streams: Vec::new(),
        })
    }

    /// The path as given; `None` for an event type.
    pub(crate) fn file(&self) -> Option<&str> {
        (self.shown != EVENT_TYPE).then_some(&self.shown)
    }

    /// An event type of the application.
    pub(crate) fn of_type(schema: EventSchema) -> anyhow::Result<Self> {
        let streams = schema
            .streams
            .iter()
            .map(|name| {
                let mut spec = StreamSpec::new(StreamId::new(name)?);
                spec.schema = Some(schema.id.name().clone());
                spec.retention = schema.retention;
                Ok(spec)
            })
            .collect::<anyhow::Result<_>>()
            .with_context(|| format!("event type {}", schema.id))?;
        Ok(Self {
            id: schema.id,
            document: schema.document,
            shown: EVENT_TYPE.into(),
            streams,
        })
    }
}

/// Reads a schema document.
///
/// # Errors
/// Names the file.
pub(crate) fn document(path: &Path) -> anyhow::Result<Document> {
    let bytes =
        read_file(path, MAX_FILE_BYTES).with_context(|| format!("reading {}", path.display()))?;
    Document::parse(bytes).with_context(|| path.display().to_string())
}

/// Files and folders from the command line. `name` and `version` stand for the file name, for a single file.
pub(crate) fn of_paths(
    paths: &[PathBuf],
    id: Option<SchemaId>,
) -> anyhow::Result<Vec<SchemaSource>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let files =
                json_in(path).with_context(|| format!("reading the folder {}", path.display()))?;
            ensure!(
                !files.is_empty(),
                "{} holds no schema file; their names end in `.json`, as in `Order.1.json`",
                path.display()
            );
            found.extend(files);
        } else {
            found.push(path.clone());
        }
    }
    if let Some(id) = id {
        let [path] = &found[..] else {
            bail!(
                "--name and --version are for one file, {} were given",
                found.len()
            );
        };
        return Ok(vec![SchemaSource::read(
            id,
            path,
            path.display().to_string(),
        )?]);
    }
    found
        .into_iter()
        .map(|path| {
            let id = schema_id_of_file(&path)?;
            SchemaSource::read(id, &path, path.display().to_string())
        })
        .collect()
}

/// The schema files directly in a folder: everything that ends in `.json`, sorted.
fn json_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "json") && path.is_file());
    files.sort();
    Ok(files)
}

/// What the configuration declares.
pub(crate) fn of_declarations(
    declarations: &[SchemaDeclaration],
) -> anyhow::Result<Vec<SchemaSource>> {
    let mut sources = Vec::new();
    for declaration in declarations {
        let place = || format!("{}: schemas {:?}", declaration.origin, declaration.written);
        for path in declaration.expand()? {
            let mut source = declared(declaration, &path).with_context(place)?;
            source.streams = declaration
                .streams
                .iter()
                .map(|stream| {
                    let mut spec = StreamSpec::new(stream.clone());
                    spec.schema = Some(source.id.name().clone());
                    spec.retention = declaration.retention;
                    spec
                })
                .collect();
            sources.push(source);
        }
    }
    Ok(sources)
}

/// The ids of the schemas that the configuration declares, without a look at the documents. What is wrong is left out.
pub(crate) fn declared_ids(declarations: &[SchemaDeclaration]) -> Vec<String> {
    declarations
        .iter()
        .flat_map(|declaration| {
            let files = declaration.expand().unwrap_or_default();
            files.into_iter().map(move |path| id_of(declaration, &path))
        })
        .filter_map(|id| Some(id.ok()?.to_string()))
        .collect()
}

fn declared(declaration: &SchemaDeclaration, path: &Path) -> anyhow::Result<SchemaSource> {
    let id = id_of(declaration, path)?;
    SchemaSource::read(id, path, shown(declaration, path))
}

fn id_of(declaration: &SchemaDeclaration, path: &Path) -> anyhow::Result<SchemaId> {
    Ok(match (&declaration.name, declaration.version) {
        (Some(name), Some(version)) => SchemaId::new(name.clone(), version)?,
        (name, version) => {
            let id = schema_id_of_file(path)?;
            SchemaId::new(
                name.clone().unwrap_or_else(|| id.name().clone()),
                version.unwrap_or_else(|| id.version()),
            )?
        }
    })
}

/// The path as the configuration writes it, with the pattern filled in.
fn shown(declaration: &SchemaDeclaration, path: &Path) -> String {
    let written = Path::new(&declaration.written);
    let base = declaration
        .files
        .to_string_lossy()
        .strip_suffix(&*declaration.written)
        .map(PathBuf::from);
    match base.and_then(|base| path.strip_prefix(base).ok().map(Path::to_owned)) {
        Some(relative) if written.is_relative() => relative.display().to_string(),
        _ => path.display().to_string(),
    }
}

/// One source for each id: the same document twice is one, two documents are an error that names both places.
pub(crate) fn distinct(sources: Vec<SchemaSource>) -> anyhow::Result<Vec<SchemaSource>> {
    let mut by_id: BTreeMap<SchemaId, usize> = BTreeMap::new();
    let mut kept: Vec<SchemaSource> = Vec::new();
    for source in sources {
        match by_id.get(&source.id) {
            None => {
                by_id.insert(source.id.clone(), kept.len());
                kept.push(source);
            }
            Some(at) => {
                let other = &mut kept[*at];
                ensure!(
                    other.document.same_as(&source.document),
                    "{} is given twice, with different documents: {} and {}\n{}",
                    source.id,
                    other.shown,
                    source.shown,
                    other.document.diff(&source.document)
                );
                other.streams.extend(source.streams);
            }
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_gives_its_schemas_by_their_names() {
        let folder = folder(&[("Order.1.json", "{}"), ("Order.2.json", "true")]);
        let sources = of_paths(&[folder.path().to_owned()], None).unwrap();
        let ids: Vec<_> = sources.iter().map(|s| s.id.to_string()).collect();
        assert_eq!(ids, ["Order:1", "Order:2"]);
    }

    #[test]
    fn a_file_whose_name_says_no_version_needs_flags() {
        let folder = folder(&[("order.json", "{}")]);
        let path = folder.path().join("order.json");
        let error = of_paths(std::slice::from_ref(&path), None).unwrap_err();
        assert!(error.to_string().contains("`Order.1.json`"), "{error}");
        let id: SchemaId = "Order:3".parse().unwrap();
        assert_eq!(of_paths(&[path], Some(id.clone())).unwrap()[0].id, id);
    }

    #[test]
    fn an_empty_folder_and_a_missing_file_are_errors() {
        let folder = folder(&[]);
        let error = of_paths(&[folder.path().to_owned()], None).unwrap_err();
        assert!(
            error.to_string().contains("holds no schema file"),
            "{error}"
        );
        let error = of_paths(&["no/Such.1.json".into()], None).unwrap_err();
        assert!(
            format!("{error:#}").contains("reading no/Such.1.json"),
            "{error:#}"
        );
    }
}
