//! Vectors: loads a file of contract/vectors for a test. A missing, empty or malformed file fails the test.

// It serves tests alone: what is wrong with a vector ends the test.
#![allow(clippy::missing_panics_doc)]

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

/// The cases of a file.
///
/// # Panics
/// When the file is missing, empty or malformed.
pub fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../vectors")
        .join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut vectors: Value = serde_json::from_str(&text).expect(file);
    let Value::Array(cases) = vectors["cases"].take() else {
        panic!("{file}: `cases` is not an array")
    };
    assert!(!cases.is_empty(), "{file} has no cases");
    cases
}

/// Runs a law over these cases of a file.
///
/// # Panics
/// With the names of all cases that broke the law.
pub fn every(file: &str, law: impl Fn(&Value) -> Result<(), String>) {
    let cases = cases(file);
    let broken = cases.iter().filter_map(|case| broken(case, law(case)));
    report(file, cases.len(), broken.collect());
}

/// What to say of a case that broke its law.
pub fn broken(case: &Value, verdict: Result<(), String>) -> Option<String> {
    Some(format!("{}: {}", case["name"], verdict.err()?))
}

/// Ends a test whose cases were run one by one.
///
/// # Panics
/// When one of them broke its law.
pub fn report(file: &str, cases: usize, broken: Vec<String>) {
    assert!(
        broken.is_empty(),
        "{file}: {} of {cases} cases broke their law\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// A text member.
///
/// # Panics
/// When it is missing.
pub fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member]
        .as_str()
        .unwrap_or_else(|| panic!("{case} has no text `{member}`"))
}

/// Bytes: a string, `{"base64": …}`, or null (also when the member is absent).
///
/// # Panics
/// When they are none of these.
pub fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_bytes()),
        other => Some(STANDARD.decode(text(other, "base64")).expect("base64")),
    }
}

/// Both must be equal.
///
/// # Errors
/// What they are, when they are not.
pub fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{found:?}, not {expected:?}"))
}

/// What was read, if the case expects it to be read; the refusal is compared here when it expects one.
///
/// # Errors
/// When a reading or a refusal was expected and did not come.
pub fn outcome<T: std::fmt::Debug>(
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
