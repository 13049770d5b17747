//! The map: every path that ARCHITECTURE.md names exists, and no comment cites a document that is not in the repository.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::Source;

/// What a path in ARCHITECTURE.md may begin with, and the folder that it stands for.
const HOMES: [(&str, &str); 15] = [
    ("core/", "kafkaesk-core/src/"),
    ("schema/", "kafkaesk-schema/src/"),
    ("settings/", "kafkaesk-settings/src/"),
    ("client/tests/", "kafkaesk-client/tests/"),
    ("client/", "kafkaesk-client/src/"),
    ("worker/", "kafkaesk-worker/src/"),
    ("operate/", "kafkaesk-operate/src/"),
    ("macros/", "kafkaesk-macros/src/"),
    ("cli/", "kafkaesk-cli/src/"),
    ("contract/", "contract/"),
    ("docs/", "docs/"),
    ("xtask/", "xtask/"),
    ("tests-chaos/", "tests-chaos/"),
    ("tests-simulate/", "tests-simulate/"),
    ("fuzz/", "fuzz/"),
];

/// Adds a fault for each path of the map that leads nowhere.
pub(super) fn check(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    let file = "ARCHITECTURE.md";
    let text = fs::read_to_string(root.join(file)).context(file)?;
    for (number, line) in text.lines().enumerate() {
        for code in line.split('`').skip(1).step_by(2) {
            for path in paths(code) {
                if !root.join(&path).exists() {
                    faults.push(format!(
                        "{file}:{}: `{code}` names {path}, which does not exist",
                        number + 1
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Adds a fault for each test that a document names and no source has: a document that says "this law holds" must not outlive
/// its test.
pub(super) fn laws(root: &Path, sources: &[Source], faults: &mut Vec<String>) -> Result<()> {
    let file = "docs/delivery.md";
    let text = fs::read_to_string(root.join(file)).context(file)?;
    for (number, line) in text.lines().enumerate() {
        for code in line.split('`').skip(1).step_by(2) {
            let named = code.rsplit("::").next().unwrap_or(code);
            let is_law = named.matches('_').count() >= 3
                && named
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            let declared = format!("fn {named}(");
            if is_law && !sources.iter().any(|source| source.text.contains(&declared)) {
                faults.push(format!(
                    "{file}:{}: no source has a test `{named}`",
                    number + 1
                ));
            }
        }
    }
    Ok(())
}

/// The paths from the root that a piece of code in the map names; none if it is not a path.
fn paths(code: &str) -> Vec<String> {
    let Some((short, home)) = HOMES.iter().find(|(short, _)| code.starts_with(short)) else {
        return Vec::new();
    };
    let rest = &code[short.len()..];
    if rest.is_empty() || !(rest.ends_with('/') || rest.contains('.')) || rest.contains(' ') {
        return Vec::new();
    }
    let names = match (rest.find('{'), rest.find('}')) {
        (Some(open), Some(close)) if open < close => rest[open + 1..close]
            .split(',')
            .map(|name| format!("{}{name}{}", &rest[..open], &rest[close + 1..]))
            .collect(),
        _ => vec![rest.to_owned()],
    };
    names
        .into_iter()
        .map(|name| format!("{home}{name}"))
        .collect()
}

/// Adds a fault for each document that a comment cites and that is not there.
pub(super) fn cited(root: &Path, sources: &[Source], faults: &mut Vec<String>) {
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            let Some((_, comment)) = line.split_once("//") else {
                continue;
            };
            let words = comment.split(|c: char| c.is_whitespace() || "`()[],;:\"'".contains(c));
            for word in words.filter(|word| word.trim_end_matches('.').ends_with(".md")) {
                let word = word.trim_end_matches('.');
                let beside = Path::new(&source.path).parent().unwrap_or(Path::new(""));
                let package = source.path.split('/').next().unwrap_or_default();
                let places = [Path::new(""), beside, Path::new(package)];
                // librdkafka's own document, read from its sources.
                let foreign = word == "CONFIGURATION.md" || word.contains("://");
                if !foreign
                    && !places
                        .iter()
                        .any(|place| root.join(place).join(word).exists())
                {
                    faults.push(format!(
                        "{}:{}: cites {word}, which is not in the repository",
                        source.path,
                        number + 1
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_map_stands_for_files_of_its_crate() {
        assert_eq!(
            paths("worker/{judge,retry}.rs"),
            [
                "kafkaesk-worker/src/judge.rs",
                "kafkaesk-worker/src/retry.rs"
            ]
        );
        assert_eq!(paths("worker/extract/"), ["kafkaesk-worker/src/extract/"]);
        assert_eq!(
            paths("contract/vectors/log.json"),
            ["contract/vectors/log.json"]
        );
        for other in [
            "delivery-timeout",
            "client/",
            "cli/arguments",
            "core/a b.rs",
        ] {
            assert_eq!(paths(other), Vec::<String>::new(), "{other}");
        }
    }
}
