//! Laws over generated schemas, data and logs.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafkaesk_core::SchemaName;
use kafkaesk_schema::{Document, LogRecord, SchemaLog, Validator};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

/// Data from a small world, so that schemas often fit it and often do not.
fn data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        (-3..4_i64).prop_map(Into::into),
        Just(json!(1.5)),
        select(vec!["", "a", "title", "default"]).prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            vec((member_name(), inner), 0..4)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// Names of data that are also names of annotations: the ones that a careless stripper would lose.
fn member_name() -> impl Strategy<Value = String> {
    select(vec!["a", "title", "default", "examples", "properties"]).prop_map(str::to_owned)
}

fn annotation() -> impl Strategy<Value = (String, Value)> {
    prop_oneof![
        select(vec!["title", "description", "$comment"])
            .prop_map(|key| (key.to_owned(), json!("x"))),
        data().prop_map(|value| ("default".to_owned(), value)),
        vec(data(), 0..2).prop_map(|values| ("examples".to_owned(), values.into())),
        select(vec!["deprecated", "readOnly", "writeOnly"])
            .prop_map(|key| (key.to_owned(), json!(true))),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Into::into),
        select(vec![
            "null", "boolean", "integer", "number", "string", "array", "object"
        ])
        .prop_map(|kind| json!({ "type": kind })),
        (-3..4_i64).prop_map(|limit| json!({ "minimum": limit })),
        data().prop_map(|value| json!({ "const": value })),
        vec(data(), 1..3).prop_map(|values| json!({ "enum": values })),
        vec(member_name(), 0..3).prop_map(|mut names| {
            names.sort();
            names.dedup();
            json!({ "required": names })
        }),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let named = vec((member_name(), inner.clone()), 0..3)
            .prop_map(|members| members.into_iter().collect::<Map<_, _>>())
            .boxed();
        let several = vec(inner.clone(), 1..3);
        let keyword = prop_oneof![
            named
                .clone()
                .prop_map(|map| ("properties".to_owned(), map.into())),
            named
                .clone()
                .prop_map(|map| ("dependentSchemas".to_owned(), map.into())),
            named.prop_map(|map| ("$defs".to_owned(), map.into())),
            (
                select(vec![
                    "additionalProperties",
                    "items",
                    "contains",
                    "not",
                    "if",
                    "then",
                    "else",
                    "propertyNames",
                    "unevaluatedProperties",
                    "unevaluatedItems",
                ]),
                inner
            )
                .prop_map(|(key, schema)| (key.to_owned(), schema)),
            (
                select(vec!["allOf", "anyOf", "oneOf", "prefixItems"]),
                several
            )
                .prop_map(|(key, schemas)| (key.to_owned(), schemas.into())),
            data().prop_map(|value| ("const".to_owned(), value)),
        ];
        (vec(keyword, 0..4), vec(annotation(), 0..3)).prop_map(|(keywords, annotations)| {
            keywords
                .into_iter()
                .chain(annotations)
                .collect::<Map<_, _>>()
                .into()
        })
    })
}

fn document(text: String) -> Document {
    Document::parse(text).unwrap()
}

/// The same value with its members in reverse and spaces wherever JSON lets them stand.
fn rewritten(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(rewritten).collect();
            format!("[ {}\n]", items.join(" ,\t"))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .rev()
                .map(|(key, value)| {
                    let escaped: String = key
                        .encode_utf16()
                        .map(|unit| format!("\\u{unit:04X}"))
                        .collect();
                    format!("\"{escaped}\" :\r\n{}", rewritten(value))
                })
                .collect();
            format!(" {{{}  }}", members.join(" , "))
        }
        Value::Number(number) if number.is_i64() => format!("{number}.0e+0"),
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn the_canonical_form_is_its_own_canonical_form(schema in schema()) {
        let once = document(schema.to_string());
        let twice = document(once.canonical());
        prop_assert_eq!(once.canonical(), twice.canonical());
        prop_assert_eq!(once.identity(), twice.identity());
    }

    #[test]
    fn formatting_never_changes_the_identity(schema in schema()) {
        let (plain, other) = (document(schema.to_string()), document(rewritten(&schema)));
        prop_assert_eq!(plain.identity(), other.identity());
        prop_assert_eq!(plain.diff(&other), "");
    }

    #[test]
    fn stripping_annotations_never_changes_a_verdict(schema in schema(), data in vec(data(), 8)) {
        let original = document(schema.to_string());
        let stripped = document(original.canonical());
        let (original, stripped) =
            (Validator::new(&original).unwrap(), Validator::new(&stripped).unwrap());
        for value in data {
            let bytes = value.to_string().into_bytes();
            prop_assert_eq!(
                original.validate(&bytes).is_ok(),
                stripped.validate(&bytes).is_ok(),
                "{}", value
            );
        }
    }

    #[test]
    fn the_borrowed_tree_is_judged_as_serde_jsons_value(schema in schema(), data in vec(data(), 8)) {
        let ours = Validator::new(&document(schema.to_string())).unwrap();
        let theirs = jsonschema::validator_for(&schema).unwrap();
        for value in data {
            let verdict = ours.validate(value.to_string().as_bytes());
            prop_assert_eq!(verdict.is_ok(), theirs.is_valid(&value), "{}", value);
        }
    }

    #[test]
    fn a_difference_is_empty_exactly_between_equals(a in schema(), b in schema()) {
        let (a, b) = (document(a.to_string()), document(b.to_string()));
        prop_assert_eq!(a.diff(&b).is_empty(), a.same_as(&b));
        prop_assert_eq!(a.same_as(&b), a.identity() == b.identity());
    }

    #[test]
    fn a_replayed_log_is_what_the_rules_say(
        records in vec((0..5_usize, 0..5_usize), 0..30)
    ) {
        let keys = [None, Some("1"), Some("2"), Some("02"), Some("x")];
        let values = [None, Some("{}"), Some("true"), Some("[]"), Some("{\"a\":1,\"a\":1}")];
        let mut log = SchemaLog::new(SchemaName::new("Order").unwrap());
        // The rules once more, as naively as can be: all records of a version side by side.
        let mut told: BTreeMap<u32, Vec<(i64, Option<&str>)>> = BTreeMap::new();
        for (offset, (key, value)) in records.iter().enumerate() {
            let (key, value) = (keys[*key], values[*value]);
            let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
            log.apply(&LogRecord {
                offset: offset as i64,
                key: key.map(bytes),
                value: value.map(bytes),
            });
            let version = match key {
                Some("1") => 1,
                Some("2") => 2,
                _ => continue,
            };
            if matches!(value, None | Some("{}" | "true")) {
                told.entry(version).or_default().push((offset as i64, value));
            }
        }
        let wanted: Vec<(u32, i64, String, bool)> = told
            .iter()
            .filter_map(|(version, records)| {
                let first = records.iter().position(|(_, value)| value.is_some())?;
                let withdrawn = records[first..].iter().any(|(_, value)| value.is_none());
                let (offset, value) = records[first];
                Some((*version, offset, value?.to_owned(), withdrawn))
            })
            .collect();
        let found: Vec<(u32, i64, String, bool)> = log
            .versions
            .iter()
            .map(|(number, version)| {
                let text = String::from_utf8(version.document.bytes().to_vec()).unwrap();
                (*number, version.offset, text, version.withdrawn)
            })
            .collect();
        let changes: usize = found.iter().map(|(_, _, _, withdrawn)| 1 + usize::from(*withdrawn)).sum();
        prop_assert_eq!(found, wanted);
        prop_assert_eq!(log.ignored.len(), records.len() - changes);
    }
}
