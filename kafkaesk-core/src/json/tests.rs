//! Laws of the lexer and the object walk, with serde_json as the model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn members(bytes: &[u8]) -> Result<Vec<(String, String)>, JsonError> {
    let mut object = Object::open(bytes)?;
    let mut all = Vec::new();
    while let Some(member) = object.next()? {
        all.push((member.name.into_owned(), member.value.to_owned()));
    }
    Ok(all)
}

fn nested(levels: usize) -> String {
    format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn a_refusal_points_at_the_first_byte_that_cannot_stand_there() {
    for (text, at) in [
        (r#"{"a":1"#, 6),
        (r#"{"a":01}"#, 6),
        (r#"{"a":1.}"#, 7),
        (r#"{"a":-}"#, 6),
        (r#"{"a":1e+}"#, 8),
        (r#"{"a":tru1}"#, 8),
        (r#"{"a":"\x"}"#, 7),
        (r#"{"a":"\u00g0"}"#, 10),
        ("{\"a\":\"\n\"}", 6),
        (r#"{"a":[1,]}"#, 8),
        (r#"{"a":[1}"#, 7),
        (r#"{"a":{"b"}}"#, 9),
        (r#"{"a":1,}"#, 7),
        (r#"{,}"#, 1),
        (r#"{"a" 1}"#, 5),
        (r#"{"a":1;"#, 6),
    ] {
        match members(text.as_bytes()) {
            Err(JsonError::Syntax { at: found, .. }) => assert_eq!(found, at, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn the_depth_bound_is_the_same_as_serde_jsons() {
    for levels in [125, 126, 127, 128] {
        let text = nested(levels);
        let ours = members(text.as_bytes());
        assert_eq!(
            ours.is_ok(),
            serde_json::from_str::<serde_json::Value>(&text).is_ok(),
            "{levels}"
        );
        assert_eq!(ours.is_ok(), levels <= MAX_DATA_DEPTH);
    }
    assert_eq!(
        members(nested(127).as_bytes()),
        Err(JsonError::TooDeep { at: 5 + 126 })
    );
}

#[test]
fn brackets_in_strings_are_no_levels() {
    let text = format!(r#"{{"a":"{}\"["}}"#, "[{".repeat(200));
    assert!(depth_within(text.as_bytes(), 1));
    assert!(members(text.as_bytes()).is_ok());
    assert!(!depth_within(nested(126).as_bytes(), 126));
    assert!(depth_within(nested(125).as_bytes(), 126));
}

#[test]
fn names_are_compared_unescaped() {
    assert_eq!(
        members(br#"{"data":1,"d\u0061ta":2}"#),
        Err(JsonError::Duplicate {
            name: "data".into(),
            at: 10
        })
    );
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map(".{0,4}", inner, 0..5)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_serde_json_writes_is_read_back_member_by_member(
        object in prop::collection::btree_map(".{0,6}", json(), 0..6), pretty in any::<bool>()
    ) {
        let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
        let read = members(text.as_bytes()).unwrap();
        prop_assert_eq!(read.len(), object.len());
        for (name, value) in read {
            let value: serde_json::Value = serde_json::from_str(&value).unwrap();
            let model: serde_json::Value = serde_json::from_str(&object[&name].to_string()).unwrap();
            prop_assert_eq!(value, model);
        }
    }

    #[test]
    fn what_serde_json_refuses_is_refused_and_nothing_else(
        object in prop::collection::btree_map("[a-c]", json(), 1..4),
        at in any::<prop::sample::Index>(), byte in prop::sample::select(b"{}[],:\"\\0189.eE+-tfnul \n\t\x01ab".to_vec()),
        insert in any::<bool>(),
    ) {
        let mut bytes = serde_json::to_vec(&object).unwrap();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        // serde_json skips ignored strings without looking for UTF-8; the contract does not.
        let text = std::str::from_utf8(&bytes).map_err(|_| ());
        let model = text.and_then(|t| serde_json::from_str::<BTreeMap<String, IgnoredAny>>(t).map_err(|_| ()));
        match members(&bytes) {
            Ok(_) => prop_assert!(model.is_ok(), "{:?}", String::from_utf8_lossy(&bytes)),
            Err(JsonError::Duplicate { .. }) => {}
            Err(e) => prop_assert!(model.is_err(), "{e}: {:?}", String::from_utf8_lossy(&bytes)),
        }
    }

    #[test]
    fn the_quick_count_never_passes_what_is_too_deep(value in json(), limit in 0_usize..6) {
        fn depth(value: &serde_json::Value) -> usize {
            match value {
                serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
                serde_json::Value::Object(items) => 1 + items.values().map(depth).max().unwrap_or(0),
                _ => 0,
            }
        }
        prop_assert_eq!(depth_within(value.to_string().as_bytes(), limit), depth(&value) <= limit);
    }
}
