//! Bytes in JSON: text for UTF-8, `{"base64": "…"}` for other bytes, `null` for Kafka's null.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::LineError;
use crate::json::{Member, MemberError, Object, kind};

const EXPECTED: &str = "a string, {\"base64\": \"…\"} or null";

/// Writes bytes, or null.
pub(super) fn write(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes.map(std::str::from_utf8) {
        None => out.extend_from_slice(b"null"),
        Some(Ok(text)) => string(out, text),
        Some(Err(_)) => base64(out, bytes.unwrap_or_default()),
    }
}

/// Writes bytes as base64, text or not.
pub(super) fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(b"{\"base64\":\"");
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Writes a JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    // `Value`'s Display cannot fail, unlike a writer; a string takes its quotes and escapes from serde_json.
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// Reads bytes, or null. `at` is where the text stands in the line. `pointer` makes its JSON pointer, for an error alone: a
/// long name may have many values.
pub(super) fn read(
    text: &str,
    at: usize,
    pointer: impl Fn() -> String,
) -> Result<Option<Bytes>, LineError> {
    let wrong = || MemberError::WrongType {
        pointer: pointer(),
        found: kind(text.as_bytes().first().copied()),
        expected: EXPECTED,
        at,
    };
    if text == "null" {
        return Ok(None);
    }
    if text.starts_with('{') {
        let mut object = Object::open(text.as_bytes()).map_err(|e| e.shifted(at))?;
        let (mut base64, mut others) = (None, false);
        while let Some(member) = object.next().map_err(|e| e.shifted(at))? {
            match &*member.name {
                "base64" => base64 = Some(member),
                _ => others = true,
            }
        }
        let base64 = base64.filter(|_| !others).ok_or_else(wrong)?;
        let base64_at = at + base64.value_at;
        let text = base64
            .string()
            .map_err(|e| e.shifted(at))?
            .ok_or_else(wrong)?;
        return match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(_) => Err(LineError::Base64 {
                pointer: format!("{}/base64", pointer()),
                at: base64_at,
            }),
        };
    }
    let member = Member {
        name: "".into(),
        name_at: at,
        value: text,
        value_at: at,
    };
    let text = member.string()?.ok_or_else(wrong)?;
    Ok(Some(Bytes::from(text.into_owned())))
}
