//! completions.json

use kafkaesk_core::{Completions, NextOffset, Offset};
use serde_json::{Value, json};

use kafkaesk_vectors::{every, same, text};

#[test]
fn every_commit_says_what_the_contract_says_beyond_its_offset() {
    every("completions.json", |case| {
        let (id, committed) = (
            text(case, "topic-id"),
            NextOffset(number(&case["committed"])),
        );
        let metadata = text(case, "metadata");
        if let Some(unfinished) = case.get("unfinished") {
            let unfinished = unfinished.as_array().expect("offsets").iter();
            let all = unfinished.map(|offset| Offset(number(offset)));
            let completions = Completions::new(all, NextOffset(number(&case["end"])));
            let written = match case.get("names-topic") {
                Some(_) => completions.metadata(id, committed),
                None => completions.write(id, committed),
            };
            return same(written.as_str(), metadata);
        }
        if let Some(counts) = case.get("counts") {
            let named = Completions::topic_id(metadata, committed);
            return same(&json!(named.is_none_or(|named| named == id)), counts);
        }
        let log_end = number(&case["log-end"]);
        let read = Completions::read(metadata, id, committed)
            .filter(|completions| completions.end().0 <= log_end);
        let runs = |completions: &Completions| {
            let runs = completions.unfinished().iter();
            runs.map(|(start, length)| json!([start, length]))
                .collect::<Vec<_>>()
        };
        let read = read.map_or(
            Value::Null,
            |completions| json!({"unfinished": runs(&completions), "end": completions.end().0}),
        );
        same(&read, &case["reads"])
    });
}

fn number(value: &Value) -> i64 {
    value.as_i64().expect("a number")
}
