//! `tail PATTERN`: prints records as lines. Joins no group, commits nothing, creates nothing.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use kafkaesk_client::{
    Connection,
    consumer::{ConsumerEvent, ConsumerSpec, Start},
};
use kafkaesk_core::{
    Envelope, EnvelopeError, Pattern, Record, Source, line, span::parse_span, timestamp,
};
use tracing::warn;

use crate::{
    context::Context, errors::Usage, exit::Exit, format::OutputFormat, output, signals,
    writer::Writer,
};

/// After so many tries of an unreadable record, `--until-end` no longer waits for the end of its partition.
const TIMEOUT: u32 = 3;
/// How often a quiet tail looks whether anybody still reads it.
const LOOK: Duration = Duration::from_millis(500);

/// Arguments of `tail`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
To copy streams to another cluster, push their schemas there first, then pipe the lines:
  mkdir -p schemas
  kafkaesk-cli schema list | while read -r id _; do
    kafkaesk-cli schema show \"$id\" > \"schemas/${id%:*}.${id#*:}.json\"
  done
  kafkaesk-cli schema push schemas --kafka-servers other:9092
  kafkaesk-cli tail '*' --until-end --output json \\
    | kafkaesk-cli publish --ndjson - --keep-timestamps --kafka-servers other:9092")]
#[non_exhaustive]
pub struct TailArguments {
    /// Which streams: a stream id or a pattern such as 'orders.*' (quote it from the shell)
    pub pattern: String,
    /// Where to begin: earliest, latest, or a span back such as 2h [default: latest; earliest with --until-end]
    #[arg(long, value_name = "WHERE", value_parser = start)]
    pub from: Option<Start>,
    /// Stop after this many messages
    #[arg(long, value_name = "N")]
    pub max: Option<u64>,
    /// Stop at the end that each partition had at the start
    #[arg(long)]
    pub until_end: bool,
}

fn start(text: &str) -> Result<Start, String> {
    match text {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        span => parse_span(span).map(Start::Back).map_err(|_| {
            format!("{span:?} is neither `earliest`, `latest` nor a span such as `2h`")
        }),
    }
}

/// Prints messages until a signal, `--max` or the end.
pub(crate) async fn run(context: &Context, arguments: &TailArguments) -> anyhow::Result<Exit> {
    let pattern = Pattern::new(&arguments.pattern).map_err(Usage::of)?;
    let mut shutdown = signals::shutdown().context("listening to signals")?;
    let begun = async {
        let connection = context.connect().await?;
        let waiting = match arguments.until_end {
            true => Some(partitions(&connection, &pattern).await?),
            false => None,
        };
        anyhow::Ok((connection, waiting))
    };
    let Some(begun) = shutdown.unless(begun).await else {
        return Ok(Exit::Done);
    };
    let (connection, mut waiting) = begun?;
    if waiting.as_ref().is_some_and(BTreeSet::is_empty) {
        let near = connection.catalog().near_stream(&arguments.pattern).await;
        let near = near.map(|near| format!("; did you mean `{near}`?"));
        output::note(format!(
            "no stream matches {:?} (topic prefix {:?}){}",
            arguments.pattern,
            connection.settings().topic_prefix.as_str(),
            near.unwrap_or_default()
        ));
        return Ok(Exit::Done);
    }
    let spec = ConsumerSpec {
        group: None,
        pattern,
        retry_topic: None,
        start: arguments.from.unwrap_or(if arguments.until_end {
            Start::Earliest
        } else {
            Start::Latest
        }),
        drain: Duration::ZERO,
        kafka_settings: Default::default(),
        skip: Vec::new(),
        exact: false,
    };
    let Some(consumer) = shutdown.unless(connection.broker().consume(spec)).await else {
        return Ok(Exit::Done);
    };
    let mut consumer = consumer?;
    let mut left = arguments.max.unwrap_or(u64::MAX);
    let writer = Writer::start().context("starting the writer of standard output")?;
    let mut stalled: BTreeSet<(String, i32)> = BTreeSet::new();
    let mut look = tokio::time::interval(LOOK);
    while left > 0 {
        let event = tokio::select! {
            biased;
            () = shutdown.asked() => break,
            _ = look.tick() => {
                if output::reader_is_gone() {
                    break;
                }
                continue;
            }
            event = consumer.next() => event,
        };
        match event {
            Some(ConsumerEvent::Records(batch)) => {
                if !batch.records.is_empty() {
                    stalled.remove(&key(&batch.source));
                }
                let lines: Vec<Vec<u8>> = batch
                    .records
                    .iter()
                    .take(usize::try_from(left).unwrap_or(usize::MAX))
                    .map(|record| shown(record, context.options.format()))
                    .collect();
                left -= lines.len() as u64;
                if !writer
                    .write_unless(lines.join(&b'\n'), &mut shutdown)
                    .await?
                {
                    break;
                }
            }
            Some(ConsumerEvent::End(source)) => {
                if let Some(waiting) = &mut waiting {
                    waiting.remove(&key(&source));
                }
            }
            Some(ConsumerEvent::Stalled(stall)) => {
                warn!("{stall}");
                if stall.tries >= TIMEOUT {
                    stalled.insert(key(&stall.source));
                }
            }
            Some(ConsumerEvent::Lost(sources)) => {
                // A topic that was deleted has no end to wait for.
                if let Some(waiting) = &mut waiting {
                    for source in &sources {
                        waiting.remove(&key(source));
                    }
                }
            }
            Some(ConsumerEvent::Warning(text)) => warn!("{text}"),
            Some(ConsumerEvent::Failed(error)) => return Err(error.into()),
            Some(_) => {}
            None => break,
        }
        if waiting
            .as_ref()
            .is_some_and(|waiting| waiting.is_subset(&stalled))
        {
            break;
        }
    }
    consumer.control().close(Vec::new()).await?;
    match waiting {
        Some(waiting) if !waiting.is_disjoint(&stalled) => {
            let names: Vec<String> = waiting
                .intersection(&stalled)
                .map(|(topic, partition)| format!("{topic}[{partition}]"))
                .collect();
            output::note(format!(
                "not read to the end, since a record cannot be read: {}",
                names.join(", ")
            ));
            Ok(Exit::Failed)
        }
        _ => Ok(Exit::Done),
    }
}

/// Every partition that matches now.
async fn partitions(
    connection: &Connection,
    pattern: &Pattern,
) -> anyhow::Result<BTreeSet<(String, i32)>> {
    let prefix = &connection.settings().topic_prefix;
    let cluster = connection.broker().cluster().await?;
    Ok(cluster
        .matching(prefix, pattern)
        .flat_map(|topic| (0..topic.partitions).map(|p| (topic.name.clone(), p as i32)))
        .collect())
}

fn key(source: &Arc<Source>) -> (String, i32) {
    (source.topic.as_str().to_owned(), source.partition)
}

fn shown(record: &Record, format: OutputFormat) -> Vec<u8> {
    match format {
        OutputFormat::Json => {
            let mut text = Vec::new();
            line::write(&mut text, record, None);
            text
        }
        OutputFormat::Text => text(record),
    }
}

/// `shop.orders.placed[3]@0  2026-11-24T10:00:00.123Z  Order:1  user-7  {"id":1}`.
fn text(record: &Record) -> Vec<u8> {
    let mut text = format!("{}@{}", record.source, record.offset);
    if let Some(time) = record.timestamp.and_then(timestamp::format) {
        text.push_str("  ");
        text.push_str(&time);
    }
    let envelope = match &record.unreadable {
        Some(unreadable) => Err(unreadable.to_string()),
        None => Envelope::of(record.value.as_deref()).map_err(|error| match error {
            EnvelopeError::Null => "tombstone".to_owned(),
            error => error.to_string(),
        }),
    };
    if let Ok(envelope) = &envelope {
        text.push_str("  ");
        text.push_str(&envelope.schema);
    }
    if let Some(key) = &record.key {
        text.push_str("  ");
        text.extend(String::from_utf8_lossy(key).escape_debug());
    }
    text.push_str("  ");
    let mut bytes = text.into_bytes();
    match envelope {
        // One message, one line, whatever its producer's layout.
        Ok(envelope) => bytes.extend(
            envelope
                .data
                .iter()
                .map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }),
        ),
        Err(error) => bytes.extend_from_slice(format!("({error})").as_bytes()),
    }
    bytes
}
