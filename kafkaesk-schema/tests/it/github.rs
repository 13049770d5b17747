//! Real data: GitHub's webhook payloads against GitHub's own schemas, judged beforehand by an independent validator.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use kafkaesk_schema::{Document, InvalidData, Validator, schema_id_of_file};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Line<'a> {
    schema: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// `shared/data/github` beside the clone (or further up); a test that cannot find it fails.
fn data_folder() -> PathBuf {
    let start = Path::new(env!("CARGO_MANIFEST_DIR"));
    start
        .ancestors()
        .map(|folder| folder.join("shared/data/github"))
        .find(|folder| folder.join("verdicts.txt").exists())
        .unwrap_or_else(|| {
            panic!(
                "no ../shared/data/github beside the clone, looked upward from {}",
                start.display()
            )
        })
}

#[test]
fn every_verdict_on_the_github_events_agrees() {
    let folder = data_folder();
    let mut validators = HashMap::new();
    for entry in std::fs::read_dir(folder.join("schemas")).unwrap() {
        let path = entry.unwrap().path();
        let document = Document::parse(std::fs::read(&path).unwrap()).unwrap();
        let id = schema_id_of_file(&path).unwrap().to_string();
        validators.insert(id, Validator::new(&document).unwrap());
    }
    assert_eq!(validators.len(), 9);

    let events = std::fs::read_to_string(folder.join("events.ndjson")).unwrap();
    let verdicts = std::fs::read_to_string(folder.join("verdicts.txt")).unwrap();
    let wanted: HashMap<usize, bool> = verdicts
        .lines()
        .map(|line| {
            let (number, verdict) = line.split_once(' ').unwrap();
            (number.parse().unwrap(), verdict.trim() == "valid")
        })
        .collect();
    let mut judged = 0;
    for (at, line) in events.lines().enumerate() {
        let line: Line<'_> = serde_json::from_str(line).unwrap();
        let verdict = validators[&line.schema].validate(line.data.get().as_bytes());
        assert_eq!(
            verdict.is_ok(),
            wanted[&(at + 1)],
            "line {}: {verdict:?}",
            at + 1
        );
        if let Err(InvalidData::Violations(violations)) = &verdict {
            assert!(
                violations
                    .iter()
                    .all(|violation| violation.rule.starts_with('/'))
            );
        }
        judged += 1;
    }
    assert_eq!((judged, wanted.len()), (103, 103));
    assert!(wanted.values().any(|valid| *valid) && wanted.values().any(|valid| !*valid));
}
