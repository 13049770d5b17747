//! dead-letters.json

use bytes::Bytes;
use kafkaesk_core::{
    DeadLetter, DeadLetterError, Headers, Offset, Reason, Settlement, TopicName, TopicPrefix,
    dead_letter,
};
use serde_json::{Value, json};

use kafkaesk_vectors::{bytes, every, same, text};

#[test]
fn every_dead_letter_is_written_read_settled_and_copied_as_the_contract_says() {
    every("dead-letters.json", |case| {
        if case.get("group").is_some() {
            topics(case)
        } else if case.get("letter").is_some() {
            same(
                letter(&case["letter"]).write(&headers(&case["headers"])),
                headers(&case["dead"]),
            )
        } else {
            law(case)
        }
    });
}

fn topics(case: &Value) -> Result<(), String> {
    let prefix = TopicPrefix::new(text(case, "prefix")).expect("the shape of the file");
    let group = text(case, "group");
    let found = (prefix.dead_topic(group), prefix.retry_topic(group));
    match (found, &case["topics"]) {
        ((Ok(dead), Ok(retry)), expected) => {
            same(&json!([dead.as_str(), retry.as_str()]), expected)
        }
        // A group has both topics or none.
        (_, Value::Null) => Ok(()),
        (found, _) => Err(format!("{found:?}")),
    }
}

fn law(case: &Value) -> Result<(), String> {
    let dead = headers(&case["dead"]);
    let found = match text(case, "law") {
        "read" => DeadLetter::read(&dead).map(|letter| shown(&letter)),
        "marker" => Settlement::read(&dead).map(|marker| {
            marker.map_or(
                Value::Null,
                |m| json!({"offset": m.offset.0, "by": m.by.as_str()}),
            )
        }),
        "copy" => {
            let copy = DeadLetter::read(&dead).map(|letter| letter.redrive(&dead));
            return same(copy, Ok(headers(&case["gives"])));
        }
        "original" => return same(dead_letter::original(&dead), headers(&case["gives"])),
        other => return Err(format!("unknown law {other}")),
    };
    match (found, case.get("refused")) {
        (Ok(found), None) => same(&found, &case["gives"]),
        (Err(error), Some(refused)) => same(Some(header(&error)), refused.as_str()),
        (found, _) => Err(format!("{found:?}")),
    }
}

fn header(error: &DeadLetterError) -> &'static str {
    match error {
        DeadLetterError::Absent(header) | DeadLetterError::Value { header, .. } => header,
    }
}

fn headers(all: &Value) -> Headers {
    let all = all.as_array().expect("the shape of the file").iter();
    all.map(|pair| {
        (
            pair[0].as_str().expect("the shape of the file"),
            bytes(&pair[1]).map(Bytes::from),
        )
    })
    .collect()
}

fn letter(of: &Value) -> DeadLetter {
    DeadLetter {
        topic: TopicName::new(text(of, "topic")).expect("the shape of the file"),
        partition: of["partition"].as_i64().expect("the shape of the file") as i32,
        offset: Offset(of["offset"].as_i64().expect("the shape of the file")),
        timestamp: of["timestamp"].as_i64(),
        group: text(of, "group").to_owned(),
        schema: of["schema"].as_str().map(str::to_owned),
        reason: Reason::parse(text(of, "reason")).expect("the shape of the file"),
        error: text(of, "error").to_owned(),
        attempts: of["attempts"].as_u64().expect("the shape of the file") as u32,
        first: of["first"].as_i64(),
        last: of["last"].as_i64(),
        redriven: of["redriven"].as_u64().expect("the shape of the file") as u32,
    }
}

fn shown(letter: &DeadLetter) -> Value {
    json!({
        "topic": letter.topic.as_str(),
        "partition": letter.partition,
        "offset": letter.offset.0,
        "timestamp": letter.timestamp,
        "first": letter.first,
        "last": letter.last,
        "group": letter.group,
        "schema": letter.schema,
        "reason": letter.reason.as_str(),
        "error": letter.error,
        "attempts": letter.attempts,
        "redriven": letter.redriven,
    })
}
