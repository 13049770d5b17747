//! `publish --ndjson`: publishes lines, pipelined with a bound, and answers each in the order of the input.
//!
//! ```text
//! line → parse → check and enqueue → in flight (at most IN_FLIGHT) → receipt or error, in order
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use anyhow::{Context as _, bail};
use futures_util::FutureExt as _;
use kafkaesk_client::{ClientError, Delivery, Publisher, Receipt};
use kafkaesk_core::{
    TopicName,
    line::{self, Content, Timestamps},
};
use serde_json::{Value, json};

use super::{
    PublishArguments,
    refusal::Refusal,
    tally::{Stop, Tally},
};
use crate::{
    context::Context,
    exit::Exit,
    format::OutputFormat,
    input,
    lines::{Input, Line, Lines},
    output,
    progress::Progress,
    signals::{self, Shutdown},
    writer::Writer,
};

/// How many events may wait for their receipt, at most; the client's own queue is bounded in bytes besides.
const IN_FLIGHT: usize = 10_000;

/// At most this many answers are printed at once.
const AT_ONCE: usize = 256;

/// A line on its way.
enum Sent {
    Delivery(Delivery),
    Refused(Refusal),
}

struct Run<'a> {
    arguments: &'a PublishArguments,
    input: Input,
    publisher: Publisher,
    progress: Progress,
    /// The output for answers; `None` with text output, and after the reader has closed it.
    answers: Option<Writer>,
    shutdown: Shutdown,
    tally: Tally,
    /// What failed besides lines.
    failed: Option<anyhow::Error>,
    /// `max.message.bytes` of the topics that refused a batch, where it may be seen.
    limits: BTreeMap<TopicName, Option<usize>>,
}

/// Publishes every line.
pub(super) async fn run(
    context: &Context,
    arguments: &PublishArguments,
    input: &str,
) -> anyhow::Result<Exit> {
    let input = Input::parse(input);
    let from = arguments.from_line.unwrap_or(1);
    let mut shutdown = signals::shutdown().context("listening to signals")?;
    let begun = async {
        let mut lines = Lines::open(&input).with_context(|| format!("reading {input}"))?;
        // Reports an unusable input before it waits for a broker.
        let Some(first) = next(&mut lines, from, &input).await? else {
            bail!("{}", nothing(&input, lines.count(), from));
        };
        anyhow::Ok((lines, first, context.connect_traced().await?))
    };
    let Some(begun) = shutdown.unless(begun).await else {
        bail!("stopped by a signal before the first line was published; nothing was published");
    };
    let (mut lines, first, connection) = begun?;
    let size = match &input {
        Input::File(path) => std::fs::metadata(path).ok().map(|file| file.len()),
        Input::Stdin => None,
    };
    let answers = match context.options.format() {
        OutputFormat::Json => {
            Some(Writer::start().context("starting the writer of standard output")?)
        }
        OutputFormat::Text => None,
    };
    let mut run = Run {
        arguments,
        input,
        publisher: connection.publisher(),
        progress: Progress::start(size),
        answers,
        shutdown,
        tally: Tally::from_line(from),
        failed: None,
        limits: BTreeMap::new(),
    };
    let begun = Instant::now();
    run.work(&mut lines, first, from).await;
    drop(run.progress);
    output::note(run.tally.summary(begun.elapsed().as_secs_f64()));
    match run.failed {
        Some(error) => Err(error),
        None => Ok(run.tally.exit()),
    }
}

/// Why an input gives nothing to publish.
fn nothing(input: &Input, count: u64, from: u64) -> String {
    let name = input::named(input);
    if count > 0 && from > 1 {
        return format!("{name} has {count} line(s), and from line {from} on none to publish");
    }
    format!(
        "{name} holds no line to publish; each line is an object with `stream`, `schema` and `data`, or with `stream`, `key` and `\"tombstone\":true`"
    )
}

/// The next line that holds something, from `--from-line` on.
async fn next(lines: &mut Lines, from: u64, input: &Input) -> anyhow::Result<Option<Line>> {
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
    /// Reads and sends until the input ends or something stops the run, then awaits what is in flight.
    async fn work(&mut self, lines: &mut Lines, first: Line, from: u64) {
        let mut flying: VecDeque<(u64, Sent)> = VecDeque::new();
        let mut upcoming = Some(first);
        let mut reading = true;
        let mut shutdown = self.shutdown.clone();
        loop {
            if let Some(line) = upcoming.take() {
                let number = line.number;
                tokio::select! {
                    biased;
                    sent = self.send(line) => {
                        // No later line is sent, although this line is answered later.
                        reading &= !matches!(&sent, Sent::Refused(refusal) if self.stops(refusal));
                        flying.push_back((number, sent));
                    }
                    // An event that still waits for room is not sent.
                    () = shutdown.asked() => self.signalled(flying.len()),
                }
            }
            reading &= !self.tally.is_stopped();
            if !reading && flying.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                () = shutdown.asked(), if !self.tally.is_stopped() => self.signalled(flying.len()),
                first = front(&mut flying), if !flying.is_empty() => {
                    let mut answers = Vec::new();
                    let mut ended = Some(first);
                    // Receipts come many at a time: one write says them all.
                    while let Some((number, answer)) = ended {
                        let answer = self.alone(answer).await;
                        answers.push(self.answered(number, answer));
                        ended = if answers.len() < AT_ONCE { front(&mut flying).now_or_never() } else { None };
                    }
                    self.say(&answers).await;
                }
                line = next(lines, from, &self.input), if reading && flying.len() < IN_FLIGHT => {
                    match line {
                        Ok(line) => upcoming = line,
                        Err(error) => self.fail(error),
                    }
                    if upcoming.is_none() && !self.tally.is_stopped() {
                        self.tally.input_ended();
                        reading = false;
                    }
                }
            }
        }
    }

    fn signalled(&mut self, flying: usize) {
        self.tally.stop(Stop::Signal);
        if flying > 0 {
            output::note(format!(
                "waiting for the brokers' answers to {flying} lines; a second signal ends at once"
            ));
        }
    }

    fn fail(&mut self, error: anyhow::Error) {
        self.tally.stop(Stop::Failed);
        self.failed.get_or_insert(error);
    }

    /// Parses a line and queues its event; waits for room, never drops.
    async fn send(&self, line: Line) -> Sent {
        let bytes = match line.bytes {
            Ok(bytes) => bytes,
            Err(why) => return Sent::Refused(Refusal::Line(why.to_string())),
        };
        let (published, refused) = self.tally.counts();
        self.progress
            .advance(bytes.len() as u64 + 1, published, refused);
        let timestamps = if self.arguments.keep_timestamps {
            Timestamps::Keep
        } else {
            Timestamps::Ignore
        };
        let event = match line::Line::read(&bytes, timestamps) {
            Ok(event) => event,
            Err(error) => return Sent::Refused(Refusal::Line(error.to_string())),
        };
        let stream = event.stream.as_str();
        let mut publish = match (event.content, &event.key) {
            (Content::Event { schema, data }, None) => {
                self.publisher
                    .publish_json(stream, schema.to_string(), data)
            }
            (Content::Event { schema, data }, Some(key)) => self
                .publisher
                .publish_json(stream, schema.to_string(), data)
                .key(key),
            (Content::Tombstone, key) => {
                // Reading the line refuses one without a key.
                self.publisher
                    .tombstone(stream, key.as_deref().unwrap_or_default())
            }
        }
        .headers(&event.headers);
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

    /// A refused batch counts against the line only if the line alone exceeds the topic's limit.
    async fn alone(&mut self, answer: Result<Receipt, Refusal>) -> Result<Receipt, Refusal> {
        let Err(Refusal::Client(error)) = answer else {
            return answer;
        };
        let ClientError::BatchTooLarge { topic, bytes } = &*error else {
            return Err(Refusal::Client(error));
        };
        let limit = match self.limits.get(topic) {
            Some(limit) => *limit,
            None => {
                let broker = self.publisher.connection().broker();
                let config = broker.topic_config(topic).await.ok().flatten();
                let limit = config.and_then(|config| config.get("max.message.bytes")?.parse().ok());
                self.limits.insert(topic.clone(), limit);
                limit
            }
        };
        Err(match limit.filter(|limit| bytes > limit) {
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

    /// Counts a line's end and gives its answer. Once the run has stopped, only the summary mentions it.
    fn answered(&mut self, number: u64, answer: Result<Receipt, Refusal>) -> Value {
        match answer {
            Ok(receipt) => {
                self.tally.published(number);
                json!({
                    "line": number, "topic": receipt.topic.as_str(),
                    "partition": receipt.partition, "offset": receipt.offset.map(|it| it.0),
                })
            }
            Err(refusal) => {
                let stops = self.stops(&refusal);
                if !self.tally.is_stopped() {
                    let text = format!("{}:{number}: {}", self.input, refusal.text());
                    match stops {
                        true => output::error(format!("error: {text}")),
                        false => output::note(format!("skipped: {text}")),
                    }
                }
                if stops {
                    self.tally.stop(Stop::Refused {
                        line: number,
                        skippable: refusal.is_the_lines_fault(),
                    });
                }
                match refusal.is_unknown() {
                    true => self.tally.unknown(number),
                    false => self.tally.refused(number),
                }
                refusal.json(number)
            }
        }
    }

    /// Writes answers for the program that drives this run, if there is one.
    async fn say(&mut self, answers: &[Value]) {
        let Some(writer) = &self.answers else {
            return;
        };
        let lines: Vec<String> = answers.iter().map(Value::to_string).collect();
        let text = lines.join("\n").into_bytes();
        match writer.write_unless(text, &mut self.shutdown).await {
            Ok(true) => return,
            Ok(false) => self.tally.stop(Stop::Signal),
            Err(error) if output::is_closed(&error) => self.tally.stop(Stop::OutputClosed),
            Err(error) => self.fail(anyhow::Error::new(error).context("writing an answer")),
        }
        self.answers = None;
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
