//! The logs as every reader replays them.

use bytes::Bytes;
use kafkaesk_core::{Keys, PartitionGrowth, SchemaName, StreamId, StreamProperties};
use kafkaesk_schema::{Bindings, LogRecord, SchemaLog};

fn record(offset: i64, key: Option<&str>, value: Option<&str>) -> LogRecord {
    LogRecord {
        offset,
        key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
    }
}

fn replayed(records: &[(Option<&str>, Option<&str>)]) -> SchemaLog {
    let mut log = SchemaLog::new(SchemaName::new("Order").unwrap());
    for (offset, (key, value)) in records.iter().enumerate() {
        log.apply(&record(offset as i64, *key, *value));
    }
    log
}

#[test]
fn the_first_document_of_a_version_wins() {
    let log = replayed(&[
        (Some("1"), Some(r#"{"type":"object"}"#)),
        (Some("1"), Some(r#"{"type":"string"}"#)),
        (Some("2"), Some("true")),
        (Some("1"), Some(r#"{ "type": "object" }"#)),
    ]);
    assert_eq!(
        &log.versions[&1].document.bytes()[..],
        br#"{"type":"object"}"#
    );
    assert_eq!(log.versions[&2].offset, 2);
    let reasons: Vec<&str> = log.ignored.iter().map(|ignored| &*ignored.reason).collect();
    assert_eq!(
        reasons,
        [
            "another document for version 1, which offset 0 decided",
            "the same document again for version 1, which offset 0 decided"
        ]
    );
}

#[test]
fn a_null_value_withdraws_for_good_and_only_behind_the_document() {
    let log = replayed(&[
        (Some("1"), None),
        (Some("1"), Some("true")),
        (Some("1"), None),
        (Some("1"), None),
        (Some("1"), Some("{}")),
    ]);
    assert!(log.versions[&1].withdrawn);
    assert_eq!(&log.versions[&1].document.bytes()[..], b"true");
    let offsets: Vec<i64> = log.ignored.iter().map(|ignored| ignored.offset).collect();
    assert_eq!(offsets, [0, 3, 4]);
}

#[test]
fn a_record_counts_only_with_a_version_and_a_document() {
    let log = replayed(&[
        (None, Some("{}")),
        (Some("01"), Some("{}")),
        (Some("0"), Some("{}")),
        (Some("+1"), Some("{}")),
        (Some("2147483648"), Some("{}")),
        (Some("1"), Some("[]")),
        (Some("1"), Some("")),
        (Some("1"), Some("null")),
        (Some("1"), Some(r#"{"a":1,"a":2}"#)),
        (Some("1"), Some("\u{feff}{}")),
        (Some("1"), Some(r#"{"type":"nonsense"}"#)),
    ]);
    assert_eq!(log.ignored.len(), 10);
    assert_eq!(log.versions.len(), 1);
    assert_eq!(
        log.versions[&1].offset, 10,
        "what cannot be compiled is still the law"
    );
}

#[test]
fn what_is_ignored_is_kept_up_to_a_bound_and_counted_beyond() {
    let log = replayed(&vec![(None, Some("{}")); 1500]);
    assert_eq!((log.ignored.len(), log.more_ignored), (1000, 500));
}

fn bound(records: &[(Option<&str>, Option<&str>)]) -> Bindings {
    let mut bindings = Bindings::default();
    for (offset, (key, value)) in records.iter().enumerate() {
        bindings.apply(&record(offset as i64, *key, *value));
    }
    bindings
}

#[test]
fn a_stream_is_bound_by_the_first_record_of_the_next_epoch() {
    let bindings = bound(&[
        (Some("orders"), Some(r#"{"schema":"Order","epoch":2}"#)),
        (Some("orders"), Some(r#"{"schema":"Order"}"#)),
        (Some("orders"), Some(r#"{"schema":"Other","epoch":1}"#)),
        (
            Some("orders"),
            Some(r#"{"schema":"Purchase","epoch":2,"by":"someone"}"#),
        ),
        (Some("orders"), Some(r#"{"schema":"Other","epoch":2}"#)),
        (Some("orders"), Some(r#"{"schema":"Other","epoch":4}"#)),
        (Some("users"), Some(r#"{"schema":"User","epoch":1}"#)),
    ]);
    let orders = &bindings.streams[&StreamId::new("orders").unwrap()];
    assert_eq!((orders.schema.as_str(), orders.epoch), ("Purchase", 2));
    assert_eq!(bindings.streams.len(), 2);
    let offsets: Vec<i64> = bindings
        .ignored
        .iter()
        .map(|ignored| ignored.offset)
        .collect();
    assert_eq!(offsets, [0, 2, 4, 5]);
}

#[test]
fn a_binding_counts_only_with_a_stream_and_a_schema_name() {
    let bindings = bound(&[
        (None, Some(r#"{"schema":"Order"}"#)),
        (Some("__x"), Some(r#"{"schema":"Order"}"#)),
        (Some("a b"), Some(r#"{"schema":"Order"}"#)),
        (Some("orders"), None),
        (Some("orders"), Some("true")),
        (Some("orders"), Some("{}")),
        (Some("orders"), Some(r#"{"schema":1}"#)),
        (Some("orders"), Some(r#"{"schema":"a:1"}"#)),
        (
            Some("orders"),
            Some(r#"{"schema":"Order","schema":"Order"}"#),
        ),
        (Some("orders"), Some(r#"{"schema":"Order","epoch":0}"#)),
        (Some("orders"), Some(r#"{"schema":"Order","epoch":1.0}"#)),
        (Some("orders"), Some(r#"{"schema":"Order","epoch":"1"}"#)),
        (Some("orders"), Some(r#"{"schema":"Order","epoch":null}"#)),
    ]);
    assert!(bindings.streams.is_empty());
    assert_eq!(bindings.ignored.len(), 13);
}

#[test]
fn the_record_that_is_written_is_the_binding_that_is_read() {
    let stream = StreamId::new("orders.placed").unwrap();
    let binding = kafkaesk_schema::Binding {
        schema: SchemaName::new("Order").unwrap(),
        epoch: 1,
        properties: StreamProperties {
            keys: Keys::None,
            partition_growth: PartitionGrowth::Auto,
        },
    };
    let (key, value) = Bindings::record(&stream, &binding);
    let mut bindings = Bindings::default();
    bindings.apply(&LogRecord {
        offset: 0,
        key: Some(key),
        value: Some(value),
    });
    assert_eq!(bindings.streams[&stream], binding);
}
