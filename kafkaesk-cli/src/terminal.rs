//! Makes foreign text safe for a terminal: control characters, the C1 set, DEL and marks that change the writing
//! direction or break a line become visible escapes. Line ends and tabs stay.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _},
    sync::LazyLock,
};

use crate::colour;

/// Whether standard error is a terminal.
pub(crate) fn stderr_is_terminal() -> bool {
    static TERMINAL: LazyLock<bool> = LazyLock::new(|| io::stderr().is_terminal());
    *TERMINAL
}

/// Whether a terminal acts on what is written to standard error: on one, or beyond a pipe into which colours go.
pub(crate) fn stderr_is_shown() -> bool {
    stderr_is_terminal() || colour::stderr()
}

/// Escapes what a terminal would act on. The escapes are those of JSON (`\u009b`), so a JSON text keeps its meaning.
/// Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn escape(text: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(text) {
        Ok(clean) if !clean.chars().any(acts) => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(&String::from_utf8_lossy(text)).into_bytes()),
    }
}

/// As [`escape`], of a `str`.
pub(crate) fn escape_str(text: &str) -> Cow<'_, str> {
    match text.chars().any(acts) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(escaped(text)),
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Whether a terminal does something at this character, rather than show it.
fn acts(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // C0, DEL, C1.
        c if c.is_control() => true,
        // Marks, embeddings, overrides and isolates of the writing direction; separators of lines and paragraphs.
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{206f}' => true,
        // Invisible: annotations, and tags that repeat ASCII.
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        let hostile =
            "a\u{1b}[31m\u{9b}1m\u{7f}\u{202e}\u{2066}\u{200f}\r\u{85}\u{8}\u{e0041}ö\t\n";
        let safe = escape_str(hostile);
        assert_eq!(
            safe,
            "a\\u001b[31m\\u009b1m\\u007f\\u202e\\u2066\\u200f\\u000d\\u0085\\u0008\\udb40\\udc41ö\t\n"
        );
        assert_eq!(escape(hostile.as_bytes()), safe.as_bytes());
        assert_eq!(&*escape(b"x\x9by"), "x\u{fffd}y".as_bytes());
    }

    #[test]
    fn json_keeps_its_meaning_and_plain_text_is_not_copied() {
        let json = "{\"x\":\"\u{9b}\u{202e}\u{7f}\u{e0041}\"}";
        let safe = escape_str(json);
        assert_ne!(safe, json);
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&safe), read(json));
        assert!(matches!(escape("größer — ✓".as_bytes()), Cow::Borrowed(_)));
    }
}
