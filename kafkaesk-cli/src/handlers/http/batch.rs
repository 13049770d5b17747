//! Batches of the `http` handler: one POST with a line for each message; the answer's status decides, or a line for each message.

use bytes::Bytes;
use kafkaesk_core::{Headers, percent};
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use super::{Http, response};
use crate::handlers::Reply;

/// What a batch is sent as, and its answers come as.
const NDJSON: &str = "application/x-ndjson";
/// How much of the answers to a batch is read, in bytes.
const MAX_ANSWERS: usize = 16 * 1024 * 1024;

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BatchReply {
    /// All of its messages like this.
    Whole(Reply),
    /// Each of its messages for itself, in their order.
    Each(Vec<Reply>),
}

/// A batch to post.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    pub(crate) stream: &'a str,
    pub(crate) partition: i32,
    pub(crate) group: &'a str,
    /// What goes on as its trace.
    pub(crate) trace: &'a Headers,
    /// How many lines there are.
    pub(crate) messages: usize,
    pub(crate) body: Bytes,
}

impl Http {
    /// Posts a batch. Cancel safe in the sense of at-least-once: a dropped call may have been handled.
    ///
    /// # Errors
    /// No answer came back; [`Self::broken`] says what that means.
    pub(crate) async fn handle_batch(
        &self,
        lines: Lines<'_>,
    ) -> Result<BatchReply, reqwest::Error> {
        let messages = lines.messages;
        let request = self.client.post(self.settings.url.clone());
        let request = request.headers(headers(&lines)).body(lines.body);
        let response = request.send().await?;
        let (url, shown) = (&self.settings.url, &self.settings.shown);
        Ok(answer(response, url, shown, messages).await)
    }
}

fn headers(lines: &Lines<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    let partition = lines.partition.to_string();
    let group = percent::encode(lines.group.as_bytes());
    let messages = lines.messages.to_string();
    let own = [
        ("kafkaesk-stream", lines.stream),
        ("kafkaesk-partition", &partition),
        ("kafkaesk-group", &group),
        ("kafkaesk-messages", &messages),
    ];
    let trace = lines.trace.iter().filter_map(|(name, value)| {
        let value = std::str::from_utf8(value?).ok()?;
        Some((name, value))
    });
    for (name, value) in own.into_iter().chain(trace) {
        // A name of a stream, a number, and what is encoded can always be a header; a trace is made by the tracer.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            map.append(name, value);
        }
    }
    map
}

/// Reads what decides: the status, or the lines of a success.
pub(super) async fn answer(
    mut response: Response,
    endpoint: &Url,
    address: &str,
    messages: usize,
) -> BatchReply {
    let status = response.status();
    if !status.is_success() {
        let reply = response::answer(response, endpoint, address).await;
        return BatchReply::Whole(match reply {
            // The endpoint is overloaded or down: no message is at fault.
            Reply::Overloaded {
                delay: None,
                reason,
            } if status == StatusCode::SERVICE_UNAVAILABLE => Reply::Busy(reason),
            other => other,
        });
    }
    if response::has_type(&response, kafkaesk_core::answer::MEDIA_TYPE) {
        return BatchReply::Whole(Reply::Unavailable(format!(
            "{address} answered {status} with one answer for a batch of {messages} message(s); answer with {NDJSON} and a line for each"
        )));
    }
    if !response::has_type(&response, NDJSON) {
        return BatchReply::Whole(Reply::DONE);
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWERS => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                return failed(format!(
                    "{address} answered {status} with more than {MAX_ANSWERS} bytes"
                ));
            }
            Ok(None) => break,
            Err(error) => return BatchReply::Whole(response::broken(&error, address)),
        }
    }
    read(&body, status, address, messages)
}

/// The answers of a body, one in each line.
fn read(body: &[u8], status: StatusCode, address: &str, messages: usize) -> BatchReply {
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let lines: Vec<&[u8]> = match body.is_empty() {
        true => Vec::new(),
        false => body.split(|byte| *byte == b'\n').collect(),
    };
    if lines.len() != messages {
        return failed(format!(
            "{address} answered {status} with {} line(s) of {NDJSON} for a batch of {messages} message(s); it must have one for each, in their order",
            lines.len()
        ));
    }
    let each = lines.iter().enumerate().map(|(at, line)| {
        Reply::read_body(line).map_err(|why| {
            format!(
                "{address} answered {status} with {NDJSON}, but line {} is not an answer: {why}",
                at + 1
            )
        })
    });
    match each.collect() {
        Ok(each) => BatchReply::Each(each),
        Err(why) => BatchReply::Whole(Reply::Unavailable(why)),
    }
}

/// The batch failed, and may not fail in parts.
fn failed(why: String) -> BatchReply {
    BatchReply::Whole(Reply::retry(None, why))
}
