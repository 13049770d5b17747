//! `publish`: one event from the arguments, or a stream of lines (`--ndjson`). Nothing that breaks its schema is sent.

mod ndjson;
mod one;
mod refusal;
mod tally;

use clap::Args;

use crate::{context::Context, exit::Exit};

/// Arguments of `publish`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
With --ndjson each line is an object such as
  {\"stream\":\"orders.placed\",\"schema\":\"Order:1\",\"key\":\"user-7\",\"data\":{\"id\":1}}
the same that `tail --output json` prints. A line with \"tombstone\":true in place of `schema` and `data` publishes a \
null value.

The first line that cannot be published stops the run with exit status 1; with --skip-invalid the others are published, \
and the exit status is 2. Ctrl-C, SIGTERM and a closed standard output stop it as well. What was sent by then is awaited, \
and the last line of standard error says how to resume without losing or doubling a line.

Lines are at most 16 MiB; empty lines are passed over; an input without any line is an error. With --output json every \
line is answered in order, flushed, by {\"line\":N,\"topic\":…,\"partition\":…,\"offset\":…} or \
{\"line\":N,\"error\":…}, so that another program can drive this one.")]
#[non_exhaustive]
pub struct PublishArguments {
    /// The stream to publish to
    #[arg(required_unless_present = "ndjson", conflicts_with = "ndjson")]
    pub stream: Option<String>,
    /// `-`: the event's data is standard input
    #[arg(value_name = "-", value_parser = ["-"], conflicts_with_all = ["data", "file", "ndjson"])]
    pub stdin: Option<String>,
    /// The event's schema id
    #[arg(
        long,
        value_name = "NAME:VERSION",
        required_unless_present_any = ["ndjson", "tombstone"],
        conflicts_with_all = ["ndjson", "tombstone"]
    )]
    pub schema: Option<String>,
    /// The record's key: events of one key stay in order
    #[arg(long, conflicts_with = "ndjson", allow_hyphen_values = true)]
    pub key: Option<String>,
    /// A record header; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE", conflicts_with = "ndjson")]
    pub headers: Vec<String>,
    /// The event's own identity, kept by copies
    #[arg(long, conflicts_with = "ndjson")]
    pub id: Option<String>,
    /// The event's data, as JSON
    #[arg(
        long,
        value_name = "JSON",
        allow_hyphen_values = true,
        conflicts_with_all = ["file", "ndjson"]
    )]
    pub data: Option<String>,
    /// The event's data, in a file; `-` is standard input
    #[arg(long, conflicts_with = "ndjson")]
    pub file: Option<String>,
    /// Publish a null value, which deletes the key from a compacted topic; the stream must be bound
    #[arg(long, requires = "key", conflicts_with_all = ["stdin", "data", "file", "ndjson"])]
    pub tombstone: bool,
    /// Publish every line of a file; `-` is standard input
    #[arg(long, value_name = "FILE|-")]
    pub ndjson: Option<String>,
    /// Publish the other lines when one is invalid
    #[arg(long, requires = "ndjson")]
    pub skip_invalid: bool,
    /// Give each record the timestamp of its line
    #[arg(long, requires = "ndjson")]
    pub keep_timestamps: bool,
    /// Begin at this line of the input; a stopped run prints the number
    #[arg(long, value_name = "N", requires = "ndjson", value_parser = clap::value_parser!(u64).range(1..))]
    pub from_line: Option<u64>,
}

/// Publishes.
pub(crate) async fn run(context: &Context, arguments: &PublishArguments) -> anyhow::Result<Exit> {
    let ran = match &arguments.ndjson {
        Some(input) => ndjson::run(context, arguments, input).await,
        None => one::run(context, arguments).await,
    };
    context.finish_traces().await;
    ran
}
