//! One law for each of figment's traps.

use super::{case, empty, shown};

#[test]
fn a_variable_that_looks_like_a_number_stays_text() {
    let loaded = empty()
        .variable("KAFKAESK_TOPIC_PREFIX", "123")
        .variable("KAFKAESK_GROUP_PREFIX", "true")
        .load();
    assert_eq!(loaded.settings.topic_prefix.as_str(), "123");
    assert_eq!(loaded.settings.group_prefix, "true");
}

#[test]
fn json_in_a_variable_merges_by_key() {
    let loaded = case("[kafka-settings]\n'linger.ms' = 5\n'fetch.min.bytes' = 1\n")
        .variable("KAFKAESK_KAFKA_SETTINGS", r#"{"linger.ms": 7}"#)
        .load();
    let common = &loaded.settings.kafka_settings.common;
    assert_eq!(common["linger.ms"], "7");
    assert_eq!(common["fetch.min.bytes"], "1");
    let text = r#"{"linger.ms": 5,, "sasl.password": "hush"}"#;
    let error = empty().variable("KAFKAESK_KAFKA_SETTINGS", text).refused();
    assert_eq!(
        error,
        "environment KAFKAESK_KAFKA_SETTINGS: `kafka-settings` is not a JSON object: \
         key must be a string at line 1 column 17"
    );
}

#[test]
fn unquoted_dotted_keys_mean_the_quoted_property() {
    let nested = "[kafka-settings]\nsasl.mechanism = 'PLAIN'\nsasl.username = 'a'\nsecurity.protocol = 'sasl_ssl'\n[kafka-settings.consumer.fetch]\nmin.bytes = 2\n";
    let loaded = case(nested).load();
    let settings = &loaded.settings.kafka_settings;
    assert_eq!(settings.common["sasl.mechanism"], "PLAIN");
    assert_eq!(settings.consumer["fetch.min.bytes"], "2");
    let error = case("[kafka-settings]\nsasl.mechanism = 'PLAIN'\n'sasl.mechanisms' = 'GSSAPI'\n")
        .refused();
    assert_eq!(
        error,
        "kafkaesk.toml:3: `sasl.mechanisms`: the same property is set at kafkaesk.toml:2 as `sasl.mechanism`; keep one"
    );
}

#[test]
fn an_error_names_file_and_line() {
    let error = case("\n# comment\ntopic-prefix = 'a.'\npartitions = 0\n").refused();
    assert_eq!(
        error,
        "kafkaesk.toml:4: `partitions`: the number 0 is not a whole number from 1 to 10000"
    );
}

#[test]
fn a_dotted_key_knows_where_it_came_from() {
    let loaded = case("[kafka-settings]\n'linger.ms' = 5\nfetch.min.bytes = 1\n[profile.p.kafka-settings]\nfetch.min.bytes = 2\n")
        .profile("p")
        .load();
    assert_eq!(
        shown(&loaded, "kafka-settings.linger.ms"),
        ("5".into(), "kafkaesk.toml:2".into())
    );
    assert_eq!(
        shown(&loaded, "kafka-settings.fetch.min.bytes"),
        ("2".into(), "kafkaesk.toml:5".into())
    );
}
