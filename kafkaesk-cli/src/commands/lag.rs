//! `lag [GROUP…]`: what consumer groups have not read yet, from Kafka alone, whether or not a worker runs. Joins no group and
//! changes nothing.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::bail;
use clap::{ArgGroup, Args};
use kafkaesk_client::{
    Connection,
    lag::{GroupLag, Look, PartitionLag, Verdict, Window},
    settings::nearest,
};
use kafkaesk_core::{
    Pattern, StreamId,
    span::{parse_span, rough_span},
    timestamp,
};
use kafkaesk_operate::{JudgedGroup, LagBoard, LetterLooks};
use serde_json::{Value, json};

use crate::{
    context::Context, errors, exit::Exit, format::OutputFormat, output, signals,
    terminal::escape_str,
};

/// How many partitions of a group are shown, where nothing else is said.
const ROWS: usize = 10;
/// How often a served lag is looked at, if `--watch` does not say.
const SERVED: Duration = Duration::from_secs(10);

/// Arguments of `lag`.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("repeats").args(["watch", "listen"]).multiple(true)))]
#[command(after_help = "\
Verdicts, from best to worst:
  OK       everything is read, or the group gains on the end
  UNKNOWN  behind, and not yet looked at for as long as --window
  WARN     behind, and it moves, but never gained on the end within the window
  REWIND   its position went back
  STALL    behind, it has members, and its position stood still for the window
  STOP     behind, and nobody is in the group")]
#[non_exhaustive]
pub struct LagArguments {
    /// The groups, with or without the group prefix [default: all that committed something in our streams]
    pub groups: Vec<String>,
    /// Look again and again, this often, until Ctrl-C [default: 2s]
    #[arg(long, value_name = "SPAN", num_args = 0..=1, require_equals = true, default_missing_value = "2s", value_parser = pause)]
    pub watch: Option<Duration>,
    /// How long a group is watched before it is judged by how it moves
    #[arg(long, value_name = "SPAN", default_value = "2m", value_parser = span, requires = "repeats")]
    pub window: Duration,
    /// Serve the lag as metrics for Prometheus at this address, until Ctrl-C; looks every 10s, or as --watch says
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Show every partition [default: the ten of each group that are furthest behind]
    #[arg(long)]
    pub all: bool,
}

impl LagArguments {
    /// Whether it ends by a signal.
    pub(crate) fn listens(&self) -> bool {
        self.watch.is_some() || self.listen.is_some()
    }
}

fn span(text: &str) -> Result<Duration, String> {
    parse_span(text).map_err(|error| error.to_string())
}

fn pause(text: &str) -> Result<Duration, String> {
    match span(text)? {
        short if short < Duration::from_millis(500) => {
            Err("it must be at least 500ms; each look asks every leader".to_owned())
        }
        pause => Ok(pause),
    }
}

/// The looks at each partition of each group.
type Windows = HashMap<(String, StreamId, i32), Window>;

/// Looks once, or again and again.
pub(crate) async fn run(context: &Context, arguments: &LagArguments) -> anyhow::Result<Exit> {
    let connection = context.connect().await?;
    let mut windows = Windows::new();
    let begun = Instant::now();
    let board = board(context, arguments).await?;
    let served = board.as_ref().map(|_| SERVED);
    let Some(pause) = arguments.watch.or(served) else {
        let judged = look(context, &connection, arguments, begun, &mut windows).await?;
        print(context, arguments, &judged)?;
        return Ok(Exit::Done);
    };
    let mut shutdown = signals::shutdown()?;
    let mut has_looked = false;
    // Only metrics have them: to count them is to read them.
    let mut letters = board.as_ref().map(|_| LetterLooks::default());
    loop {
        let looking = async {
            let mut judged = look(context, &connection, arguments, begun, &mut windows).await?;
            if let Some(looks) = &mut letters {
                looks.keep(&judged.iter().map(|it| it.lag.group.as_str()).collect());
                for it in &mut judged {
                    it.letters = looks.look(&connection, &it.lag.group).await;
                }
            }
            anyhow::Ok(judged)
        };
        match shutdown.unless(looking).await {
            None => return Ok(Exit::Done),
            Some(Ok(judged)) => {
                has_looked = true;
                if arguments.watch.is_some() {
                    print(context, arguments, &judged)?;
                }
                if let Some(board) = &board {
                    board.show(Some(judged));
                }
            }
            // It goes on, to show what comes after an outage.
            Some(Err(error)) if has_looked => {
                output::error(errors::describe(&error));
                if let Some(board) = &board {
                    board.show(None);
                }
            }
            Some(Err(error)) => return Err(error),
        }
        let asked = shutdown.unless(tokio::time::sleep(pause)).await;
        let is_read = arguments.watch.is_none() || !output::reader_is_gone();
        if asked.is_none() || !is_read {
            return Ok(Exit::Done);
        }
    }
}

/// What serves the lag, if that is asked for.
async fn board(context: &Context, arguments: &LagArguments) -> anyhow::Result<Option<LagBoard>> {
    let Some(listen) = &arguments.listen else {
        return Ok(None);
    };
    let mut settings = context.configuration()?.operate.clone();
    settings.listen = Some(listen.clone());
    let board = LagBoard::start(settings).await?;
    let address = board.address();
    output::note(format!("the lag is served at http://{address}/metrics"));
    Ok(Some(board))
}

async fn look(
    context: &Context,
    connection: &Connection,
    arguments: &LagArguments,
    begun: Instant,
    windows: &mut Windows,
) -> anyhow::Result<Vec<JudgedGroup>> {
    let groups = find(context, connection, &arguments.groups).await?;
    let at = begun.elapsed();
    let mut judged: Vec<JudgedGroup> = Vec::new();
    // A partition that is gone takes its looks with it.
    let mut former = std::mem::take(windows);
    for group in groups {
        let mut verdicts = Vec::new();
        for it in &group.partitions {
            let key = (group.group.clone(), it.stream.clone(), it.partition);
            let mut window = former
                .remove(&key)
                .unwrap_or_else(|| Window::new(arguments.window));
            verdicts.push(match it.records() {
                None => Verdict::Unknown,
                Some(lag) => window.look(Look {
                    at,
                    committed: it.committed,
                    lag,
                    has_members: group.has_members,
                }),
            });
            windows.insert(key, window);
        }
        judged.push(JudgedGroup {
            lag: group,
            verdicts,
            letters: None,
        });
    }
    Ok(judged)
}

fn print(
    context: &Context,
    arguments: &LagArguments,
    judged: &[JudgedGroup],
) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let now = i64::try_from(now.as_millis())?;
    match context.options.format() {
        OutputFormat::Json => {
            for it in judged {
                output::json(&json(it, now))?;
            }
        }
        OutputFormat::Text => text(judged, arguments, now)?,
    }
    Ok(())
}

/// The groups that are meant. A name may leave the group prefix out.
async fn find(
    context: &Context,
    connection: &Connection,
    names: &[String],
) -> anyhow::Result<Vec<GroupLag>> {
    let prefix = &connection.settings().group_prefix;
    let with_prefix = |name: &String| format!("{prefix}{name}");
    let mut asked: Vec<String> = names.to_vec();
    asked.extend(names.iter().map(with_prefix));
    asked.sort();
    asked.dedup();
    let mut groups = connection.lag(&asked).await?;
    // Kafka knows nothing of a group that never committed; the configuration knows what it reads.
    for (group, patterns) in declared(context)? {
        let is_asked = names.is_empty() || asked.contains(&group);
        let is_known = |it: &GroupLag| it.group == group && !it.partitions.is_empty();
        if is_asked
            && !groups.iter().any(is_known)
            && let Some(lag) = connection.lag_from_start(&group, &patterns).await?
        {
            groups.retain(|it| it.group != group);
            groups.push(lag);
        }
    }
    for name in names {
        let is_it = |group: &&GroupLag| group.group == *name || group.group == with_prefix(name);
        if groups.iter().any(|group| is_it(&group)) {
            continue;
        }
        let listed = connection.broker().groups().await?;
        let near = nearest(name, listed.keys().map(String::as_str));
        let near = near.map(|near| format!("; did you mean `{near}`?"));
        bail!(
            "there is no consumer group {name:?}{}",
            near.unwrap_or_else(|| {
                ": nobody ever committed under this name; `lag` without a name lists the groups that read our streams".to_owned()
            })
        );
    }
    groups.sort_by(|a, b| a.group.cmp(&b.group));
    Ok(groups)
}

/// The groups of the configuration, as sent to Kafka, with the patterns that they read from the earliest record.
fn declared(context: &Context) -> anyhow::Result<BTreeMap<String, Vec<Pattern>>> {
    let configuration = context.configuration()?;
    let prefix = &configuration.settings.group_prefix;
    let mut declared: BTreeMap<String, Vec<Pattern>> = BTreeMap::new();
    for it in &configuration.subscriptions {
        if let Some(pattern) = it.pattern_from_start() {
            let group = format!("{prefix}{}", it.group);
            declared.entry(group).or_default().push(pattern);
        }
    }
    Ok(declared)
}

fn json(it: &JudgedGroup, now: i64) -> Value {
    let partitions: Vec<Value> = partitions(it)
        .map(|(it, verdict)| {
            json!({
                "stream": it.stream.as_str(),
                "partition": it.partition,
                "committed": it.committed.map(|next| next.0),
                "start": it.bounds.map(|bounds| bounds.first.0),
                "end": it.bounds.map(|bounds| bounds.end.0),
                "lag": it.records(),
                "oldest": it.oldest.and_then(timestamp::format),
                "seconds": it.oldest.map(|oldest| seconds(oldest, now)),
                "verdict": verdict.name(),
            })
        })
        .collect();
    let oldest = it.lag.oldest();
    json!({
        "at": timestamp::format(now),
        "group": it.lag.group,
        "members": it.lag.has_members,
        "lag": lag(it),
        "oldest": oldest.and_then(timestamp::format),
        "seconds": oldest.map(|oldest| seconds(oldest, now)),
        "verdict": it.verdict().name(),
        "partitions": partitions,
    })
}

/// `None` for a group that committed nothing: nobody can say from outside what it has read.
fn lag(it: &JudgedGroup) -> Option<u64> {
    (!it.lag.partitions.is_empty()).then(|| it.lag.records())
}

fn head(it: &JudgedGroup, now: i64) -> Vec<String> {
    let members = match it.lag.has_members {
        Some(true) => "has members",
        Some(false) => "nobody is in it",
        None => "members unknown",
    };
    let oldest = it.lag.oldest();
    vec![
        escape_str(&it.lag.group).into_owned(),
        members.to_owned(),
        lag(it).map_or_else(|| "lag unknown".to_owned(), |lag| format!("lag {lag}")),
        oldest.map_or_else(String::new, |oldest| age(oldest, now)),
        match lag(it) {
            Some(_) => format!("{}: {}", it.verdict(), it.verdict().advice()),
            None => format!("{}: it has committed nothing in our streams", it.verdict()),
        },
    ]
}

fn partitions(it: &JudgedGroup) -> impl Iterator<Item = (&PartitionLag, Verdict)> {
    let verdicts = it.verdicts.iter().copied();
    it.lag.partitions.iter().zip(verdicts)
}

fn seconds(oldest: i64, now: i64) -> f64 {
    now.saturating_sub(oldest).max(0) as f64 / 1000.0
}

fn age(oldest: i64, now: i64) -> String {
    let millis = u64::try_from(now.saturating_sub(oldest)).unwrap_or(0);
    rough_span(Duration::from_millis(millis))
}

fn text(judged: &[JudgedGroup], arguments: &LagArguments, now: i64) -> anyhow::Result<()> {
    if arguments.watch.is_some() {
        output::line(format!("-- {}", timestamp::format(now).unwrap_or_default()))?;
    }
    if judged.is_empty() {
        output::note("no consumer group committed anything in our streams");
    }
    let heads: Vec<_> = judged.iter().map(|it| head(it, now)).collect();
    for (it, head) in judged.iter().zip(output::table(&heads)) {
        output::line(head)?;
        let mut rows: Vec<(&PartitionLag, Verdict)> = partitions(it).collect();
        if !arguments.all {
            rows.retain(|(it, verdict)| *verdict != Verdict::Ok || it.records() != Some(0));
        }
        rows.sort_by_key(|(it, _)| std::cmp::Reverse(it.records().unwrap_or(u64::MAX)));
        let shown = match arguments.all {
            true => rows.len(),
            false => rows.len().min(ROWS),
        };
        let lines = rows[..shown]
            .iter()
            .map(|(it, verdict)| row(it, *verdict, now));
        for line in output::table(&lines.collect::<Vec<_>>()) {
            output::line(line)?;
        }
        if shown < rows.len() {
            output::line(format!(
                "  and {} more partitions; --all shows them",
                rows.len() - shown
            ))?;
        }
    }
    Ok(())
}

fn row(it: &PartitionLag, verdict: Verdict, now: i64) -> Vec<String> {
    let committed = match it.committed {
        None => "nothing committed".to_owned(),
        Some(next) => format!("at {next}"),
    };
    vec![
        format!("  {}[{}]", it.stream, it.partition),
        committed,
        match it.bounds {
            None => "end unknown".to_owned(),
            Some(bounds) => format!("end {}", bounds.end),
        },
        it.records()
            .map_or_else(|| "lag unknown".to_owned(), |lag| format!("lag {lag}")),
        it.oldest
            .map_or_else(String::new, |oldest| age(oldest, now)),
        verdict.to_string(),
    ]
}
