//! How `tail` shows a record: as one line for people, its headers below it, or as the JSON line. Reads nothing.

use bytes::Bytes;
use kafkaesk_core::{Envelope, EnvelopeError, Record, line, timestamp};

use crate::format::OutputFormat;

/// A record's text, without the last line end. The JSON line has the headers in any case.
pub(super) fn shown(record: &Record, format: OutputFormat, headers: bool) -> Vec<u8> {
    match format {
        OutputFormat::Json => {
            let mut text = Vec::new();
            line::write(&mut text, record, None);
            text
        }
        OutputFormat::Text => {
            let mut text = text(record);
            if headers {
                for (name, value) in record.headers.iter() {
                    text.extend_from_slice(header(name, value).as_bytes());
                }
            }
            text
        }
    }
}

/// `shop.orders.placed[3]@0  2026-11-24T10:00:00.123Z  Order:1  user-7  {"id":1}`.
fn text(record: &Record) -> Vec<u8> {
    let mut text = format!("{}@{}", record.source, record.offset);
    if let Some(time) = record.timestamp.and_then(timestamp::format) {
        text.push_str("  ");
        text.push_str(&time);
    }
    let envelope = match &record.unreadable {
        Some(unreadable) => Err(unreadable.to_string()),
        None => Envelope::of(record.value.as_deref()).map_err(|error| match error {
            EnvelopeError::Null => "tombstone".to_owned(),
            error => error.to_string(),
        }),
    };
    if let Ok(envelope) = &envelope {
        text.push_str("  ");
        text.push_str(&envelope.schema);
    }
    if let Some(key) = &record.key {
        text.push_str("  ");
        text.extend(String::from_utf8_lossy(key).escape_debug());
    }
    text.push_str("  ");
    let mut bytes = text.into_bytes();
    match envelope {
        // One message, one line, whatever its producer's layout.
        Ok(envelope) => bytes.extend(
            envelope
                .data
                .iter()
                .map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }),
        ),
        Err(error) => bytes.extend_from_slice(format!("({error})").as_bytes()),
    }
    bytes
}

/// `\n    name: value`. What is not text is written as escaped bytes, so that every header is one line.
fn header(name: &str, value: Option<&Bytes>) -> String {
    let value = match value.map(|value| (value, std::str::from_utf8(value))) {
        None => "(null)".to_owned(),
        Some((_, Ok(text))) => one_line(text),
        Some((bytes, Err(_))) => format!("(bytes) {}", bytes.escape_ascii()),
    };
    format!("\n    {}: {value}", one_line(name))
}

/// A text without its control characters, which are escaped.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => line.extend(c.escape_debug()),
            false => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_is_one_line_whatever_its_bytes() {
        let shown =
            |value: Option<&'static [u8]>| header("a", value.map(Bytes::from_static).as_ref());
        assert_eq!(shown(Some(b"x: \"y\"")), "\n    a: x: \"y\"");
        assert_eq!(
            shown(Some(b"one\ntwo\x1b[31m")),
            "\n    a: one\\ntwo\\u{1b}[31m"
        );
        assert_eq!(shown(Some(b"\0\xff\n")), "\n    a: (bytes) \\x00\\xff\\n");
        assert_eq!(shown(Some(b"")), "\n    a: ");
        assert_eq!(shown(None), "\n    a: (null)");
        assert_eq!(header("b\nc", None), "\n    b\\nc: (null)");
    }
}
