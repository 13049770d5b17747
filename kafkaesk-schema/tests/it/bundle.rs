//! Schemas in several files: what becomes one document, and what is refused.

use std::collections::HashMap;

use kafkaesk_schema::{
    Validator,
    bundle::{Bundle, BundleError, bundle},
};

/// Bundles the first of these files.
fn try_bundle(files: &[(&str, &str)]) -> Result<Bundle, BundleError> {
    let all: HashMap<&str, &str> = files.iter().copied().collect();
    bundle(files[0].0, |path| {
        let text = all.get(path).ok_or("there is no such file")?;
        Ok(text.as_bytes().to_vec())
    })
}

/// Bundles files, and checks that bundling the result changes nothing.
fn bundled(files: &[(&str, &str)]) -> (Bundle, Validator) {
    let made = try_bundle(files).unwrap();
    let text = String::from_utf8(made.document.bytes().to_vec()).unwrap();
    let again = try_bundle(&[(files[0].0, &text)]).unwrap();
    assert_eq!(again.document.bytes(), made.document.bytes());
    assert!(again.files.is_empty());
    let validator =
        Validator::new(&made.document).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (made, validator)
}

fn judged(validator: &Validator, right: &[&str], wrong: &[&str]) {
    for data in right {
        validator
            .validate(data.as_bytes())
            .unwrap_or_else(|error| panic!("{data}: {error:?}"));
    }
    for data in wrong {
        assert!(validator.validate(data.as_bytes()).is_err(), "{data}");
    }
}

const MONEY: &str = r##"{"$defs": {"amount": {"type": "integer", "minimum": 0}}, "type": "object",
    "required": ["amount"], "properties": {"amount": {"$ref": "#/$defs/amount"}}}"##;

#[test]
fn files_become_resources_of_one_document() {
    let (made, validator) = bundled(&[
        (
            "Invoice.1.json",
            r#"{"properties": {"total": {"$ref": "money.json"}, "lines": {"items": {"$ref": "./money.json#/$defs/amount"}}}}"#,
        ),
        ("money.json", MONEY),
    ]);
    assert_eq!(made.files, ["money.json"]);
    judged(
        &validator,
        &[r#"{"total":{"amount":1},"lines":[1,2]}"#],
        &[
            r#"{"total":{}}"#,
            r#"{"total":{"amount":-1}}"#,
            r#"{"lines":[-1]}"#,
        ],
    );
}

#[test]
fn a_file_that_refers_to_no_other_stays_as_it_is() {
    for text in [
        "true",
        r##"{"$ref":"#/$defs/a",  "$defs":{"a":{}}}"##,
        r#"{"items":{"$ref":"b"},"$defs":{"b":{"$id":"b"}}}"#,
    ] {
        let made = try_bundle(&[("a.json", text)]).unwrap();
        assert_eq!(made.document.bytes(), text.as_bytes());
    }
}

#[test]
fn folders_circles_and_odd_names_are_followed_and_a_file_comes_once() {
    let (made, validator) = bundled(&[
        (
            "events/Order.1.json",
            r#"{"properties": {"a": {"$ref": "types/a b.json"}, "b": {"$ref": "../common/b.json"}, "c": {"$ref": "types/a%20b.json"}}}"#,
        ),
        (
            "events/types/a b.json",
            r#"{"type": "object", "properties": {"next": {"$ref": "a%20b.json"}, "order": {"$ref": "../Order.1.json"}, "b": {"$ref": "../../common/b.json#/definitions/n"}}}"#,
        ),
        (
            "common/b.json",
            r##"{"type": "integer", "definitions": {"n": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}"##,
        ),
    ]);
    assert_eq!(made.files, ["events/types/a b.json", "common/b.json"]);
    judged(
        &validator,
        &[r#"{"a":{"next":{"order":{"b":1}},"b":null},"b":2,"c":{}}"#],
        &[
            r#"{"a":{"next":{"order":{"b":"x"}}}}"#,
            r#"{"a":{"b":"x"}}"#,
            r#"{"b":null}"#,
            r#"{"c":1}"#,
        ],
    );
}

#[test]
fn every_draft_and_files_of_another_draft_are_bundled() {
    for (draft, right, wrong) in [
        ("http://json-schema.org/draft-04/schema#", "1", "0"),
        ("http://json-schema.org/draft-07/schema#", "1", "0"),
        ("https://json-schema.org/draft/2019-09/schema", "1", "0"),
        ("https://json-schema.org/draft/2020-12/schema", "1", "0"),
    ] {
        let (_, validator) = bundled(&[
            (
                "a.json",
                &format!(
                    r#"{{"$schema": "{draft}", "properties": {{"x": {{"$ref": "b.json"}}, "y": {{"$ref": "c.json"}}}}}}"#
                ),
            ),
            ("b.json", r#"{"$ref": "c.json", "definitions": {"n": {}}}"#),
            (
                "c.json",
                r#"{"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 0, "exclusiveMinimum": true}"#,
            ),
        ]);
        let data = |n: &str| format!(r#"{{"x":{n},"y":{n}}}"#);
        judged(&validator, &[&data(right)], &[&data(wrong)]);
    }
    // What stands beside a $ref counts for nothing until draft 7.
    let (_, validator) = bundled(&[
        (
            "a.json",
            r#"{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "b.json", "type": "string"}"#,
        ),
        ("b.json", r#"{"type": "integer"}"#),
    ]);
    judged(&validator, &["1"], &["\"x\""]);
}

#[test]
fn names_that_files_have_themselves_are_kept() {
    let (_, validator) = bundled(&[
        (
            "a.json",
            r#"{"$id": "https://example.com/s/a.json", "properties": {"b": {"$ref": "b.json"}, "c": {"$ref": "c.json"}}}"#,
        ),
        (
            "b.json",
            r##"{"$id": "https://example.com/other/b", "properties": {"self": {"$ref": "https://example.com/other/b"}, "n": {"$ref": "#n"}}, "type": "object", "$defs": {"n": {"$anchor": "n", "type": "integer"}}}"##,
        ),
        (
            "c.json",
            r#"{"$id": "d.json", "properties": {"self": {"$ref": "d.json"}, "b": {"$ref": "https://example.com/other/b"}}, "type": "object"}"#,
        ),
    ]);
    judged(
        &validator,
        &[r#"{"b":{"self":{"n":1}},"c":{"self":{},"b":{}}}"#],
        &[
            r#"{"b":{"self":{"n":"x"}}}"#,
            r#"{"c":{"self":1}}"#,
            r#"{"c":{"b":1}}"#,
        ],
    );
}

#[test]
fn digits_of_numbers_and_booleans_as_files_survive() {
    let (made, validator) = bundled(&[
        (
            "a.json",
            r#"{"properties": {"t": {"$ref": "t.json"}, "f": {"$ref": "f.json"}, "n": {"$ref": "n.json"}}}"#,
        ),
        ("t.json", "true"),
        ("f.json", "false"),
        (
            "n.json",
            r#"{"enum": [123456789012345678901234567890, 1.0, -0.0]}"#,
        ),
    ]);
    let text = String::from_utf8(made.document.bytes().to_vec()).unwrap();
    assert!(text.contains("123456789012345678901234567890"), "{text}");
    judged(
        &validator,
        &[r#"{"t":1,"n":1}"#],
        &[r#"{"f":1}"#, r#"{"n":2}"#],
    );
}

#[test]
fn what_is_no_local_file_is_refused_with_its_place() {
    for (reference, wanted) in [
        (
            "https://example.com/x.json",
            "is not a file; nothing is fetched",
        ),
        ("urn:example:x", "is not a file; nothing is fetched"),
        ("file:///etc/passwd", "is not a file; nothing is fetched"),
        ("//example.com/x.json", "leads out of the folder"),
        ("/etc/passwd", "leads out of the folder"),
        ("../x.json", "leads out of the folder"),
        ("a/../../x.json", "leads out of the folder"),
        (".", r#""." names a folder"#),
        ("./", r#""./" names a folder"#),
        ("a/..", r#""a/.." names a folder"#),
        ("b/", r#"refers to b: "b/" names a folder"#),
        ("json-schema:///x", "is not a file; nothing is fetched"),
        ("none.json", "refers to none.json: there is no such file"),
        (
            "broken.json",
            "broken.json: the schema document is malformed",
        ),
    ] {
        let text = serde_json::json!({"properties": {"a/b": {"$ref": reference}}}).to_string();
        let error = try_bundle(&[("a.json", &text), ("broken.json", "{")]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(wanted), "{error}");
        if !error.starts_with("broken") {
            assert!(error.contains("a.json#/properties/a~1b/$ref"), "{error}");
        }
    }
}

/// A validator has a base of its own for a schema without `$id`, so `.` leads to the schema itself until it has a name.
#[test]
fn a_reference_has_one_meaning_whether_or_not_its_schema_has_a_name() {
    for reference in [".", "./", "/", "b/..", "json-schema:///"] {
        let refused = |text: &serde_json::Value| {
            let text = text.to_string();
            let refused = try_bundle(&[("a/0.json", &text), ("a/b.json", "{}")]).err();
            refused.map(|error| error.to_string())
        };
        let alone = serde_json::json!({"items": {"$ref": reference}});
        let mut beside = alone.clone();
        beside["not"] = serde_json::json!({"$ref": "b.json"});
        let mut itself = beside.clone();
        itself["contains"] = serde_json::json!({"$ref": "0.json"});
        assert_eq!(refused(&alone), refused(&beside), "{reference}");
        assert_eq!(refused(&alone), refused(&itself), "{reference}");
    }
    bundled(&[
        (
            "a.json",
            r#"{"items": {"$ref": "json-schema:///"}, "not": {"$ref": "b.json"}}"#,
        ),
        (
            "b.json",
            r#"{"items": {"$ref": ""}, "contains": {"$ref": "b.json#"}}"#,
        ),
    ]);
}

#[test]
fn data_that_looks_like_a_reference_is_no_reference() {
    let text = r#"{"const": {"$ref": "none.json"}, "properties": {"$ref": {"type": "string"}}, "default": {"$ref": "none.json"}}"#;
    assert!(try_bundle(&[("a.json", text)]).unwrap().files.is_empty());
}

#[test]
fn files_and_bytes_are_bounded() {
    let mut reads = 0;
    let error = bundle("0.json", |path| {
        reads += 1;
        let number: usize = path.strip_suffix(".json").unwrap().parse().unwrap();
        Ok(format!(r#"{{"items": {{"$ref": "{}.json"}}}}"#, number + 1).into_bytes())
    });
    assert!(
        matches!(error, Err(BundleError::TooMuch { .. })),
        "{error:?}"
    );
    assert_eq!(reads, 1000);
    let error = bundle("0.json", |_| {
        Ok(format!(
            r#"{{"description": "{}", "items": {{"$ref": "1.json"}}}}"#,
            "x".repeat(5_000_000)
        )
        .into_bytes())
    });
    assert!(
        matches!(error, Err(BundleError::TooMuch { .. })),
        "{error:?}"
    );
}
