//! Laws of the parser: it agrees with serde_json, and refuses what two readers could read differently.

use proptest::prelude::*;

use super::{Node, brief, parse};

/// As serde_json's value, by way of the adapters' own conversion.
fn read(text: &str) -> Option<serde_json::Value> {
    let node = parse(text.as_bytes(), 127).ok()?;
    Some(crate::represent::value_of(&node))
}

#[test]
fn texts_that_are_no_json_are_refused_at_their_first_mistake() {
    for (text, at) in [
        ("", 0),
        (" ", 1),
        ("{", 1),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("{\"a\"}", 4),
        ("{\"a\":1,}", 7),
        ("{a:1}", 1),
        ("01", 1),
        ("-", 1),
        ("1.", 2),
        ("1e", 2),
        (".5", 0),
        ("+1", 0),
        ("nul", 3),
        ("NaN", 0),
        ("\"a", 2),
        ("\"\u{1}\"", 1),
        ("\"12345678\n\"", 9),
        ("\"\\x\"", 2),
        ("\"\\u12g4\"", 5),
        ("\"\\ud800\"", 1),
        ("\"\\ud800\\u0041\"", 1),
        ("\"\\udc00\"", 1),
        ("[1e999]", 1),
        ("{} x", 3),
        ("'a'", 0),
        ("[1] // no comments", 4),
    ] {
        assert_eq!(parse(text.as_bytes(), 127).unwrap_err().at, at, "{text:?}");
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err());
    }
}

#[test]
fn strings_stop_at_the_first_byte_that_needs_care() {
    for length in 0..40 {
        let plain = "é".repeat(length);
        for end in ["\\n", "\\\"", "\\\\", "\\ud83d\\ude00", "\u{7f}", "\u{80}"] {
            let text = format!("\"{plain}{end}{plain}\"");
            assert_eq!(read(&text), serde_json::from_str(&text).ok(), "{text}");
        }
    }
}

#[test]
fn a_pointer_finds_its_value() {
    let node = parse(br#"{"a/b":[{"~":1}]}"#, 9).unwrap();
    assert!(matches!(node.at("/a~1b/0/~0"), Some(Node::Number(_))));
    assert!(matches!(node.at(""), Some(Node::Object(_))));
    assert!(node.at("/a~1b/1").is_none());
}

#[test]
fn a_value_in_brief_is_bounded() {
    let text = format!("[{}]", vec!["\"ä\\n\""; 1000].join(","));
    let node = parse(text.as_bytes(), 9).unwrap();
    let shown = brief(&node, 50);
    assert!(
        shown.starts_with(r#"["ä\n","ä\n""#) && shown.ends_with('…'),
        "{shown}"
    );
    assert!(shown.len() <= 53);
}

pub(crate) fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(".{0,6}", inner, 0..24)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_alike(value in json(), pretty: bool) {
        let text = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        prop_assert_eq!(read(&text), serde_json::from_str(&text).ok());
    }

    #[test]
    fn any_text_is_read_as_serde_json_reads_it_or_has_a_duplicate_key(text in "[\\[\\]{}\":, \\\\u0-9eE.+a-fntrls\\-]{0,24}") {
        let ours = parse(text.as_bytes(), 127);
        let theirs = serde_json::from_str::<serde_json::Value>(&text).ok();
        match ours {
            Ok(node) => prop_assert_eq!(Some(crate::represent::value_of(&node)), theirs),
            Err(malformed) if malformed.message.contains("stands twice") => {}
            Err(_) => prop_assert_eq!(theirs, None),
        }
    }

    #[test]
    fn any_bytes_end_in_a_value_or_a_refusal_inside_them(bytes: Vec<u8>) {
        if let Err(malformed) = parse(&bytes, 127) {
            prop_assert!(malformed.at <= bytes.len());
        }
    }
}
