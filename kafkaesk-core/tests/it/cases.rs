//! Loads a vector file; a missing, empty or strange one fails the test that asked for it.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

/// Runs every case of a file and fails with the names of all that broke their law.
pub(crate) fn every(file: &str, law: impl Fn(&Value) -> Result<(), String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../contract/vectors")
        .join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let vectors: Value = serde_json::from_str(&text).expect(file);
    let cases = vectors["cases"].as_array().expect("`cases` is an array");
    assert!(!cases.is_empty(), "{file} has no cases");
    let broken: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case["name"], law(case).err()?)))
        .collect();
    assert!(
        broken.is_empty(),
        "{file}: {} of {} cases broke their law\n{}",
        broken.len(),
        cases.len(),
        broken.join("\n")
    );
}

/// A text member that must be there.
pub(crate) fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member]
        .as_str()
        .unwrap_or_else(|| panic!("{case} has no text `{member}`"))
}

/// Bytes: a string, `{"base64": …}`, or null (also when the member is absent).
pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_bytes()),
        other => Some(STANDARD.decode(text(other, "base64")).expect("base64")),
    }
}

/// Both must be equal.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{found:?}, not {expected:?}"))
}

/// What was read, if the case wants it read; the refusal is compared here when it wants one.
pub(crate) fn outcome<T: std::fmt::Debug>(
    case: &Value,
    read: Result<T, (&str, Option<usize>)>,
) -> Result<Option<T>, String> {
    match (read, case["error"].as_str()) {
        (Ok(read), None) => Ok(Some(read)),
        (Err((class, at)), Some(error)) => {
            let expected = case["at"].as_u64().map(|at| at as usize);
            same((class, at), (error, expected)).map(|()| None)
        }
        (Ok(read), Some(error)) => Err(format!("{read:?}, not refused as {error}")),
        (Err(refusal), None) => Err(format!("refused: {refusal:?}")),
    }
}
