//! Connecting where nobody is, and where somebody is.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use kafkaesk_client::{ClientError, Connection, Settings, testing};

#[tokio::test]
async fn an_unreachable_broker_is_an_error_within_ten_seconds_that_names_it() {
    let started = Instant::now();
    let error = Connection::open(&Settings::new("127.0.0.1:1"))
        .await
        .unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    let text = error.to_string();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{text}");
    assert!(text.contains("127.0.0.1:1"), "{text}");
    assert!(text.contains("refused"), "{text}");
    assert!(text.contains("kafka-servers"), "{text}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_says_so() {
    let mut settings = Settings::new("no-such-host.invalid:9092");
    settings.connect_timeout = Duration::from_secs(3);
    let started = Instant::now();
    let text = Connection::open(&settings).await.unwrap_err().to_string();
    assert!(started.elapsed() < Duration::from_secs(4));
    assert!(text.contains("resolve"), "{text}");
}

#[tokio::test]
async fn a_property_with_a_wrong_value_is_refused_before_anything_is_asked() {
    let mut settings = Settings::new("127.0.0.1:1");
    settings
        .kafka_settings
        .common
        .insert("linger.ms".into(), "soon".into());
    let text = Connection::open(&settings).await.unwrap_err().to_string();
    assert!(text.contains("linger.ms"), "{text}");
}

#[tokio::test]
async fn a_protocol_without_sasl_asks_no_token_endpoint() {
    let kafka = testing::kafka().await;
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    endpoint.set_nonblocking(true).unwrap();
    let url = format!("http://{}/token", endpoint.local_addr().unwrap());
    let mut settings = kafka.settings();
    settings.kafka_settings.common = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.client.id", "me"),
        ("sasl.oauthbearer.client.secret", "hush"),
        ("sasl.oauthbearer.token.endpoint.url", &url),
        ("security.protocol", "plaintext"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let publisher = super::support::open(&settings).await.publisher();
    publisher
        .publish("content.plain", &super::support::content("x"))
        .await
        .unwrap();
    assert!(endpoint.accept().is_err(), "the endpoint was asked");
}

#[tokio::test]
async fn a_broker_that_answers_is_a_cluster_with_brokers() {
    let kafka = testing::kafka().await;
    let connection = super::support::connect(&kafka).await;
    let cluster = connection.broker().cluster().await.unwrap();
    assert!(cluster.brokers >= 1);
    assert!(!cluster.is_dev);
}
