//! Called: how this program was called, and how a word is written for a shell, for commands that are printed. Runs
//! nothing.

use std::path::Path;

/// How this program was called: through cargo, or by its path.
pub(crate) fn program() -> String {
    let called = argument();
    let (Ok(package), Ok(_)) = (std::env::var("CARGO_PKG_NAME"), std::env::var("CARGO")) else {
        return quoted(&called);
    };
    match name() {
        // A package with several programs needs the program's name.
        name if name != package => format!("cargo run -p {package} --bin {name} --"),
        _ => format!("cargo run -p {package} --"),
    }
}

/// The name of this program's file.
pub(crate) fn name() -> String {
    let called = argument();
    match Path::new(&called).file_stem() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => called,
    }
}

fn argument() -> String {
    std::env::args()
        .next()
        .unwrap_or_else(|| "kafkaesk-cli".into())
}

/// A word for a POSIX shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell_where_they_must_be() {
        assert_eq!(quoted("orders.placed"), "orders.placed");
        assert_eq!(quoted(r#"{"id":1}"#), r#"'{"id":1}'"#);
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
