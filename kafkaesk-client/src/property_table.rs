//! Test: compares the property table of `kafkaesk-settings` with librdkafka's CONFIGURATION.md and rdkafka_conf.c.
//!
//! It stands in this crate because only this crate depends on rdkafka-sys, whose sources it reads. To rewrite the table:
//! `KAFKAESK_BLESS=1 cargo test --workspace --lib the_table_agrees`.

use std::{collections::BTreeSet, path::PathBuf};

use crate::librdkafka_sources::librdkafka_sources;

const HEAD: &str = "# Generated from the pinned librdkafka by kafkaesk-client/src/property_table.rs, which says how. Do not edit.\n\
    # name\tcanonical name\tscope\trole\ttype\trange\tflags\n";

#[test]
fn the_table_agrees_with_the_pinned_librdkafka() {
    let sources = librdkafka_sources();
    let read = |path: &str| std::fs::read_to_string(sources.join(path)).unwrap();
    let expected = generate(&read("CONFIGURATION.md"), &read("src/rdkafka_conf.c"));
    let committed = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../kafkaesk-settings/src/property/librdkafka.tsv");
    if std::env::var_os("KAFKAESK_BLESS").is_some() {
        std::fs::write(&committed, &expected).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&committed).unwrap(),
        expected,
        "run this test with KAFKAESK_BLESS=1 to rewrite the table"
    );
}

fn generate(document: &str, source: &str) -> String {
    let sensitive = sensitive_names(source);
    let mut table = HEAD.to_owned();
    let mut scope = "";
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            scope = if heading.starts_with("Topic") {
                "topic"
            } else {
                "global"
            };
        }
        let columns: Vec<&str> = line.splitn(6, '|').map(str::trim).collect();
        let [name, role, range, _default, _importance, description] = columns[..] else {
            continue;
        };
        if name == "Property" || name.starts_with("---") {
            continue;
        }
        let canonical = between(description, "Alias for `", "`").unwrap_or(name);
        let kind = between(description, "*Type: ", "*").unwrap();
        let mut flags = Vec::new();
        if sensitive.contains(name) || sensitive.contains(canonical) {
            flags.push("sensitive");
        }
        if description.contains("**DEPRECATED**") {
            flags.push("deprecated");
        }
        let row = [name, canonical, scope, role, kind, range, &flags.join(" ")].join("\t");
        table.push_str(&row);
        table.push('\n');
    }
    table
}

/// The document does not say what librdkafka redacts; its source does.
fn sensitive_names(source: &str) -> BTreeSet<&str> {
    source
        .split("_RK_SENSITIVE")
        .skip(1)
        .filter(|after| after.starts_with(", \"") || after.starts_with(",\n"))
        .filter_map(|after| between(after, "\"", "\""))
        .collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside)
}
