//! Colour: decides whether a stream is coloured, and paints this program's own words: `error:`, notes, what to do next. Paints
//! no data, no JSON.

use std::{borrow::Cow, ffi::OsString, io, sync::LazyLock};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal that can, without `NO_COLOR`.
    #[default]
    Auto,
    /// In pipes and files as well.
    Always,
    /// Nowhere.
    Never,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// Words that begin a statement: what follows the last semicolon of an error is then no advice.
const STATES: [&str; 17] = [
    "a",
    "another",
    "both",
    "each",
    "every",
    "it",
    "known",
    "no",
    "nothing",
    "otherwise",
    "stopped",
    "the",
    "their",
    "there",
    "they",
    "with",
    "without",
];

/// Sets when this process colours. Before the first line: each stream is looked at once.
pub(crate) fn set(when: ColorWhen) {
    match when {
        ColorWhen::Auto => ColorChoice::Auto,
        ColorWhen::Always => ColorChoice::Always,
        ColorWhen::Never => ColorChoice::Never,
    }
    .write_global();
}

/// What `--color` says in arguments that are not parsed, or cannot be: also the error that says so has its colour.
pub(crate) fn of_arguments(arguments: &[OsString]) -> ColorWhen {
    const FLAG: &str = "--color";
    let texts: Vec<Cow<'_, str>> = arguments.iter().map(|it| it.to_string_lossy()).collect();
    let own = texts.iter().take_while(|text| *text != "--");
    let mut found = ColorWhen::default();
    for (at, text) in own.enumerate() {
        let value = match text.strip_prefix(FLAG) {
            Some("") => texts.get(at + 1).map(|next| &**next),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        if let Some(when) = value.and_then(|value| ColorWhen::from_str(value, false).ok()) {
            found = when;
        }
    }
    found
}

/// Whether standard error is coloured.
pub(crate) fn stderr() -> bool {
    static COLOURED: LazyLock<bool> =
        LazyLock::new(|| AutoStream::choice(&io::stderr()) != ColorChoice::Never);
    *COLOURED
}

/// Whether standard output is coloured.
pub(crate) fn stdout() -> bool {
    static COLOURED: LazyLock<bool> =
        LazyLock::new(|| AutoStream::choice(&io::stdout()) != ColorChoice::Never);
    *COLOURED
}

/// A hint, painted.
pub(crate) fn hint(text: &str) -> String {
    format!("{HINT}{text}{HINT:#}")
}

/// A note or an error, with its first word and what to do next painted. Other texts stay.
pub(crate) fn note(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(note_line).collect();
    lines.join("\n")
}

fn note_line(line: &str) -> String {
    let (word, style) = match line {
        line if line.starts_with("error:") => ("error:", ERROR),
        line if line.starts_with("note:") => ("note:", HINT),
        line if line.starts_with("  because:") => ("", Style::new()),
        other => return other.to_owned(),
    };
    let rest = &line[word.len()..];
    let (said, advice) = match rest.rfind("; ").map(|at| rest.split_at(at + 2)) {
        Some((said, advice)) if advises(advice) => (said, hint(advice)),
        _ => (rest, String::new()),
    };
    format!("{style}{word}{style:#}{said}{advice}")
}

/// Whether a clause says what to do, as the last one of an error usually does.
fn advises(clause: &str) -> bool {
    let first = clause.split([' ', ',']).next().unwrap_or_default();
    !first.is_empty() && !STATES.contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_red_and_what_to_do_next_has_another_colour() {
        assert_eq!(
            note("error: no stream; did you mean `a`?"),
            "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m no stream; \u{1b}[36mdid you mean `a`?\u{1b}[0m"
        );
        assert_eq!(
            note("note: x\n  because: y; write z"),
            "\u{1b}[36mnote:\u{1b}[0m x\n  because: y; \u{1b}[36mwrite z\u{1b}[0m"
        );
    }

    #[test]
    fn what_states_and_what_is_no_error_stays_plain() {
        assert!(
            note("error: it does not fit; nothing was published")
                .ends_with("; nothing was published")
        );
        for plain in ["3 published, 0 refused; done", "  /id: 1; give 2", ""] {
            assert_eq!(note(plain), plain);
        }
    }

    #[test]
    fn the_flag_is_found_in_arguments_that_cannot_be_parsed() {
        let of = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            of_arguments(&words)
        };
        assert_eq!(of(&["p", "nonsense", "--color=never"]), ColorWhen::Never);
        assert_eq!(of(&["p", "--color", "always", "x"]), ColorWhen::Always);
        for auto in [
            &["p"][..],
            &["p", "--color"],
            &["p", "--color", "pink"],
            &["p", "--", "--color=never"],
        ] {
            assert_eq!(of(auto), ColorWhen::Auto);
        }
    }
}
