//! Publishing on a real broker: receipts, partitions, and everything that is refused before it is sent.

use std::{sync::Arc, time::Duration};

use kafkaesk_client::{
    ClientError, Connection, Receipt, Settings,
    broker::Broker as _,
    core::{Headers, TopicName, partitioner::partition_for_key},
    memory::MemoryBroker,
    testing,
};
use rdkafka::mocking::MockCluster;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Order, connect, content, document, id, open, stream, topics};

#[tokio::test]
async fn a_receipt_says_where_the_record_is() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let publisher = connection.publisher();
    let first = publisher
        .publish("content.a", &content("bar"))
        .key("user-7")
        .header("source", "import")
        .await
        .unwrap();
    assert_eq!(first.topic.as_str(), format!("{}content.a", kafka.prefix()));
    assert_eq!(first.offset.unwrap().0, 0);
    let second = publisher
        .publish("content.a", &content("baz"))
        .key("user-7")
        .await
        .unwrap();
    assert_eq!(second.partition, first.partition);
    assert_eq!(second.offset.unwrap().0, 1);
    let cluster = connection.broker().cluster().await.unwrap();
    assert_eq!(cluster.topics[first.topic.as_str()].partitions, 7);
}

#[tokio::test]
async fn a_key_lands_where_the_contract_says() {
    let kafka = testing::kafka().await;
    let publisher = connect(&kafka).await.publisher();
    let mut waiting = Vec::new();
    for n in 0..40 {
        let key = format!("key-{n}");
        let delivery = publisher
            .publish("content.keys", &content("x"))
            .key(&key)
            .enqueue()
            .await
            .unwrap();
        waiting.push((key, delivery));
    }
    publisher.flush(Duration::from_secs(10)).await.unwrap();
    for (key, delivery) in waiting {
        let receipt = delivery.await.unwrap();
        assert_eq!(
            receipt.partition,
            partition_for_key(key.as_bytes(), 7),
            "{key}"
        );
    }
}

#[tokio::test]
async fn an_event_that_does_not_fit_is_refused_with_every_violation_and_leaves_no_topic() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    connection
        .catalog()
        .push(
            &id("Content:1"),
            &crate::support::document(
                r#"{"type":"object","properties":{"foo":{"type":"integer"},"bar":{"type":"string"}},"required":["bar"]}"#,
            ),
        )
        .await
        .unwrap();
    let error = connection
        .publisher()
        .publish("content.bad", &content("text"))
        .await
        .unwrap_err();
    let text = error.to_string();
    let ClientError::Invalid { violations, .. } = error else {
        panic!("{text}")
    };
    assert_eq!(violations.len(), 2, "{text}");
    assert!(text.contains("/foo"), "{text}");
    assert!(text.contains("nothing was published"), "{text}");
    assert_eq!(
        topics(&kafka),
        [format!("{}__schema__Content", kafka.prefix())]
    );
}

#[tokio::test]
async fn raw_json_is_published_by_schema_id_and_registers_nothing() {
    let kafka = testing::kafka().await;
    let connection = connect(&kafka).await;
    let publisher = connection.publisher();
    let error = publisher
        .publish_json("content.raw", "Content:1", br#"{"foo":"bar"}"#)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClientError::UnknownSchema { .. }), "{text}");
    assert!(text.contains("kafkaesk-cli schema push FILE"), "{text}");
    assert!(topics(&kafka).is_empty(), "asking created a topic");

    publisher
        .publish("content.raw", &content("typed"))
        .await
        .unwrap();
    publisher
        .publish_json("content.raw", "Content:1", json!({"foo": "value"}))
        .await
        .unwrap();
    let broken = publisher
        .publish_json("content.raw", "Content:1", r#"{"foo":"a"} x"#)
        .await
        .unwrap_err();
    assert!(matches!(broken, ClientError::Malformed { .. }), "{broken}");
    let text = broken.to_string();
    assert!(
        text.ends_with("malformed at byte 12: text after the end of the JSON value"),
        "{text}"
    );
}

#[tokio::test]
async fn data_is_written_as_it_stands_without_white_space_around_it() {
    let connection = Connection::in_memory(Settings::new("memory"));
    let any = document("true");
    connection.catalog().push(&id("Any:1"), &any).await.unwrap();
    let publisher = connection.publisher();
    let spaced = " \r\n\t{\"a\" : 1.0 }\n ";
    for data in [spaced, spaced.trim_start(), spaced.trim_end(), spaced] {
        publisher
            .publish_json("any.s", "Any:1", data)
            .await
            .unwrap();
        let topic = TopicName::new("any.s").unwrap();
        let written = connection.broker().last_value(&topic).await.unwrap();
        assert_eq!(
            written.unwrap(),
            r#"{"schema":"Any:1","data":{"a" : 1.0 }}"#
        );
    }
    let error = publisher
        .publish_json("any.s", "Any:1", "\n  x")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("byte 3"), "the caller's own place: {error}");
    assert!(
        publisher
            .publish_json("any.s", "Any:1", " \n ")
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_running_publisher_follows_a_withdrawal_and_a_new_binding() {
    let memory = MemoryBroker::new();
    let connection = Connection::with_broker(Settings::new("memory"), Arc::new(memory.clone()));
    let catalog = connection.catalog();
    for schema in ["Any:1", "Any:2", "Other:1"] {
        catalog.push(&id(schema), &document("true")).await.unwrap();
    }
    let publisher = connection.publisher();
    let publish = |stream, schema| publisher.publish_json(stream, schema, "1");
    publish("a", "Any:1").await.unwrap();
    publish("b", "Any:2").await.unwrap();
    publisher.publish("c", &content("typed")).await.unwrap();

    for (schema, version) in [("Any", "1"), ("Content", "1")] {
        let log = TopicName::new(format!("__schema__{schema}")).unwrap();
        memory
            .append_raw(&log, Some(version.into()), None, Headers::new())
            .unwrap();
    }
    let bindings = TopicName::new("__streams__").unwrap();
    memory
        .append_log(
            &bindings,
            vec![("b".into(), r#"{"schema":"Other","epoch":2}"#.into())],
        )
        .await
        .unwrap();
    publish("a", "Any:1").await.expect("what is known holds");

    tokio::time::sleep(Duration::from_secs(61)).await;
    for _ in 0..2 {
        let withdrawn = publish("a", "Any:1").await.unwrap_err();
        assert!(
            matches!(withdrawn, ClientError::WithdrawnSchema { .. }),
            "{withdrawn}"
        );
        let typed = publisher.publish("c", &content("typed")).await.unwrap_err();
        assert!(
            matches!(typed, ClientError::WithdrawnSchema { .. }),
            "{typed}"
        );
        let elsewhere = publish("b", "Any:2").await.unwrap_err();
        assert!(
            matches!(elsewhere, ClientError::BoundElsewhere { .. }),
            "{elsewhere}"
        );
    }
    publish("a", "Any:2").await.unwrap();
    publish("b", "Other:1").await.unwrap();
}

#[tokio::test]
async fn one_schema_per_topic() {
    let kafka = testing::kafka().await;
    let publisher = connect(&kafka).await.publisher();
    publisher
        .publish("orders.placed", &Order { id: 1 })
        .await
        .unwrap();
    for _ in 0..3 {
        let text = publisher
            .publish("orders.placed", &content("no order"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("bound to schema Order, not to Content"),
            "{text}"
        );
    }
    // The same verdict for a process that knows nothing yet.
    let other = connect(&kafka).await.publisher();
    let error = other
        .publish("orders.placed", &content("no order"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::BoundElsewhere { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_oversized_event_is_refused_with_its_size() {
    let kafka = testing::kafka().await;
    let publisher = connect(&kafka).await.publisher();
    let error = publisher
        .publish("content.large", &content("x".repeat(1_500_000)))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClientError::TooLarge { .. }), "{text}");
    assert!(text.contains("message.max.bytes"), "{text}");
}

#[tokio::test]
async fn reserved_names_are_refused_before_anything_is_asked() {
    let kafka = testing::kafka().await;
    let publisher = connect(&kafka).await.publisher();
    for name in ["__schema__X", "__mine", "a__streams__", "", "a/b"] {
        let error = publisher.publish(name, &content("x")).await.unwrap_err();
        assert!(matches!(error, ClientError::Name(_)), "{name}: {error}");
    }
    let text = publisher
        .publish("content.h", &content("x"))
        .header("Kafkaesk-Id", "mine")
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains("kafkaesk-"), "{text}");
    assert!(topics(&kafka).is_empty());
}

#[tokio::test]
async fn a_partition_that_is_not_there_is_named() {
    let kafka = testing::kafka().await;
    let publisher = connect(&kafka).await.publisher();
    publisher.publish("content.p", &content("x")).await.unwrap();
    let text = publisher
        .publish("content.p", &content("x"))
        .partition(99)
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains("partition"), "{text}");
    assert!(text.contains("not written"), "{text}");
}

#[tokio::test]
async fn without_auto_creation_the_error_says_what_to_declare() {
    let kafka = testing::kafka().await;
    let mut settings = kafka.settings();
    settings.auto_create_streams = false;
    let connection = open(&settings).await;
    let text = connection
        .publisher()
        .publish("content.none", &content("x"))
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains("schema push"), "{text}");
    settings.auto_register = false;
    let error = open(&settings)
        .await
        .publisher()
        .publish("orders.none", &Order { id: 1 })
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::UnknownSchema { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_full_queue_is_waited_for_and_nothing_is_dropped() {
    let kafka = testing::kafka().await;
    let mut settings = kafka.settings();
    settings
        .kafka_settings
        .producer
        .insert("queue.buffering.max.kbytes".into(), "64".into());
    let publisher = open(&settings).await.publisher();
    let mut deliveries = Vec::new();
    for n in 0..2_000 {
        deliveries.push(
            publisher
                .publish("content.full", &content(format!("{n} {}", "x".repeat(300))))
                .enqueue()
                .await
                .unwrap(),
        );
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
}

/// A queue of 64 KiB, and this many publishes of more than 300 bytes at the same time, each awaited by a task.
async fn crowd(settings: &Settings, publishes: usize) -> JoinSet<Result<Receipt, ClientError>> {
    let mut settings = settings.clone();
    settings
        .kafka_settings
        .producer
        .insert("queue.buffering.max.kbytes".into(), "64".into());
    let publisher = open(&settings).await.publisher();
    publisher
        .publish("content.crowd", &content("first"))
        .await
        .unwrap();
    (0..publishes)
        .map(|n| {
            let publish = publisher.publish(
                "content.crowd",
                &content(format!("{n} {}", "x".repeat(300))),
            );
            async move { publish.await }
        })
        .collect()
}

#[tokio::test]
async fn all_who_wait_for_room_get_through() {
    let kafka = testing::kafka().await;
    let mut waiting = crowd(&kafka.settings(), 3_000).await;
    let all = async {
        while waiting
            .join_next()
            .await
            .is_some_and(|one| one.unwrap().is_ok())
        {}
    };
    tokio::time::timeout(Duration::from_secs(30), all)
        .await
        .unwrap();
    assert!(waiting.is_empty(), "{} did not get through", waiting.len());
}

#[tokio::test]
async fn with_the_brokers_gone_every_publish_ends_in_an_error_in_time() {
    let mock = MockCluster::new(1).unwrap();
    let mut settings = Settings::default();
    settings.kafka_servers = vec![mock.bootstrap_servers()];
    settings.delivery_timeout = Duration::from_secs(2);
    let mut waiting = crowd(&settings, 500).await;
    mock.broker_down(1).unwrap();
    let all = async {
        let mut refused = 0;
        while let Some(one) = waiting.join_next().await {
            match one.unwrap() {
                Ok(_) => {}
                Err(
                    ClientError::NotDelivered { .. }
                    | ClientError::DeliveryUnknown { .. }
                    | ClientError::QueueFull { .. },
                ) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        refused
    };
    let refused = tokio::time::timeout(Duration::from_secs(10), all)
        .await
        .unwrap();
    assert!(refused > 100, "only {refused} were refused");
}

#[tokio::test]
async fn a_partition_or_a_time_that_no_record_can_have_is_refused() {
    let publisher = Connection::in_memory(Settings::default()).publisher();
    let publish = || publisher.publish("content.a", &content("a"));
    for (refused, said) in [
        (publish().partition(-1), "partition -1"),
        (publish().timestamp(-5), "timestamp -5"),
    ] {
        let error = refused.await.unwrap_err();
        assert!(
            matches!(&error, ClientError::Setting(text) if text.contains(said)),
            "{error}"
        );
    }
    publish().partition(0).timestamp(0).await.unwrap();
}

#[tokio::test]
async fn a_publish_is_owned_and_can_be_spawned() {
    let kafka = testing::kafka().await;
    let publisher = connect(&kafka).await.publisher();
    let event = content("spawned");
    let publish = publisher
        .publish("content.spawn", &event)
        .trace_from(&Headers::new())
        .id("event-1");
    drop(event);
    let receipt = tokio::spawn(publish.into_future()).await.unwrap().unwrap();
    assert_eq!(receipt.offset.unwrap().0, 0);
}

#[tokio::test]
async fn racing_first_publishes_bind_once_and_all_arrive() {
    let kafka = testing::kafka().await;
    let mut tasks = Vec::new();
    for n in 0..6 {
        let settings = kafka.settings();
        tasks.push(tokio::spawn(async move {
            let connection = open(&settings).await;
            connection
                .publisher()
                .publish("content.race", &content(format!("{n}")))
                .await
                .map(|_| ())
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let bindings = connect(&kafka).await.catalog().bindings().await.unwrap();
    assert_eq!(
        bindings.streams[&stream("content.race")].schema.as_str(),
        "Content"
    );
}
