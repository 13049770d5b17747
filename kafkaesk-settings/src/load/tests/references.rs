//! Laws of `{ file = … }` and `{ env = … }`.

use super::{case, shown};

#[test]
fn a_file_is_found_beside_the_file_that_names_it() {
    let mut case = case("");
    case.write(
        "etc/kafkaesk.toml",
        "topic-prefix = { file = 'prefix' }\npartitions = { file = 'n' }\n",
    );
    case.write("etc/prefix", "shop.\r\n");
    case.write("etc/n", "12\n");
    case.loader = case.loader.config(Some("etc/kafkaesk.toml"));
    let loaded = case.load();
    assert_eq!(loaded.settings.topic_prefix.as_str(), "shop.");
    assert_eq!(loaded.settings.partitions, 12);
}

#[test]
fn a_variable_is_typed_by_the_setting_and_may_have_a_default() {
    let toml = "kafka-servers = { env = 'BROKERS', default = 'd:1' }\npartitions = { env = 'N', default = 5 }\n[kafka-settings]\nlinger.ms = { env = 'LINGER', default = '3' }\n";
    let loaded = case(toml).load();
    assert_eq!(loaded.settings.kafka_servers, ["d:1"]);
    assert_eq!(loaded.settings.partitions, 5);
    assert_eq!(loaded.settings.kafka_settings.common["linger.ms"], "3");
    let loaded = case(toml)
        .variable("BROKERS", "a:1,b:2")
        .variable("N", "6")
        .load();
    assert_eq!(loaded.settings.kafka_servers, ["a:1", "b:2"]);
    assert_eq!(loaded.settings.partitions, 6);
}

#[test]
fn a_list_may_hold_references() {
    let loaded = case("kafka-servers = [{ env = 'A' }, 'b:2']\n")
        .variable("A", "a:1")
        .load();
    assert_eq!(loaded.settings.kafka_servers, ["a:1", "b:2"]);
}

#[test]
fn a_reference_that_leads_nowhere_says_so() {
    let error = case("\ntopic-prefix = { env = 'ABSENT' }\n").refused();
    assert_eq!(
        error,
        "kafkaesk.toml:2: `topic-prefix`: the environment variable ABSENT is not set; set it, or give a `default` beside `env`"
    );
    let case_ = case("[kafka-settings]\nsasl.password = { file = 'absent' }\n");
    let path = case_.path("absent");
    let error = case_.refused();
    let expected =
        format!("kafkaesk.toml:2: `kafka-settings.sasl.password`: cannot read the file {path:?}: ");
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn a_reference_that_is_overridden_is_never_followed() {
    let loaded = case("[kafka-settings]\nsasl.password = { file = '/absent' }\n[profile.p.kafka-settings]\nsasl.password = { env = 'P' }\n")
        .variable("P", "hush")
        .profile("p")
        .load();
    assert_eq!(
        loaded.settings.kafka_settings.common["sasl.password"],
        "hush"
    );
}

#[test]
fn a_secret_that_does_not_fit_is_not_shown() {
    let error = case("partitions = { env = 'N' }\n")
        .variable("N", "hush")
        .refused();
    assert_eq!(
        error,
        "kafkaesk.toml:1: `partitions`: the value of variable N is not a whole number from 1 to 10000"
    );
    let error = case("[kafka-settings]\nlinger.ms = { env = 'N' }\n")
        .variable("N", "hush")
        .refused();
    assert_eq!(
        error,
        "kafkaesk.toml:2: property `linger.ms`: the value is not a number in 0 .. 900000"
    );
}

#[test]
fn a_whole_table_of_properties_may_come_from_a_file() {
    let case = case("kafka-settings = { file = 'kafka.json' }\n");
    case.write(
        "kafka.json",
        r#"{"security.protocol": "sasl_ssl", "sasl": {"mechanism": "PLAIN", "password": "hush"}}"#,
    );
    let loaded = case.load();
    assert_eq!(
        loaded.settings.kafka_settings.common["sasl.password"],
        "hush"
    );
    let (value, source) = shown(&loaded, "kafka-settings.sasl.mechanism");
    assert_eq!(value, "[redacted]");
    assert!(source.starts_with("kafkaesk.toml:1 (file "), "{source}");
}

#[test]
fn a_malformed_reference_names_the_key_that_does_not_belong() {
    let refused = |reference: &str| case(&format!("topic-prefix = {reference}\n")).refused();
    assert_eq!(
        refused("{ env = 'X', defalt = 'y' }"),
        "kafkaesk.toml:1: unknown key `topic-prefix.defalt`; did you mean `default`?"
    );
    assert_eq!(
        refused("{ env = 'X', file = 'sec' }"),
        "kafkaesk.toml:1: unknown key `topic-prefix.file`; known are default, env"
    );
    assert_eq!(
        refused("{ file = 'f', default = 'x' }"),
        "kafkaesk.toml:1: unknown key `topic-prefix.default`; known are file"
    );
    let property = case("[kafka-settings]\nsasl.password = { env = 'X', defalt = 'y' }\n");
    assert_eq!(
        property.refused(),
        "kafkaesk.toml:2: unknown key `kafka-settings.sasl.password.defalt`; did you mean `default`?"
    );
}

#[test]
fn security_is_not_followed_where_it_is_left_out() {
    let mut case = case(
        "[kafka-settings]\nsasl.password = { file = '/absent' }\nsecurity.protocol = { env = 'ABSENT' }\nlinger.ms = { env = 'LINGER' }\n",
    )
    .variable("LINGER", "3");
    case.loader = case.loader.unread_security();
    let loaded = case.load();
    let common = &loaded.settings.kafka_settings.common;
    assert_eq!(common["sasl.password"], "[redacted]");
    assert_eq!(common["security.protocol"], "[redacted]");
    assert_eq!(common["linger.ms"], "3");
}
