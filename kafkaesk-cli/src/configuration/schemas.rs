//! Reads schema declarations, files and folders into schema ids with their documents. Asks no broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use kafkaesk_client::{
    catalog::StreamSpec,
    settings::{SchemaDeclaration, read_file},
};
use kafkaesk_core::{SchemaId, StreamId};
use kafkaesk_schema::{
    Document, DocumentError, EventSchema,
    bundle::{self, Bundle, BundleError},
    document::MAX_DOCUMENT_BYTES,
    portable::portable,
    schema_id_of_file,
};

use crate::output;

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
    /// The files that it refers to, which became parts of it.
    pub(crate) parts: Vec<PathBuf>,
    /// To be created ahead and bound to it.
    pub(crate) streams: Vec<StreamSpec>,
}

impl SchemaSource {
    /// Reads a document from a file.
    ///
    /// # Errors
    /// Names the file.
    pub(crate) fn read(id: SchemaId, path: &Path, shown: String) -> anyhow::Result<Self> {
        let Bundled { document, parts } = bundle(path)?;
        Ok(Self {
            document,
            id,
            shown,
            parts,
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
                spec.properties = schema.properties;
                Ok(spec)
            })
            .collect::<anyhow::Result<_>>()
            .with_context(|| format!("event type {}", schema.id))?;
        Ok(Self {
            id: schema.id,
            document: schema.document,
            shown: EVENT_TYPE.into(),
            parts: Vec::new(),
            streams,
        })
    }
}

/// Reads a schema document. Files that it refers to become parts of it.
///
/// # Errors
/// Names the file.
pub(crate) fn document(path: &Path) -> anyhow::Result<Document> {
    Ok(bundle(path)?.document)
}

/// A document, and the files that became parts of it.
#[derive(Debug)]
pub(crate) struct Bundled {
    pub(crate) document: Document,
    pub(crate) parts: Vec<PathBuf>,
}

/// Reads a schema document and the files that it refers to, as one. They may be anywhere below the working folder; where the
/// document itself is not in there, below its own folder.
///
/// # Errors
/// Names the file, and the place that refers to it.
pub(crate) fn bundle(path: &Path) -> anyhow::Result<Bundled> {
    let reading = || format!("reading {}", path.display());
    // A pipe, such as the shell's <(…), has no canonical path.
    let real = path
        .canonicalize()
        .or_else(|error| match path.exists() {
            true => std::path::absolute(path),
            false => Err(error),
        })
        .with_context(reading)?;
    let working = std::env::current_dir().and_then(|folder| folder.canonicalize());
    let folder = working
        .ok()
        .filter(|folder| real.starts_with(folder))
        .or_else(|| real.parent().map(Path::to_owned))
        .unwrap_or_default();
    let first = real.strip_prefix(&folder).unwrap_or(&real);
    let parts: Vec<_> = first.iter().map(|part| part.to_string_lossy()).collect();
    let first = parts.join("/");
    let bundle = bundle::bundle(&first, |name| {
        if name == first {
            let bytes = read_file(&real, MAX_DOCUMENT_BYTES as u64);
            return bytes.map_err(|error| error.to_string());
        }
        let file = folder.join(name);
        let file = file.canonicalize().map_err(|error| error.to_string())?;
        if !file.starts_with(&folder) {
            return Err(format!("it leads out of {}", folder.display()));
        }
        read_file(&file, MAX_DOCUMENT_BYTES as u64).map_err(|error| error.to_string())
    });
    let Bundle { document, files } = bundle.map_err(|error| match error {
        BundleError::Document { file, error } if file == first => {
            anyhow::Error::new(error).context(path.display().to_string())
        }
        BundleError::File { file, reason, .. } if file == first => {
            anyhow::anyhow!("{}: {reason}", reading())
        }
        other => anyhow::Error::new(other).context(path.display().to_string()),
    })?;
    Ok(Bundled {
        document,
        parts: files.iter().map(|file| folder.join(file)).collect(),
    })
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
            found.extend(files.into_iter().map(|file| (file, true)));
        } else {
            // Report a missing file before a wrong name.
            std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
            found.push((path.clone(), false));
        }
    }
    if let Some(id) = id {
        let [(path, _)] = &found[..] else {
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
    let (mut sources, mut nameless) = (Vec::new(), Vec::new());
    for (path, of_folder) in found {
        match schema_id_of_file(&path) {
            Ok(id) => sources.push(SchemaSource::read(id, &path, path.display().to_string())?),
            Err(error) if of_folder => nameless.push((path, error)),
            Err(error) => return Err(error.into()),
        }
    }
    // A file of a folder needs no id where it is a part of another one.
    let parts: BTreeSet<&PathBuf> = sources.iter().flat_map(|source| &source.parts).collect();
    for (path, error) in nameless {
        let real = path.canonicalize().unwrap_or(path);
        if !parts.contains(&real) {
            return Err(error.into());
        }
    }
    Ok(sources)
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

/// Writes look-around in the regular expressions of files as JSON Schema, and shows what was rewritten.
///
/// # Errors
/// Names the file and the expression that cannot be proved equal to anything without look-around.
pub(crate) fn make_portable(sources: &mut [SchemaSource]) -> anyhow::Result<()> {
    for source in sources {
        if source.file().is_some() {
            source.document = portable_document(&source.document, &source.shown)?;
        }
    }
    Ok(())
}

/// The same of one document.
pub(crate) fn portable_document(document: &Document, shown: &str) -> anyhow::Result<Document> {
    let (document, rewritten) = portable(document).with_context(|| shown.to_owned())?;
    for one in rewritten {
        output::note(format!(
            "{shown}{}:\n- {}\n+ {}",
            one.pointer, one.before, one.after
        ));
    }
    Ok(document)
}

/// What helps against a refusal of a document, if anything is known.
pub(crate) fn remedy(error: &DocumentError) -> &'static str {
    match error.is_look_around() {
        true => {
            "; `kafkaesk-cli schema bundle --portable FILE` rewrites look-around where that is proved equal, and `schema push --portable` pushes that"
        }
        false => "",
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
    fn files_that_others_refer_to_become_parts_of_them_and_need_no_id() {
        let folder = folder(&[
            (
                "Order.1.json",
                r#"{"properties": {"price": {"$ref": "money.json"}}}"#,
            ),
            ("money.json", r#"{"type": "integer"}"#),
        ]);
        let sources = of_paths(&[folder.path().to_owned()], None).unwrap();
        assert_eq!(sources.len(), 1);
        let text = String::from_utf8_lossy(sources[0].document.bytes()).into_owned();
        assert!(text.contains("bundle:///money.json"), "{text}");
        std::fs::write(folder.path().join("alone.json"), "{}").unwrap();
        let error = of_paths(&[folder.path().to_owned()], None).unwrap_err();
        assert!(error.to_string().contains("alone.json"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn no_file_outside_the_folder_is_read_by_whatever_way() {
        let outside = folder(&[("secret.json", "{}")]);
        let secret = outside.path().join("secret.json");
        let link = r#"{"$ref": "link.json"}"#;
        let up = r#"{"$ref": "../secret.json"}"#;
        let folder = folder(&[("Link.1.json", link), ("Up.1.json", up)]);
        std::os::unix::fs::symlink(&secret, folder.path().join("link.json")).unwrap();
        for (file, wanted) in [
            ("Link.1.json", "leads out of"),
            ("Up.1.json", "leads out of"),
        ] {
            let error = document(&folder.path().join(file)).unwrap_err();
            assert!(format!("{error:#}").contains(wanted), "{error:#}");
        }
    }

    #[test]
    fn an_empty_folder_and_a_missing_file_are_errors() {
        let folder = folder(&[]);
        let error = of_paths(&[folder.path().to_owned()], None).unwrap_err();
        assert!(
            error.to_string().contains("holds no schema file"),
            "{error}"
        );
        for missing in ["no/Such.1.json", "such.json", "such"] {
            let error = of_paths(&[missing.into()], None).unwrap_err();
            let text = format!("{error:#}");
            assert!(text.contains(&format!("reading {missing}: ")), "{text}");
        }
    }
}
