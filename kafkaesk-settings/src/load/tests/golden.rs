//! Laws of what a user reads: every error, warning and effective value of the lists in `golden/`, word by word.
//!
//! To rewrite the lists after a change of words: `KAFKAESK_BLESS=1 cargo test -p kafkaesk-settings golden`; then read
//! the difference.

use std::{fmt::Write as _, path::PathBuf};

use serde::{Deserialize, de::IgnoredAny};

use super::{Case, empty};
use crate::{Section, SettingsError, Span, Texts, Whole};

#[test]
fn every_error_reads_as_listed() {
    check("errors.txt");
}

#[test]
fn every_effective_value_reads_as_listed() {
    check("effective.txt");
}

fn check(list: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/load/tests/golden")
        .join(list);
    let listed = std::fs::read_to_string(&path).unwrap();
    let (head, cases) = listed.split_once("\n## ").unwrap();
    let found = cases.split("\n## ").fold(head.to_owned(), |found, case| {
        found + "\n## " + &answered(case)
    });
    if std::env::var_os("KAFKAESK_BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    for (listed, found) in listed.split("\n## ").zip(found.split("\n## ")) {
        assert_eq!(listed, found);
    }
}

/// A case's own lines, and what the loader answers.
fn answered(text: &str) -> String {
    let mut lines = text.lines();
    let mut answered = lines.next().unwrap_or_default().to_owned();
    let mut case = empty();
    let mut toml = None::<String>;
    let mut shows = false;
    for line in lines.take_while(|line| !line.is_empty()) {
        if ["=> ", "   ", "~> "].iter().any(|of| line.starts_with(of)) {
            continue;
        }
        answered = answered + "\n" + line;
        let (directive, rest) = line.split_once(' ').unwrap_or((line, ""));
        case = match directive {
            "|" => {
                let toml = toml.get_or_insert_default();
                toml.push_str(rest);
                toml.push('\n');
                case
            }
            "show" => {
                shows = true;
                case
            }
            directive => directed(case, directive, rest),
        };
    }
    if let Some(toml) = toml {
        case.write("kafkaesk.toml", &toml);
    }
    let folder = case.path("").display().to_string();
    let mut answer = String::new();
    match case.result() {
        Err(error) => writeln!(answer, "=> {}", error.replace('\n', "\n   ")).unwrap(),
        Ok(loaded) => {
            for warning in &loaded.warnings {
                writeln!(answer, "~> {warning}").unwrap();
            }
            for row in loaded.effective.iter().filter(|_| shows) {
                if row.source != "default" {
                    write!(answer, "=> {} = {} from {}", row.key, row.value, row.source).unwrap();
                    match &row.variable {
                        Some(variable) => writeln!(answer, ", variable {variable}").unwrap(),
                        None => answer.push('\n'),
                    }
                }
            }
            let expanded = loaded.schemas.iter().map(|schema| schema.expand().err());
            let read = loaded.subscriptions.into_iter().map(|it| read(it).err());
            for error in expanded.chain(read).flatten().filter(|_| !shows) {
                writeln!(answer, "=> {error}").unwrap();
            }
        }
    }
    let answer = answer.replace(&folder, "FOLDER/");
    answered + "\n" + answer.as_str()
}

fn directed(mut case: Case, directive: &str, rest: &str) -> Case {
    let (name, value) = rest.split_once(" = ").unwrap_or((rest, ""));
    let value = value.replace("\\n", "\n");
    match directive {
        "file" => case.write(name, &value),
        "env" => return case.variable(name, value),
        "flag" => return case.flag(name, &value),
        "profile" => return case.profile(name),
        "config" => case.loader = case.loader.config(Some(name)),
        other => panic!("{other} is not a directive"),
    }
    case
}

/// Reads a subscription as the command line does.
fn read(subscription: Section) -> Result<(), SettingsError> {
    subscription.read::<Subscription>()?;
    subscription.consumer_settings("kafka-settings")?;
    if subscription.has("handler") {
        subscription.table("handler")?.read::<Handler>()?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Subscription {
    #[serde(rename = "pattern")]
    _pattern: String,
    #[serde(rename = "ordering")]
    _ordering: Option<Ordering>,
    #[serde(rename = "concurrency")]
    _concurrency: Option<Whole<u32, 1, 100_000>>,
    #[serde(rename = "validate")]
    _validate: Option<bool>,
    #[serde(rename = "kafka-settings")]
    _kafka_settings: Option<IgnoredAny>,
    #[serde(rename = "handler")]
    _handler: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ordering {
    Key,
    Partition,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Handler {
    #[serde(rename = "exec")]
    _exec: Option<Vec<String>>,
    #[serde(rename = "http")]
    _http: Option<String>,
    #[serde(rename = "headers")]
    _headers: Option<Texts>,
    #[serde(rename = "env")]
    _env: Option<Texts>,
    #[serde(rename = "timeout")]
    _timeout: Option<Span<1, 60_000>>,
    #[serde(rename = "ca")]
    _ca: Option<String>,
}
