//! No schema that compiles and no data takes endless time or memory, however many ways lead from one to the other.

use std::time::{Duration, Instant};

use kafkaesk_schema::{Document, InvalidData, Validator, validate::MAX_DATA_LEVELS};
use serde_json::json;

use crate::validator::compiled;

/// Ordinary: an expression tree.
const EXPRESSION: &str = r##"{"anyOf": [{"type": "number"},
    {"type": "object", "required": ["op", "left"], "properties": {"op": {"const": "add"}, "left": {"$ref": "#"}, "right": {"$ref": "#"}}},
    {"type": "object", "required": ["op", "left"], "properties": {"op": {"const": "mul"}, "left": {"$ref": "#"}, "right": {"$ref": "#"}}}]}"##;

/// Leads to each value inside a value twice.
const TWICE: &str = r##"{"properties": {"a": {"$ref": "#"}}, "allOf": [{"properties": {"a": {"$ref": "#"}}}], "type": "object"}"##;

fn nested(levels: usize, before: &str, inner: &str, behind: &str) -> String {
    before.repeat(levels) + inner + &behind.repeat(levels)
}

fn expression(levels: usize, inner: &str) -> String {
    nested(levels, r#"{"left":"#, inner, r#","op":"mul"}"#)
}

fn chain(levels: usize, inner: &str) -> String {
    nested(levels, r#"{"a":"#, inner, "}")
}

/// Far more than any of it takes, and far less than doubling with each of 126 levels would.
fn soon<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
    result
}

#[test]
fn data_at_any_depth_is_judged_and_its_violations_listed_soon() {
    for levels in [2, 8, 12, 16, 22, 64, MAX_DATA_LEVELS] {
        for (schema, right, wrong) in [
            (
                EXPRESSION,
                expression(levels, "1"),
                expression(levels, r#""x""#),
            ),
            (TWICE, chain(levels - 1, "{}"), chain(levels, "1")),
        ] {
            let validator = compiled(schema);
            soon(|| validator.validate(right.as_bytes())).unwrap();
            match soon(|| validator.validate(wrong.as_bytes())) {
                Err(InvalidData::Violations(found)) => assert!(!found.is_empty()),
                other => panic!("{levels}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_is_not_listed_is_said_and_what_is_listed_is_true() {
    let found = |levels: usize| {
        let data = chain(levels, "1");
        let Err(InvalidData::Violations(found)) = compiled(TWICE).validate(data.as_bytes()) else {
            panic!("{data} is invalid");
        };
        found
    };
    let few = found(3);
    assert_eq!(few.len(), 8);
    assert!(few.iter().all(|violation| violation.pointer == "/a/a/a"));
    let many = found(40);
    assert!(
        many.iter()
            .all(|violation| violation.rule.is_empty() || violation.pointer.len() == 80)
    );

    let data = expression(40, r#""x""#);
    let Err(InvalidData::Violations(many)) = compiled(EXPRESSION).validate(data.as_bytes()) else {
        panic!("{data} is invalid");
    };
    assert_eq!(many.len(), 1);
    assert!(
        many[0].message.contains("too many ways to refuse it"),
        "{}",
        many[0].message
    );
}

#[test]
fn a_verdict_that_takes_too_many_steps_is_refused_soon() {
    // Without recursion nothing is remembered: each level goes to the next one twice.
    let mut definitions = serde_json::Map::new();
    definitions.insert("d60".into(), json!({"type": "object"}));
    for level in 0..60 {
        let below = json!({"properties": {"a": {"$ref": format!("#/$defs/d{}", level + 1)}}});
        definitions.insert(format!("d{level}"), json!({"allOf": [below, below]}));
    }
    let document = json!({"$ref": "#/$defs/d0", "$defs": definitions}).to_string();
    let validator = Validator::new(&Document::parse(document).unwrap()).unwrap();
    validator.validate(chain(8, "{}").as_bytes()).unwrap();
    let error = soon(|| validator.validate(chain(50, "{}").as_bytes())).unwrap_err();
    assert!(matches!(error, InvalidData::TooManyWays { .. }), "{error}");
    assert!(error.to_string().contains("too many ways to judge"));
}

#[test]
fn the_more_schemas_apply_to_one_value_the_fewer_steps_there_are() {
    // 2^14 ways to the type of a value that an anyOf leads to twice with each level.
    let mut definitions = serde_json::Map::new();
    definitions.insert("d14".into(), json!({"type": ["string", "null"]}));
    for link in 0..14 {
        let next = json!({"$ref": format!("#/$defs/d{}", link + 1)});
        definitions.insert(format!("d{link}"), json!({"allOf": [next, next]}));
    }
    definitions.insert("s40".into(), json!({"$ref": "#/$defs/d0"}));
    for level in 0..40 {
        let below = json!({"properties": {"a": {"$ref": format!("#/$defs/s{}", level + 1)}}});
        definitions.insert(format!("s{level}"), json!({"allOf": [below, below]}));
    }
    let document = json!({"$ref": "#/$defs/s0", "$defs": definitions}).to_string();
    let validator = Validator::new(&Document::parse(document).unwrap()).unwrap();
    let error = soon(|| validator.validate(chain(40, "null").as_bytes())).unwrap_err();
    let InvalidData::TooManyWays { steps } = error else {
        panic!("{error}");
    };
    assert!(steps < 50_000, "{steps}");
}

#[test]
fn long_names_make_no_long_list_of_long_pointers() {
    let data = format!(
        r#"{{"{}":[{}1]}}"#,
        "k".repeat(1 << 20),
        "1,".repeat(200_000)
    );
    let validator = compiled(r#"{"additionalProperties": {"items": {"type": "string"}}}"#);
    let Err(InvalidData::Violations(found)) = soon(|| validator.validate(data.as_bytes())) else {
        panic!("it is invalid");
    };
    assert!((2..100).contains(&found.len()), "{}", found.len());
    assert!(found.last().unwrap().rule.is_empty());
}
