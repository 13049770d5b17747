//! `$schema` in, the draft that it names out. Knows five drafts and guesses none.

use jsonschema::Draft;
use serde_json::Value;

use crate::{DocumentError, json::push_segment};

/// The draft of a whole document: by `$schema`, 2020-12 without one.
pub(crate) fn of(document: &Value) -> Result<Draft, DocumentError> {
    match document.get("$schema") {
        Some(dialect) => of_uri(dialect, ""),
        None => Ok(Draft::Draft202012),
    }
}

/// The draft that the `$schema` of the schema at `pointer` names.
pub(crate) fn of_uri(dialect: &Value, pointer: &str) -> Result<Draft, DocumentError> {
    let known = match dialect
        .as_str()
        .map(|uri| uri.strip_suffix('#').unwrap_or(uri))
    {
        Some("http://json-schema.org/draft-04/schema") => Some(Draft::Draft4),
        Some("http://json-schema.org/draft-06/schema") => Some(Draft::Draft6),
        Some("http://json-schema.org/draft-07/schema") => Some(Draft::Draft7),
        Some("https://json-schema.org/draft/2019-09/schema") => Some(Draft::Draft201909),
        Some("https://json-schema.org/draft/2020-12/schema") => Some(Draft::Draft202012),
        _ => None,
    };
    known.ok_or_else(|| {
        let mut at = pointer.to_owned();
        push_segment(&mut at, "$schema");
        let mut dialect = dialect.to_string();
        crate::bounded(&mut dialect, 120);
        DocumentError::UnknownDialect {
            pointer: at,
            dialect,
        }
    })
}
