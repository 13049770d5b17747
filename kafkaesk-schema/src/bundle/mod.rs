//! Bundler. Input: the first file of a schema. Output: one document with all its files. The caller reads the files.
//!
//! Each referenced file becomes a resource in `$defs` (`definitions` until draft 7), with an `$id`; every reference to
//! a file becomes a reference to that resource. Pointers into files stay as they are. Nothing is fetched.

mod paths;

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use jsonschema::{Draft, Uri};
use thiserror::Error;

use self::paths::{folders, is_absolute, join};
use crate::{
    Document, DocumentError,
    document::{MAX_DOCUMENT_BYTES, MAX_DOCUMENT_LEVELS},
    json::{Tree, parse, push_segment},
    keywords::SchemaPosition,
    references::REFERENCES,
    uri,
};

/// The most files of one schema.
pub const MAX_FILES: usize = 1000;

/// The base of the `$id` for a bundled file without an absolute `$id`.
const SCHEME: &str = "bundle:///";

/// The base that the validator gives to a schema without `$id`.
const NO_BASE: &str = "json-schema:///";

/// Why files cannot become one document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file that cannot be read, whether it is referenced or the first one.
    #[error("{}{file}: {reason}", referred(.from))]
    File {
        /// The file.
        file: String,
        /// The place of the reference: file and JSON pointer; empty for the first file.
        from: String,
        /// What is wrong.
        reason: String,
    },
    /// The content of a file is not a schema document.
    #[error("{file}: {error}")]
    Document {
        /// The file.
        file: String,
        /// What is wrong.
        error: DocumentError,
    },
    /// A reference that is not a local file.
    #[error(
        "{from}: {reference:?} is not a file; nothing is fetched, so save its target beside {file} and refer to it by a relative path"
    )]
    Remote {
        /// The file with the reference.
        file: String,
        /// File and JSON pointer.
        from: String,
        /// What stands there.
        reference: String,
    },
    /// A file that lies outside the folder in which files may be read.
    #[error(
        "{from}: {reference:?} leads out of the folder in which files are read; run this in a folder that holds all of them"
    )]
    Outside {
        /// File and JSON pointer.
        from: String,
        /// What stands there.
        reference: String,
    },
    /// More than [`MAX_FILES`], or more bytes than a document may have.
    #[error(
        "{from}: with this file there are more than {MAX_FILES} files, or more than {MAX_DOCUMENT_BYTES} bytes"
    )]
    TooMuch {
        /// File and JSON pointer.
        from: String,
    },
}

fn referred(from: &str) -> String {
    match from {
        "" => String::new(),
        from => format!("{from} refers to "),
    }
}

/// One document, and what it was made of.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The document. If the first file references no other, exactly its bytes.
    pub document: Document,
    /// The other files, in the order of their first reference.
    pub files: Vec<String>,
}

/// Combines a file and all files that it references. Paths use `/` and are relative to one folder; `read` returns the
/// bytes of a file in it, or an error. It should read no more than [`MAX_DOCUMENT_BYTES`].
///
/// # Errors
/// [`BundleError`] names the file and the JSON pointer of what is wrong. The document is not compiled.
pub fn bundle(
    file: &str,
    read: impl FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<Bundle, BundleError> {
    let mut files = Files {
        read,
        all: Vec::new(),
        by_path: HashMap::new(),
        bytes: 0,
    };
    let bytes = files.load(file, "")?;
    let mut next = 0;
    while next < files.all.len() {
        for link in files.all[next].links(next == 0) {
            files.follow(next, &link)?;
        }
        next += 1;
    }
    let documents = |error| BundleError::Document {
        file: file.to_owned(),
        error,
    };
    if files.all.len() == 1 && files.all[0].is_alone() {
        return Ok(Bundle {
            document: Document::parse(bytes).map_err(documents)?,
            files: Vec::new(),
        });
    }
    let (tree, others) = files.together()?;
    Ok(Bundle {
        document: Document::parse(tree.to_text()).map_err(documents)?,
        files: others,
    })
}

struct Files<R> {
    read: R,
    all: Vec<File>,
    by_path: HashMap<String, usize>,
    bytes: usize,
}

/// One file.
struct File {
    path: String,
    tree: Tree,
    draft: Draft,
    /// The URI of its outermost schema, and of every other resource in it; without fragments.
    uri: String,
    resources: BTreeSet<String>,
    /// The targets of references that lead out of the file, by their text: another file, or this one.
    targets: HashMap<String, usize>,
}

/// A reference out of a file.
struct Link {
    pointer: String,
    text: String,
    /// Refers to its own file, by a name that the file will not have in the bundle.
    to_itself: bool,
}

impl<R: FnMut(&str) -> Result<Vec<u8>, String>> Files<R> {
    /// Reads a file that is not there yet; its bytes.
    fn load(&mut self, path: &str, from: &str) -> Result<Vec<u8>, BundleError> {
        let too_much = || BundleError::TooMuch {
            from: from.to_owned(),
        };
        if self.all.len() >= MAX_FILES {
            return Err(too_much());
        }
        let bytes = (self.read)(path).map_err(|reason| BundleError::File {
            file: path.to_owned(),
            from: from.to_owned(),
            reason,
        })?;
        self.bytes += bytes.len();
        if self.bytes > MAX_DOCUMENT_BYTES {
            return Err(too_much());
        }
        // A file without `$schema` has the draft of the document that it becomes a part of.
        let default = self.all.first().map_or(Draft::Draft202012, |it| it.draft);
        let file = File::parse(path, &bytes, default).map_err(|error| BundleError::Document {
            file: path.to_owned(),
            error,
        })?;
        self.by_path.insert(path.to_owned(), self.all.len());
        self.all.push(file);
        Ok(bytes)
    }

    /// Finds the file that a reference leads to.
    fn follow(&mut self, of: usize, link: &Link) -> Result<(), BundleError> {
        if link.to_itself {
            self.all[of].targets.insert(link.text.clone(), of);
            return Ok(());
        }
        let file = &self.all[of];
        let from = format!("{}{}", file.path, at(&link.pointer));
        let (before, _) = link.text.split_once('#').unwrap_or((&link.text, ""));
        if is_absolute(before) {
            let same = |it: &File| it.uri == before && is_absolute(&it.uri);
            let Some(number) = self.all.iter().position(same) else {
                return Err(BundleError::Remote {
                    file: file.path.clone(),
                    from,
                    reference: link.text.clone(),
                });
            };
            self.all[of].targets.insert(link.text.clone(), number);
            return Ok(());
        }
        let path = join(&file.path, before).ok_or_else(|| BundleError::Outside {
            from: from.clone(),
            reference: link.text.clone(),
        })?;
        if before.ends_with('/') || matches!(before.rsplit('/').next(), Some("." | "..")) {
            return Err(BundleError::File {
                file: path,
                from,
                reason: format!("{before:?} names a folder, and no file"),
            });
        }
        if !self.by_path.contains_key(&path) {
            self.load(&path, &from)?;
        }
        let number = self.by_path[&path];
        self.all[of].targets.insert(link.text.clone(), number);
        Ok(())
    }

    /// All files as one document, and the paths of the files that were added to the first.
    fn together(mut self) -> Result<(Tree, Vec<String>), BundleError> {
        let names = names(&self.all);
        let ids = self.ids(&names);
        let mut targets = self.all.iter().flat_map(|file| file.targets.values());
        let root_is_named = targets.any(|target| *target == 0);
        for number in 0..self.all.len() {
            let file = &mut self.all[number];
            let targets = std::mem::take(&mut file.targets);
            let mut tree = std::mem::replace(&mut file.tree, Tree::Object(Vec::new()));
            let rewrite = |text: &mut String| {
                if let Some(target) = targets.get(&*text) {
                    let fragment = text.split_once('#').map(|(_, fragment)| fragment);
                    let fragment = fragment.map(|it| format!("#{it}")).unwrap_or_default();
                    *text = format!("{}{fragment}", ids[*target]);
                }
            };
            walk(
                &mut tree,
                SchemaPosition::Schema,
                &mut String::new(),
                &mut |schema, _| {
                    for keyword in REFERENCES {
                        if let Some(Tree::Text(text)) = member(schema, keyword) {
                            rewrite(text);
                        }
                    }
                },
            );
            self.all[number].tree = tree;
        }
        let mut all = self.all.into_iter();
        let Some(first) = all.next() else {
            return Ok((Tree::Object(Vec::new()), Vec::new()));
        };
        let mut root = first.tree;
        if first.draft <= Draft::Draft7 {
            reference_aside(&mut root);
        }
        if root_is_named && ids[0].starts_with(SCHEME) {
            set_id(&mut root, first.draft, &ids[0]);
        }
        let holder = match first.draft {
            Draft::Draft4 | Draft::Draft6 | Draft::Draft7 => "definitions",
            _ => "$defs",
        };
        let mut held = root
            .remove(holder)
            .unwrap_or_else(|| Tree::Object(Vec::new()));
        let mut others = Vec::new();
        for (number, file) in all.enumerate() {
            let mut tree = match file.tree {
                Tree::Scalar(value) if value == "false" => {
                    Tree::object([("not", Tree::Object(Vec::new()))])
                }
                Tree::Object(members) => Tree::Object(members),
                _ => Tree::Object(Vec::new()),
            };
            if file.draft <= Draft::Draft7 {
                reference_aside(&mut tree);
            }
            set_id(&mut tree, file.draft, &ids[number + 1]);
            let mut name = names[number + 1].clone();
            while held.get(&name).is_some() {
                name.push('_');
            }
            held.set(&name, tree);
            others.push(file.path);
        }
        root.set(holder, held);
        Ok((root, others))
    }

    /// The URI of each file in the bundle: its own where that is absolute.
    fn ids(&self, names: &[String]) -> Vec<String> {
        let mut taken = BTreeSet::new();
        let mut ids = Vec::new();
        for (file, name) in self.all.iter().zip(names) {
            let own = is_absolute(&file.uri) && !file.uri.starts_with(NO_BASE);
            let mut id = match own && !taken.contains(&file.uri) {
                true => file.uri.clone(),
                false => format!("{SCHEME}{}", uri::path(name)),
            };
            while !taken.insert(id.clone()) {
                id.push('_');
            }
            ids.push(id);
        }
        ids
    }
}

impl File {
    fn parse(path: &str, bytes: &[u8], default: Draft) -> Result<Self, DocumentError> {
        // The same checks, with the same words, as of any document.
        Document::parse(bytes.to_vec())?;
        let node = parse(bytes, MAX_DOCUMENT_LEVELS).map_err(|malformed| DocumentError::Json {
            message: malformed.message,
            at: malformed.at,
        })?;
        let tree = Tree::of(&node);
        let draft = draft_of(&tree)?.unwrap_or(default);
        let mut file = Self {
            path: path.to_owned(),
            uri: String::new(),
            tree,
            draft,
            resources: BTreeSet::new(),
            targets: HashMap::new(),
        };
        let mut found = Vec::new();
        file.each(&mut |_, base, is_resource, _| {
            if is_resource {
                found.push(base.as_str().to_owned());
            }
        });
        file.uri = found.first().cloned().unwrap_or_default();
        file.resources = found.into_iter().collect();
        Ok(file)
    }

    /// Whether it references no file, not even itself by name.
    fn is_alone(&self) -> bool {
        self.targets.is_empty()
    }

    /// The references that lead out of what the file itself defines.
    fn links(&self, is_first: bool) -> Vec<Link> {
        let mut links = Vec::new();
        self.each(&mut |schema, base, _, pointer| {
            for keyword in REFERENCES {
                let Some(text) = schema.get_text(keyword) else {
                    continue;
                };
                let Some(reference) = uri::reference(text) else {
                    continue;
                };
                if reference.starts_with('#') {
                    continue;
                }
                let mut target = jsonschema::uri::resolve_against(&base.borrow(), &reference).ok();
                if let Some(target) = &mut target {
                    target.set_fragment(None);
                }
                let uri = target.as_ref().map_or("", |target| target.as_str());
                let named = !is_placeholder(&reference, uri);
                let to_itself = named && !is_first && uri == self.uri;
                let inside = named && self.resources.contains(uri)
                    || referencing::SPECIFICATIONS.contains_resource(uri);
                if to_itself || !inside {
                    let mut pointer = pointer.to_owned();
                    push_segment(&mut pointer, keyword);
                    links.push(Link {
                        pointer,
                        text: text.to_owned(),
                        to_itself,
                    });
                }
            }
        });
        links
    }

    /// Every schema with its base URI, whether it is a resource, and its JSON pointer.
    fn each(&self, visit: &mut impl FnMut(&Tree, &Uri<String>, bool, &str)) {
        let Ok(base) = jsonschema::uri::from_str(NO_BASE) else {
            return;
        };
        schemas(
            &self.tree,
            SchemaPosition::Schema,
            self.draft,
            &base,
            &mut String::new(),
            visit,
        );
    }
}

/// Whether a reference reaches its target only through [`NO_BASE`], which the schema loses in the bundle: it names that
/// base, or it is a path such as `.` that leads there.
fn is_placeholder(reference: &str, target: &str) -> bool {
    let (before, _) = reference.split_once('#').unwrap_or((reference, ""));
    before.starts_with("json-schema:") || (target == NO_BASE && !before.is_empty())
}

fn draft_of(tree: &Tree) -> Result<Option<Draft>, DocumentError> {
    let Some(dialect) = tree.get_text("$schema") else {
        return Ok(None);
    };
    crate::draft::of_uri(&dialect.into(), "").map(Some)
}

fn schemas(
    tree: &Tree,
    holds: SchemaPosition,
    draft: Draft,
    base: &Uri<String>,
    pointer: &mut String,
    visit: &mut impl FnMut(&Tree, &Uri<String>, bool, &str),
) {
    let length = pointer.len();
    match tree {
        Tree::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                push_segment(pointer, &at.to_string());
                schemas(item, holds.in_item(), draft, base, pointer, visit);
                pointer.truncate(length);
            }
        }
        Tree::Object(members) => {
            let (mut draft, mut base) = (draft, Cow::Borrowed(base));
            if holds.is_schema() {
                if let Ok(Some(own)) = draft_of(tree) {
                    draft = own;
                }
                let replaced = draft <= Draft::Draft7 && tree.get("$ref").is_some();
                let id = tree.get_text(draft.id_keyword()).and_then(uri::reference);
                let id = id.filter(|id| !id.starts_with('#') && !replaced);
                let own =
                    id.and_then(|id| jsonschema::uri::resolve_against(&base.borrow(), &id).ok());
                let is_resource = own.is_some() || pointer.is_empty();
                if let Some(mut own) = own {
                    own.set_fragment(None);
                    base = Cow::Owned(own);
                }
                visit(tree, &base, is_resource, pointer);
            }
            for (key, member) in members {
                let inside = holds.in_member(key);
                if inside != SchemaPosition::Data {
                    push_segment(pointer, key);
                    schemas(member, inside, draft, &base, pointer, visit);
                    pointer.truncate(length);
                }
            }
        }
        _ => {}
    }
}

/// Visits every schema object, to change it.
pub(crate) fn walk(
    tree: &mut Tree,
    holds: SchemaPosition,
    pointer: &mut String,
    visit: &mut impl FnMut(&mut Tree, &str),
) {
    if holds.is_schema() && matches!(tree, Tree::Object(_)) {
        visit(tree, pointer);
    }
    let length = pointer.len();
    match tree {
        Tree::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                push_segment(pointer, &at.to_string());
                walk(item, holds.in_item(), pointer, visit);
                pointer.truncate(length);
            }
        }
        Tree::Object(members) => {
            for (key, member) in members {
                let inside = holds.in_member(key);
                if inside != SchemaPosition::Data {
                    push_segment(pointer, key);
                    walk(member, inside, pointer, visit);
                    pointer.truncate(length);
                }
            }
        }
        _ => {}
    }
}

fn member<'t>(tree: &'t mut Tree, key: &str) -> Option<&'t mut Tree> {
    let Tree::Object(members) = tree else {
        return None;
    };
    let found = members.iter_mut().find(|(name, _)| name == key);
    found.map(|(_, value)| value)
}

/// Until draft 7, all keywords beside a `$ref` are ignored, `$id` and definitions included.
fn reference_aside(tree: &mut Tree) {
    let Some(reference) = tree.remove("$ref") else {
        return;
    };
    if let Tree::Object(members) = tree {
        members.retain(|(key, _)| matches!(&**key, "$schema" | "definitions" | "$defs"));
    }
    let reference = Tree::object([("$ref", reference)]);
    tree.set("allOf", Tree::Array(vec![reference]));
}

fn set_id(tree: &mut Tree, draft: Draft, id: &str) {
    // A fragment that is empty is not part of it.
    tree.remove(draft.id_keyword());
    if let Tree::Object(members) = tree {
        members.insert(0, (draft.id_keyword().to_owned(), Tree::text(id)));
    }
}

/// The name of each file in the bundle: its path from the folder of the first file, with dots.
fn names(files: &[File]) -> Vec<String> {
    let folder: Vec<&str> = files
        .first()
        .map(|first| folders(&first.path))
        .unwrap_or_default();
    files
        .iter()
        .map(|file| {
            let own: Vec<&str> = file.path.split('/').collect();
            let shared = own
                .iter()
                .zip(&folder)
                .take_while(|(one, other)| one == other)
                .count();
            own[shared.min(own.len() - 1)..].join(".")
        })
        .collect()
}

fn at(pointer: &str) -> String {
    format!("#{pointer}")
}
