//! Compiler. Input: a document. Output: jsonschema's validator over the borrowed tree.
//!
//! Refuses documents that the contract does not allow, with a JSON pointer to the place. Fetches nothing.

use std::sync::LazyLock;

use jsonschema::{Draft, ValidationError};
use serde_json::Value;

use crate::{
    Document, DocumentError, draft, expression,
    keywords::SchemaPosition,
    references::{Checked, Schemas, write_uris},
    represent::Borrowed,
    steps::InPlaceCost,
};

/// A document compiled.
pub(crate) struct Compiled {
    pub(crate) validator: jsonschema::Validator<Borrowed>,
    pub(crate) in_place: InPlaceCost,
    /// The additional steps for each byte of a member's name.
    pub(crate) steps_per_name_byte: u64,
}

pub(crate) fn compile(document: &Document) -> Result<Compiled, DocumentError> {
    compile_value(read(document)?).or_else(|error| {
        let by_draft = matches!(
            error,
            DocumentError::Invalid { .. }
                | DocumentError::Reference { .. }
                | DocumentError::Twice { .. }
        );
        if !by_draft {
            return Err(error);
        }
        let value = read(document)?;
        let without_dialect = value.is_object() && value.get("$schema").is_none();
        Err(match without_dialect {
            true => valid_in_another_draft(value, error),
            false => error,
        })
    })
}

fn read(document: &Document) -> Result<Value, DocumentError> {
    serde_json::from_slice(document.bytes()).map_err(|error| DocumentError::Invalid {
        pointer: String::new(),
        message: error.to_string(),
    })
}

/// Names the draft in which a document without `$schema` is valid, if there is one.
fn valid_in_another_draft(mut value: Value, error: DocumentError) -> DocumentError {
    for other in draft::DRAFTS {
        value["$schema"] = other.uri.into();
        if compile_value(value.clone()).is_ok() {
            return DocumentError::OtherDraft {
                error: Box::new(error),
                draft: other.name,
                uri: other.uri,
            };
        }
    }
    error
}

fn compile_value(mut value: Value) -> Result<Compiled, DocumentError> {
    let draft = draft::of(&value)?;
    write_uris(&mut value, SchemaPosition::Schema);
    let schemas = Schemas::of(&value, draft)?;
    against_meta_schemas(&value, draft, &schemas.dialects)?;
    let Checked {
        in_place,
        expressions,
        rewritten,
    } = schemas.check(&value, draft)?;
    let value = rewritten.unwrap_or(value);
    let registry = Schemas::of(&value, draft)?.registry(&value, draft)?;
    let steps_per_name_byte = expressions.steps_per_name_byte;
    let mut options = jsonschema::options_for::<Borrowed>()
        .with_draft(draft)
        .with_registry(&registry)
        .offline()
        .should_validate_formats(false)
        // Annotations since 2019-09. We treat them as annotations in older drafts too, as Python does.
        .without_content_encoding_support("base64")
        .without_content_media_type_support("application/json")
        .with_pattern_options(expression::engine());
    if !expressions.are_small() {
        options = options.with_keyword("pattern", expressions.into_keyword());
    }
    let validator = options
        .build(&value)
        .map_err(|error| refused(&error, error.schema_path().as_str().to_owned()))?;
    Ok(Compiled {
        validator,
        in_place,
        steps_per_name_byte,
    })
}

type MetaSchema = LazyLock<jsonschema::Validator>;

/// The meta-schema of a draft. `format` is only an annotation there as well; other code checks the formats that matter.
macro_rules! meta_schema {
    ($draft:ident, $document:ident) => {{
        static META: MetaSchema = LazyLock::new(|| {
            jsonschema::options()
                .with_draft(Draft::$draft)
                .offline()
                .should_validate_formats(false)
                .build(&referencing::meta::$document)
                .expect("a published meta-schema is a schema")
        });
        &META
    }};
}

fn meta_schema(draft: Draft) -> &'static jsonschema::Validator {
    match draft {
        Draft::Draft4 => meta_schema!(Draft4, DRAFT4),
        Draft::Draft6 => meta_schema!(Draft6, DRAFT6),
        Draft::Draft7 => meta_schema!(Draft7, DRAFT7),
        Draft::Draft201909 => meta_schema!(Draft201909, DRAFT201909),
        _ => meta_schema!(Draft202012, DRAFT202012),
    }
}

/// The document against the meta-schema of its draft; each resource with another dialect, by its pointer, against its own.
fn against_meta_schemas(
    value: &Value,
    draft: Draft,
    dialects: &[(String, Draft)],
) -> Result<(), DocumentError> {
    if dialects.is_empty() {
        return against_meta_schema(value, draft, "");
    }
    let mut rest = value.clone();
    // Inner ones come last, and are taken out first.
    for (pointer, draft) in dialects.iter().rev() {
        if let Some(resource) = rest.pointer_mut(pointer) {
            let resource = std::mem::replace(resource, Value::Object(Default::default()));
            against_meta_schema(&resource, *draft, pointer)?;
        }
    }
    against_meta_schema(&rest, draft, "")
}

fn against_meta_schema(value: &Value, draft: Draft, at: &str) -> Result<(), DocumentError> {
    match meta_schema(draft).validate(value) {
        Ok(()) => Ok(()),
        Err(error) => Err(refused(
            &error,
            format!("{at}{}", error.instance_path().as_str()),
        )),
    }
}

fn refused(error: &ValidationError<'_>, pointer: String) -> DocumentError {
    let mut message = error.to_string();
    crate::bounded(&mut message, 500);
    DocumentError::Invalid { pointer, message }
}
