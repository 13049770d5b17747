//! Laws of [`Section`], with which the command line reads `[[subscriptions]]`.

use std::time::Duration;

use serde::{Deserialize, de::IgnoredAny};

use super::case;
use crate::{Section, Span, Texts, Whole};

fn section(toml: &str) -> Section {
    let mut loaded = case(&format!("[[subscriptions]]\n{toml}\n")).load();
    loaded.subscriptions.remove(0)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Subscription {
    pattern: String,
    group: Option<String>,
    concurrency: Option<Whole<u32, 1, 1000>>,
    validate: Option<bool>,
    ordering: Option<Ordering>,
    #[serde(rename = "handler")]
    _handler: Option<IgnoredAny>,
    #[serde(rename = "kafka-settings")]
    _kafka_settings: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Ordering {
    Key,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Handler {
    exec: Vec<String>,
    timeout: Option<Span<1000, 60_000>>,
    headers: Texts,
}

#[test]
fn every_kind_of_value_is_read() {
    let section = section(
        "pattern = 'orders.*'\nconcurrency = 8\nvalidate = true\nordering = 'key'\nhandler = { exec = ['python3', 'a.py'], timeout = '10s', headers = { a = 'b', n = 1 } }\nkafka-settings = { fetch.min.bytes = 5 }",
    );
    let read: Subscription = section.read().unwrap();
    assert_eq!(read.pattern, "orders.*");
    assert_eq!(
        (read.concurrency, read.validate),
        (Some(Whole(8)), Some(true))
    );
    assert_eq!((read.ordering, read.group), (Some(Ordering::Key), None));
    let settings = section.consumer_settings("kafka-settings").unwrap();
    assert_eq!(settings.unwrap()["fetch.min.bytes"], "5");
    let handler = section.table("handler").unwrap();
    assert!(handler.has("exec") && !handler.has("http"));
    let handler: Handler = handler.read().unwrap();
    assert_eq!(handler.exec, ["python3", "a.py"]);
    assert_eq!(handler.timeout, Some(Span(Duration::from_secs(10))));
    let headers = &handler.headers.0;
    assert_eq!((headers["a"].as_str(), headers["n"].as_str()), ("b", "1"));
}

#[test]
fn text_behind_a_reference_takes_the_type_of_its_field() {
    let mut loaded = case(
        "[[subscriptions]]\npattern = 'a'\nconcurrency = { env = 'N' }\nvalidate = { env = 'V' }\nordering = { env = 'O' }\n",
    )
    .variable("N", "12")
    .variable("V", "1")
    .variable("O", "none")
    .load();
    let read: Subscription = loaded.subscriptions.remove(0).read().unwrap();
    assert_eq!(
        (read.concurrency, read.validate),
        (Some(Whole(12)), Some(true))
    );
    assert_eq!(read.ordering, Some(Ordering::None));
}

#[test]
fn a_reference_that_nobody_reads_is_not_followed() {
    let section = section("pattern = 'a'\nhandler = { exec = [{ env = 'ABSENT' }] }");
    section.read::<Subscription>().unwrap();
    let handler = section.table("handler").unwrap();
    assert!(handler.read::<Handler>().is_err());
}

#[test]
fn an_error_of_the_reader_has_the_place_of_its_key() {
    let section = section("pattern = 'a'\n\n[subscriptions.handler]\ntimeout = '1s'");
    let handler = section.table("handler").unwrap();
    assert_eq!(
        handler.error("timeout", "it is too short").to_string(),
        "kafkaesk.toml:5: `subscriptions[0].handler.timeout`: it is too short"
    );
    assert_eq!(
        section.table("group").unwrap_err().to_string(),
        "kafkaesk.toml:1: `subscriptions[0].group`: it is missing, and there is no default"
    );
}

#[test]
fn a_section_printed_for_debugging_shows_no_value() {
    let section = section("pattern = 'HUSH'");
    let debug = format!("{section:?}");
    assert_eq!(debug, "Section(subscriptions[0] at kafkaesk.toml:1)");
}

#[test]
fn the_consumers_own_table_wins() {
    let section =
        section("kafka-settings = { fetch.min.bytes = 1, consumer = { fetch.min.bytes = 2 } }");
    let settings = section.consumer_settings("kafka-settings").unwrap();
    assert_eq!(settings.unwrap()["fetch.min.bytes"], "2");
}
