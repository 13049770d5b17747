//! pydantic 1 exports an optional field as not nullable but publishes null (docs/from-python.md says what to do).

use kafkaesk_client::ClientError;
use kafkaesk_schema::Document;

use crate::{python::Python, service::Place};

#[tokio::test(flavor = "multi_thread")]
async fn a_null_of_pydantic_one_breaks_the_schema_that_pydantic_one_exported() {
    let place = Place::new("pydantic").await;
    let mut python = Python::start("service.py", &[&place.servers, &place.prefix, "schema"]);
    let exported = python.next().await;
    python.stop().await;
    assert_eq!(exported["properties"]["note"]["type"], "string");

    let connection = place.connect().await;
    let id = "Content:1".parse().expect("an id");
    let document = Document::parse(exported.to_string()).expect("a schema");
    connection
        .catalog()
        .push(&id, &document)
        .await
        .expect("pydantic's document is pushed");
    let publisher = connection.publisher();
    let null = br#"{"foo":"x","note":null}"#;
    let error = publisher
        .publish_json("content.edited", "Content:1", null)
        .await
        .expect_err("null is not a string");
    assert!(
        matches!(&error, ClientError::Invalid { violations, .. } if violations[0].pointer == "/note")
    );
    assert!(error.to_string().contains("/note"), "{error}");

    // The first remedy: leave the member out.
    publisher
        .publish_json("content.edited", "Content:1", br#"{"foo":"x"}"#)
        .await
        .expect("an absent member fits");
}
