//! Makes an example event that fits a schema, for the command that `dev` prints. Guesses, then checks.

use kafkaesk_schema::{Document, Validator};
use serde_json::{Map, Value, json};

/// How deep objects and references are followed.
const DEPTH: usize = 8;

/// An example of the document's data, if a simple one fits.
pub(super) fn sample(document: &Document) -> Option<String> {
    let schema: Value = serde_json::from_slice(document.bytes()).ok()?;
    let text = guess(&schema, &schema, DEPTH).to_string();
    let validator = Validator::new(document).ok()?;
    validator.validate(text.as_bytes()).ok().map(|()| text)
}

fn guess(root: &Value, schema: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    for given in ["const", "default"] {
        if let Some(value) = schema.get(given) {
            return value.clone();
        }
    }
    for list in ["examples", "enum"] {
        if let Some(value) = schema.get(list).and_then(|list| list.get(0)) {
            return value.clone();
        }
    }
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
        let target = pointer.strip_prefix('#').and_then(|p| root.pointer(p));
        return target.map_or(Value::Null, |target| guess(root, target, depth - 1));
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(first) = schema.get(choice).and_then(|list| list.get(0)) {
            return guess(root, first, depth - 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(kind) => kind.as_str(),
        None => schema.get("properties").map(|_| "object"),
    };
    match kind {
        Some("object") => object(root, schema, depth),
        Some("array") => json!([]),
        Some("string") => json!("text"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => json!({}),
    }
}

fn object(root: &Value, schema: &Value, depth: usize) -> Value {
    let mut members = Map::new();
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        let member = schema
            .get("properties")
            .and_then(|properties| properties.get(name))
            .unwrap_or(&Value::Bool(true));
        members.insert(name.to_owned(), guess(root, member, depth - 1));
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_fits_its_schema_or_there_is_none() {
        let order =
            br##"{"type":"object","properties":{"id":{"type":"integer"},"to":{"$ref":"#/$defs/a"}},
            "required":["id","to"],"$defs":{"a":{"enum":["x","y"]}}}"##;
        let document = Document::parse(order.to_vec()).unwrap();
        assert_eq!(sample(&document).unwrap(), r#"{"id":1,"to":"x"}"#);
        let hard = br#"{"type":"string","pattern":"^[0-9]{12}$"}"#;
        assert_eq!(sample(&Document::parse(hard.to_vec()).unwrap()), None);
    }
}
