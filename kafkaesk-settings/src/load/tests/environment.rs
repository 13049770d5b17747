//! Laws of `KAFKAESK_*` variables and of flags.

use super::{empty, shown};
use crate::MetricsDetail;

#[test]
fn every_setting_has_its_variable() {
    let loaded = empty()
        .variable("KAFKAESK_KAFKA_SERVERS", "a:1, b:2")
        .variable("KAFKAESK_REPLICATION_FACTOR", "2")
        .variable("KAFKAESK_PARTITIONS", "4")
        .variable("KAFKAESK_AUTO_REGISTER", "false")
        .variable("KAFKAESK_AUTO_CREATE_STREAMS", "0")
        .variable("KAFKAESK_STRICT", "true")
        .variable("KAFKAESK_CONNECT_TIMEOUT", "3")
        .variable("KAFKAESK_DELIVERY_TIMEOUT", "90s")
        .variable("KAFKAESK_SHUTDOWN_TIMEOUT", "1m")
        .variable("KAFKAESK_DISCOVERY_INTERVAL", "500ms")
        .variable("KAFKAESK_OPERATE_LISTEN", "[::1]:9464")
        .variable("KAFKAESK_OPERATE_TOKEN", "12345678")
        .variable("KAFKAESK_OPERATE_LINGER", "20s")
        .variable("KAFKAESK_METRICS_DETAIL", "group")
        .variable("KAFKAESK_METRICS_MAX_SERIES", "1000")
        .variable("KAFKAESK_METRICS_FILE", "last.prom")
        .variable("KAFKAESK_LAG_INTERVAL", "5")
        .variable("KAFKAESK_LAG_WINDOW", "1m")
        .variable("KAFKAESK_LAG_ALLOWED", "7")
        .variable("KAFKAESK_ALIVE_WITHIN", "45s")
        .variable("KAFKAESK_SCHEMAS", "a/*.json,b.json")
        .load();
    let settings = &loaded.settings;
    assert_eq!(settings.kafka_servers, ["a:1", "b:2"]);
    assert_eq!(
        (settings.replication_factor, settings.partitions),
        (Some(2), 4)
    );
    assert!(!settings.auto_register && !settings.auto_create_streams && settings.strict);
    assert_eq!(settings.connect_timeout.as_secs(), 3);
    assert_eq!(settings.delivery_timeout.as_secs(), 90);
    assert_eq!(settings.shutdown_timeout.as_secs(), 60);
    assert_eq!(settings.discovery_interval.as_millis(), 500);
    assert_eq!(loaded.schemas.len(), 2);
    let operate = &loaded.operate;
    assert_eq!(operate.listen.as_deref(), Some("[::1]:9464"));
    assert_eq!(operate.token.as_deref(), Some("12345678"));
    assert_eq!(operate.detail, MetricsDetail::Group);
    assert_eq!((operate.max_series, operate.lag_allowed), (1000, 7));
    let file = operate.metrics_file.as_ref().unwrap();
    assert!(file.is_absolute() && file.ends_with("last.prom"));
    let spans = [
        operate.linger,
        operate.lag_interval,
        operate.lag_window,
        operate.alive_within,
    ];
    assert_eq!(spans.map(|span| span.as_secs()), [20, 5, 60, 45]);
    assert_eq!(
        shown(&loaded, "delivery-timeout"),
        ("90s".into(), "environment KAFKAESK_DELIVERY_TIMEOUT".into())
    );
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn an_unknown_variable_warns_with_the_nearest_name() {
    let loaded = empty()
        .variable("KAFKAESK_TOPIC_PREFX", "a")
        .variable("KAFKAESK_COLOUR_OF_THE_LOGO", "red")
        .variable("KAFKAESK_STREAMS", "x")
        .load();
    assert_eq!(
        loaded.warnings,
        [
            "unknown environment variable KAFKAESK_COLOUR_OF_THE_LOGO is ignored",
            "environment KAFKAESK_STREAMS is ignored: `streams` can only be set in the configuration file",
            "unknown environment variable KAFKAESK_TOPIC_PREFX is ignored; did you mean `KAFKAESK_TOPIC_PREFIX`?",
        ]
    );
}

#[test]
fn a_kubernetes_service_named_kafkaesk_changes_nothing() {
    let mut case = empty();
    for name in [
        "KAFKAESK_PORT",
        "KAFKAESK_PORT_9092_TCP",
        "KAFKAESK_PORT_9092_TCP_ADDR",
        "KAFKAESK_SERVICE_HOST",
        "KAFKAESK_SERVICE_PORT",
        "KAFKAESK_SERVICE_PORT_HTTP",
        "KAFKAESK_WORKER_PORT",
        "KAFKAESK_WORKER_PORT_80_TCP_PROTO",
        "KAFKAESK_WORKER_SERVICE_HOST",
        "KAFKAESK_WORKER_SERVICE_PORT_HTTP",
        "KAFKAESK_TEST_SERVERS",
    ] {
        case = case.variable(name, "tcp://10.0.0.1:9092");
    }
    let loaded = case.load();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(
        loaded
            .effective
            .iter()
            .all(|setting| setting.source == "default")
    );
}

#[test]
fn a_value_of_the_wrong_type_names_the_variable_and_the_range() {
    let error = empty().variable("KAFKAESK_PARTITIONS", "many").refused();
    assert_eq!(
        error,
        "environment KAFKAESK_PARTITIONS: `partitions`: \"many\" is not a whole number from 1 to 10000"
    );
    let error = empty().flag("kafka-servers", "http://a:1").refused();
    assert_eq!(
        error,
        "flag --kafka-servers: `kafka-servers`: \"http://a:1\" is not a broker address; write `host:port`, such as \"localhost:9092\""
    );
    let error = empty().variable("KAFKAESK_KAFKA_SERVERS", "").refused();
    assert_eq!(
        error,
        "environment KAFKAESK_KAFKA_SERVERS: `kafka-servers`: there is no broker in it; write `host:port`, such as \"localhost:9092\""
    );
}

#[test]
fn a_json_flag_names_itself_and_what_is_wrong() {
    let error = empty().flag("kafka-settings", "[1]").refused();
    assert_eq!(
        error,
        "flag --kafka-settings: `kafka-settings` is not a JSON object: it is an array; write an object, such as {\"linger.ms\": 5}"
    );
    let error = empty()
        .flag("kafka-settings", r#"{"linger.ms": 5, "linger.ms": 6}"#)
        .refused();
    assert!(
        error.contains("`linger.ms` stands there twice at line 1 column"),
        "{error}"
    );
    let error = empty()
        .flag("kafka-settings", r#"{"fetch.min.byte": 5}"#)
        .refused();
    assert_eq!(
        error,
        "flag --kafka-settings: unknown librdkafka property `fetch.min.byte`; did you mean `fetch.min.bytes`?"
    );
}

#[test]
fn a_flag_for_no_setting_is_an_error() {
    let error = empty().flag("partition", "1").refused();
    assert_eq!(
        error,
        "flag --partition: unknown key `partition`; did you mean `partitions`?"
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_utf8_is_an_error_where_it_counts() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let broken = || OsString::from_vec(vec![0xff]);
    for name in [
        "KAFKAESK_TOPIC_PREFIX",
        "KAFKAESK_PROFILE",
        "KAFKAESK_CONFIG",
    ] {
        let error = empty().variable(name, broken()).refused();
        assert_eq!(error, format!("environment {name}: its value is not UTF-8"));
    }
    let referred = super::case("topic-prefix = { env = 'P', default = 'a' }\n");
    let error = referred.variable("P", broken()).refused();
    assert_eq!(error, "environment P: its value is not UTF-8");
    empty().variable("OTHERS", broken()).load();
}
