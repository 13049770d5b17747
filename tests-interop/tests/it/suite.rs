//! The official JSON-Schema-Test-Suite, as the Python library `jsonschema` ships it with its source: no wrong verdict in its
//! required part. Never skips: where the package cannot be had, the test fails.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use kafkaesk_schema::{Document, Validator};
use serde_json::Value;
use xtask::{command, paths};

use crate::python::interpreter;

/// The package whose source holds the suite.
const PACKAGE: &str = "jsonschema-4.26.0";
/// How many cases its required part has in our five drafts.
const CASES: usize = 4836;
/// How many of them need a document that is to be fetched, which nothing here does.
const REMOTE: usize = 148;

const DRAFTS: [(&str, &str); 5] = [
    ("draft4", "http://json-schema.org/draft-04/schema#"),
    ("draft6", "http://json-schema.org/draft-06/schema#"),
    ("draft7", "http://json-schema.org/draft-07/schema#"),
    (
        "draft2019-09",
        "https://json-schema.org/draft/2019-09/schema",
    ),
    (
        "draft2020-12",
        "https://json-schema.org/draft/2020-12/schema",
    ),
];

/// The folder with the drafts' tests, fetched once.
fn tests() -> PathBuf {
    let cache = paths::cache("suite").unwrap_or_else(|error| panic!("{error:#}"));
    let tests = cache.join(PACKAGE).join("json/tests");
    if tests.exists() {
        return tests;
    }
    // Whole or not at all: made aside, then renamed.
    let fresh = cache.join(format!("making-{}", std::process::id()));
    fs::create_dir_all(&fresh).expect("the cache takes a folder");
    let archive = format!("{PACKAGE}.tar.gz");
    let mut fetch = Command::new(interpreter());
    fetch
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--no-deps", "--no-binary", ":all:", "--dest"])
        .arg(&fresh)
        .arg(PACKAGE.replace("-", "=="));
    let mut unpack = Command::new("tar");
    unpack
        .arg("-xzf")
        .arg(fresh.join(archive))
        .arg("-C")
        .arg(&fresh);
    for step in [&mut fetch, &mut unpack] {
        command::output(step).unwrap_or_else(|error| {
            panic!("the official test suite comes with the source of {PACKAGE}: {error:#}")
        });
    }
    // Another process may have been faster; what it made is the same.
    let _ = fs::rename(fresh.join(PACKAGE), cache.join(PACKAGE));
    fs::remove_dir_all(&fresh).expect("the folder is ours");
    assert!(tests.exists(), "{PACKAGE} holds no {}", tests.display());
    tests
}

fn read(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn no_verdict_of_the_official_suites_required_part_is_wrong() {
    let (mut cases, mut remote, mut wrong) = (0, 0, Vec::new());
    for (folder, dialect) in DRAFTS {
        let mut files: Vec<PathBuf> = fs::read_dir(tests().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "json"))
            .collect();
        files.sort();
        for file in files {
            for group in read(&file).as_array().unwrap() {
                let mut schema = group["schema"].clone();
                if let Value::Object(members) = &mut schema {
                    members.entry("$schema").or_insert_with(|| dialect.into());
                }
                let tests = group["tests"].as_array().unwrap();
                cases += tests.len();
                let text = schema.to_string();
                let place = format!("{}: {}", file.display(), group["description"]);
                let document = Document::parse(text.clone()).unwrap();
                let validator = match Validator::new(&document) {
                    Ok(validator) => validator,
                    Err(_) if text.contains("localhost:1234") => {
                        remote += tests.len();
                        continue;
                    }
                    Err(error) => {
                        wrong.push(format!("{place}: refused: {error}"));
                        continue;
                    }
                };
                for test in tests {
                    let verdict = validator.validate(test["data"].to_string().as_bytes());
                    if Some(verdict.is_ok()) != test["valid"].as_bool() {
                        wrong.push(format!("{place}: {}: {verdict:?}", test["description"]));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(cases, CASES);
    assert_eq!(remote, REMOTE, "cases that need a document from elsewhere");
}
