//! The derives: what they write is what a careful hand would.

use std::time::Duration;

use kafkaesk_core::{Keys, PartitionGrowth};
use kafkaesk_schema::{DecodeError, Document, Event, EventSchema, Events, Validator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, JsonSchema, Debug, PartialEq)]
#[event(
    name = "Content",
    version = 1,
    retention = "24h",
    keys = "none",
    partition_growth = "auto",
    streams = ["content.edited", "content.added"],
    accepts = "1..=2"
)]
struct Content {
    foo: String,
    bar: Option<u8>,
}

#[derive(Event, Serialize, Deserialize, JsonSchema, Debug, PartialEq)]
#[event(name = "Content", version = 2)]
struct ContentV2 {
    foo: String,
    size: u32,
}

#[derive(Event, Serialize, Deserialize, Debug, PartialEq)]
#[event(
    name = "Order",
    version = 1,
    schema = "tests/schemas/Order.1.json",
    retention = 60
)]
struct Order {
    id: i64,
}

#[derive(Events, Debug, PartialEq)]
enum ContentChange {
    V1(Content),
    V2(ContentV2),
    Ordered(Order),
}

#[test]
fn the_attributes_become_the_constants() {
    assert_eq!(Content::NAME, "Content");
    assert_eq!(Content::VERSION, 1);
    assert_eq!(Content::STREAMS, ["content.edited", "content.added"]);
    assert_eq!(Content::RETENTION, Some(Duration::from_secs(86_400)));
    assert_eq!(Order::RETENTION, Some(Duration::from_secs(60)));
    assert_eq!(ContentV2::RETENTION, None);
    assert!(ContentV2::STREAMS.is_empty());
}

#[test]
fn a_bare_event_takes_every_version_that_it_accepts() {
    assert!(<Content as Events>::takes("Content", 1));
    assert!(<Content as Events>::takes("Content", 2));
    assert!(!<Content as Events>::takes("Content", 3));
    assert!(!<Content as Events>::takes("Other", 1));
    assert!(<ContentV2 as Events>::takes("Content", 99));
}

#[test]
fn the_derived_document_is_the_deserialize_contract() {
    let document = Content::document().unwrap();
    let wanted = Document::parse(
        r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
            "properties": {"foo": {"type": "string"},
                           "bar": {"type": ["integer", "null"], "format": "uint8", "minimum": 0, "maximum": 255}},
            "required": ["foo"]}"#,
    )
    .unwrap();
    assert_eq!(document.diff(&wanted), "");
    assert_eq!(document.identity(), wanted.identity());
    Validator::new(&document).unwrap();
}

#[test]
fn an_own_document_is_taken_as_it_stands() {
    let bytes = include_bytes!("../schemas/Order.1.json");
    assert_eq!(&Order::document().unwrap().bytes()[..], bytes);
}

#[test]
fn an_event_schema_holds_what_a_program_must_know() {
    let schema = EventSchema::of::<Content>().unwrap();
    assert_eq!(schema.id.to_string(), "Content:1");
    assert_eq!(schema.streams, ["content.edited", "content.added"]);
    assert_eq!(schema.retention, Some(Duration::from_secs(86_400)));
    assert_eq!(schema.properties.keys, Some(Keys::None));
    let growth = schema.properties.partition_growth;
    assert_eq!(growth, Some(PartitionGrowth::Auto));
}

#[test]
fn an_enum_takes_exactly_the_ids_of_its_variants() {
    assert!(ContentChange::takes("Content", 1));
    assert!(ContentChange::takes("Content", 2));
    assert!(
        !ContentChange::takes("Content", 3),
        "Content accepts no 3, and the enum no other"
    );
    assert!(!ContentChange::takes("Order", 2));
    assert_eq!(
        ContentChange::decode("Content", 2, br#"{"foo":"a","size":3}"#).unwrap(),
        ContentChange::V2(ContentV2 {
            foo: "a".into(),
            size: 3
        })
    );
    assert_eq!(
        ContentChange::decode("Content", 1, br#"{"foo":"a"}"#).unwrap(),
        ContentChange::V1(Content {
            foo: "a".into(),
            bar: None
        })
    );
    let ids: Vec<String> = ContentChange::schemas()
        .unwrap()
        .iter()
        .map(|schema| schema.id.to_string())
        .collect();
    assert_eq!(ids, ["Content:1", "Content:2", "Order:1"]);
}

#[test]
fn what_does_not_decode_says_what_was_wanted() {
    let error = ContentChange::decode("Content", 3, b"{}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "schema Content:3 is none of Content:1, Content:2, Order:1"
    );
    let error = ContentChange::decode("Content", 2, br#"{"foo":1}"#).unwrap_err();
    assert!(matches!(error, DecodeError::Data { .. }), "{error:?}");
    assert!(error.to_string().contains("ContentV2"), "{error}");
}
