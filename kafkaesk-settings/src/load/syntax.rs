//! Input: a TOML text that does not parse. Output: the error with its line, and the key of that line. Shows no value,
//! since it may be a secret.

use toml_parser::{Source, lexer::TokenKind};

use super::SettingsError;

pub(super) fn syntax_error(file: &str, text: &str, error: &toml::de::Error) -> SettingsError {
    let at = error
        .span()
        .map_or(text.len(), |span| span.start)
        .min(text.len());
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[start..].chars().count();
    SettingsError::Syntax {
        file: file.to_owned(),
        line,
        column: column + 1,
        message: error.message().replace('\n', ", "),
        excerpt: excerpt(text, line, start, column),
    }
}

/// The line's key with a marker under the column, or nothing. Values may be secrets, so none is shown.
fn excerpt(text: &str, line: usize, start: usize, column: usize) -> String {
    let key = match within_value(text, start) {
        true => None,
        false => key_of(text[start..].lines().next().unwrap_or_default()),
    };
    let Some(key) = key else {
        return String::new();
    };
    let gutter = line.to_string();
    let blank = " ".repeat(gutter.len());
    let shown = format!("{key}= …");
    // If the column is within the value, the marker is at the value's start.
    let column = column.min(shown.chars().count() - 1);
    let indent: String = shown
        .chars()
        .take(column)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    format!("\n{blank} |\n{gutter} | {shown}\n{blank} | {indent}^")
}

/// The text before the `=` of a line with a key and a value: `sasl.password `. A line of another form, such as one of a
/// PEM file without its quotes, has no key.
fn key_of(line: &str) -> Option<&str> {
    /// All known keys are far shorter; base64 may look like a key.
    const LONGEST: usize = 100;
    let (key, value) = line.split_once('=')?;
    let value = value.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_. \t\"'".contains(c);
    let is_key = key.len() <= LONGEST && !key.trim().is_empty() && key.chars().all(plain);
    (is_key && !value.is_empty() && !value.starts_with('=')).then_some(key)
}

/// Whether the line at `start` continues a value from the lines before: a string, or a list or table in brackets.
fn within_value(text: &str, start: usize) -> bool {
    let mut depth = 0_usize;
    // Only brackets in values count; those of a table's name come before any `=`.
    let mut value = false;
    for token in Source::new(text).lex() {
        let span = token.span();
        if span.start() >= start {
            break;
        }
        match token.kind() {
            _ if span.end() > start => return true,
            TokenKind::Equals => value = true,
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket if value => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket if value => {
                depth = depth.saturating_sub(1);
            }
            TokenKind::Newline if depth == 0 => value = false,
            _ => {}
        }
    }
    depth > 0
}
