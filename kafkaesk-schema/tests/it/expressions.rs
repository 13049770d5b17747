//! Regular expressions: what is taken, what it means, and what matching may cost.

use std::time::{Duration, Instant};

use kafkaesk_schema::{Document, DocumentError, InvalidData, Validator};
use serde_json::{Value, json};

use crate::validator::compiled;

fn fits(validator: &Validator, text: &str) -> bool {
    validator
        .validate(Value::from(text).to_string().as_bytes())
        .is_ok()
}

fn refusal(document: &Value) -> String {
    let document = Document::parse(document.to_string()).unwrap();
    match Validator::new(&document).unwrap_err() {
        DocumentError::Pattern { message, .. } => message,
        other => panic!("{other}"),
    }
}

#[test]
fn a_count_of_ordinary_size_is_taken_and_counts_exactly() {
    for (expression, one, most) in [
        (r"^\p{L}{1,100}$", "é", 100),
        (r"^[\p{L}\p{N} '.-]{1,256}$", "7", 256),
        (r"^.{1,4000}$", "x", 4000),
        (r"^[A-Za-z0-9+/=]{1,10000}$", "+", 10_000),
        (r"^([A-Za-z]{1,255})$", "a", 255),
        (r"^(?:\S){1,65535}$", "漢", 65_535),
    ] {
        let validator = compiled(&json!({"pattern": expression}).to_string());
        for (times, found) in [(0, false), (1, true), (most, true), (most + 1, false)] {
            let text = one.repeat(times);
            assert_eq!(fits(&validator, &text), found, "{expression} {times}");
        }
    }
}

#[test]
fn counts_may_stand_one_after_the_other_and_in_groups() {
    let validator =
        compiled(r#"{"pattern": "^\\p{L}{1,255}@\\p{L}{1,255}(\\.\\p{L}{1,255}){1,8}$"}"#);
    let name = "é".repeat(255);
    assert!(fits(&validator, &format!("{name}@{name}.{name}.x")));
    assert!(!fits(&validator, &format!("{name}é@{name}.{name}.x")));
    assert!(!fits(&validator, &format!("{name}@{name}")));
    let validator = compiled(r#"{"pattern": "^(\\p{L}{1,100}-){1,10}$"}"#);
    let part = format!("{}-", "é".repeat(100));
    assert!(fits(&validator, &part.repeat(10)));
    assert!(!fits(&validator, &part.repeat(11)));
    let names = json!({"patternProperties": {"^.{1,255}$": {"type": "integer"}}, "additionalProperties": false});
    let validator = compiled(&names.to_string());
    let data = |length: usize| format!(r#"{{"{}":1}}"#, "n".repeat(length));
    assert!(validator.validate(data(255).as_bytes()).is_ok());
    assert!(validator.validate(data(256).as_bytes()).is_err());
}

#[test]
fn a_violation_of_a_far_count_says_what_does_not_match() {
    let schema = json!({"properties": {"a": {"pattern": "^.{1,4000}$"}, "b": {"pattern": "^x$"}}});
    let validator = compiled(&schema.to_string());
    let Err(InvalidData::Violations(found)) = validator.validate(br#"{"a":"","b":"y"}"#) else {
        panic!("it is invalid");
    };
    let found: Vec<_> = found.iter().map(|it| (&*it.rule, &*it.message)).collect();
    assert_eq!(
        found,
        [
            (
                "/properties/a/pattern",
                r#""" does not match "^.{1,4000}$""#
            ),
            ("/properties/b/pattern", r#""y" does not match "^x$""#),
        ]
    );
}

#[test]
fn a_far_count_meets_only_texts() {
    let validator = compiled(r#"{"pattern": "^\\p{L}{1,100}$"}"#);
    for data in ["1", "null", "[]", "{}", "true"] {
        validator.validate(data.as_bytes()).unwrap();
    }
}

/// Far more than any of it takes.
fn soon<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    result
}

#[test]
fn no_expression_that_is_taken_takes_long_on_a_long_text() {
    let text = format!("\"{}\"", "a".repeat(1 << 20));
    for expression in [
        "a{1,10000}b",
        "(a|b){1,5000}c",
        "(a?b?){1,2000}c",
        "(.{1,63}\\\\.){1,63}x",
        "(a|aa)+$b",
        "^(a+)+$",
    ] {
        let validator = compiled(&format!(r#"{{"pattern": "{expression}"}}"#));
        soon(|| validator.validate(text.as_bytes())).ok();
    }
    let name = format!("{{{text}:1}}");
    let validator = compiled(r#"{"patternProperties": {"a{1,2000}b": false}}"#);
    soon(|| validator.validate(name.as_bytes())).ok();
}

#[test]
fn each_name_is_looked_at_once_for_each_pattern_and_that_is_bounded() {
    let patterns: serde_json::Map<String, Value> = (0..2000)
        .map(|number| (format!("^p{number}[a-z]+x$"), json!({"type": "integer"})))
        .collect();
    let members: serde_json::Map<String, Value> = (0..5000)
        .map(|number| (format!("name{number}"), json!(1)))
        .collect();
    let validator = compiled(&json!({"patternProperties": patterns}).to_string());
    let few: serde_json::Map<_, _> = members.clone().into_iter().take(50).collect();
    validator
        .validate(Value::from(few).to_string().as_bytes())
        .unwrap();
    let many = Value::from(members).to_string();
    let error = soon(|| validator.validate(many.as_bytes())).unwrap_err();
    assert!(matches!(error, InvalidData::TooManyWays { .. }), "{error}");
}

#[test]
fn what_the_expressions_of_a_document_take_is_bounded() {
    let properties: serde_json::Map<String, Value> = (0..4000)
        .map(|number| {
            (
                format!("p{number}"),
                json!({"pattern": format!("\\p{{L}}{number}")}),
            )
        })
        .collect();
    let message = soon(|| refusal(&json!({"properties": properties})));
    assert!(message.contains("more than 33554432 bytes"), "{message}");
    let message = refusal(&json!({"pattern": "((ab){1,300}c){1,300}"}));
    assert!(message.contains("more than 50000 steps"), "{message}");
    let message = refusal(&json!({"patternProperties": {"^\\p{L}{1,2000}$": true}}));
    assert!(message.contains("patternProperties"), "{message}");
}

#[test]
fn a_property_name_that_ecma_262_does_not_have_is_refused() {
    for (expression, hint) in [
        (r"^\p{Greek}+$", r"write \p{Script=Greek}"),
        (r"^[\p{IsGreek}]+$", r"write \p{Script=Greek}"),
        (r"^\P{letter}+$", r"write \p{Letter}"),
        (r"\p{gcb=Prepend}", "ECMA-262 has no property"),
    ] {
        let message = refusal(&json!({"pattern": expression}));
        assert!(message.contains(hint), "{message}");
    }
    for expression in [
        r"\pL",
        r"\p{^L}",
        r"\p{L&}",
        r"\p{gc:Lu}",
        r"\p{gc!=Lu}",
        r"\p",
    ] {
        refusal(&json!({"pattern": expression}));
    }
    for (expression, text) in [
        (r"^\p{Script=Greek}$", "λ"),
        (r"^\p{sc=Grek}$", "λ"),
        (r"^\p{scx=Grek}$", "λ"),
        (r"^\p{Letter}$", "é"),
        (r"^\P{L}$", "1"),
        (r"^[^\p{gc=Lu}]$", "a"),
        (r"^\p{Alphabetic}$", "a"),
        (r"^\p{ASCII}$", "a"),
        (r"^\p{Any}$", "\n"),
        (r"^\p{Extended_Pictographic}$", "😀"),
    ] {
        let validator = compiled(&json!({"pattern": expression}).to_string());
        assert!(fits(&validator, text), "{expression}");
    }
}

#[test]
fn look_around_is_refused_with_the_setting_of_the_generator_that_writes_it() {
    for (expression, hint) in [
        (r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d{0,2}0*$", "WithJsonSchema"),
        (r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)@x$", "html5Email"),
        (r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)x)$", "z.iso.duration()"),
        (r"^(?=.{1,253}\.?$)[a-z]+$", "z.hostname()"),
        (r"^(?!x)", "it has look-around"),
    ] {
        let document = Document::parse(json!({"pattern": expression}).to_string()).unwrap();
        let error = Validator::new(&document).unwrap_err();
        assert!(error.is_look_around(), "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    }
}
