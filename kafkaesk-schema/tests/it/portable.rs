//! Look-around rewritten: the same verdict as a backtracking engine on generated texts, or a refusal.

use kafkaesk_schema::{
    Document, Validator,
    portable::{PortableError, portable},
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What generators and people write.
const REAL: [&str; 38] = [
    // pydantic 2.12 and 2.13, Decimal with each kind of bound.
    r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$",
    r"^(?!^[-+.]*$)[+-]?0*(?:\d{0,10}|(?=[\d.]{1,11}0*$)\d*\.\d*0*$)",
    r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d{0,2}0*$",
    r"^(?!^[-+.]*$)[+-]?0*(?:\d{0,8}|(?=[\d.]{1,11}0*$)\d{0,8}\.\d{0,2}0*$)",
    r"^(?!^[-+.]*$)[+-]?0*(?:\d{0,0}|(?=[\d.]{1,3}0*$)\d{0,0}\.\d{0,2}0*$)",
    r"^(?!^[-+.]*$)[+-]?0*(?:\d{0,1}|(?=[\d.]{1,2}0*$)\d{0,1}\.\d{0,0}0*$)",
    r"^(?!^[-+.]*$)[+-]?0*(?:\d{0,18}|(?=[\d.]{1,31}0*$)\d{0,18}\.\d{0,12}0*$)",
    // zod 4: email, duration, extended duration, hostname, domain, IBAN.
    r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
    r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$",
    r"^[-+]?P(?!$)(?:(?:[-+]?\d+Y)|(?:[-+]?\d+[.,]\d+Y$))?(?:(?:[-+]?\d+M)|(?:[-+]?\d+[.,]\d+M$))?(?:(?:[-+]?\d+W)|(?:[-+]?\d+[.,]\d+W$))?(?:(?:[-+]?\d+D)|(?:[-+]?\d+[.,]\d+D$))?(?:T(?=[\d+-])(?:(?:[-+]?\d+H)|(?:[-+]?\d+[.,]\d+H$))?(?:(?:[-+]?\d+M)|(?:[-+]?\d+[.,]\d+M$))?(?:[-+]?\d+(?:[.,]\d+)?S)?)??$",
    r"^(?=.{1,253}\.?$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-0-9a-zA-Z]{0,61}[0-9a-zA-Z])?)*\.?$",
    r"^(?=.{1,253}$)([a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,63}$",
    r"^[A-Z]{2}(?!00|01|99)\d{2}[A-Z0-9]{11,30}$",
    // The cases.
    r"^(?!\.)(?!.*\.\.)[a-z.]+@[a-z.]+$",
    r"^(?!0\d)\d{1,8}(\.\d{2})?$",
    // Passwords, host names, file names, words that must not come.
    r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d).{8,}$",
    r"^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$",
    r"^(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+[A-Za-z]{2,6}$",
    r"^((?!foo).)*$",
    r"^(?:(?!foo|ba[rz])[a-z])+$",
    r"^(?!foo$|bar$)[a-z]+$",
    r"^(?!(?:con|prn)\.)[a-z.]+$",
    r"^(?!.*--)[a-z](?:[a-z-]*[a-z])?$",
    r"^[a-z]+(?<!-)(?<!foo)$",
    r"^[a-z.]+(?<=\.[a-z]{3})$",
    r"^.*(?<!\.)$",
    r"^(?=a)(?!ab)(?=.{3}$)[a-z]*$",
    r"^\d{4}-(?!00)\d{2}-(?!00)\d{2}$",
    r"^(?:a(?!b)c|b(?=d)[a-d])$",
    r"^x(?!$)",
    r"^(?!x-)",
    r"^(?=x)",
    r"^a{0,2}(?!b)[a-c]$",
    r"^[a-c]*:(?!//)[a-c/]+$",
    r"(?!a)[a-c]",
    r"[a-c](?<!a)$",
    r"^(?:(?=[a-c])(?!b)[a-z])+$",
    r"^(?!(?=ab)a.c)[a-c]+$",
];

fn made_portable(expression: &str) -> Result<Validator, PortableError> {
    let document = Document::parse(json!({"pattern": expression}).to_string()).unwrap();
    let (document, rewritten) = portable(&document)?;
    assert_eq!(rewritten.len(), 1);
    assert_eq!(rewritten[0].pointer, "/pattern");
    let validator = Validator::new(&document);
    let validator = validator.unwrap_or_else(|error| panic!("{expression}: {error} {document:?}"));
    for data in ["1", "null", "[]", "{}", "true"] {
        validator
            .validate(data.as_bytes())
            .unwrap_or_else(|_| panic!("{data} {document:?}"));
    }
    Ok(validator)
}

/// A dot is any character but a line's end for both engines; `$` is the text's end alone.
fn agree(
    original: &fancy_regex::Regex,
    validator: &Validator,
    text: &str,
) -> Result<(), TestCaseError> {
    let expression = original.as_str();
    let found = original.is_match(text).unwrap();
    let fits = validator
        .validate(Value::from(text).to_string().as_bytes())
        .is_ok();
    prop_assert_eq!(fits, found, "{} {:?}", expression, text);
    Ok(())
}

/// Texts near an expression: what its own characters make.
fn text(expression: &'static str) -> impl Strategy<Value = String> {
    let own: Vec<String> = expression
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || ".-+:/,@_ ".contains(*c))
        .map(String::from)
        .chain(
            [
                "a", "b", "c", "1", "0", ".", "-", "A", "W", "foo", "bar", "00", "\n", "é",
            ]
            .map(String::from),
        )
        .collect();
    prop::collection::vec(prop::sample::select(own), 0..12).prop_map(|parts| parts.concat())
}

#[test]
fn every_real_expression_is_rewritten_and_means_the_same() {
    for expression in REAL {
        let validator = made_portable(expression).unwrap_or_else(|error| panic!("{error}"));
        let original = fancy_regex::Regex::new(expression).unwrap();
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 200,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        runner
            .run(&text(expression), |text| {
                agree(&original, &validator, &text)
            })
            .unwrap_or_else(|error| panic!("{error}"));
        for text in [
            "",
            "1",
            "-1.50",
            "0012.30",
            "+.",
            "12345678.99",
            "123456789.999",
            "a@b.co",
            "a..b@c.de",
            ".a@b.co",
            "P1W",
            "P1Y2M",
            "PT1H",
            "PT",
            "P",
            "P1DT",
            "P1DT2H3.5S",
            "P1YW",
            "-P1.5Y",
            "-P1Y1.5M",
            "a.b-c.com",
            "-a.com",
            "a-.com",
            "DE00123456789012",
            "DE12123456789012",
            "Passw0rd",
            "password",
            "foobar",
            "foo",
            "bar",
            "xfoox",
            "2026-00-01",
            "2026-11-28",
            "a:b",
            "a://b",
            "x",
            "x-y",
            "abc",
            "aab",
        ] {
            agree(&original, &validator, text).unwrap();
        }
    }
}

fn generated() -> impl Strategy<Value = String> {
    let one = prop::sample::select(vec!["a", "b", "[ab]", "[^a]", ".", "\\d", "$", "ab", "1"]);
    let plain = one
        .prop_map(str::to_owned)
        .prop_recursive(3, 12, 3, |inner| {
            let times = prop::sample::select(vec!["*", "+", "?", "{2}", "{0,2}", "{1,3}"]);
            prop_oneof![
                (inner.clone(), times).prop_map(|(one, times)| format!("(?:{one}){times}")),
                prop::collection::vec(inner.clone(), 1..3).prop_map(|all| all.concat()),
                prop::collection::vec(inner, 1..3).prop_map(|all| format!("({})", all.join("|"))),
            ]
        });
    let kind = prop::sample::select(vec!["(?=", "(?!", "(?<=", "(?<!"]);
    let look = (kind, plain.clone()).prop_map(|(kind, inside)| format!("{kind}{inside})"));
    let part = prop_oneof![3 => plain.clone(), 2 => look];
    let parts = prop::collection::vec(part, 1..5).prop_map(|all| all.concat());
    let grouped = (
        parts.clone(),
        prop::sample::select(vec!["", "?", "*", "+", "{1,2}"]),
    )
        .prop_map(|(all, times)| format!("(?:{all}){times}"));
    let ends = prop::sample::select(vec!["", "$"]);
    (
        prop::sample::select(vec!["", "^"]),
        prop_oneof![parts, grouped.clone()],
        prop_oneof![Just(String::new()), grouped],
        ends,
    )
        .prop_map(|(start, one, other, end)| format!("{start}{one}{other}{end}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn whatever_is_rewritten_means_the_same(
        expression in generated(),
        texts in prop::collection::vec("[ab1c\n]{0,6}", 12),
    ) {
        let document = Document::parse(json!({"pattern": &expression}).to_string()).unwrap();
        let Ok((document, _)) = portable(&document) else {
            return Ok(());
        };
        let Ok(validator) = Validator::new(&document) else {
            return Ok(());
        };
        // It does not repeat look-around.
        let Ok(original) = fancy_regex::Regex::new(&expression) else {
            return Ok(());
        };
        for text in texts {
            agree(&original, &validator, &text)?;
        }
    }
}

#[test]
fn what_cannot_be_proved_equal_is_refused_with_the_part() {
    for expression in [
        r"a(?!b)",
        r"(?=.*a)b",
        r"^(a(?=b))*$",
        r"^(?:(?!$).)*$",
        r"^(?:(?!ab)[a-c]+)*$",
        r"^(a)(?=\1)",
    ] {
        let document =
            Document::parse(json!({"items": {"pattern": expression}}).to_string()).unwrap();
        match portable(&document).unwrap_err() {
            PortableError::Pattern { pointer, .. } => assert_eq!(pointer, "/items/pattern"),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn what_stands_beside_a_pattern_stays_and_counts() {
    let document = Document::parse(
        r#"{"properties": {"a": {"type": "string", "pattern": "^(?!x)[a-z]+$", "maxLength": 3, "allOf": [{"minLength": 2}]},
            "b": {"pattern": "^[a-z]+$"}}, "default": {"pattern": "(?!x)"}}"#,
    )
    .unwrap();
    let (document, rewritten) = portable(&document).unwrap();
    assert_eq!(rewritten.len(), 1);
    let value: Value = serde_json::from_slice(document.bytes()).unwrap();
    assert_eq!(
        value["properties"]["a"],
        json!({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3,
            "allOf": [{"minLength": 2}, {"not": {"type": "string", "pattern": "^(?:x)"}}]})
    );
    assert_eq!(value["default"], json!({"pattern": "(?!x)"}));
    assert_eq!(
        rewritten[0].after,
        r#"{"allOf": [{"pattern": "^[a-z]+$"}, {"not": {"type": "string", "pattern": "^(?:x)"}}]}"#
    );
    let again = portable(&document).unwrap();
    assert_eq!((again.0.bytes(), again.1.len()), (document.bytes(), 0));
}

#[test]
fn names_with_look_around_are_rewritten_where_nothing_goes_by_them() {
    let portable_of = |text: &str| portable(&Document::parse(text.to_owned()).unwrap());
    let (document, _) = portable_of(
        r#"{"properties": {"x-a": {"type": "string"}}, "patternProperties": {"^(?!x-)": {"type": "integer"}, "^x-": {"minLength": 1}}}"#,
    )
    .unwrap();
    let validator = Validator::new(&document).unwrap();
    for (data, fits) in [
        (r#"{"a":1,"x-a":"1"}"#, true),
        (r#"{"a":"1"}"#, false),
        (r#"{"x-b":""}"#, false),
        (r#"{"x-b":true}"#, true),
    ] {
        assert_eq!(validator.validate(data.as_bytes()).is_ok(), fits, "{data}");
    }
    for text in [
        r#"{"patternProperties": {"^(?!x-)": {}}, "additionalProperties": false}"#,
        r#"{"allOf": [{"patternProperties": {"^(?!x-)": {}}}], "unevaluatedProperties": false}"#,
        r#"{"patternProperties": {"^(?!x-)[a-z]+$": {}}}"#,
    ] {
        assert!(portable_of(text).is_err(), "{text}");
    }
}

#[test]
fn what_only_looks_like_look_around_is_left_as_it_is() {
    for expression in [r"a\(?!b", r"[(?!]", r"^\\\(?<!\s$", r"[(?=]x"] {
        let document = Document::parse(json!({"pattern": expression}).to_string()).unwrap();
        let (same, rewritten) = portable(&document).unwrap();
        assert_eq!(
            (same.bytes(), rewritten.len()),
            (document.bytes(), 0),
            "{expression}"
        );
    }
}
