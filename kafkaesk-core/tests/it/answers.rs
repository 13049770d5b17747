//! answers.json

use kafkaesk_core::Answer;
use serde_json::{Value, json};

use kafkaesk_vectors::{every, outcome, same, text};

#[test]
fn every_answer_is_read_or_refused_at_its_place() {
    every("answers.json", |case| {
        let answer = text(case, "text").as_bytes();
        let read = match case["delivery"].as_bool() {
            Some(true) => Answer::read_line(answer).map(|(delivery, a)| (Some(delivery), a)),
            Some(false) => Answer::read(answer).map(|a| (None, a)),
            None => return Err("`delivery` is not a boolean".into()),
        };
        let read = read.as_ref().map_err(|e| (e.class(), e.at()));
        match outcome(case, read)? {
            Some((delivery, answer)) => same(&shown(delivery.as_deref(), answer), &case["answer"]),
            None => Ok(()),
        }
    });
}

fn shown(delivery: Option<&str>, answer: &Answer) -> Value {
    let (outcome, delay, reason) = match answer {
        Answer::Done => ("done", None, None),
        Answer::Skip => ("skip", None, None),
        Answer::Retry { delay, reason } => ("retry", *delay, reason.as_deref()),
        Answer::Reject { reason } => ("reject", None, reason.as_deref()),
        Answer::Abort { reason } => ("abort", None, reason.as_deref()),
    };
    let mut shown = json!({"outcome": outcome});
    if let Some(delivery) = delivery {
        shown["delivery"] = delivery.into();
    }
    if let Some(delay) = delay {
        shown["delay"] = (delay.as_millis() as u64).into();
    }
    if let Some(reason) = reason {
        shown["reason"] = reason.into();
    }
    shown
}
