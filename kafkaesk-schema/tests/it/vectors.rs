//! The contract's vectors for identity, the schema log and the bindings, run against this crate.

use bytes::Bytes;
use kafkaesk_core::{SchemaName, StreamProperties};
use kafkaesk_schema::{
    Binding, Bindings, Document, DocumentError, LogRecord, SchemaLog, Validator,
};
use kafkaesk_vectors::{bytes, text};
use serde_json::{Value, json};

/// The cases of a file, by their names.
fn cases(file: &str) -> Vec<(String, Value)> {
    let cases = kafkaesk_vectors::cases(file).into_iter();
    cases
        .map(|case| (text(&case, "name").to_owned(), case))
        .collect()
}

fn texts(value: &Value) -> Vec<&str> {
    let texts = value.as_array().unwrap();
    texts.iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn every_identity_vector_holds() {
    for (name, case) in cases("identity.json") {
        let (canonical, sha256) = (
            case["canonical"].as_str().unwrap(),
            case["sha256"].as_str().unwrap(),
        );
        let documents = texts(&case["documents"]);
        assert!(!documents.is_empty(), "{name} has no documents");
        let first = Document::parse(documents[0].to_owned()).unwrap();
        for text in documents {
            let document = Document::parse(text.to_owned()).unwrap();
            assert_eq!(document.canonical(), canonical, "{name}: {text}");
            assert_eq!(document.identity(), sha256, "{name}: {text}");
            assert!(first.same_as(&document), "{name}: {text}");
            assert_eq!(first.diff(&document), "", "{name}: {text}");
        }
        if case.get("different").is_some() {
            for text in texts(&case["different"]) {
                let document = Document::parse(text.to_owned()).unwrap();
                assert_ne!(document.canonical(), canonical, "{name}: {text}");
                assert_ne!(document.identity(), sha256, "{name}: {text}");
                assert!(!first.same_as(&document), "{name}: {text}");
                assert_ne!(first.diff(&document), "", "{name}: {text}");
            }
        }
    }
}

/// Where a document is refused.
fn pointer(error: DocumentError) -> String {
    match error {
        DocumentError::OtherDraft { error, .. } => pointer(*error),
        DocumentError::UnknownDialect { pointer, .. }
        | DocumentError::Invalid { pointer, .. }
        | DocumentError::Reference { pointer, .. }
        | DocumentError::Stripped { pointer, .. }
        | DocumentError::OtherDialect { pointer }
        | DocumentError::Twice { pointer, .. }
        | DocumentError::Endless { pointer, .. }
        | DocumentError::Pattern { pointer, .. } => pointer,
        other => panic!("{other} has no pointer"),
    }
}

#[test]
fn every_document_vector_holds() {
    let compiled = |text: String| Validator::new(&Document::parse(text).unwrap());
    for (name, case) in cases("documents.json") {
        if let Some(expression) = case.get("expression") {
            let validator = compiled(json!({"pattern": expression}).to_string()).unwrap();
            for (list, found) in [("matches", true), ("differs", false)] {
                for text in texts(&case[list]) {
                    let verdict = validator.validate(Value::from(text).to_string().as_bytes());
                    assert_eq!(verdict.is_ok(), found, "{name}: {text:?}");
                }
            }
            continue;
        }
        let refused = compiled(case["document"].as_str().unwrap().to_owned()).err();
        assert_eq!(
            refused.map(pointer).as_deref(),
            case["refused"].as_str(),
            "{name}"
        );
    }
}

#[test]
fn every_validation_vector_holds() {
    for (name, case) in cases("validation.json") {
        let document = Document::parse(case["document"].as_str().unwrap().to_owned()).unwrap();
        let validator = Validator::new(&document).unwrap();
        let (valid, invalid) = (texts(&case["valid"]), texts(&case["invalid"]));
        assert!(
            !valid.is_empty() || !invalid.is_empty(),
            "{name} has no data"
        );
        for (list, fits) in [(valid, true), (invalid, false)] {
            for data in list {
                let verdict = validator.validate(data.as_bytes());
                assert_eq!(verdict.is_ok(), fits, "{name}: {data}: {verdict:?}");
            }
        }
    }
}

fn records(case: &Value) -> Vec<LogRecord> {
    let records = case["records"].as_array().unwrap();
    let record = |record: &Value| LogRecord {
        offset: record["offset"].as_i64().unwrap(),
        key: bytes(&record["key"]).map(Bytes::from),
        value: bytes(&record["value"]).map(Bytes::from),
    };
    records.iter().map(record).collect()
}

#[test]
fn a_document_has_at_most_8_000_000_bytes() {
    // What no vector file could hold: contract/mutants.json names this test.
    let document = |bytes: usize| Document::parse("true".to_owned() + &" ".repeat(bytes - 4));
    assert!(document(8_000_000).is_ok());
    assert!(document(8_000_001).is_err());
}

#[test]
fn every_log_vector_holds() {
    for (name, case) in cases("log.json") {
        let mut log = SchemaLog::new(SchemaName::new("Order").unwrap());
        for record in records(&case) {
            log.apply(&record);
        }
        let versions: Vec<Value> = log
            .versions
            .iter()
            .map(|(number, version)| {
                json!({
                    "version": number,
                    "offset": version.offset,
                    "document": std::str::from_utf8(version.document.bytes()).unwrap(),
                    "withdrawn": version.withdrawn,
                })
            })
            .collect();
        let ignored: Vec<i64> = log.ignored.iter().map(|ignored| ignored.offset).collect();
        assert_eq!(Value::Array(versions), case["versions"], "{name}");
        assert_eq!(json!(ignored), case["ignored"], "{name}: {:?}", log.ignored);
    }
}

#[test]
fn every_binding_vector_holds() {
    for (name, case) in cases("bindings.json") {
        let mut bindings = Bindings::default();
        for record in records(&case) {
            bindings.apply(&record);
        }
        let properties: serde_json::Map<String, Value> = bindings
            .streams
            .iter()
            .filter(|(_, binding)| binding.properties != StreamProperties::default())
            .map(|(stream, Binding { properties, .. })| {
                let (keys, growth) = (properties.keys, properties.partition_growth);
                let value = json!({"keys": keys.as_str(), "partition-growth": growth.as_str()});
                (stream.to_string(), value)
            })
            .collect();
        let expected = case.get("properties").cloned().unwrap_or_else(|| json!({}));
        assert_eq!(Value::Object(properties), expected, "{name}");
        let streams: serde_json::Map<String, Value> = bindings
            .streams
            .iter()
            .map(|(stream, binding)| {
                let value = json!({"schema": binding.schema.as_str(), "epoch": binding.epoch});
                (stream.to_string(), value)
            })
            .collect();
        let ignored: Vec<i64> = bindings
            .ignored
            .iter()
            .map(|ignored| ignored.offset)
            .collect();
        assert_eq!(Value::Object(streams), case["streams"], "{name}");
        assert_eq!(
            json!(ignored),
            case["ignored"],
            "{name}: {:?}",
            bindings.ignored
        );
    }
}
