//! A dead letter as a row, as a text and as JSON. Formats only.

use kafkaesk_client::dead_letters::Letter;
use kafkaesk_core::{Headers, Record, TopicPrefix, dead_letter, line, timestamp};
use serde_json::{Map, Value, json};

use super::value;

/// The number of characters of a key in a row.
const KEY: usize = 60;
/// The number of characters of an error in a row: an `http` handler's error begins with its URL.
const ERROR: usize = 160;

/// Its row: place, time, reason, schema, key, origin, attempts, error.
pub(super) fn row(letter: &Letter, prefix: &TopicPrefix) -> Vec<String> {
    let record = &letter.record;
    let start = [place(record), time(record.timestamp)];
    let key = record.key().map_or("-".to_owned(), |key| {
        cell(&String::from_utf8_lossy(key), KEY)
    });
    let settled = letter.settled.map(|by| format!(" ({} already)", done(by)));
    let settled = settled.unwrap_or_default();
    let rest = match &letter.origin {
        Ok(origin) => vec![
            format!("{}{settled}", origin.reason),
            origin.schema.clone().unwrap_or_else(|| "-".to_owned()),
            key,
            from(origin, prefix),
            attempts(origin.attempts),
            cell(&origin.error, ERROR),
        ],
        Err(problem) => vec![
            format!("not a dead letter{settled}"),
            "-".to_owned(),
            key,
            "-".to_owned(),
            "-".to_owned(),
            cell(&problem.to_string(), ERROR),
        ],
    };
    start.into_iter().chain(rest).collect()
}

/// All of it, in lines.
pub(super) fn text(letter: &Letter, prefix: &TopicPrefix) -> String {
    let record = &letter.record;
    let mut text = format!("{}  {}", place(record), time(record.timestamp));
    let mut add = |name: &str, value: &str| {
        let mut lines = value.lines();
        text.push_str(&format!(
            "\n  {name:<9} {}",
            lines.next().unwrap_or_default()
        ));
        for line in lines {
            text.push_str(&format!("\n            {line}"));
        }
    };
    match &letter.origin {
        Ok(origin) => {
            let at = time(origin.timestamp);
            add("from", &format!("{}  {at}", from(origin, prefix)));
            add("group", &origin.group);
            add("schema", origin.schema.as_deref().unwrap_or("-"));
            add("reason", origin.reason.as_str());
            let span = match (origin.first, origin.last) {
                (None, None) => String::new(),
                (first, last) => format!(", {} to {}", time(first), time(last)),
            };
            add("attempts", &format!("{}{span}", origin.attempts));
            if origin.redriven > 0 {
                add("redriven", &origin.redriven.to_string());
            }
            add("error", &origin.error);
        }
        Err(problem) => add("problem", &format!("not a dead letter: {problem}")),
    }
    if let Some(by) = letter.settled {
        add("settled", done(by));
    }
    let key = record.key().map_or("(null)".to_owned(), |key| {
        String::from_utf8_lossy(key).escape_debug().to_string()
    });
    add("key", &key);
    let headers: Vec<String> = dead_letter::original(&record.headers)
        .iter()
        .map(|(name, value)| {
            let value = value.map_or("(null)".into(), |value| String::from_utf8_lossy(value));
            format!("{}: {}", name.escape_debug(), value.escape_debug())
        })
        .collect();
    if !headers.is_empty() {
        add("headers", &headers.join("\n"));
    }
    add("value", &value::lines(record.value.as_deref()).join("\n"));
    text
}

/// Its summary as JSON, without the value.
pub(super) fn summary(letter: &Letter, prefix: &TopicPrefix) -> Map<String, Value> {
    let record = &letter.record;
    let mut all = Map::new();
    let mut add = |name: &str, value: Value| all.insert(name.to_owned(), value);
    add("partition", json!(record.partition()));
    add("offset", json!(record.offset.0));
    add(
        "timestamp",
        json!(record.timestamp.and_then(timestamp::format)),
    );
    add("key", key(record));
    match &letter.origin {
        Ok(origin) => {
            let stream = prefix.stream_of(origin.topic.as_str());
            add("group", json!(origin.group));
            add(
                "from",
                json!({
                    "stream": stream.as_ref().map(|stream| stream.as_str()),
                    "topic": origin.topic.as_str(),
                    "partition": origin.partition,
                    "offset": origin.offset.0,
                    "timestamp": origin.timestamp.and_then(timestamp::format),
                }),
            );
            add("schema", json!(origin.schema));
            add("reason", json!(origin.reason.as_str()));
            add("error", json!(origin.error));
            add("attempts", json!(origin.attempts));
            add("first", json!(origin.first.and_then(timestamp::format)));
            add("last", json!(origin.last.and_then(timestamp::format)));
            add("redriven", json!(origin.redriven));
        }
        Err(problem) => {
            add("problem", json!(problem.to_string()));
        }
    }
    add("settled", json!(letter.settled.map(|by| by.as_str())));
    all
}

/// All of it as one line of JSON: the summary, and as `record` the record's line as `tail` writes it.
pub(super) fn whole(letter: &Letter, prefix: &TopicPrefix) -> anyhow::Result<Vec<u8>> {
    let mut out = serde_json::to_vec(&summary(letter, prefix))?;
    out.pop();
    out.extend_from_slice(b",\"record\":");
    line::write(&mut out, &letter.record, None);
    out.push(b'}');
    Ok(out)
}

/// As the JSON line writes it: a text, or base64 where it is none.
fn key(record: &Record) -> Value {
    let alone = Record {
        value: None,
        headers: Headers::new(),
        unreadable: None,
        ..record.clone()
    };
    let mut text = Vec::new();
    line::write(&mut text, &alone, None);
    let line: Value = serde_json::from_slice(&text).unwrap_or_default();
    line.get("key").cloned().unwrap_or_default()
}

fn place(record: &Record) -> String {
    format!("{}@{}", record.partition(), record.offset)
}

fn from(origin: &kafkaesk_core::DeadLetter, prefix: &TopicPrefix) -> String {
    let topic = origin.topic.as_str();
    let stream = prefix.stream_of(topic);
    let name = stream.as_ref().map_or(topic, |stream| stream.as_str());
    format!("{name}[{}]@{}", origin.partition, origin.offset)
}

/// How a letter was settled, in a word.
pub(super) fn done(by: kafkaesk_core::SettledBy) -> &'static str {
    match by {
        kafkaesk_core::SettledBy::Redrive => "redriven",
        kafkaesk_core::SettledBy::Purge => "purged",
        _ => "settled",
    }
}

fn attempts(count: u32) -> String {
    match count {
        1 => "1 attempt".to_owned(),
        count => format!("{count} attempts"),
    }
}

fn time(millis: Option<i64>) -> String {
    millis
        .and_then(timestamp::format)
        .unwrap_or_else(|| "-".to_owned())
}

/// The first line of a text, cut.
fn cell(text: &str, most: usize) -> String {
    let first = text.lines().next().unwrap_or_default();
    let escaped: String = first.escape_debug().take(most).collect();
    match escaped.chars().count() == most || first.len() < text.len() {
        true => format!("{escaped}…"),
        false => escaped,
    }
}
