//! Laws of [`Section`], as the worker reads `[[subscriptions]]` with it.

use std::time::Duration;

use super::case;
use crate::Section;

fn section(toml: &str) -> Section {
    let mut loaded = case(&format!("[[subscriptions]]\n{toml}\n")).load();
    loaded.subscriptions.remove(0)
}

#[test]
fn every_kind_of_value_is_read() {
    let mut section = section(
        "pattern = 'orders.*'\nconcurrency = 8\nvalidate = true\nordering = 'key'\nhandler = { exec = ['python3', 'a.py'], timeout = '10s', ca = 'ca.pem', headers = { a = 'b', n = 1 } }\nkafka-settings = { fetch.min.bytes = 5 }",
    );
    assert_eq!(section.required_text("pattern").unwrap(), "orders.*");
    assert_eq!(section.integer("concurrency", 1..=1000).unwrap(), Some(8));
    assert_eq!(section.boolean("validate").unwrap(), Some(true));
    assert_eq!(
        section
            .choice("ordering", &["key", "partition", "none"])
            .unwrap(),
        Some("key")
    );
    assert_eq!(section.text("group").unwrap(), None);
    let settings = section.consumer_settings("kafka-settings").unwrap();
    assert_eq!(settings.unwrap()["fetch.min.bytes"], "5");
    let mut handler = section.table("handler").unwrap().unwrap();
    assert!(handler.has("exec") && !handler.has("http"));
    assert_eq!(handler.texts("exec").unwrap().unwrap(), ["python3", "a.py"]);
    let range = Duration::from_secs(1)..=Duration::from_secs(60);
    assert_eq!(
        handler.span("timeout", range).unwrap(),
        Some(Duration::from_secs(10))
    );
    assert_eq!(
        handler.path("ca").unwrap(),
        Some(handler.directory().join("ca.pem"))
    );
    let headers = handler.text_map("headers").unwrap().unwrap();
    assert_eq!((headers["a"].as_str(), headers["n"].as_str()), ("b", "1"));
    handler.finish().unwrap();
    section.finish().unwrap();
}

#[test]
fn what_nobody_asked_for_is_an_error_with_the_nearest_key() {
    let mut section = section("pattern = 'a'\nconcurency = 8");
    section.text("pattern").unwrap();
    section.integer("concurrency", 1..=1000).unwrap();
    assert_eq!(
        section.finish().unwrap_err().to_string(),
        "kafkaesk.toml:3: unknown key `subscriptions[0].concurency`; did you mean `concurrency`?"
    );
}

#[test]
fn an_error_inside_a_table_names_the_whole_way_and_the_line() {
    let mut section = section("pattern = 'a'\n\n[subscriptions.handler]\ntimeout = 'soon'");
    let mut handler = section.table("handler").unwrap().unwrap();
    let range = Duration::from_secs(1)..=Duration::from_secs(60);
    assert_eq!(
        handler.span("timeout", range).unwrap_err().to_string(),
        "kafkaesk.toml:5: `subscriptions[0].handler.timeout`: \"soon\" is not a span of time from 1s to 1m, as seconds or with a unit, such as \"90s\""
    );
    assert_eq!(
        handler.error("timeout", "it is too short").to_string(),
        "kafkaesk.toml:5: `subscriptions[0].handler.timeout`: it is too short"
    );
    assert_eq!(
        section.missing("group").to_string(),
        "kafkaesk.toml:1: `subscriptions[0].group`: it is missing, and there is no default"
    );
}

#[test]
fn a_word_that_is_no_choice_names_the_choices() {
    let mut section = section("ordering = 'keys'");
    assert_eq!(
        section
            .choice("ordering", &["key", "none"])
            .unwrap_err()
            .to_string(),
        "kafkaesk.toml:2: `subscriptions[0].ordering`: \"keys\" is not one of key, none"
    );
}

#[test]
fn user_info_in_a_url_is_not_shown_in_errors() {
    let mut section = section("ordering = 'http://me:hush@host'");
    let error = section
        .choice("ordering", &["key"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("http://[redacted]@host") && !error.contains("hush"),
        "{error}"
    );
}

#[test]
fn a_producers_property_is_refused_where_there_is_no_producer() {
    for toml in [
        "kafka-settings = { linger.ms = 5 }",
        "kafka-settings.producer = { linger.ms = 5 }",
        "kafka-settings.producer = { client.id = 'a' }",
    ] {
        let error = section(toml)
            .consumer_settings("kafka-settings")
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("kafkaesk.toml:2: `kafka-settings.")
                && error.contains("it is for producers"),
            "{error}"
        );
    }
    let mut section =
        section("kafka-settings = { fetch.min.bytes = 1, consumer = { fetch.min.bytes = 2 } }");
    let settings = section.consumer_settings("kafka-settings").unwrap();
    assert_eq!(settings.unwrap()["fetch.min.bytes"], "2");
}
