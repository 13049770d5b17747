//! Laws of the envelope.

use proptest::prelude::*;

use super::*;
use crate::json::{MAX_DATA_DEPTH, MAX_DEPTH};

fn refusal(value: &[u8]) -> (&'static str, Option<usize>) {
    let e = Envelope::read(value).unwrap_err();
    (e.class(), e.at())
}

fn order() -> SchemaId {
    "Order:1".parse().unwrap()
}

#[test]
fn members_come_in_any_order_and_unknown_ones_are_ignored() {
    let value = br#" { "x" : [{}] , "data" : {"a":[1,2.50]} , "schema" : "A:1" } "#;
    let envelope = Envelope::read(value).unwrap();
    assert_eq!(envelope.schema, "A:1");
    assert_eq!(envelope.data, br#"{"a":[1,2.50]}"#);
    assert_eq!(envelope.name_and_version(), Ok(("A", 1)));
}

#[test]
fn an_escaped_schema_id_is_the_same_id() {
    let value = br#"{"schema":"\u0041:1","data":null}"#;
    let envelope = Envelope::read(value).unwrap();
    assert_eq!(envelope.schema_id().unwrap(), "A:1".parse().unwrap());
    assert_eq!(envelope.data, b"null");
}

#[test]
fn every_refusal_says_what_and_where() {
    assert_eq!(Envelope::of(None).unwrap_err(), EnvelopeError::Null);
    for (value, class, at) in [
        (&b""[..], "empty", Some(0)),
        (b" \n", "empty", Some(0)),
        (b"\xef\xbb\xbf{}", "bom", Some(0)),
        (b"{\"schema\":\"A:1\",\"data\":\"\xff\"}", "utf-8", Some(24)),
        (b"[1]", "not-an-object", Some(0)),
        (b"null", "not-an-object", Some(0)),
        (b" {\"schema\":1}", "wrong-type", Some(11)),
        (b"{\"schema\":null,\"data\":1}", "wrong-type", Some(10)),
        (b"{\"schema\":\"A\",\"data\":1}", "schema-id", Some(10)),
        (b"{\"schema\":\"A:01\",\"data\":1}", "schema-id", Some(10)),
        (b"{\"data\":1}", "missing-member", None),
        (b"{\"schema\":\"A:1\"}", "missing-member", None),
        (
            b"{\"schema\":\"A:1\",\"data\":1,\"data\":2}",
            "duplicate-member",
            Some(25),
        ),
        (
            b"{\"x\":1,\"x\":2,\"schema\":1}",
            "duplicate-member",
            Some(7),
        ),
        (b"{\"schema\":\"A:1\",\"data\":1}}", "trailing", Some(25)),
        (b"{\"schema\":\"A:1\",\"data\":1", "syntax", Some(24)),
        (b"{\"schema\":\"\\ud800\",\"data\":1}", "syntax", Some(10)),
    ] {
        assert_eq!(
            refusal(value),
            (class, at),
            "{}",
            String::from_utf8_lossy(value)
        );
    }
}

#[test]
fn the_message_names_pointer_byte_and_remedy() {
    let text = |value: &[u8]| Envelope::read(value).unwrap_err().to_string();
    assert_eq!(
        text(br#"{"schema":7,"data":1}"#),
        r#"no envelope: /schema is a number at byte 10, not a string such as "Name:1""#
    );
    assert_eq!(
        text(br#"{"schema":"Order","data":1}"#),
        r#"no envelope: /schema at byte 10: schema id "Order" has no version; write it as `Name:1`"#
    );
}

#[test]
fn both_paths_stop_at_the_same_depth() {
    let prefix = EnvelopePrefix::new(&order());
    for levels in [MAX_DATA_DEPTH, MAX_DEPTH] {
        let data = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let value = Envelope::write(&order(), data.as_bytes());
        let taken = levels <= MAX_DATA_DEPTH;
        assert_eq!(prefix.strip(&value).is_some(), taken);
        assert_eq!(Envelope::read(&value).is_ok(), taken);
    }
    let ignored = format!(
        r#"{{"schema":"Order:1","data":1,"x":{}{}}}"#,
        "[".repeat(127),
        "]".repeat(127)
    );
    assert_eq!(refusal(ignored.as_bytes()).0, "too-deep");
}

#[test]
fn the_fast_path_never_hands_out_what_is_not_utf_8() {
    let prefix = EnvelopePrefix::new(&order());
    let value = Envelope::write(&order(), b"{\"a\":\"\xff\"}");
    assert_eq!(prefix.strip(&value), None);
    assert_eq!(prefix.strip(br#"{"schema":"Order:10","data":1}"#), None);
}

#[test]
fn what_follows_the_data_is_left_to_the_decoder_and_then_to_the_slow_path() {
    let prefix = EnvelopePrefix::new(&order());
    let value = br#"{"schema":"Order:1","data":{"a":1},"data":{"a":2}}"#;
    let slice = prefix.strip(value).unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(slice).is_err());
    assert_eq!(refusal(value).0, "duplicate-member");
}

proptest! {
    #[test]
    fn what_was_written_is_read_byte_for_byte(
        name in "[A-Za-z0-9._-]{1,20}", version in 1_u32..=i32::MAX as u32, text in ".{0,40}", number in any::<f64>(), space in "[ \n\t\r]{0,2}"
    ) {
        let id: SchemaId = format!("{name}:{version}").parse().unwrap();
        let data = serde_json::to_string(&serde_json::json!({"t": text, "n": [number]})).unwrap();
        let value = Envelope::write(&id, format!("{space}{data}{space}").as_bytes());
        let envelope = Envelope::read(&value).unwrap();
        prop_assert_eq!(envelope.schema_id().unwrap(), id.clone());
        prop_assert_eq!(envelope.data, data.as_bytes());
        let bare = space.is_empty().then_some(data.as_bytes());
        prop_assert_eq!(EnvelopePrefix::new(&id).strip(&value), bare);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(value in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Envelope::read(&value);
    }
}
