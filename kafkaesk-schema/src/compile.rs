//! Compiling: a document in, jsonschema's validator over the borrowed tree out.
//!
//! Refuses what a publisher could not stand by later, each with its JSON pointer. Fetches nothing.

use jsonschema::{Draft, ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use crate::{
    Document, DocumentError, draft, expression, references::Schemas, represent::Borrowed,
    steps::InPlace,
};

/// A document compiled.
pub(crate) struct Compiled {
    pub(crate) validator: jsonschema::Validator<Borrowed>,
    pub(crate) in_place: InPlace,
}

pub(crate) fn compile(document: &Document) -> Result<Compiled, DocumentError> {
    let value: Value =
        serde_json::from_slice(document.bytes()).map_err(|error| DocumentError::Invalid {
            pointer: String::new(),
            message: error.to_string(),
        })?;
    let draft = draft::of(&value)?;
    let schemas = Schemas::of(&value, draft)?;
    against_meta_schema(&value, draft)?;
    let in_place = schemas.check(&value, draft)?;
    let validator = jsonschema::options_for::<Borrowed>()
        .with_draft(draft)
        .offline()
        .should_validate_formats(false)
        // Annotations since 2019-09, and read as such for older drafts too, as Python does.
        .without_content_encoding_support("base64")
        .without_content_media_type_support("application/json")
        .with_pattern_options(expression::engine())
        .build(&value)
        .map_err(|error| refused(&error, error.schema_path().as_str()))?;
    Ok(Compiled {
        validator,
        in_place,
    })
}

fn against_meta_schema(value: &Value, draft: Draft) -> Result<(), DocumentError> {
    let meta = match draft {
        Draft::Draft4 => jsonschema::draft4::meta::validator(),
        Draft::Draft6 => jsonschema::draft6::meta::validator(),
        Draft::Draft7 => jsonschema::draft7::meta::validator(),
        Draft::Draft201909 => jsonschema::draft201909::meta::validator(),
        _ => jsonschema::draft202012::meta::validator(),
    };
    match meta.validate(value) {
        Ok(()) => Ok(()),
        Err(error) => Err(refused(&error, error.instance_path().as_str())),
    }
}

fn refused(error: &ValidationError<'_>, pointer: &str) -> DocumentError {
    let pointer = pointer.to_owned();
    let mut message = error.to_string();
    crate::bounded(&mut message, 500);
    match (error.kind(), error.instance().as_str()) {
        (ValidationErrorKind::Format { format }, Some(pattern)) if format == "regex" => {
            DocumentError::pattern(pointer, pattern, "no ECMA-262".to_owned())
        }
        _ => DocumentError::Invalid { pointer, message },
    }
}
