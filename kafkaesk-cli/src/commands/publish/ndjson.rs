//! `publish --ndjson`: lines in, pipelined with a bound, each answered in the order of the input.
//!
//! ```text
//! line → parse → check and enqueue → in flight (at most IN_FLIGHT) → receipt or error, in order
//! ```

use std::{collections::VecDeque, time::Instant};

use anyhow::{Context as _, bail};
use kafkaesk_client::{ClientError, Delivery, Publisher, Receipt};
use kafkaesk_core::line::{self, Timestamps};
use serde_json::json;

use super::{PublishArguments, refusal::Refusal};
use crate::{
    context::Context,
    exit::Exit,
    input,
    lines::{Input, Line, Lines},
    output::{self, OutputFormat},
    progress::Progress,
};

/// How many events may wait for their receipt, at most; the client's own queue is bounded in bytes besides.
const IN_FLIGHT: usize = 10_000;

/// A line on its way.
enum Sent {
    Delivery(Delivery),
    Refused(Refusal),
}

struct Run<'a> {
    arguments: &'a PublishArguments,
    input: Input,
    format: OutputFormat,
    publisher: Publisher,
    progress: Progress,
    published: u64,
    refused: u64,
    /// The first line that stopped the run.
    stopped: Option<u64>,
}

/// Publishes every line.
pub(super) async fn run(
    context: &Context,
    arguments: &PublishArguments,
    input: &str,
) -> anyhow::Result<Exit> {
    let input = Input::parse(input);
    let mut lines = Lines::open(&input)
        .await
        .with_context(|| format!("reading {input}"))?;
    // An input that can never work is said before a broker is waited for.
    let first = next(&mut lines, arguments, &input).await?;
    let Some(first) = first else {
        bail!(
            "{} holds no line to publish; each line is an object with `stream`, `schema` and `data`",
            input::named(&input)
        );
    };
    let connection = context.connect().await?;
    let size = match &input {
        Input::File(path) => std::fs::metadata(path).ok().map(|file| file.len()),
        Input::Stdin => None,
    };
    let mut run = Run {
        arguments,
        format: context.options.format(),
        publisher: connection.publisher(),
        progress: Progress::start(size),
        input,
        published: 0,
        refused: 0,
        stopped: None,
    };
    let begun = Instant::now();
    let ended = run.work(&mut lines, first).await;
    run.progress.finish();
    run.summary(begun);
    ended?;
    Ok(match (run.stopped, run.refused) {
        (Some(_), _) => Exit::Failed,
        (None, 0) => Exit::Done,
        (None, _) => Exit::Partial,
    })
}

/// The next line that holds something, from `--from-line` on.
async fn next(
    lines: &mut Lines,
    arguments: &PublishArguments,
    input: &Input,
) -> anyhow::Result<Option<Line>> {
    let from = arguments.from_line.unwrap_or(1);
    loop {
        let line = lines
            .next()
            .await
            .with_context(|| format!("reading {}", input::named(input)))?;
        match line {
            Some(line) if line.number < from || is_blank(&line) => {}
            other => return Ok(other),
        }
    }
}

fn is_blank(line: &Line) -> bool {
    line.bytes
        .as_ref()
        .is_ok_and(|bytes| bytes.trim_ascii().is_empty())
}

impl Run<'_> {
    async fn work(&mut self, lines: &mut Lines, first: Line) -> anyhow::Result<()> {
        let mut flying: VecDeque<(u64, Sent)> = VecDeque::new();
        let mut upcoming = Some(first);
        let mut more = true;
        while more || upcoming.is_some() || !flying.is_empty() {
            if let Some(line) = upcoming.take() {
                let number = line.number;
                let sent = self.send(line).await;
                let stops = matches!(&sent, Sent::Refused(refusal) if self.stops(refusal));
                flying.push_back((number, sent));
                if stops {
                    more = false;
                }
            }
            tokio::select! {
                biased;
                (number, answer) = front(&mut flying), if !flying.is_empty() => {
                    let answer = self.alone(answer).await;
                    self.answered(number, answer)?;
                    if self.stopped.is_some() {
                        more = false;
                    }
                }
                line = next(lines, self.arguments, &self.input), if more && flying.len() < IN_FLIGHT => {
                    upcoming = line?;
                    more = upcoming.is_some();
                }
            }
        }
        Ok(())
    }

    /// Parses a line and queues its event; waits for room, never drops.
    async fn send(&self, line: Line) -> Sent {
        let bytes = match line.bytes {
            Ok(bytes) => bytes,
            Err(why) => return Sent::Refused(Refusal::Line(why.to_string())),
        };
        self.progress
            .advance(bytes.len() as u64 + 1, self.published, self.refused);
        let timestamps = if self.arguments.keep_timestamps {
            Timestamps::Keep
        } else {
            Timestamps::Ignore
        };
        let event = match line::Line::read(&bytes, timestamps) {
            Ok(event) => event,
            Err(error) => return Sent::Refused(Refusal::Line(error.to_string())),
        };
        let mut publish = self
            .publisher
            .publish_json(event.stream.as_str(), event.schema.to_string(), event.data)
            .headers(&event.headers);
        if let Some(key) = &event.key {
            publish = publish.key(key);
        }
        if let Some(id) = &event.id {
            publish = publish.id(id);
        }
        if let Some(timestamp) = event.timestamp {
            publish = publish.timestamp(timestamp);
        }
        match publish.enqueue().await {
            Ok(delivery) => Sent::Delivery(delivery),
            Err(error) => Sent::Refused(error.into()),
        }
    }

    /// A refused batch is the line's own fault only if the line alone exceeds the topic's limit.
    async fn alone(&self, answer: Result<Receipt, Refusal>) -> Result<Receipt, Refusal> {
        let Err(Refusal::Client(error)) = answer else {
            return answer;
        };
        let ClientError::BatchTooLarge { topic, bytes } = &*error else {
            return Err(Refusal::Client(error));
        };
        let broker = self.publisher.connection().broker();
        let config = broker.topic_config(topic).await.ok().flatten();
        let limit = config
            .and_then(|config| config.get("max.message.bytes")?.parse::<usize>().ok())
            .filter(|limit| bytes > limit);
        Err(match limit {
            Some(limit) => ClientError::TooLarge {
                topic: topic.clone(),
                bytes: *bytes,
                reason: format!("the topic's `max.message.bytes` is {limit}"),
            }
            .into(),
            None => Refusal::Client(error),
        })
    }

    fn stops(&self, refusal: &Refusal) -> bool {
        !(self.arguments.skip_invalid && refusal.is_the_lines_fault())
    }

    /// Prints a line's receipt or error.
    fn answered(&mut self, number: u64, answer: Result<Receipt, Refusal>) -> std::io::Result<()> {
        match answer {
            Ok(receipt) => {
                self.published += 1;
                if self.format == OutputFormat::Json {
                    output::json(&json!({
                        "line": number, "topic": receipt.topic.as_str(),
                        "partition": receipt.partition, "offset": receipt.offset.0,
                    }))?;
                }
            }
            Err(refusal) => {
                self.refused += 1;
                let stops = self.stops(&refusal);
                if stops && self.stopped.is_none() {
                    self.stopped = Some(number);
                }
                let kind = if stops { "error" } else { "skipped" };
                if self.format == OutputFormat::Json {
                    output::json(&refusal.json(number))?;
                }
                self.progress.note(&format!(
                    "{kind}: {}:{number}: {}",
                    self.input,
                    refusal.text()
                ));
            }
        }
        Ok(())
    }

    fn summary(&self, begun: Instant) {
        let seconds = begun.elapsed().as_secs_f64();
        let mut text = format!("{} published", self.published);
        if self.refused > 0 {
            text.push_str(&format!(", {} refused", self.refused));
        }
        text.push_str(&format!(" in {seconds:.1} s"));
        if let Some(line) = self.stopped {
            text.push_str(&format!(
                "; stopped at line {line}. Every line before it that is not named above was published; mend it and resume with --from-line {line}, or pass over such lines with --skip-invalid"
            ));
        }
        output::note(text);
    }
}

/// The oldest line's end. Cancel safe: the line stays in front until it has ended.
async fn front(flying: &mut VecDeque<(u64, Sent)>) -> (u64, Result<Receipt, Refusal>) {
    let Some((number, sent)) = flying.front_mut() else {
        return std::future::pending().await;
    };
    let number = *number;
    let waited: Option<Result<Receipt, ClientError>> = match sent {
        Sent::Delivery(delivery) => Some(delivery.await),
        Sent::Refused(_) => None,
    };
    let last = flying.pop_front();
    match (waited, last) {
        (Some(result), _) => (number, result.map_err(Refusal::from)),
        (None, Some((_, Sent::Refused(refusal)))) => (number, Err(refusal)),
        (None, _) => (number, Err(ClientError::Closed.into())),
    }
}
