//! Laws of what is never shown.

use super::{case, shown};

#[test]
fn secrets_are_never_shown() {
    let toml = "group-prefix = { env = 'G' }\n[kafka-settings]\nsecurity.protocol = 'sasl_ssl'\nsasl.mechanism = 'PLAIN'\nsasl.username = 'me'\nsasl.password = 'hush'\nclient.id = { file = 'id' }\nssl.ca.location = 'https://me:hush@host/ca'\nsasl.oauthbearer.token.endpoint.url = 'https://me:hush@id/token?key=hush'\n";
    let case = case(toml).variable("G", "hush.");
    case.write("id", "hush\n");
    let id = case.path("id");
    let loaded = case.load();
    let at = |key: &str| shown(&loaded, key);
    assert_eq!(
        at("group-prefix"),
        ("[redacted]".into(), "kafkaesk.toml:1 (variable G)".into())
    );
    assert_eq!(at("kafka-settings.sasl.password").0, "[redacted]");
    assert_eq!(at("kafka-settings.sasl.username").0, "[redacted]");
    assert_eq!(at("kafka-settings.sasl.mechanism").0, "PLAIN");
    let file = format!("kafkaesk.toml:7 (file {})", id.display());
    assert_eq!(at("kafka-settings.client.id"), ("[redacted]".into(), file));
    assert_eq!(
        at("kafka-settings.ssl.ca.location").0,
        "https://[redacted]@host/ca"
    );
    assert_eq!(
        at("kafka-settings.sasl.oauthbearer.token.endpoint.url").0,
        "https://[redacted]@id/token?…"
    );
    assert!(!format!("{:?}", loaded.effective).contains("hush"));
    assert_eq!(loaded.settings.kafka_settings.common["client.id"], "hush");
}

#[test]
fn settings_printed_for_debugging_hide_the_password() {
    let loaded = case("[kafka-settings]\nsasl.password = 'hush'\n").load();
    let debug = format!("{:?}", loaded.settings);
    assert!(
        debug.contains("sasl.password") && !debug.contains("hush"),
        "{debug}"
    );
}

#[test]
fn every_declared_value_is_shown_with_its_own_place_and_without_secrets() {
    let toml = "schemas = ['a/*.json', { file = 'b.json', streams = ['b'] }]\n[[streams]]\nname = 'a'\nconfig = { max.message.bytes = 5 }\n[[subscriptions]]\npattern = 'a'\nstart = '2h'\nhandler = { exec = ['sh', { env = 'U' }, 'http://me:hush@h/?hush'], n = 3 }\n[[subscriptions]]\npattern = { env = 'U' }\nvalidate = true\n[subscriptions.kafka-settings]\nsasl.password = 'hush'\nconsumer.fetch.min.bytes = 2\n[subscriptions.handler]\nhttp = 'http://h/?hush'\nheaders = { Authorization = 'Bearer hush' }\n";
    let loaded = case(toml).variable("U", "hush").load();
    let at = |key: &str| shown(&loaded, key);
    let row = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    for (key, value, source) in [
        ("schemas[0]", "a/*.json", "kafkaesk.toml:1"),
        ("schemas[1].file", "b.json", "kafkaesk.toml:1"),
        ("schemas[1].streams", "b", "kafkaesk.toml:1"),
        (
            "streams[0].config.max.message.bytes",
            "5",
            "kafkaesk.toml:4",
        ),
        ("subscriptions[0].start", "2h", "kafkaesk.toml:7"),
        ("subscriptions[0].handler.n", "3", "kafkaesk.toml:8"),
        (
            "subscriptions[1].pattern",
            "[redacted]",
            "kafkaesk.toml:10 (variable U)",
        ),
        ("subscriptions[1].validate", "true", "kafkaesk.toml:11"),
        (
            "subscriptions[1].kafka-settings.sasl.password",
            "[redacted]",
            "kafkaesk.toml:13",
        ),
        (
            "subscriptions[1].kafka-settings.consumer.fetch.min.bytes",
            "2",
            "kafkaesk.toml:14",
        ),
        (
            "subscriptions[1].handler.http",
            "http://h/…",
            "kafkaesk.toml:16",
        ),
        (
            "subscriptions[1].handler.headers.Authorization",
            "[redacted]",
            "kafkaesk.toml:17",
        ),
    ] {
        assert_eq!(at(key), row(value, source), "{key}");
    }
    assert_eq!(at("subscriptions[0].handler.exec").0, "sh [redacted] …");
    assert!(!format!("{:?}", loaded.effective).contains("hush"));
}

#[test]
fn of_a_command_only_program_flags_and_files_are_shown_and_of_a_url_no_path() {
    for (handler, shown) in [
        (
            "exec = ['python3', '-u', 'audit.py', '--token', 'HUSH', '--key=HUSH', '-pHUSH', 'x']",
            "exec: python3 -u audit.py --token … … … …",
        ),
        (
            "http = 'https://hooks.example:8443/services/HUSH'",
            "http: https://hooks.example:8443/…",
        ),
        (
            "http = 'http://127.0.0.1:1/HUSH?HUSH#HUSH'",
            "http: http://127.0.0.1:1/…",
        ),
        ("http = 'http://127.0.0.1:1/'", "http: http://127.0.0.1:1/"),
        ("http = 'http://127.0.0.1:1'", "http: http://127.0.0.1:1"),
        (
            "exec = ['a']\nenv = { A = 'HUSH', B = { env = 'X' } }",
            "env.A: [redacted]",
        ),
    ] {
        let case = case(&format!(
            "[[subscriptions]]\n[subscriptions.handler]\n{handler}\n"
        ));
        case.write("audit.py", "");
        let loaded = case.variable("X", "HUSH").load();
        let all = format!("{:?}", loaded.effective);
        assert!(!all.contains("HUSH"), "{all}");
        let (key, value) = shown.split_once(": ").unwrap();
        let key = format!("subscriptions[0].handler.{key}");
        assert_eq!(super::shown(&loaded, &key).0, value);
    }
}

#[test]
fn the_variable_that_a_reference_names_is_listed() {
    let toml = "kafka-settings = { sasl.password = { env = 'P', default = 'x' } }\ngroup-prefix = { file = 'g' }\n";
    let case = case(toml).variable("P", "hush");
    case.write("g", "g");
    let loaded = case.load();
    let of = |key: &str| {
        let row = loaded.effective.iter().find(|row| row.key == key).unwrap();
        row.variable.clone()
    };
    assert_eq!(of("kafka-settings.sasl.password").as_deref(), Some("P"));
    assert_eq!(of("group-prefix"), None);
}
