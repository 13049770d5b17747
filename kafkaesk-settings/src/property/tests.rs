//! Laws of the property table.

use super::*;

#[test]
fn every_documented_property_is_known_or_refused() {
    assert!(properties().len() > 190);
    for property in properties() {
        match check_property(property.name) {
            Ok(found) => assert_eq!(found.name, property.name),
            Err(error) => assert!(matches!(error, PropertyError::Refused { .. }), "{error}"),
        }
        assert!(
            properties()
                .iter()
                .any(|other| other.name == property.canonical)
        );
    }
}

#[test]
fn every_refused_name_and_every_warning_is_a_property() {
    for name in refused::names() {
        assert!(table::find(name).is_some(), "{name}");
    }
}

#[test]
fn the_defaults_that_librdkafka_takes_are_accepted() {
    for (name, good, bad) in [
        ("acks", "all", "some"),
        ("acks", "-1", "-2"),
        ("linger.ms", "0.5", "x"),
        ("fetch.min.bytes", "1", "1.5"),
        ("socket.keepalive.enable", "true", "yes"),
        ("security.protocol", "SASL_SSL", "tls"),
        ("debug", "broker, topic", "brokers"),
        ("compression.type", "zstd", "brotli"),
        ("client.id", "anything at all", "nul\0"),
    ] {
        let property = check_property(name).unwrap();
        property.check_value(good).unwrap();
        assert!(property.check_value(bad).is_err(), "{name}={bad}");
    }
}

#[test]
fn a_sensitive_value_is_never_quoted() {
    let error = check_property("sasl.password")
        .unwrap()
        .check_value("hu\0sh")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "property `sasl.password`: the value is not text without NUL"
    );
}

#[test]
fn names_of_other_clients_lead_to_ours() {
    for (name, hint) in [
        (
            "auto_offset_reset",
            "use `start` of the subscription (earliest, latest, or a span back)",
        ),
        (
            "enable_auto_commit",
            "leave it out; `on-mismatch` and `on-reject` say what becomes of a message that fails",
        ),
        (
            "session_timeout_ms",
            "librdkafka's name is `session.timeout.ms`",
        ),
        (
            "sasl_plain_password",
            "librdkafka's name is `sasl.password`",
        ),
        ("max_poll_records", "use `concurrency` of the subscription"),
        ("bootstrap_servers", "use `kafka-servers`"),
        (
            "request_timeout_ms",
            "librdkafka's name is `request.timeout.ms`",
        ),
        (
            "ssl.truststore.location",
            "use `ssl.ca.location`, a PEM file",
        ),
        ("sesion.timeout.ms", "did you mean `session.timeout.ms`?"),
    ] {
        assert_eq!(
            check_property(name).unwrap_err().to_string(),
            format!("unknown librdkafka property `{name}`; {hint}")
        );
    }
    assert_eq!(
        check_property("colour").unwrap_err().to_string(),
        "unknown librdkafka property `colour`"
    );
}

#[test]
fn functions_are_refused() {
    for name in ["rebalance_cb", "opaque", "interceptors", "ssl_key"] {
        let error = check_property(name).unwrap_err().to_string();
        assert!(error.contains("it is a function, not a value"), "{error}");
    }
}
