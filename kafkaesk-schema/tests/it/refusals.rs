//! What is refused when a document is compiled, each with its JSON pointer; and what nearly looks so.

use kafkaesk_schema::{Document, DocumentError, Validator, validate::MAX_DATA_LEVELS};

use crate::validator::compiled;

fn refused(schema: &str) -> DocumentError {
    match Validator::new(&Document::parse(schema.to_owned()).unwrap()).unwrap_err() {
        DocumentError::OtherDraft { error, .. } => *error,
        other => other,
    }
}

#[test]
fn a_document_without_schema_is_told_the_draft_in_which_it_is_valid() {
    for (schema, draft) in [
        (
            r#"{"items": [{"type": "number"}, {"type": "number"}]}"#,
            "7",
        ),
        (
            r#"{"properties": {"at": {"items": [{"type": "number"}], "additionalItems": false}}}"#,
            "7",
        ),
        (r#"{"minimum": 1, "exclusiveMinimum": true}"#, "4"),
        (
            r##"{"properties": {"a": {"$ref": "#b"}}, "definitions": {"b": {"$id": "#b"}}}"##,
            "7",
        ),
        (
            r##"{"properties": {"a": {"$ref": "b"}}, "definitions": {"b": {"id": "b"}}}"##,
            "4",
        ),
    ] {
        let document = Document::parse(schema.to_owned()).unwrap();
        let error = Validator::new(&document).unwrap_err();
        let DocumentError::OtherDraft {
            draft: found, uri, ..
        } = &error
        else {
            panic!("{schema}: {error}");
        };
        assert_eq!(*found, draft, "{schema}");
        let line = format!(r#""$schema": "{uri}""#);
        assert!(error.to_string().contains(&line), "{error}");
        compiled(&schema.replacen('{', &format!("{{{line},"), 1));
    }
    for schema in [
        r#"{"type": "strin"}"#,
        r#"{"pattern": "("}"#,
        r#"{"$schema": "http://json-schema.org/draft-07/schema#", "minimum": true}"#,
    ] {
        let document = Document::parse(schema.to_owned()).unwrap();
        let error = Validator::new(&document).unwrap_err();
        assert!(
            !matches!(error, DocumentError::OtherDraft { .. }),
            "{error}"
        );
    }
}

#[test]
fn references_stay_inside_the_document() {
    for (schema, pointer) in [
        (
            r##"{"properties": {"a": {"$ref": "#/$defs/missing"}}}"##,
            "/properties/a/$ref",
        ),
        (
            r##"{"allOf": [{}, {"$ref": "#nowhere"}]}"##,
            "/allOf/1/$ref",
        ),
        (
            r#"{"items": {"$ref": "https://example.com/other.json"}}"#,
            "/items/$ref",
        ),
        (r#"{"items": {"$ref": "other.json"}}"#, "/items/$ref"),
        (
            r#"{"$ref": "http://json-schema.org/draft-03/schema#"}"#,
            "/$ref",
        ),
        (
            r##"{"properties": {"a/b": {"$dynamicRef": "#none"}}}"##,
            "/properties/a~1b/$dynamicRef",
        ),
        (
            r##"{"$defs": {"a": {"$id": "a.json", "$ref": "#/$defs/b"}, "b": {}}}"##,
            "/$defs/a/$ref",
        ),
    ] {
        match refused(schema) {
            DocumentError::Reference { pointer: found, .. } => {
                assert_eq!(found, pointer, "{schema}")
            }
            other => panic!("{schema}: {other}"),
        }
    }
    for schema in [
        r##"{"$ref": "#/$defs/a", "$defs": {"a": {"$anchor": "x"}, "b": {"$ref": "#x"}}}"##,
        r##"{"$id": "https://example.com/root.json", "$ref": "item.json", "$defs": {"i": {"$id": "item.json"}}}"##,
        r##"{"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"$id": "#a"}}, "$ref": "#a"}"##,
        r##"{"$schema": "http://json-schema.org/draft-04/schema#", "id": "http://example.com/r#", "properties": {"a": {"$ref": "#"}}}"##,
        r##"{"const": {"$ref": "nowhere.json"}, "properties": {"$ref": {"type": "string"}}}"##,
        r##"{"properties": {"a": {"$ref": "#/properties/b/items"}, "b": {"items": {}}}}"##,
    ] {
        compiled(schema);
    }
}

#[test]
fn a_reference_into_what_identity_leaves_out_is_refused() {
    for (schema, wanted) in [
        (
            r##"{"$ref": "#/default", "default": {"type": "string"}}"##,
            "/$ref",
        ),
        (
            r##"{"properties": {"a": {"$ref": "#/examples/0"}}, "examples": [true]}"##,
            "/properties/a/$ref",
        ),
        (
            r##"{"$ref": "#/definitions/a/default/items", "definitions": {"a": {"default": {"items": {}}}}}"##,
            "/$ref",
        ),
        (
            r##"{"$ref": "#/x", "x": {"items": {"$ref": "#/default"}}, "default": {}}"##,
            "/x/items/$ref",
        ),
    ] {
        match refused(schema) {
            DocumentError::Stripped { pointer, .. } => assert_eq!(pointer, wanted, "{schema}"),
            other => panic!("{schema}: {other}"),
        }
    }
    for schema in [
        r##"{"$ref": "#/properties/default", "properties": {"default": {"type": "string"}}}"##,
        r##"{"$ref": "#/x/default", "x": {"default": {"type": "string"}}}"##,
    ] {
        compiled(schema);
    }
}

#[test]
fn two_schemas_with_one_name_are_refused() {
    for (schema, wanted) in [
        (
            r#"{"$defs": {"a": {"$id": "x"}, "b": {"$id": "x"}}}"#,
            "/$defs/b/$id",
        ),
        (
            r#"{"$id": "http://a/b", "$defs": {"a": {"$id": "http://a/b"}}}"#,
            "/$defs/a/$id",
        ),
        (
            r#"{"$defs": {"a": {"$anchor": "x"}, "b": {"$dynamicAnchor": "x"}}}"#,
            "/$defs/b/$dynamicAnchor",
        ),
        (
            r##"{"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"$id": "#x"}, "b": {"$id": "#x"}}}"##,
            "/definitions/b/$id",
        ),
    ] {
        match refused(schema) {
            DocumentError::Twice { pointer, .. } => assert_eq!(pointer, wanted, "{schema}"),
            other => panic!("{schema}: {other}"),
        }
    }
    for schema in [
        r#"{"$id": "http://a/b", "$defs": {"a": {"$anchor": "x"}, "b": {"$id": "c", "$anchor": "x"}}}"#,
        r##"{"$schema": "http://json-schema.org/draft-07/schema#", "$id": "http://a/b#", "definitions": {"a": {"$id": "#x"}, "b": {"$id": "#y"}}}"##,
        r#"{"$anchor": "x", "$dynamicAnchor": "x"}"#,
    ] {
        compiled(schema);
    }
}

#[test]
fn another_dialect_inside_a_document_is_refused() {
    let schema = r#"{"properties": {"a": {"$id": "a", "$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": true}}}"#;
    match refused(schema) {
        DocumentError::OtherDialect { pointer } => assert_eq!(pointer, "/properties/a/$schema"),
        other => panic!("{other}"),
    }
    compiled(
        r#"{"$defs": {"a": {"$id": "a", "$schema": "https://json-schema.org/draft/2020-12/schema"}}}"#,
    );
}

#[test]
fn a_schema_that_breaks_its_meta_schema_is_refused_with_the_pointer() {
    for (schema, wanted) in [
        (
            r#"{"properties": {"id": {"type": "strin"}}}"#,
            "/properties/id/type",
        ),
        (r#"{"minLength": -1}"#, "/minLength"),
        (
            r#"{"$schema": "http://json-schema.org/draft-04/schema#", "required": []}"#,
            "/required",
        ),
        (
            r#"{"$schema": "http://json-schema.org/draft-07/schema#", "allOf": {}}"#,
            "/allOf",
        ),
    ] {
        match refused(schema) {
            DocumentError::Invalid { pointer, .. } => assert_eq!(pointer, wanted, "{schema}"),
            other => panic!("{schema}: {other}"),
        }
    }
}

#[test]
fn an_unknown_dialect_is_refused_with_the_pointer() {
    for (schema, wanted) in [
        (r#"{"$schema": "https://example.com/mine"}"#, "/$schema"),
        (
            r#"{"$schema": "http://json-schema.org/draft-03/schema#"}"#,
            "/$schema",
        ),
        (r#"{"$schema": 7}"#, "/$schema"),
        (
            r#"{"$defs": {"a": {"$id": "a", "$schema": "urn:mine"}}}"#,
            "/$defs/a/$schema",
        ),
    ] {
        match refused(schema) {
            DocumentError::UnknownDialect { pointer, .. } => {
                assert_eq!(pointer, wanted, "{schema}")
            }
            other => panic!("{schema}: {other}"),
        }
    }
}

#[test]
fn a_pattern_beyond_linear_time_is_refused_with_the_pointer() {
    for (schema, wanted) in [
        (
            r#"{"properties": {"a": {"pattern": "(?=x)y"}}}"#,
            "/properties/a/pattern",
        ),
        (
            r#"{"properties": {"a": {"pattern": "(a)\\1"}}}"#,
            "/properties/a/pattern",
        ),
        (
            r#"{"properties": {"a": {"pattern": "("}}}"#,
            "/properties/a/pattern",
        ),
        (
            r#"{"patternProperties": {"(?!x)y": {}}}"#,
            "/patternProperties/(?!x)y",
        ),
        (
            r#"{"pattern": "(((a{1,100}){1,100}){1,100}){1,100}"}"#,
            "/pattern",
        ),
    ] {
        for dialect in [
            "",
            r#""$schema": "http://json-schema.org/draft-07/schema#","#,
        ] {
            let schema = schema.replacen('{', &format!("{{{dialect}"), 1);
            match refused(&schema) {
                DocumentError::Pattern { pointer, .. } => assert_eq!(pointer, wanted, "{schema}"),
                other => panic!("{schema}: {other:?}"),
            }
        }
    }
}

/// `count` schemas in `$defs`, each by `link` on to the next.
fn chain(count: usize, link: impl Fn(String) -> String) -> String {
    let mut links: Vec<String> = (0..count)
        .map(|at| format!(r#""d{at}": {}"#, link(format!("#/$defs/d{}", at + 1))))
        .collect();
    links.push(format!(r#""d{count}": {{"type": "string"}}"#));
    format!(
        r##"{{"$ref": "#/$defs/d0", "$defs": {{{}}}}}"##,
        links.join(",")
    )
}

#[test]
fn a_schema_that_never_finishes_with_a_value_is_refused() {
    for (schema, pointer) in [
        (r##"{"$ref": "#"}"##.to_owned(), "at the root"),
        (
            r##"{"properties": {"a": {"anyOf": [{"type": "null"}, {"$ref": "#/properties/a"}]}}}"##
                .to_owned(),
            "/properties/a",
        ),
        (
            chain(300, |next| format!(r#"{{"$ref": "{next}"}}"#)),
            "/$defs/d",
        ),
        (
            chain(150, |next| {
                format!(r#"{{"allOf": [{{"$ref": "{next}"}}]}}"#)
            }),
            "/$defs/d",
        ),
    ] {
        match refused(&schema) {
            error @ DocumentError::Endless { .. } => {
                assert!(error.to_string().starts_with(pointer), "{error}");
            }
            other => panic!("{schema}: {other}"),
        }
    }
}

#[test]
fn the_deepest_data_under_the_longest_chain_overflows_no_stack() {
    // Each level of the data takes 198 steps; the stack is that of a tokio worker.
    let mut schema = chain(65, |next| {
        format!(
            r#"{{"anyOf": [false, {{"oneOf": [{{"$ref": "{next}"}}, false]}}], "unevaluatedProperties": false}}"#
        )
    });
    schema = schema.replace(
        r#"{"type": "string"}"#,
        r##"{"type": ["array", "null"], "items": {"$ref": "#"}}"##,
    );
    let nested = |inner: &str| "[".repeat(MAX_DATA_LEVELS) + inner + &"]".repeat(MAX_DATA_LEVELS);
    let worker = move || {
        let validator = compiled(&schema);
        validator.validate(nested("null").as_bytes()).unwrap();
        assert!(validator.validate(nested("1").as_bytes()).is_err());
    };
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(worker)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn a_long_chain_through_the_data_compiles() {
    let schema = chain(3000, |next| format!(r#"{{"items": {{"$ref": "{next}"}}}}"#));
    let validator = compiled(&schema);
    validator.validate(b"[[[]]]").unwrap();
}

#[test]
fn a_reference_into_an_unusual_place_is_followed_from_there() {
    compiled(
        r##"{"$ref": "#/components/a", "components": {"a": {"$ref": "#/components/b"}, "b": true}}"##,
    );
    match refused(
        r##"{"$ref": "#/components/a", "components": {"a": {"items": {"$ref": "#/components/none"}}}}"##,
    ) {
        DocumentError::Reference { pointer, .. } => assert_eq!(pointer, "/components/a/items/$ref"),
        other => panic!("{other}"),
    }
}

#[test]
fn an_expression_outside_the_dialect_is_refused_with_the_engines_reason() {
    for (expression, reason) in [
        ("(?P<x>a)", "not ECMA-262"),
        ("(?i)A", "flags"),
        ("(?i:a)", "flags"),
        (r"a\\z", "not ECMA-262"),
        (r"\\<a", "without a backslash"),
        ("x{,3}", "repetition quantifier"),
        ("^{a}$", "repetition"),
        ("a**", "not ECMA-262"),
        ("[^]", "a class is empty"),
        ("[]|[x]", "a class is empty"),
        ("(?=a)", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a)\\1", "backreference"),
        ("(", "unclosed group"),
        (
            "(((a{1,100}){1,100}){1,100}){1,100}",
            "more than 50000 steps",
        ),
    ] {
        // Where no value ever comes, too.
        let schema = format!(r#"{{"$defs": {{"q": {{"pattern": "{expression}"}}}}}}"#);
        match refused(&schema) {
            DocumentError::Pattern {
                pointer, message, ..
            } => {
                assert_eq!(pointer, "/$defs/q/pattern", "{schema}");
                assert!(message.contains(reason), "{schema}: {message}");
            }
            other => panic!("{schema}: {other:?}"),
        }
    }
}

const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

/// Names as generators write them.
const NAMES: [&str; 18] = [
    "Page<Reading>",
    "Meter Reading",
    "Page[Reading]",
    "A|B",
    "Map«string»",
    "Zähler",
    "100%",
    "a%20b",
    "x~y",
    "x~0y",
    "x~1y",
    "a/b",
    "say \"x\"",
    "back\\slash",
    "{brace}^`",
    "a#b",
    "漢字",
    "a?b=c&d",
];

#[test]
fn a_reference_finds_every_name_written_plainly_or_encoded_in_every_draft() {
    use serde_json::json;
    for draft in DRAFTS {
        for name in NAMES {
            let segment = name.replace('~', "~0").replace('/', "~1");
            let encoded: String = segment
                .bytes()
                .map(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                    other => format!("%{other:02x}"),
                })
                .collect();
            // A `%` that two hexadecimal digits follow is an escape, as RFC 6901 says.
            let plain = segment.replace("%20", "%2520");
            for fragment in [plain, encoded] {
                let document = json!({
                    "$schema": draft,
                    "properties": {"a": {"$ref": format!("#/definitions/{fragment}")}},
                    "definitions": {name: {"type": "integer"}},
                    "enum": [{"a": 1, "$ref": "#/a b"}, {"a": "x"}, {"a": 1}],
                });
                let validator = compiled(&document.to_string());
                validator.validate(br#"{"a":1}"#).unwrap();
                validator.validate(br##"{"a":1,"$ref":"#/a b"}"##).unwrap();
                assert!(validator.validate(br#"{"a":"x"}"#).is_err(), "{document}");
            }
        }
    }
}

#[test]
fn a_dynamic_reference_and_one_in_an_unusual_place_find_odd_names_too() {
    for schema in [
        r##"{"properties": {"a": {"$dynamicRef": "#/$defs/Page<X>"}}, "$defs": {"Page<X>": {"type": "integer"}}}"##,
        r##"{"properties": {"a": {"$ref": "#/components/A<B>"}}, "components": {"A<B>": {"$ref": "#/components/C<D>"}, "C<D>": {"type": "integer"}}}"##,
        r##"{"$id": "my schema", "properties": {"a": {"$ref": "my schema#/$defs/Page<X>"}}, "$defs": {"Page<X>": {"type": "integer"}}}"##,
        r##"{"properties": {"a": {"$ref": "Zähler d.json#/$defs/ö"}}, "$defs": {"d": {"$id": "Zähler d.json", "$defs": {"ö": {"type": "integer"}}}}}"##,
    ] {
        let validator = compiled(schema);
        validator.validate(br#"{"a":1}"#).unwrap();
        assert!(validator.validate(br#"{"a":"x"}"#).is_err(), "{schema}");
    }
    for schema in [
        r##"{"items": {"$ref": "#/$defs/Page<X>"}, "$defs": {"Page<Y>": {}}}"##,
        r##"{"items": {"$ref": "#/$defs/%FF"}, "$defs": {"%FF": {}}}"##,
    ] {
        match refused(schema) {
            DocumentError::Reference { pointer, .. } => assert_eq!(pointer, "/items/$ref"),
            other => panic!("{schema}: {other}"),
        }
    }
}

#[test]
fn the_meta_schemas_of_the_five_drafts_are_known() {
    for draft in DRAFTS {
        for target in DRAFTS {
            let validator = compiled(
                &serde_json::json!({"$schema": draft, "properties": {"s": {"$ref": target}}})
                    .to_string(),
            );
            validator
                .validate(br#"{"s":{"type":"string","minLength":1}}"#)
                .unwrap();
            assert!(
                validator.validate(br#"{"s":{"type":"strin"}}"#).is_err(),
                "{draft} {target}"
            );
        }
    }
    compiled(r#"{"$ref": "https://json-schema.org/draft/2020-12/meta/validation"}"#);
    compiled(
        r##"{"$ref": "http://json-schema.org/draft-07/schema#/definitions/nonNegativeInteger"}"##,
    );
}

#[test]
fn a_document_may_embed_what_it_refers_to_in_its_own_dialect() {
    use referencing::meta;
    for (draft, embedded) in [
        (4, &meta::DRAFT4),
        (6, &meta::DRAFT6),
        (7, &meta::DRAFT7),
        (2019, &meta::DRAFT201909),
        (2020, &meta::DRAFT202012),
    ] {
        for outer in DRAFTS {
            let document = serde_json::json!({
                "$schema": outer,
                "properties": {"s": {"$ref": embedded[if draft == 4 { "id" } else { "$id" }]}},
                "definitions": {"meta": ***embedded},
            });
            let validator = compiled(&document.to_string());
            validator.validate(br#"{"s":{"type":"string"}}"#).unwrap();
            assert!(
                validator.validate(br#"{"s":{"type":"strin"}}"#).is_err(),
                "{draft} in {outer}"
            );
        }
        // A meta-schema is a schema like any other.
        let validator = compiled(&embedded.to_string());
        validator.validate(br#"{"not":{"type":"string"}}"#).unwrap();
        let wrong = validator.validate(br#"{"not":{"type":"strin"}}"#);
        assert!(wrong.is_err(), "{draft}");
    }
    let mixed = r##"{"properties": {"a": {"$ref": "old"}}, "$defs": {"x":
        {"id": "old", "$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": true}}}"##;
    let validator = compiled(mixed);
    validator.validate(br#"{"a":2}"#).unwrap();
    assert!(validator.validate(br#"{"a":3}"#).is_err());
    match refused(&mixed.replace("true", "3")) {
        DocumentError::Invalid { pointer, .. } => {
            assert_eq!(pointer, "/$defs/x/exclusiveMaximum");
        }
        other => panic!("{other}"),
    }
}
