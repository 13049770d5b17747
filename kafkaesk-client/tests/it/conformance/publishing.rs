//! Laws of publishing: tombstones, and the trace that a record carries on.

use bytes::Bytes;
use kafkaesk_client::{
    ClientError, Connection,
    catalog::StreamSpec,
    consumer::Start,
    core::{
        DeclaredProperties, Headers, Keys, PartitionGrowth, Record, SchemaName, StreamId,
        TopicName, partitioner::partition_for_key,
    },
};

use super::fixture::Fixture;
use crate::support::content;

pub(super) async fn a_tombstone_is_a_null_value_under_its_key(law: Fixture) {
    let publisher = law.connection.publisher();
    let event = publisher.publish("a", &content("x")).key("user-7");
    let event = event.await.unwrap();
    let tombstone = publisher
        .tombstone("a", "user-7")
        .header("source", "erasure")
        .id("e-1")
        .await
        .unwrap();
    assert_eq!(tombstone.partition, event.partition);
    assert_eq!(tombstone.partition, partition_for_key(b"user-7", 7));
    // A publisher that did not publish to the stream before looks its binding up.
    let settings = law.connection.settings().clone();
    let other = Connection::with_broker(settings, law.connection.broker().clone()).publisher();
    let delivery = other.tombstone("a", [0xff]).enqueue().await.unwrap();
    delivery.await.unwrap();

    let mut tap = law.consume(Some(&law.group()), "a", Start::Earliest).await;
    let mut read = tap.records(3).await;
    read.retain(|record| record.value.is_none());
    read.sort_by_key(|record| record.key.clone());
    let keys: Vec<_> = read.iter().map(|record| record.key.as_deref()).collect();
    assert_eq!(keys, [Some(&b"user-7"[..]), Some(&[0xff])]);
    assert_eq!(read[0].headers.get_str("source"), Some("erasure"));
    assert_eq!(read[0].headers.id(), Some("e-1"));
}

pub(super) async fn a_tombstone_creates_and_binds_nothing(law: Fixture) {
    let broker = law.connection.broker();
    let publisher = law.connection.publisher();
    let error = publisher.tombstone("absent", "k").await.unwrap_err();
    assert!(matches!(error, ClientError::NotBound { .. }), "{error}");
    let unbound = law.create("unbound", 1).await;
    let error = publisher.tombstone("unbound", "k").await.unwrap_err();
    assert!(matches!(error, ClientError::NotBound { .. }), "{error}");
    assert_eq!(broker.last_value(&unbound).await.unwrap(), None);
    let cluster = broker.cluster().await.unwrap();
    let names: Vec<_> = cluster.topics.keys().collect();
    let ours = names.iter().filter(|name| name.starts_with(law.prefix()));
    assert_eq!(ours.count(), 1, "{names:?}");
}

/// A stream of `Content` with these properties.
fn declared(keys: Option<Keys>, partition_growth: Option<PartitionGrowth>) -> StreamSpec {
    let mut spec = StreamSpec::new(StreamId::new("a").unwrap());
    spec.schema = Some(SchemaName::new("Content").unwrap());
    spec.properties = DeclaredProperties {
        keys,
        partition_growth,
    };
    spec
}

pub(super) async fn a_key_is_refused_where_the_stream_takes_none(law: Fixture) {
    let catalog = law.connection.catalog();
    let spec = declared(Some(Keys::None), None);
    let made = catalog.ensure_stream(&spec).await.unwrap();
    assert_eq!(made.properties.keys, Keys::None);
    let settings = law.connection.settings().clone();
    let other = Connection::with_broker(settings, law.connection.broker().clone());
    for publisher in [law.connection.publisher(), other.publisher()] {
        // The second round knows the stream.
        for _ in 0..2 {
            let keyed = publisher.publish("a", &content("x")).key("user-7");
            let error = keyed.await.unwrap_err();
            assert!(matches!(error, ClientError::KeyRefused { .. }), "{error}");
            assert!(error.to_string().contains("stream a takes no keys"));
            let empty = publisher.publish("a", &content("x")).key("").await;
            assert!(matches!(empty, Err(ClientError::KeyRefused { .. })));
            let tombstone = publisher.tombstone("a", "user-7").await;
            assert!(matches!(tombstone, Err(ClientError::KeyRefused { .. })));
            publisher.publish("a", &content("x")).await.unwrap();
        }
    }
    let mut tap = law.consume(Some(&law.group()), "a", Start::Earliest).await;
    let read = tap.records(4).await;
    assert!(read.iter().all(|record| record.key.is_none()));
}

pub(super) async fn a_property_of_a_stream_changes_only_where_that_is_asked_for(law: Fixture) {
    let catalog = law.connection.catalog();
    let publisher = law.connection.publisher();
    let keyed = || publisher.publish("a", &content("x")).key("user-7");
    keyed().await.unwrap();
    let spec = declared(Some(Keys::None), Some(PartitionGrowth::Auto));
    let outcome = catalog.ensure_stream(&spec).await.unwrap();
    assert_eq!(
        outcome.changes,
        ["keys any → none", "partition-growth propose → auto"]
    );
    assert_eq!(outcome.properties.keys, Keys::Any);
    keyed().await.unwrap();

    catalog.change_streams(&[spec]).await.unwrap();
    let error = keyed().await.unwrap_err();
    assert!(matches!(error, ClientError::KeyRefused { .. }), "{error}");
    let stream = StreamId::new("a").unwrap();
    let bound = catalog.bindings().await.unwrap().streams[&stream].clone();
    assert_eq!(bound.epoch, 2);
    assert_eq!(bound.properties.partition_growth, PartitionGrowth::Auto);

    // What is left out stays; what is the same writes nothing.
    let any = declared(Some(Keys::Any), None);
    catalog
        .change_streams(std::slice::from_ref(&any))
        .await
        .unwrap();
    catalog.change_streams(&[any]).await.unwrap();
    keyed().await.unwrap();
    let bound = catalog.bindings().await.unwrap().streams[&stream].clone();
    assert_eq!(bound.epoch, 3);
    assert_eq!(bound.properties.partition_growth, PartitionGrowth::Auto);
    // A stream of another schema is left as it is.
    let mut foreign = declared(Some(Keys::None), None);
    foreign.schema = Some(SchemaName::new("Other").unwrap());
    catalog.change_streams(&[foreign]).await.unwrap();
    keyed().await.unwrap();
}

pub(super) async fn a_stored_document_that_cannot_be_used_refuses_every_publish(law: Fixture) {
    let broker = law.connection.broker();
    let log = TopicName::new(format!("{}__schema__Content", law.prefix())).unwrap();
    law.try_create(log.clone(), 1).await.unwrap();
    // What another program may have stored: an expression outside the dialect, a reference to nothing, a wrong type.
    let documents = [
        r#"{"properties":{"foo":{"pattern":"(?=x)"}}}"#,
        r##"{"$ref":"#/$defs/absent"}"##,
        r#"{"type":"word"}"#,
    ];
    let stored = (1..).zip(documents).map(|(version, document)| {
        let version: u32 = version;
        (version.to_string().into(), document.into())
    });
    broker.append_log(&log, stored.collect()).await.unwrap();
    let publisher = law.connection.publisher();
    // The program's own document of version 1 is a good one; the stored one is the law.
    let typed = publisher.publish("a", &content("x")).await.unwrap_err();
    assert!(matches!(typed, ClientError::Document { .. }), "{typed}");
    for version in 1..=documents.len() {
        let schema = format!("Content:{version}");
        for _ in 0..2 {
            let given = publisher.publish_json("a", &schema, r#"{"foo":"x"}"#);
            let error = given.await.unwrap_err();
            assert!(matches!(error, ClientError::Document { .. }), "{error}");
            assert!(error.to_string().contains(&schema), "{error}");
        }
    }
    let cluster = broker.cluster().await.unwrap();
    assert!(!cluster.topics.contains_key(law.topic("a").as_str()));
}

/// A record's headers as text, sorted.
fn texts(record: &Record) -> Vec<(&str, &str)> {
    let headers = record.headers.iter();
    let mut headers: Vec<_> = headers
        .map(|(name, value)| {
            let value = value.map_or("(null)", |value| std::str::from_utf8(value).unwrap());
            (name, value)
        })
        .collect();
    headers.sort_unstable();
    headers
}

pub(super) async fn a_trace_is_carried_whole_or_not_at_all(law: Fixture) {
    type Texts = &'static [(&'static str, &'static str)];
    let headers = |all: Texts| -> Headers {
        let all = all.iter();
        all.map(|(name, value)| (*name, Some(Bytes::from_static(value.as_bytes()))))
            .collect()
    };
    let consumed = headers(&[
        ("tracestate", "a=1"),
        ("traceparent", "00-old"),
        ("other", "x"),
        ("tracestate", "b=2"),
        ("traceparent", "00-new"),
    ]);
    let mut null_parent = consumed.clone();
    null_parent.push("traceparent", None);
    let whole: Texts = &[
        ("traceparent", "00-new"),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    ];
    let own: Texts = &[("traceparent", "00-own"), ("tracestate", "own=1")];
    let parent_alone: Texts = &[("traceparent", "00-own")];
    let state_alone = headers(&[("tracestate", "a=1")]);
    // What was consumed, what the publish has of its own, what is sent.
    let cases: [(&Headers, Texts, Texts); 5] = [
        (&consumed, &[], whole),
        (&consumed, own, own),
        (&consumed, parent_alone, parent_alone),
        (&state_alone, &[], &[]),
        (&null_parent, &[], &[]),
    ];
    let publisher = law.connection.publisher();
    for (consumed, own, _) in cases {
        let own = headers(own);
        let first = publisher.publish("t", &content("x")).key("k");
        first.headers(&own).trace_from(consumed).await.unwrap();
        let second = publisher.publish("t", &content("x")).key("k");
        second.trace_from(consumed).headers(&own).await.unwrap();
    }
    let mut tap = law.consume(Some(&law.group()), "t", Start::Earliest).await;
    let read = tap.records(2 * cases.len()).await;
    for (pair, (_, _, sent)) in read.chunks(2).zip(cases) {
        assert_eq!(texts(&pair[0]), sent);
        assert_eq!(
            texts(&pair[1]),
            sent,
            "the order of the calls does not count"
        );
    }
}
