//! References: refuses the first `$ref` that leads out of the document, to no schema, or into a part that identity
//! leaves out.
//!
//! jsonschema would find most of them too, but without the JSON pointer. Fetches nothing: besides the document, only the
//! meta-schemas of the five drafts are known.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use jsonschema::{Draft, Uri, uri};
use percent_encoding::percent_decode_str;
use referencing::{Registry, SPECIFICATIONS};
use serde_json::{Map, Value};

use crate::{
    DocumentError,
    draft::of_uri,
    expression::{At, Expressions},
    json::push_segment,
    keywords::{SchemaPosition, is_annotation},
    steps::{self, InPlaceCost},
    uri::reference,
};

/// The keywords that refer to another schema.
pub(crate) const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Every schema of a document, with the targets of its references.
#[derive(Default)]
pub(crate) struct Schemas<'d> {
    pub(crate) all: Vec<Schema<'d>>,
    /// Keyed by the address in the borrowed document, so that each schema has one entry.
    by_address: HashMap<usize, usize>,
    /// The URIs, without fragments, that the document itself defines.
    resources: HashSet<String>,
    /// Those of them that stand inside the document, with their dialects.
    embedded: Vec<(String, &'d Value, Draft)>,
    /// Base URI and name.
    anchors: HashSet<(String, &'d str)>,
    /// Where a resource with another dialect than that of the schema around it begins, and its dialect.
    pub(crate) dialects: Vec<(String, Draft)>,
    /// The regular expressions of every schema, even of one that no value reaches.
    pub(crate) expressions: Expressions,
}

/// The result of following every reference of a document.
pub(crate) struct Checked {
    pub(crate) in_place: InPlaceCost,
    pub(crate) expressions: Expressions,
    /// The document with every reference written as a URI reference; `None` where it was already.
    pub(crate) rewritten: Option<Value>,
}

/// One schema object.
pub(crate) struct Schema<'d> {
    /// Its place, or the text of the reference if only a reference reaches it.
    pub(crate) pointer: String,
    pub(crate) members: &'d Map<String, Value>,
    /// Until draft 7 a `$ref` replaces the schema that it stands in.
    pub(crate) replaced: bool,
    pub(crate) references: Vec<Reference<'d>>,
    base: Uri<String>,
}

/// One `$ref`, `$dynamicRef` or `$recursiveRef`.
pub(crate) struct Reference<'d> {
    keyword: &'static str,
    /// As a URI reference.
    text: Cow<'d, str>,
    /// The schema that it leads to; `None` for one that is a boolean.
    pub(crate) target: Option<usize>,
}

impl Reference<'_> {
    /// Whether the target is static: a dynamic reference may lead to another schema, depending on the path to it.
    pub(crate) fn is_static(&self) -> bool {
        self.keyword == "$ref"
    }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value) as usize
}

impl<'d> Schemas<'d> {
    /// Finds the schemas. Refuses another dialect in a schema that is not a resource of its own, two schemas with one
    /// name, and regular expressions outside the contract's dialect. Checks nothing else; the meta-schema may still
    /// refuse the document.
    pub(crate) fn of(document: &'d Value, draft: Draft) -> Result<Self, DocumentError> {
        let base = root_base(document, draft)?;
        let mut schemas = Self::default();
        schemas.walk(
            document,
            SchemaPosition::Schema,
            draft,
            &base,
            &mut String::new(),
        )?;
        schemas.resources.insert(base.as_str().to_owned());
        Ok(schemas)
    }

    /// Follows every reference; none may lead out of the document.
    pub(crate) fn check(self, document: &'d Value, draft: Draft) -> Result<Checked, DocumentError> {
        self.all_inside(0)?;
        let registry = self.registry(document, draft)?;
        let mut stripped = HashSet::new();
        note_stripped(document, SchemaPosition::Schema, false, &mut stripped);
        let mut schemas = self;
        let mut next = 0;
        while next < schemas.all.len() {
            schemas.follow(next, &registry, &stripped)?;
            next += 1;
        }
        let rewritten: HashSet<usize> = schemas
            .by_address
            .iter()
            .filter(|(_, number)| {
                let references = &schemas.all[**number].references;
                references.iter().any(|it| matches!(it.text, Cow::Owned(_)))
            })
            .map(|(address, _)| *address)
            .collect();
        Ok(Checked {
            in_place: steps::most(&schemas)?,
            expressions: schemas.expressions,
            rewritten: (!rewritten.is_empty()).then(|| with_references(document, &rewritten)),
        })
    }

    /// The published meta-schemas, and every resource inside the document: jsonschema alone looks for them only where the
    /// draft expects schemas, so not under `definitions` since 2019-09.
    pub(crate) fn registry(
        &self,
        document: &'d Value,
        draft: Draft,
    ) -> Result<Registry<'d>, DocumentError> {
        let base = root_base(document, draft)?;
        let root = (base.as_str(), draft.create_resource_ref(document));
        let embedded = self.embedded.iter();
        let embedded =
            embedded.map(|(uri, it, draft)| (uri.as_str(), draft.create_resource_ref(it)));
        SPECIFICATIONS
            .extend(embedded.chain([root]))
            .and_then(|builder| builder.draft(draft).prepare())
            .map_err(|error| invalid("", error.to_string()))
    }

    /// Refuses references to other documents, of all schemas from `first` on.
    fn all_inside(&self, first: usize) -> Result<(), DocumentError> {
        for schema in &self.all[first..] {
            for reference in &schema.references {
                let inside = uri::resolve_against(&schema.base.borrow(), &reference.text)
                    .is_ok_and(|mut target| {
                        target.set_fragment(None);
                        self.resources.contains(target.as_str())
                            || SPECIFICATIONS.contains_resource(target.as_str())
                    });
                if !inside {
                    return Err(schema.refused(reference));
                }
            }
        }
        Ok(())
    }

    /// Follows the references of one schema. A target outside of the known schema positions is walked too, and added
    /// after the others.
    fn follow(
        &mut self,
        at: usize,
        registry: &'d Registry<'_>,
        stripped: &HashSet<usize>,
    ) -> Result<(), DocumentError> {
        for number in 0..self.all[at].references.len() {
            let schema = &self.all[at];
            let reference = &schema.references[number];
            let resolved = registry
                .resolver(schema.base.clone())
                .lookup(&reference.text)
                .map_err(|_| schema.refused(reference))?;
            let (contents, resolver, draft) = resolved.into_inner();
            if stripped.contains(&address(contents)) {
                return Err(DocumentError::Stripped {
                    pointer: format!("{}/{}", schema.pointer, reference.keyword),
                    reference: reference.text.to_string(),
                });
            }
            if !contents.is_object() && !contents.is_boolean() {
                return Err(schema.refused(reference));
            }
            if contents.is_object() && self.number_of(contents).is_none() {
                let fragment = reference.text.split_once('#').map_or("", |(_, name)| name);
                let first = self.all.len();
                let mut pointer = percent_decode_str(fragment)
                    .decode_utf8_lossy()
                    .into_owned();
                self.walk(
                    contents,
                    SchemaPosition::Schema,
                    draft,
                    &resolver.base_uri(),
                    &mut pointer,
                )?;
                self.all_inside(first)?;
            }
            self.all[at].references[number].target = self.number_of(contents);
        }
        Ok(())
    }

    fn walk(
        &mut self,
        value: &'d Value,
        holds: SchemaPosition,
        draft: Draft,
        base: &Uri<String>,
        pointer: &mut String,
    ) -> Result<(), DocumentError> {
        let length = pointer.len();
        match value {
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    push_segment(pointer, &at.to_string());
                    self.walk(item, holds.in_item(), draft, base, pointer)?;
                    pointer.truncate(length);
                }
            }
            Value::Object(object) => {
                let mut own = (draft, base.clone());
                if holds.is_schema() {
                    if self.by_address.contains_key(&address(value)) {
                        return Ok(());
                    }
                    own = self.schema(value, object, draft, base, pointer)?;
                }
                for (key, member) in object {
                    let inside = holds.in_member(key);
                    if inside == SchemaPosition::Data {
                        continue;
                    }
                    push_segment(pointer, key);
                    self.walk(member, inside, own.0, &own.1, pointer)?;
                    pointer.truncate(length);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Records the definitions and references of one schema. Returns its draft and base URI.
    fn schema(
        &mut self,
        value: &'d Value,
        members: &'d Map<String, Value>,
        draft: Draft,
        base: &Uri<String>,
        pointer: &str,
    ) -> Result<(Draft, Uri<String>), DocumentError> {
        let mut draft = draft;
        if let Some(dialect) = members.get("$schema") {
            let own = of_uri(dialect, pointer)?;
            if own != draft && !is_resource(members, own) {
                return Err(DocumentError::OtherDialect {
                    pointer: format!("{pointer}/$schema"),
                });
            }
            if own != draft {
                self.dialects.push((pointer.to_owned(), own));
                draft = own;
            }
        }
        check_expressions(&mut self.expressions, members, pointer)?;
        let replaced = is_replaced(members, draft);
        let mut base = base.clone();
        let keyword = draft.id_keyword();
        if let Some(id) = members.get(keyword).and_then(Value::as_str)
            && !replaced
        {
            base = uri::resolve_against(&base.borrow(), id)
                .map_err(|error| invalid(&format!("{pointer}/{keyword}"), error.to_string()))?;
            // Until draft 7 an `$id` may end in `#` or name an anchor; neither is part of a base.
            base.set_fragment(None);
            if !id.starts_with('#') {
                if !self.resources.insert(base.as_str().to_owned()) {
                    return Err(twice(pointer, keyword, id));
                }
                if !pointer.is_empty() {
                    self.embedded.push((base.as_str().to_owned(), value, draft));
                }
            }
            if let Some(name) = id.strip_prefix('#').filter(|name| !name.is_empty())
                && !self.anchors.insert((base.as_str().to_owned(), name))
            {
                return Err(twice(pointer, keyword, id));
            }
        }
        let mut names = ["$anchor", "$dynamicAnchor"]
            .into_iter()
            .filter(|_| draft > Draft::Draft7)
            .filter_map(|keyword| Some((keyword, members.get(keyword)?.as_str()?)))
            .collect::<Vec<_>>();
        names.dedup_by_key(|(_, name)| *name);
        for (keyword, name) in names {
            if !self.anchors.insert((base.as_str().to_owned(), name)) {
                return Err(twice(pointer, keyword, name));
            }
        }
        let references = REFERENCES
            .into_iter()
            .filter_map(|keyword| {
                let text = members.get(keyword)?.as_str()?;
                Some(Reference {
                    keyword,
                    text: reference(text).unwrap_or(Cow::Borrowed(text)),
                    target: None,
                })
            })
            .collect();
        self.by_address.insert(address(value), self.all.len());
        self.all.push(Schema {
            pointer: pointer.to_owned(),
            members,
            replaced,
            references,
            base: base.clone(),
        });
        Ok((draft, base))
    }

    /// The number of a schema; `None` for a boolean, and for a value that is not a schema.
    pub(crate) fn number_of(&self, value: &Value) -> Option<usize> {
        self.by_address.get(&address(value)).copied()
    }
}

impl Schema<'_> {
    fn refused(&self, reference: &Reference<'_>) -> DocumentError {
        DocumentError::Reference {
            pointer: format!("{}/{}", self.pointer, reference.keyword),
            reference: reference.text.to_string(),
        }
    }
}

fn check_expressions(
    expressions: &mut Expressions,
    members: &Map<String, Value>,
    pointer: &str,
) -> Result<(), DocumentError> {
    let mut refused = |at: String, expression: &str, kind: At| {
        expressions
            .take(expression, kind)
            .map_err(|reason| DocumentError::pattern(at, expression, reason))
    };
    if let Some(Value::String(pattern)) = members.get("pattern") {
        refused(format!("{pointer}/pattern"), pattern, At::Pattern)?;
    }
    if let Some(Value::Object(patterns)) = members.get("patternProperties") {
        for pattern in patterns.keys() {
            let mut at = format!("{pointer}/patternProperties");
            push_segment(&mut at, pattern);
            refused(at, pattern, At::Name)?;
        }
    }
    Ok(())
}

/// Writes every `$id` and reference in schema positions as a URI reference, and leaves out embedded copies of the published
/// meta-schemas: those are known already.
pub(crate) fn write_uris(value: &mut Value, holds: SchemaPosition) {
    match value {
        Value::Array(items) => {
            for item in items {
                write_uris_inside(item, holds.in_item());
            }
        }
        Value::Object(object) => {
            for (key, member) in object {
                if holds.is_schema()
                    && (REFERENCES.contains(&&**key) || matches!(&**key, "$id" | "id"))
                {
                    write_uri(member);
                }
                write_uris_inside(member, holds.in_member(key));
            }
        }
        _ => {}
    }
}

fn write_uris_inside(value: &mut Value, holds: SchemaPosition) {
    if holds.is_schema() && is_published(value) {
        *value = Value::Object(Map::new());
    }
    write_uris(value, holds);
}

/// Whether a schema carries the name of a meta-schema of the five drafts, or of one of their vocabularies.
fn is_published(schema: &Value) -> bool {
    let names = ["$id", "id"].into_iter().filter_map(|key| schema.get(key));
    let mut names = names.filter_map(Value::as_str);
    names.any(|name| {
        name.starts_with("http")
            && SPECIFICATIONS.contains_resource(name.strip_suffix('#').unwrap_or(name))
    })
}

fn write_uri(value: &mut Value) {
    if let Value::String(text) = value
        && let Some(Cow::Owned(uri)) = reference(text)
    {
        *text = uri;
    }
}

/// The document with the references of some of its objects, which are given by their addresses, written as URI references.
fn with_references(value: &Value, of: &HashSet<usize>) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|it| with_references(it, of)).collect(),
        Value::Object(object) => {
            let rewrites = of.contains(&address(value));
            let member = |(key, member): (&String, &Value)| {
                let mut member = with_references(member, of);
                if rewrites && REFERENCES.contains(&&**key) {
                    write_uri(&mut member);
                }
                (key.clone(), member)
            };
            Value::Object(object.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

/// Records the values that the canonical form leaves out, by address.
fn note_stripped(
    value: &Value,
    holds: SchemaPosition,
    inside: bool,
    stripped: &mut HashSet<usize>,
) {
    if inside {
        stripped.insert(address(value));
    }
    match value {
        Value::Array(items) => {
            for item in items {
                note_stripped(item, holds.in_item(), inside, stripped);
            }
        }
        Value::Object(object) => {
            for (key, member) in object {
                let inside = inside || holds.is_schema() && is_annotation(key);
                note_stripped(member, holds.in_member(key), inside, stripped);
            }
        }
        _ => {}
    }
}

fn twice(pointer: &str, keyword: &str, name: &str) -> DocumentError {
    DocumentError::Twice {
        pointer: format!("{pointer}/{keyword}"),
        name: name.to_owned(),
    }
}

fn invalid(pointer: &str, message: String) -> DocumentError {
    DocumentError::Invalid {
        pointer: pointer.to_owned(),
        message,
    }
}

fn root_base(document: &Value, draft: Draft) -> Result<Uri<String>, DocumentError> {
    let keyword = draft.id_keyword();
    let id = match document.as_object() {
        Some(object) if !is_replaced(object, draft) => object.get(keyword).and_then(Value::as_str),
        _ => None,
    };
    let mut base = uri::from_str(id.unwrap_or_default())
        .map_err(|error| invalid(&format!("/{keyword}"), error.to_string()))?;
    base.set_fragment(None);
    Ok(base)
}

/// Whether a schema has its own identity in a draft, and therefore may have its own dialect.
fn is_resource(schema: &Map<String, Value>, draft: Draft) -> bool {
    let id = schema.get(draft.id_keyword()).and_then(Value::as_str);
    id.is_some_and(|id| !id.starts_with('#')) && !is_replaced(schema, draft)
}

fn is_replaced(schema: &Map<String, Value>, draft: Draft) -> bool {
    draft <= Draft::Draft7 && schema.contains_key("$ref")
}
