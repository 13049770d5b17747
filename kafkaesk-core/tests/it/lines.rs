//! lines.json

use std::sync::Arc;

use bytes::Bytes;
use kafkaesk_core::{
    Headers, Offset, Record, Source, StreamId, TopicName,
    line::{self, Content, Delivery, Line, Timestamps},
};
use serde_json::Value;

use kafkaesk_vectors::{bytes, every, outcome, same, text};

#[test]
fn every_record_is_written_as_its_line_and_every_line_read_or_refused() {
    every("lines.json", |case| {
        let expected = bytes(&case["line"]).expect("a line");
        if let Some(record) = case.get("record") {
            return written(record, &expected);
        }
        let timestamps = match case["timestamps"].as_str() {
            Some("keep") => Timestamps::Keep,
            None => Timestamps::Ignore,
            Some(other) => return Err(format!("unknown timestamps {other}")),
        };
        let line = Line::read(&expected, timestamps);
        let line = line.as_ref().map_err(|e| (e.class(), e.at()));
        let Some(line) = outcome(case, line)? else {
            return Ok(());
        };
        let read = &case["read"];
        same(line.stream.as_str(), text(read, "stream"))?;
        same(line.key.as_deref(), bytes(&read["key"]).as_deref())?;
        same(&line.headers, &headers(&read["headers"]))?;
        same(line.id.as_deref(), read["id"].as_str())?;
        same(line.timestamp, read["timestamp"].as_i64())?;
        match &line.content {
            Content::Event { schema, data } => {
                same(schema.to_string().as_str(), text(read, "schema"))?;
                same(*data, text(read, "data").as_bytes())
            }
            Content::Tombstone => same(Some(true), read["tombstone"].as_bool()),
        }
    });
}

fn headers(list: &Value) -> Headers {
    let list = list.as_array().expect("headers are a list");
    list.iter()
        .map(|pair| {
            let name = pair[0].as_str().expect("a header's name");
            (name, bytes(&pair[1]).map(Bytes::from))
        })
        .collect()
}

fn written(record: &Value, expected: &[u8]) -> Result<(), String> {
    let stream = StreamId::new(text(record, "stream")).map_err(|e| e.to_string())?;
    let delivery = record.get("delivery").map(|d| Delivery {
        group: text(d, "group"),
        attempt: d["attempt"].as_u64().expect("an attempt") as u32,
        delivery: Some(text(d, "delivery")),
    });
    let record = Record {
        source: Arc::new(Source {
            topic: TopicName::new(stream.as_str()).map_err(|e| e.to_string())?,
            stream,
            partition: record["partition"].as_i64().expect("a partition") as i32,
        }),
        offset: Offset(record["offset"].as_i64().expect("an offset")),
        timestamp: record["timestamp"].as_i64(),
        key: bytes(&record["key"]).map(Bytes::from),
        headers: headers(&record["headers"]),
        value: bytes(&record["value"]).map(Bytes::from),
        unreadable: None,
    };
    let mut out = Vec::new();
    line::write(&mut out, &record, delivery);
    same(
        String::from_utf8_lossy(&out),
        String::from_utf8_lossy(expected),
    )
}
