//! The validator's verdicts and words; for what it refuses to compile see refusals.rs.

use kafkaesk_schema::{
    Document, InvalidData, MAX_VIOLATIONS, Validator, Violation, validate::MAX_DATA_LEVELS,
};

pub(crate) fn compiled(schema: &str) -> Validator {
    Validator::new(&Document::parse(schema.to_owned()).unwrap()).unwrap()
}

fn violations(schema: &str, data: &str) -> Vec<Violation> {
    match compiled(schema).validate(data.as_bytes()) {
        Err(InvalidData::Violations(violations)) => violations,
        other => panic!("{data}: {other:?}"),
    }
}

fn malformed(data: &[u8]) -> (String, usize) {
    match compiled("true").validate(data) {
        Err(InvalidData::Malformed { message, at }) => (message, at),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_violation_names_the_value_the_pointer_and_the_rule() {
    let schema = r#"{"properties": {"id": {"type": "integer"}}, "required": ["id"]}"#;
    let found = violations(schema, r#"{"id":"one"}"#);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        r#"/id: "one" is not of type "integer"   (rule /properties/id/type)"#
    );
}

#[test]
fn every_violation_is_listed() {
    let schema = r#"{"properties": {"a": {"type": "integer"}, "b": {"minimum": 3}},
                     "required": ["c"], "additionalProperties": false}"#;
    let mut rules: Vec<String> = violations(schema, r#"{"a":"x","b":1,"d":null}"#)
        .into_iter()
        .map(|violation| violation.rule)
        .collect();
    rules.sort();
    assert_eq!(
        rules,
        [
            "/additionalProperties",
            "/properties/a/type",
            "/properties/b/minimum",
            "/required"
        ]
    );
}

#[test]
fn violations_and_their_messages_are_bounded() {
    let schema = r#"{"items": {"maxLength": 3}}"#;
    let long = format!("\"{}\"", "ä".repeat(100_000));
    let data = format!("[{}]", vec![long.as_str(); 300].join(","));
    let found = violations(schema, &data);
    assert_eq!(found.len(), MAX_VIOLATIONS);
    assert!(found.iter().all(|violation| violation.message.len() < 600));
    assert!(
        found[0].message.contains("… is longer than 3 characters"),
        "{}",
        found[0].message
    );
}

#[test]
fn a_large_value_at_fault_is_shown_in_brief() {
    let data = format!("[{}]", vec!["{\"a\":1}"; 5000].join(","));
    let found = violations(r#"{"type": "object"}"#, &data);
    assert!(
        found[0].message.starts_with(r#"[{"a":1},{"a":1}"#),
        "{}",
        found[0].message
    );
    assert!(found[0].message.len() < 200);
}

#[test]
fn messages_of_the_unusual_rules_are_sound() {
    for (schema, data, message) in [
        (r#"{"prefixItems":[{}],"items":false}"#, "[1,2,3]", "2"),
        (
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","items":[{}],"additionalItems":false}"#,
            "[1,2,3]",
            "2 more item(s) than the 1",
        ),
        (
            r#"{"propertyNames":{"maxLength":2}}"#,
            r#"{"abc":1}"#,
            r#""abc" is longer than 2"#,
        ),
        (
            r#"{"unevaluatedItems":false}"#,
            "[[1,2]]",
            "Unevaluated items",
        ),
        (
            r#"{"unevaluatedProperties":false}"#,
            r#"{"x":{"y":1}}"#,
            "'x' was unexpected",
        ),
        (
            r#"{"enum":["a",{"b":1}]}"#,
            r#"{"b":2}"#,
            r#"{"b":2} is not one of"#,
        ),
        (
            r#"{"const":{"b":[1.0]}}"#,
            r#"{"b":[2]}"#,
            r#"{"b":[1.0]} was expected"#,
        ),
        (
            r#"{"uniqueItems":true}"#,
            r#"[{"a":1},{"a":1.0}]"#,
            "non-unique",
        ),
        (r#"{"contains":{"type":"string"}}"#, "[1]", "None of [1]"),
        (r#"{"multipleOf":2}"#, "3", "3 is not a multiple of 2"),
        ("false", "3", "False schema does not allow 3"),
    ] {
        let found = violations(schema, data);
        assert!(
            found[0].message.contains(message),
            "{schema}: {}",
            found[0].message
        );
    }
}

#[test]
fn equal_numbers_are_equal_however_they_are_written() {
    let fits = |schema: &str, data: &str| compiled(schema).validate(data.as_bytes()).is_ok();
    assert!(fits(r#"{"const": 1}"#, "1.0"));
    assert!(fits(r#"{"enum": [{"a": [100]}]}"#, r#"{"a":[1e2]}"#));
    assert!(!fits(r#"{"const": 9007199254740993}"#, "9007199254740992"));
    assert!(fits(r#"{"type": "integer"}"#, "1.0"));
    assert!(fits(r#"{"type": "integer"}"#, "18446744073709551616"));
    assert!(!fits(
        r#"{"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer"}"#,
        "1.0"
    ));
    assert!(fits(
        r#"{"uniqueItems": true}"#,
        r#"[1, "1", true, [1], {"a": 1}]"#
    ));
}

#[test]
fn numbers_beyond_64_bits_are_compared_as_doubles() {
    let fits = |schema: &str, data: &str| compiled(schema).validate(data.as_bytes()).is_ok();
    let exact = r#"{"const": 18446744073709551615}"#;
    assert!(fits(exact, "18446744073709551615") && !fits(exact, "18446744073709551614"));
    assert!(!fits(
        r#"{"const": -9223372036854775808}"#,
        "-9223372036854775807"
    ));
    // A limit that the contract states.
    assert!(fits(
        r#"{"const": 18446744073709551617}"#,
        "18446744073709551616"
    ));
    let unique = r#"{"uniqueItems": true}"#;
    assert!(fits(unique, "[18446744073709551614,18446744073709551615]"));
    assert!(!fits(unique, "[18446744073709551616,18446744073709551617]"));
}

#[test]
fn format_and_content_only_annotate_in_every_draft() {
    for draft in [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        let schema = format!(
            r#"{{"$schema": "{draft}", "format": "date-time", "contentEncoding": "base64", "contentMediaType": "application/json"}}"#
        );
        compiled(&schema)
            .validate(br#""no date, no base64""#)
            .unwrap();
    }
}

#[test]
fn nesting_is_bounded_by_the_contract() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    compiled("true")
        .validate(nested(MAX_DATA_LEVELS).as_bytes())
        .unwrap();
    let (message, at) = malformed(nested(MAX_DATA_LEVELS + 1).as_bytes());
    assert_eq!(
        (message.as_str(), at),
        ("nested deeper than 126 levels", 126)
    );
}

#[test]
fn a_pattern_runs_in_linear_time() {
    let validator = compiled(r#"{"pattern": "^(a+)+$"}"#);
    let data = format!("\"{}!\"", "a".repeat(100_000));
    let start = std::time::Instant::now();
    assert!(validator.validate(data.as_bytes()).is_err());
    assert!(start.elapsed().as_secs() < 5, "took {:?}", start.elapsed());
}

#[test]
fn a_schema_that_goes_into_the_data_may_come_back_to_itself() {
    let tree = r##"{"$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "#/definitions/node", "allOf": [{"$ref": "#"}],
        "definitions": {"node": {"anyOf": [{"type": "null"}, {"items": {"$ref": "#/definitions/node"}, "type": "array"}]}}}"##;
    let deep = "[".repeat(MAX_DATA_LEVELS) + &"]".repeat(MAX_DATA_LEVELS);
    compiled(tree).validate(deep.as_bytes()).unwrap();
    assert!(!violations(tree, "[[null, 1]]").is_empty());
    compiled(
        r##"{"$schema": "https://json-schema.org/draft/2020-12/schema", "$dynamicAnchor": "node",
        "anyOf": [{"type": "null"}, {"items": {"$dynamicRef": "#node"}, "type": "array"}]}"##,
    )
    .validate(deep.as_bytes())
    .unwrap();
}

#[test]
fn data_that_two_readers_could_read_differently_is_refused() {
    assert_eq!(
        malformed(br#"{"a":{"b":1,"c":2,"b":3}}"#),
        ("the key \"b\" stands twice in one object".into(), 18)
    );
    assert_eq!(malformed(b"\xEF\xBB\xBF{}").1, 0);
    assert_eq!(malformed(b"{\"a\":\"\xff\"}").1, 6);
    assert_eq!(malformed(b"{} {}").1, 3);
    assert_eq!(malformed(br#"{"a":1e400}"#).1, 5);
    let keys: Vec<String> = (0..40)
        .map(|at| format!("\"k{}\": [{{}}]", at % 39))
        .collect();
    let many = format!("{{{}}}", keys.join(","));
    let (message, at) = malformed(many.as_bytes());
    assert_eq!(message, "the key \"k0\" stands twice in one object");
    assert_eq!(at, many.rfind("\"k0\"").unwrap());
}

#[test]
fn references_that_double_the_work_with_each_link_are_refused() {
    let mut definitions = serde_json::Map::new();
    definitions.insert("d0".into(), serde_json::json!({"type": "object"}));
    for n in 1..40 {
        let below = format!("#/$defs/d{}", n - 1);
        let twice = serde_json::json!({"allOf": [{"$ref": below}, {"$ref": below}]});
        definitions.insert(format!("d{n}"), twice);
    }
    let document = serde_json::json!({"$defs": definitions, "$ref": "#/$defs/d39"});
    let document = Document::parse(document.to_string()).unwrap();
    let error = Validator::new(&document).unwrap_err().to_string();
    assert!(error.contains("as often as they are reached"), "{error}");
}
