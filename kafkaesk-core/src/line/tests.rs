//! Laws of the line.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{Envelope, Offset, Record, Source, TopicName};

fn record(value: Option<&[u8]>) -> Record {
    Record {
        source: Arc::new(Source {
            topic: TopicName::new("shop.orders.placed").unwrap(),
            stream: StreamId::new("orders.placed").unwrap(),
            partition: 3,
        }),
        offset: Offset(0),
        timestamp: Some(1_795_514_400_123),
        key: Some("user-7".into()),
        headers: Headers::new(),
        value: value.map(Bytes::copy_from_slice),
        unreadable: None,
    }
}

fn text(record: &Record) -> String {
    let mut out = Vec::new();
    write(&mut out, record, None);
    String::from_utf8(out).unwrap()
}

fn refusal(line: &str) -> (String, Option<usize>) {
    let e = Line::read(line.as_bytes(), Timestamps::Keep).unwrap_err();
    (e.class().to_owned(), e.at())
}

#[test]
fn the_line_is_the_one_of_the_documents() {
    let mut record = record(Some(br#"{"schema":"Order:1","data":{"id":1}}"#));
    record.headers.push("source", Some("import".into()));
    assert_eq!(
        text(&record),
        r#"{"stream":"orders.placed","schema":"Order:1","key":"user-7","headers":{"source":"import"},"data":{"id":1},"partition":3,"offset":0,"timestamp":"2026-11-24T10:00:00.123Z"}"#
    );
    let mut out = Vec::new();
    let delivery = Delivery {
        group: "billing",
        attempt: 2,
        delivery: Some("d-1"),
    };
    write(&mut out, &record, Some(delivery));
    assert!(out.ends_with(br#""timestamp":"2026-11-24T10:00:00.123Z","group":"billing","attempt":2,"delivery":"d-1"}"#));
    assert!(Line::read(&out, Timestamps::Ignore).is_ok());
}

#[test]
fn a_record_that_is_no_envelope_is_shown_and_cannot_be_published() {
    let line = text(&record(Some(b"\xff")));
    assert!(line.contains(
        r#""value":{"base64":"/w=="},"error":"no envelope: the text is not UTF-8 at byte 0""#
    ));
    assert_eq!(
        refusal(&line),
        ("not-an-event".into(), line.find("\"value\""))
    );
}

#[test]
fn a_null_value_is_written_and_read_as_a_tombstone() {
    let line = text(&record(None));
    assert_eq!(
        line,
        r#"{"stream":"orders.placed","key":"user-7","tombstone":true,"partition":3,"offset":0,"timestamp":"2026-11-24T10:00:00.123Z"}"#
    );
    let read = Line::read(line.as_bytes(), Timestamps::Ignore).unwrap();
    assert_eq!(read.content, Content::Tombstone);
    assert_eq!(read.key.as_deref(), Some(&b"user-7"[..]));
}

#[test]
fn data_that_is_null_is_an_ordinary_event() {
    let line = text(&record(Some(br#"{"schema":"Order:1","data":null}"#)));
    let read = Line::read(line.as_bytes(), Timestamps::Ignore).unwrap();
    assert!(matches!(read.content, Content::Event { data: b"null", .. }));
}

#[test]
fn a_line_with_a_null_value_is_refused_with_the_way_to_write_a_tombstone() {
    let line = br#"{"stream":"s","key":"k","value":null}"#;
    let error = Line::read(line, Timestamps::Ignore).unwrap_err();
    assert_eq!((error.class(), error.at()), ("not-an-event", Some(24)));
    assert!(error.to_string().contains(r#""tombstone":true"#), "{error}");
}

#[test]
fn line_breaks_in_data_become_spaces_and_nothing_else_changes() {
    let mut record = record(Some(
        b"{\"schema\":\"Order:1\",\"data\":{\r\n\t\"a\":\"\\n\" ,\n\"b\":1.00}}",
    ));
    record.timestamp = Some(-1);
    let line = text(&record);
    assert!(
        line.contains("\"data\":{  \t\"a\":\"\\n\" , \"b\":1.00},"),
        "{line}"
    );
    assert!(!line.contains('\n') && !line.contains("timestamp"));
}

#[test]
fn a_misspelt_member_is_named_with_the_nearest() {
    let line = r#"{"stream":"a","schema":"A:1","kye":"k","data":1}"#;
    assert_eq!(
        Line::read(line.as_bytes(), Timestamps::Ignore)
            .unwrap_err()
            .to_string(),
        "member \"kye\" at byte 29 is not known; did you mean `key`?"
    );
}

#[test]
fn a_timestamp_is_looked_at_only_when_it_is_kept() {
    let line = br#"{"stream":"a","schema":"A:1","data":1,"timestamp":"yesterday"}"#;
    assert_eq!(
        Line::read(line, Timestamps::Ignore).unwrap().timestamp,
        None
    );
    let error = Line::read(line, Timestamps::Keep).unwrap_err();
    assert_eq!((error.class(), error.at()), ("timestamp", Some(50)));
}

#[test]
fn a_header_error_has_its_place_in_the_line() {
    let line = r#"{"stream":"a","schema":"A:1","data":1,"headers":{"x":["a",7]}}"#;
    assert_eq!(
        Line::read(line.as_bytes(), Timestamps::Ignore)
            .unwrap_err()
            .to_string(),
        r#"/headers/x/1 at byte 58 is a number; a string, {"base64": "…"} or null was expected"#
    );
    let line = r#"{"stream":"a","headers":{"x":1,"x":2}}"#;
    assert_eq!(refusal(line), ("wrong-type".into(), Some(29)));
    let line = r#"{"stream":"a","headers":{"x":"1","x":"2"}}"#;
    assert_eq!(refusal(line), ("duplicate-member".into(), Some(33)));
}

fn value() -> impl Strategy<Value = Option<Bytes>> {
    prop_oneof![
        Just(None),
        ".{0,6}".prop_map(|s| Some(Bytes::from(s))),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(|b| Some(Bytes::from(b))),
    ]
}

/// Per name, what its headers hold, in order: all that a JSON object can keep.
fn by_name(headers: &Headers) -> std::collections::BTreeMap<&str, Vec<Option<&Bytes>>> {
    let mut all = std::collections::BTreeMap::<_, Vec<_>>::new();
    for (name, value) in headers.iter() {
        all.entry(name).or_default().push(value);
    }
    all
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(
        key in value(), headers in prop::collection::vec(("[a-cé/]{0,2}", value()), 0..6), id in prop::option::of(".{0,5}"),
        timestamp in 0..=crate::timestamp::MAX_MILLIS, data in "[ \n]{0,2}(\"[a-zé ]{0,5}\"|1\\.[0-9]{1,20}|\\[[ \r\n]*\\])[ \n]{0,2}"
    ) {
        let schema = "Order:1".parse().unwrap();
        let mut record = record(Some(&Envelope::write(&schema, data.as_bytes())));
        (record.key, record.headers, record.timestamp) = (key, headers.into_iter().collect(), Some(timestamp));
        let users = record.headers.clone();
        if let Some(id) = &id {
            record.headers.push(crate::headers::ID, Some(Bytes::from(id.clone())));
        }
        let line = text(&record);
        prop_assert!(!line.contains(['\n', '\r']));
        let read = Line::read(line.as_bytes(), Timestamps::Keep).unwrap();
        prop_assert_eq!(read.stream.as_str(), record.stream());
        prop_assert_eq!(&read.key, &record.key);
        prop_assert_eq!(&read.id, &id);
        prop_assert_eq!(read.timestamp, Some(timestamp));
        prop_assert_eq!(by_name(&read.headers), by_name(&users));
        let spaced = data.trim().replace(['\n', '\r'], " ");
        let content = Content::Event { schema, data: spaced.as_bytes() };
        prop_assert_eq!(read.content, content);
    }

    #[test]
    fn no_line_panics(line in "[{}\\[\\]\":,a-z0-9 \\\\]{0,40}") {
        let _ = Line::read(line.as_bytes(), Timestamps::Keep);
    }
}

#[test]
fn a_line_of_many_header_names_takes_linear_time() {
    let mut headers = Headers::new();
    for number in 0..100_000 {
        headers.push(
            format!("h{}", number % 99_000),
            Some(Bytes::from_static(b"v")),
        );
    }
    let mut record = record(None);
    record.headers = headers;
    let start = std::time::Instant::now();
    let mut out = Vec::new();
    write(&mut out, &record, None);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains(r#""headers":{"h0":["v","v"],"h1":["v","v"],"#),
        "{}",
        &text[..200]
    );
    assert!(text.contains(r#""h98998":"v","h98999":"v"}"#));
    assert!(start.elapsed().as_secs() < 3, "{:?}", start.elapsed());
}

#[test]
fn a_long_name_with_many_values_takes_no_more_than_headers_may() {
    let line = |name: usize, values: usize| {
        let (name, values) = ("n".repeat(name), vec![r#""v""#; values].join(","));
        format!(r#"{{"stream":"s","schema":"S:1","data":1,"headers":{{"{name}":[{values}]}}}}"#)
    };
    let many = line(100, 100_000);
    let read = Line::read(many.as_bytes(), Timestamps::Ignore);
    assert_eq!(read.unwrap().headers.len(), 100_000);
    let start = std::time::Instant::now();
    let (class, at) = refusal(&line(1 << 20, 100_000));
    assert_eq!(class, "too-large");
    assert!(at.is_some());
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
