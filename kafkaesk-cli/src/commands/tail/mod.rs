//! `tail PATTERN`: prints records as lines. Joins no group, commits nothing, creates nothing.

mod place;
mod shown;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use kafkaesk_client::{
    Connection,
    consumer::{ConsumerEvent, ConsumerSpec, Start},
};
use kafkaesk_core::{Pattern, Record, Source, span::parse_span};
use tracing::warn;

use self::{place::Place, shown::shown};
use crate::{
    commands::near, context::Context, errors::Usage, exit::Exit, output, signals, writer::Writer,
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
    /// Read only this partition of each stream
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Begin at this offset of one stream's partition, which `--partition` names
    #[arg(
        long,
        value_name = "OFFSET",
        value_parser = clap::value_parser!(i64).range(0..),
        requires = "partition",
        conflicts_with = "from"
    )]
    pub from_offset: Option<i64>,
    /// Print only messages with exactly this key, compared as UTF-8 text; messages without a key have none
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub key: Option<String>,
    /// Print each message's headers below it, a line each; `--output json` has them in any case
    #[arg(long)]
    pub headers: bool,
    /// Stop after this many messages, of those that are printed
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
    let place = Place::of(arguments, &pattern)?;
    let mut shutdown = signals::shutdown().context("listening to signals")?;
    let begun = async {
        let connection = context.connect().await?;
        if let Some(place) = &place {
            place.check(&connection, &pattern).await?;
        }
        let waiting = match arguments.until_end {
            true => Some(partitions(&connection, &pattern, place.as_ref()).await?),
            false => None,
        };
        anyhow::Ok((connection, waiting))
    };
    let Some(begun) = shutdown.unless(begun).await else {
        return Ok(Exit::Done);
    };
    let (connection, mut waiting) = begun?;
    if waiting.as_ref().is_some_and(BTreeSet::is_empty) {
        let near = near::stream(&connection, &arguments.pattern).await;
        output::note(format!(
            "no stream matches {:?} (topic prefix {:?}){near}",
            arguments.pattern,
            connection.settings().topic_prefix.as_str()
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
        partition: place.as_ref().map(Place::wanted),
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
                    .filter(|record| has_key(record, arguments.key.as_deref()))
                    .take(usize::try_from(left).unwrap_or(usize::MAX))
                    .map(|record| shown(record, context.options.format(), arguments.headers))
                    .collect();
                if lines.is_empty() {
                    continue;
                }
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

/// Every partition that matches now and is read.
async fn partitions(
    connection: &Connection,
    pattern: &Pattern,
    place: Option<&Place>,
) -> anyhow::Result<BTreeSet<(String, i32)>> {
    let prefix = &connection.settings().topic_prefix;
    let cluster = connection.broker().cluster().await?;
    Ok(cluster
        .matching(prefix, pattern)
        .flat_map(|topic| (0..topic.partitions).map(|p| (topic.name.clone(), p as i32)))
        .filter(|(_, partition)| place.is_none_or(|place| place.wanted().partition == *partition))
        .collect())
}

/// Whether a record has the wanted key.
fn has_key(record: &Record, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| record.key.as_deref() == Some(wanted.as_bytes()))
}

fn key(source: &Arc<Source>) -> (String, i32) {
    (source.topic.as_str().to_owned(), source.partition)
}
