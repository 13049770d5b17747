//! Words: phrases that a reader has to read twice, and what to write for them. Does not judge anything else.

use super::Source;

/// Adds a fault for each line with such a phrase.
pub(super) fn check(sources: &[Source], faults: &mut Vec<String>) {
    for source in sources {
        // This file has to name them.
        let exempt = source.path == "xtask/src/tidy/words.rs";
        for (number, line) in source.text.lines().enumerate().filter(|_| !exempt) {
            if let Some(plainly) = fault(line) {
                faults.push(format!("{}:{}: {plainly}", source.path, number + 1));
            }
        }
    }
}

/// What to write in place of a phrase of this line, if it has one.
fn fault(line: &str) -> Option<&'static str> {
    let line = line.to_lowercase();
    let words: Vec<&str> = line
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    if words.contains(&"whoever") {
        return Some("write `anyone who`, or name who it is, for `whoever`");
    }
    if words.contains(&"anew") {
        return Some("write `again`, or say what is created, for `anew`");
    }
    let dialect = (0..words.len()).any(|at| {
        let before = at.checked_sub(1).map(|before| words[before]);
        matches!(words[at], "is" | "are")
            && words.get(at + 1) == Some(&"no")
            // "There is no broker" and "is no longer read" are plain.
            && before != Some("there")
            && words.get(at + 2).is_some_and(|next| *next != "longer")
            // The phrase itself, without what other signs would part.
            && line.contains(&format!("{} no {}", words[at], words[at + 2]))
    });
    dialect.then_some("write `X is not a Y` for `X is no Y`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_of_a_private_dialect_are_faults_and_plain_words_are_not() {
        for line in [
            "/// A key that is no version.",
            "// Strings are no numbers.",
            "/// Whoever waits.",
            "// made anew.",
        ] {
            assert!(fault(line).is_some(), "{line}");
        }
        for line in [
            "/// There is no broker.",
            "/// The log is no longer read.",
            "// what it is; no matter what",
            "let is_no_key = 1;",
            "// a renewed look",
        ] {
            assert!(fault(line).is_none(), "{line}");
        }
    }
}
