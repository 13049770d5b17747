//! A regular expression of a schema in, why it is outside the contract's dialect out. Matches nothing: jsonschema does.
//!
//! The engine takes more than ECMA-262 (`(?i)`, `\z`, a class that holds `]`) and less; what other languages read
//! otherwise, or not at all, is refused here.

use jsonschema::PatternOptions;
use jsonschema_regex::is_valid_ecma_regex;
use regex_syntax::ast::parse::Parser;

/// Bound on one compiled regular expression, in bytes.
const COMPILED_SIZE: usize = 1 << 20;

/// The engine, for every compilation: linear time, bounded memory.
pub(crate) fn engine() -> PatternOptions<impl Sized> {
    PatternOptions::regex()
        .size_limit(COMPILED_SIZE)
        .dfa_size_limit(COMPILED_SIZE)
}

/// Why an expression is not taken.
pub(crate) fn refuse(expression: &str) -> Result<(), String> {
    if let Some(reason) = read_otherwise(expression) {
        return Err(reason.to_owned());
    }
    let alone = serde_json::json!({ "pattern": expression });
    let compiled = jsonschema::options()
        .with_pattern_options(engine())
        .build(&alone);
    match compiled {
        Ok(_) if is_valid_ecma_regex(expression) => Ok(()),
        _ => Err(engines_reason(expression)),
    }
}

fn engines_reason(expression: &str) -> String {
    match Parser::new().parse(expression) {
        Err(error) => error.kind().to_string(),
        Ok(_) if is_valid_ecma_regex(expression) => {
            format!("it takes more than {COMPILED_SIZE} bytes when it is compiled")
        }
        Ok(_) => "it is no ECMA-262".to_owned(),
    }
}

/// What ECMA-262 allows, and the engine or other languages give another meaning, or none.
fn read_otherwise(expression: &str) -> Option<&'static str> {
    let (mut escaped, mut in_class) = (false, false);
    for (at, character) in expression.char_indices() {
        let behind = &expression[at + character.len_utf8()..];
        match character {
            '<' | '>' if escaped => return Some("write < and > without a backslash"),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => in_class = false,
            '[' if !in_class && (behind.starts_with(']') || behind.starts_with("^]")) => {
                return Some("a class is empty; for any character write [\\s\\S]");
            }
            '[' => in_class = true,
            '(' if !in_class && has_flags(behind) => return Some("a group has flags"),
            _ => {}
        }
    }
    None
}

/// Behind an opening parenthesis.
fn has_flags(behind: &str) -> bool {
    let kind = behind.strip_prefix('?');
    kind.is_some_and(|kind| kind.starts_with(|first: char| first == '-' || "ims".contains(first)))
}
