//! The least privilege table of the contract: what each operation needs is enough, and what is missing is named with the
//! resource and the operation.

use kafkaesk_client::{
    ClientError, Connection, Publisher, Settings,
    catalog::{Pushed, StreamSpec},
    growth::GrowthRequest,
};
use kafkaesk_core::{SchemaName, StreamId};
use kafkaesk_schema::Document;

use crate::service::{Order, STREAM, consume_keeping_dead_letters_until, consume_until, prepared};

async fn publisher(settings: &Settings) -> Publisher {
    Connection::open(settings)
        .await
        .expect("logs in")
        .publisher()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_to_a_bound_stream_needs_no_create() {
    let broker = prepared().await;
    let publisher = publisher(&broker.user("publisher")).await;
    publisher
        .publish(STREAM, &Order { id: 1 })
        .await
        .expect("Write on the stream and Read on the logs are enough");
    let error = publisher
        .publish("orders.new", &Order { id: 2 })
        .await
        .expect_err("it has no Create");
    let ClientError::Unauthorized { resource, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(
        resource.contains("sec.orders.new") || resource == "cluster",
        "{error}"
    );
    assert!(error.to_string().contains("Create"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_does_not_validate_reads_neither_log() {
    let broker = prepared().await;
    publisher(&broker.administrator())
        .await
        .publish(STREAM, &Order { id: 3 })
        .await
        .expect("published");
    // Its rights (rights.rs) name the stream and the group alone.
    consume_until(broker.user("consumer"), "auditing", 3)
        .await
        .expect("Read on the stream and the group are enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_may_not_create_its_dead_letters_is_told_the_right_and_the_switch() {
    let broker = prepared().await;
    let error = consume_keeping_dead_letters_until(broker.user("consumer"), "auditing", 3)
        .await
        .expect_err("it has no Create");
    let text = error.to_string();
    for part in [
        "sec.__dead__auditing",
        "not allowed: Create on ",
        "`kafkaesk-cli schema push`",
        "`dead-letters = false`",
    ] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
}

/// What a user without Write on the stream is told.
async fn lacks_write(user: &str) {
    let broker = prepared().await;
    let error = publisher(&broker.user(user))
        .await
        .publish(STREAM, &Order { id: 4 })
        .await
        .expect_err("it has no Write");
    let text = error.to_string();
    assert!(
        text.starts_with("not allowed: Write on topic sec.orders.placed;"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_write_names_the_topic_and_the_operation() {
    lacks_write("onlooker").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_stream_out_of_sight_lacks_write_not_create() {
    lacks_write("archivist").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_group_right_names_the_group() {
    let broker = prepared().await;
    let error = consume_until(broker.user("onlooker"), "not-mine", 0)
        .await
        .expect_err("it has no right on the group");
    let text = error.to_string();
    assert!(
        text.contains("not allowed: Read on group not-mine;"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_right_the_first_missing_one_is_named() {
    let broker = prepared().await;
    let error = publisher(&broker.user("nobody"))
        .await
        .publish(STREAM, &Order { id: 5 })
        .await
        .expect_err("it has no right at all");
    assert!(
        matches!(&error, ClientError::Unauthorized { resource, .. } if resource.contains("sec.")),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_listed_without_a_right_on_the_bindings() {
    let broker = prepared().await;
    let connection = Connection::open(&broker.user("reader"))
        .await
        .expect("logs in");
    let catalog = connection.catalog();
    let names = catalog.schema_names().await.expect("what it may see");
    assert_eq!(names, [SchemaName::new("Order").expect("a name")]);
    let log = catalog.log(&names[0]).await.expect("Read is enough");
    assert!(log.versions.contains_key(&1));
    // What the command lists without.
    let error = catalog.bindings().await.expect_err("it has no Read");
    assert!(
        matches!(&error, ClientError::Unauthorized { operation: "Read", resource } if resource == "topic sec.__streams__"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn planning_needs_no_right_to_write() {
    let broker = prepared().await;
    let connection = Connection::open(&broker.user("archivist"))
        .await
        .expect("logs in");
    let catalog = connection.catalog();
    let id = "Order:2".parse().expect("an id");
    let document = Document::parse(r#"{"type":"object"}"#).expect("a schema");
    let pushed = catalog.plan_push(&id, &document).await;
    assert_eq!(pushed.expect("Read is enough"), Pushed::New);
    let mut spec = StreamSpec::new(StreamId::new("orders.planned").expect("a stream id"));
    spec.schema = Some(SchemaName::new("Order").expect("a name"));
    let planned = catalog.plan_stream(&spec).await.expect("Read is enough");
    assert!(planned.created && planned.bound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_goes_on_where_describe_configs_is_denied() {
    let broker = prepared().await;
    let connection = Connection::open(&broker.user("pusher"))
        .await
        .expect("logs in");
    let id = "Pushed:1".parse().expect("an id");
    let document = Document::parse(r#"{"type":"object"}"#).expect("a schema");
    connection
        .catalog()
        .push(&id, &document)
        .await
        .expect("Create, Write and Read on the log are enough");
    // Once more: what is there is read, its settings are not.
    connection
        .catalog()
        .push(&id, &document)
        .await
        .expect("the same document is a no-op");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_growth_needs_alter_and_describe_configs_and_names_both_where_they_are_missing() {
    let broker = prepared().await;
    let against = async |user: &str| {
        let connection = Connection::open(&broker.user(user)).await.expect("logs in");
        let request = GrowthRequest::new(StreamId::new(STREAM).expect("a name"), 100);
        let plan = connection.plan_growth(&request).await.expect("it is seen");
        let against = plan.obstacles.iter().map(ToString::to_string);
        against.collect::<Vec<String>>()
    };
    assert_eq!(against("grower").await, Vec::<String>::new());
    let missing = against("onlooker").await;
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(
        missing[0].contains("grant DescribeConfigs on it"),
        "{missing:?}"
    );
    assert!(
        missing[1].starts_with("not allowed: Alter on topic sec.orders.placed;"),
        "{missing:?}"
    );
}
