//! A document's references: a schema in, the first that leads out of it or nowhere out.
//!
//! jsonschema would find them too, but without the JSON pointer. Fetches nothing.

use std::collections::HashSet;

use jsonschema::{Draft, Registry, Uri, uri};
use serde_json::{Map, Value};

use crate::{DocumentError, draft::of_uri, json::push_segment, keywords::Holds};

/// Refuses unknown dialects in embedded schemas, and references that do not end inside the document.
pub(crate) fn check(document: &Value, draft: Draft) -> Result<(), DocumentError> {
    let refused = |pointer: &str, message: String| DocumentError::Invalid {
        pointer: pointer.to_owned(),
        message,
    };
    let base = root_base(document, draft)?;
    let mut found = Found::default();
    found.resources.insert(base.as_str().to_owned());
    found.walk(document, Holds::Schema, draft, &base, &mut String::new())?;
    for reference in &found.references {
        let inside = uri::resolve_against(&reference.base.borrow(), &reference.text).is_ok_and(
            |mut target| {
                target.set_fragment(None);
                found.resources.contains(target.as_str())
            },
        );
        if !inside {
            return Err(reference.refused());
        }
    }
    let registry = Registry::new()
        .draft(draft)
        .add(base.as_str(), draft.create_resource_ref(document))
        .and_then(|builder| builder.prepare())
        .map_err(|error| refused("", error.to_string()))?;
    for reference in &found.references {
        registry
            .resolver(reference.base.clone())
            .lookup(&reference.text)
            .map_err(|_| reference.refused())?;
    }
    Ok(())
}

fn root_base(document: &Value, draft: Draft) -> Result<Uri<String>, DocumentError> {
    let keyword = draft.id_keyword();
    let id = match document.as_object() {
        Some(object) if !is_replaced(object, draft) => object.get(keyword).and_then(Value::as_str),
        _ => None,
    };
    let mut base =
        uri::from_str(id.unwrap_or_default()).map_err(|error| DocumentError::Invalid {
            pointer: format!("/{keyword}"),
            message: error.to_string(),
        })?;
    base.set_fragment(None);
    Ok(base)
}

/// Until draft 7 a `$ref` replaces the schema that it stands in, its `$id` included.
fn is_replaced(schema: &Map<String, Value>, draft: Draft) -> bool {
    draft <= Draft::Draft7 && schema.contains_key("$ref")
}

struct Reference {
    pointer: String,
    base: Uri<String>,
    text: String,
}

impl Reference {
    fn refused(&self) -> DocumentError {
        DocumentError::Reference {
            pointer: self.pointer.clone(),
            reference: self.text.clone(),
        }
    }
}

#[derive(Default)]
struct Found {
    /// The URIs, without fragments, that the document itself defines.
    resources: HashSet<String>,
    references: Vec<Reference>,
}

impl Found {
    fn walk(
        &mut self,
        value: &Value,
        holds: Holds,
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
                    own = self.schema(object, draft, base, pointer)?;
                }
                for (key, member) in object {
                    let inside = holds.in_member(key);
                    if inside == Holds::Data {
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

    /// Notes what one schema defines and refers to; its own draft and base URI.
    fn schema(
        &mut self,
        schema: &Map<String, Value>,
        draft: Draft,
        base: &Uri<String>,
        pointer: &str,
    ) -> Result<(Draft, Uri<String>), DocumentError> {
        let draft = match schema.get("$schema") {
            Some(dialect) => of_uri(dialect, pointer)?,
            None => draft,
        };
        let mut base = base.clone();
        let keyword = draft.id_keyword();
        if let Some(id) = schema.get(keyword).and_then(Value::as_str)
            && !is_replaced(schema, draft)
        {
            base = uri::resolve_against(&base.borrow(), id).map_err(|error| {
                DocumentError::Invalid {
                    pointer: format!("{pointer}/{keyword}"),
                    message: error.to_string(),
                }
            })?;
            // Until draft 7 an `$id` may end in `#` or name an anchor; neither is part of a base.
            base.set_fragment(None);
            self.resources.insert(base.as_str().to_owned());
        }
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(text) = schema.get(keyword).and_then(Value::as_str) {
                self.references.push(Reference {
                    pointer: format!("{pointer}/{keyword}"),
                    base: base.clone(),
                    text: text.to_owned(),
                });
            }
        }
        Ok((draft, base))
    }
}
