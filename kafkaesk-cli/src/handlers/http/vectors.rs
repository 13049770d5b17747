//! Vectors: the headers of requests, and what answers mean.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafkaesk_core::{Headers, Offset, Record, Source, StreamId, TopicName, answer::Answer};
use kafkaesk_vectors::{broken, bytes, cases, report, same, text};
use serde_json::Value;

use super::{super::Reply, BatchReply, batch, request, response as responses};

#[tokio::test]
async fn requests_and_answers_are_what_the_contract_says() {
    let cases = cases("http.json");
    let mut wrong = Vec::new();
    for case in &cases {
        let verdict = match (case.get("messages"), case.get("status")) {
            (Some(messages), _) => answered_batch(case, messages).await,
            (None, Some(_)) => answered(case).await,
            (None, None) => requested(case),
        };
        wrong.extend(broken(case, verdict));
    }
    report("http.json", cases.len(), wrong);
}

fn requested(case: &Value) -> Result<(), String> {
    let attempt = case["attempt"].as_u64().unwrap() as u32;
    let record = record(&case["record"]);
    let trace = record.headers.trace();
    let (schema, group) = (text(case, "schema"), text(case, "group"));
    let headers = request::headers(&record, &trace, schema, group, attempt);
    if case["rejected"].as_bool() == Some(true) {
        return match headers {
            Ok(headers) => Err(format!("{headers:?}, not rejected")),
            Err(_) => Ok(()),
        };
    }
    let headers = headers?;
    let mut found: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    found.sort_unstable();
    let expected = case["headers"].as_array().unwrap().iter();
    let expected = expected.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    same(found, expected.collect())
}

fn record(record: &Value) -> Record {
    let stream = StreamId::new(text(record, "stream")).unwrap();
    let mut headers = Headers::new();
    for pair in record["headers"].as_array().unwrap() {
        headers.push(pair[0].as_str().unwrap(), bytes(&pair[1]).map(Bytes::from));
    }
    Record {
        source: Arc::new(Source {
            topic: TopicName::new(stream.as_str()).unwrap(),
            stream,
            partition: record["partition"].as_i64().unwrap() as i32,
        }),
        offset: Offset(record["offset"].as_i64().unwrap()),
        timestamp: record["timestamp"].as_i64(),
        key: bytes(&record["key"]).map(Bytes::from),
        headers,
        value: None,
        unreadable: None,
    }
}

fn response(case: &Value) -> http::Response<String> {
    let mut builder = http::Response::builder().status(case["status"].as_u64().unwrap() as u16);
    for name in ["content-type", "retry-after"] {
        if let Some(value) = case[name].as_str() {
            builder = builder.header(name, value);
        }
    }
    builder.body(text(case, "body").to_owned()).unwrap()
}

async fn answered_batch(case: &Value, messages: &Value) -> Result<(), String> {
    let messages = messages.as_u64().unwrap() as usize;
    let url = "http://x/".parse().unwrap();
    let reply = batch::answer(response(case).into(), &url, "http://x/", messages).await;
    let word = |reply: &Reply| match reply {
        Reply::Answered(Answer::Done) => "done",
        Reply::Answered(Answer::Skip) => "skip",
        Reply::Answered(Answer::Retry { .. }) | Reply::Overloaded { .. } => "retry",
        Reply::Answered(Answer::Reject { .. }) => "reject",
        Reply::Answered(Answer::Abort { .. }) => "abort",
        Reply::Busy(_) => "again",
        Reply::Unavailable(_) => "pause",
    };
    let means = match &reply {
        BatchReply::Each(each) => each.iter().map(word).collect::<Vec<_>>().into(),
        BatchReply::Whole(
            Reply::Answered(Answer::Retry { delay: Some(_), .. })
            | Reply::Overloaded { delay: Some(_), .. },
        ) => "again".into(),
        BatchReply::Whole(
            Reply::Answered(Answer::Retry { .. } | Answer::Reject { .. })
            | Reply::Overloaded { .. },
        ) => Value::from("split"),
        BatchReply::Whole(reply) => word(reply).into(),
    };
    same(&means, &case["means"])
}

async fn answered(case: &Value) -> Result<(), String> {
    let response = response(case);
    let (means, delay) = match responses::answer(
        response.into(),
        &"http://x/".parse().unwrap(),
        "http://x/",
    )
    .await
    {
        Reply::Answered(Answer::Done) => ("done", None),
        Reply::Answered(Answer::Skip) => ("skip", None),
        Reply::Answered(Answer::Retry { delay, .. }) | Reply::Overloaded { delay, .. } => {
            ("retry", delay)
        }
        Reply::Busy(_) => ("retry", None),
        Reply::Answered(Answer::Reject { .. }) => ("reject", None),
        Reply::Answered(Answer::Abort { .. }) => ("abort", None),
        Reply::Unavailable(_) => ("pause", None),
    };
    same(means, text(case, "means"))?;
    same(delay, case["delay"].as_u64().map(Duration::from_millis))
}
