//! Laws of what is never shown.

use super::{case, shown};

#[test]
fn secrets_are_never_shown() {
    let toml = "group-prefix = { env = 'G' }\n[kafka-settings]\nsecurity.protocol = 'sasl_ssl'\nsasl.mechanism = 'PLAIN'\nsasl.username = 'me'\nsasl.password = 'hush'\nclient.id = { file = 'id' }\nssl.ca.location = 'https://me:hush@host/ca'\n";
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
