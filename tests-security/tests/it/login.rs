//! Credentials: the right ones work end to end, wrong ones and an unknown certificate are refused within ten seconds.

use std::time::{Duration, Instant};

use kafkaesk_client::{ClientError, Connection, Settings};

use crate::service::{Order, STREAM, consume_until, prepared};

/// How long a person may wait for the verdict.
const VERDICT: Duration = Duration::from_secs(10);

async fn refused(settings: &Settings) -> ClientError {
    let start = Instant::now();
    let error = Connection::open(settings)
        .await
        .expect_err("it must be refused");
    assert!(
        start.elapsed() <= VERDICT + Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn right_credentials_publish_and_consume() {
    let broker = prepared().await;
    let publisher = Connection::open(&broker.user("publisher"))
        .await
        .expect("the publisher logs in")
        .publisher();
    publisher
        .publish(STREAM, &Order { id: 17 })
        .await
        .expect("the publisher may publish");
    consume_until(broker.user("consumer"), "billing", 17)
        .await
        .expect("the consumer may consume");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused_within_ten_seconds() {
    let broker = prepared().await;
    let error = refused(&broker.login("publisher", "wrong")).await;
    assert!(
        matches!(error, ClientError::Authentication { .. }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(text.contains("refused the credentials"), "{text}");
    assert!(text.contains("sasl."), "{text}");
    assert!(
        !text.contains("wrong"),
        "the password is in the error: {text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_certificate_is_refused_within_ten_seconds() {
    let broker = prepared().await;
    let mut settings = broker.user("publisher");
    settings.kafka_settings.common.remove("ssl.ca.pem");
    let text = refused(&settings).await.to_string();
    assert!(text.contains("certificate"), "{text}");
}
