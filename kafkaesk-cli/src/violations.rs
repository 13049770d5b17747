//! Broken rules as text and as JSON, the same for every command.

use kafkaesk_client::ClientError;
use kafkaesk_schema::{InvalidData, Violation};
use serde_json::{Value, json};

/// `  /id: "one" is not of type "integer"   (rule /properties/id/type)`, a line for each.
pub(crate) fn lines(violations: &[Violation]) -> String {
    violations
        .iter()
        .map(|v| {
            let pointer = if v.pointer.is_empty() {
                "(root)"
            } else {
                &v.pointer
            };
            format!("\n  {pointer}: {}   (rule {})", v.message, v.rule)
        })
        .collect()
}

/// Data that does not fit, in words.
pub(crate) fn invalid(error: &InvalidData) -> String {
    match error {
        InvalidData::Violations(violations) => lines(violations),
        other => format!("\n  {other}"),
    }
}

/// Data that does not fit, as a JSON object: `error` in words, `violations` where there are any.
pub(crate) fn invalid_json(error: &InvalidData) -> Value {
    let mut value = json!({"error": error.to_string()});
    if let InvalidData::Violations(violations) = error {
        value["violations"] = array(violations);
    }
    value
}

fn array(violations: &[Violation]) -> Value {
    violations
        .iter()
        .map(|v| json!({"pointer": v.pointer, "rule": v.rule, "message": v.message}))
        .collect()
}

/// An error as a JSON object: `error` in words, `violations` where there are any.
pub(crate) fn error(error: &ClientError) -> Value {
    match error {
        ClientError::Invalid {
            schema, violations, ..
        } => json!({
            "error": format!("the event does not fit {schema}; nothing was published"),
            "violations": array(violations),
        }),
        other => json!({"error": other.to_string()}),
    }
}
