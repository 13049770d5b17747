//! `streams grow STREAM --to N`: checks, says what it means for order, waits where that is asked for, and adds partitions.

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::Args;
use kafkaesk_client::{
    Connection,
    growth::{
        DrainLook, DrainWait, Grown, GrowthError, GrowthPlan, GrowthRequest, PUBLISHERS_FOLLOW,
        in_groups,
    },
};
use kafkaesk_core::{
    Keys, StreamId,
    span::{format_span, parse_span},
};
use serde_json::{Value, json};

use super::ceiling::Ceiling;
use crate::{
    commands::near, context::Context, errors::Usage, exit::Exit, format::OutputFormat, output,
};

/// Between two lines that say the same.
const REPEATED: Duration = Duration::from_secs(30);
/// Between two lines, at least.
const APART: Duration = Duration::from_secs(2);

/// Arguments of `streams grow`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct GrowArguments {
    /// The stream
    pub stream: String,
    /// How many partitions it is to have
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub to: u32,
    /// Wait until publishing has paused and every group has committed its end, then grow: each key keeps its order
    #[arg(long, conflicts_with = "accept_reordering")]
    pub when_drained: bool,
    /// Grow at once: later events of a key may be handled before earlier ones, until the groups have caught up
    #[arg(long)]
    pub accept_reordering: bool,
    /// With --when-drained: give up after so long; nothing is changed then
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = span)]
    pub within: Duration,
    /// With --when-drained: publishing has paused when nothing was written for so long
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span)]
    pub quiet: Duration,
    /// Leave this group out of account: it is neither checked nor waited for; may be repeated
    #[arg(long, value_name = "GROUP")]
    pub allow_group: Vec<String>,
    /// Leave records out of account that no program under the contract writes
    #[arg(long)]
    pub allow_foreign_writers: bool,
    /// Print what would be done and change nothing; exit status 2 if there is something to do
    #[arg(long)]
    pub dry_run: bool,
}

fn span(text: &str) -> Result<Duration, String> {
    parse_span(text).map_err(|error| error.to_string())
}

/// Grows it.
pub(super) async fn run(context: &Context, arguments: &GrowArguments) -> anyhow::Result<Exit> {
    let stream = StreamId::new(&arguments.stream).map_err(Usage::of)?;
    let ceiling = Ceiling::of(context, &stream)?;
    let connection = context.connect().await?;
    let mut request = GrowthRequest::new(stream, arguments.to);
    request.allowed_groups = arguments.allow_group.iter().cloned().collect();
    request.allow_foreign_writers = arguments.allow_foreign_writers;
    let plan = match connection.plan_growth(&request).await {
        Ok(plan) => plan,
        Err(error @ GrowthError::Unknown { .. }) => {
            bail!(
                "{error}{}",
                near::stream(&connection, request.stream.as_str()).await
            )
        }
        Err(error) => return Err(error.into()),
    };
    let command = Command {
        context,
        arguments,
        plan: &plan,
        connection: &connection,
    };
    if plan.is_done() {
        output::note(format!(
            "{} has {} partitions already; nothing is to be done",
            plan.topic, plan.from
        ));
        if arguments.when_drained && !arguments.dry_run {
            // An earlier run may have been ended right behind the growth.
            tokio::time::sleep(PUBLISHERS_FOLLOW).await;
            output::note("publishing may go on");
        }
        return Ok(Exit::Done);
    }
    command.refuse(&ceiling)?;
    for note in &plan.notes {
        output::note(format!("note: {note}"));
    }
    if arguments.dry_run {
        return command.dry_run().await;
    }
    if arguments.when_drained {
        return command.when_drained().await;
    }
    command.at_once().await
}

struct Command<'a> {
    context: &'a Context,
    arguments: &'a GrowArguments,
    plan: &'a GrowthPlan,
    connection: &'a Connection,
}

impl Command<'_> {
    /// Everything that stands against it, in one error.
    fn refuse(&self, ceiling: &Ceiling) -> anyhow::Result<()> {
        let (plan, arguments) = (self.plan, self.arguments);
        let mut against: Vec<String> = plan.obstacles.iter().map(ToString::to_string).collect();
        if arguments.to > ceiling.partitions {
            against.push(format!(
                "{} partitions are more than the {} up to which stream {} may grow: {}; raise `max-partitions` of the subscriptions that read it, in every program",
                arguments.to, ceiling.partitions, plan.request.stream, ceiling.set_by
            ));
        }
        let is_chosen = arguments.when_drained || arguments.accept_reordering;
        if plan.keys == Keys::Any && !is_chosen && arguments.to > plan.from {
            against.push(format!(
                "stream {} takes keys, and more partitions move them: choose --when-drained (waits until publishing has paused and every group has finished, and keeps each key's order) or --accept-reordering (grows at once; later events of a key may be handled before earlier ones until the groups have caught up)",
                plan.request.stream
            ));
        }
        if against.is_empty() {
            return Ok(());
        }
        bail!("nothing was changed: {}", against.join("\n"))
    }

    async fn dry_run(&self) -> anyhow::Result<Exit> {
        let look = self.plan.look_now(self.connection).await?;
        for line in in_groups(&look.unfinished) {
            output::note(line);
        }
        if self.arguments.when_drained {
            output::note(
                "it would wait until publishing has paused and every group has finished, before it grows",
            );
        } else {
            self.say_what_breaks(&look);
        }
        self.print("would grow", &json!({}))?;
        Ok(Exit::Partial)
    }

    async fn when_drained(&self) -> anyhow::Result<Exit> {
        let wait = DrainWait {
            quiet: self.arguments.quiet,
            within: self.arguments.within,
        };
        output::note(format!(
            "waiting up to {} until publishing to {} has paused for {} and {} group(s) have finished; Ctrl-C ends it and changes nothing",
            format_span(wait.within),
            self.plan.topic,
            format_span(wait.quiet),
            self.plan.groups.len()
        ));
        let mut progress = Progress::new(wait.quiet);
        let grown = self
            .plan
            .grow_when_drained(self.connection, wait, |look| progress.show(look))
            .await;
        let grown = match grown {
            Ok(grown) => grown,
            Err(GrowthError::NotDrained { waited, missing }) => bail!(
                "nothing was changed: {} was not drained within {}: {missing}; stop what publishes to it and let the groups catch up, wait longer with --within, or leave a group out that will not come back with --allow-group",
                self.plan.topic,
                format_span(waited)
            ),
            Err(error @ GrowthError::Refused(_)) => bail!("nothing was changed: {error}"),
            Err(error) => return Err(error.into()),
        };
        self.print("grown", &result(&grown))?;
        if grown.moved.is_empty() {
            output::note("publishing may go on");
            return Ok(Exit::Done);
        }
        let moved: Vec<String> = grown
            .moved
            .iter()
            .map(|(partition, records)| format!("[{partition}] {records}"))
            .collect();
        output::error(format!(
            "records were published to {} between the last look before the growth and {} after it ({}): of the keys that moved, these may be handled in another order; every other key's order was kept",
            self.plan.topic,
            format_span(PUBLISHERS_FOLLOW),
            moved.join(", ")
        ));
        Ok(Exit::Partial)
    }

    async fn at_once(&self) -> anyhow::Result<Exit> {
        let grown = match self.plan.grow_at_once(self.connection).await {
            Ok(grown) => grown,
            Err(error @ GrowthError::Refused(_)) => bail!("nothing was changed: {error}"),
            Err(error) => return Err(error.into()),
        };
        self.print("grown", &result(&grown))?;
        let mut look = DrainLook::default();
        look.unfinished = grown.unfinished;
        self.say_what_breaks(&look);
        Ok(Exit::Done)
    }

    /// What a growth without a drain means.
    fn say_what_breaks(&self, look: &DrainLook) {
        if self.plan.keys == Keys::None {
            return;
        }
        output::note(format!(
            "keys move: publishers use the new partitions within {}, and until every group has finished what the former {} partitions hold by then, a later event of a key that moved may be handled before an earlier one",
            format_span(PUBLISHERS_FOLLOW),
            self.plan.from
        ));
        let groups = in_groups(&look.unfinished);
        if groups.is_empty() && !self.plan.groups.is_empty() {
            output::note(format!(
                "no group has anything unfinished there now ({})",
                self.plan.groups.join(", ")
            ));
        }
        for line in groups {
            output::note(line);
        }
    }

    fn print(&self, done: &str, more: &Value) -> io::Result<()> {
        let (plan, arguments) = (self.plan, self.arguments);
        let (from, to) = (plan.from, plan.request.to);
        if self.context.options.format() == OutputFormat::Text {
            return output::line(format!(
                "{done}  {} from {from} to {to} partitions",
                plan.topic
            ));
        }
        let mut value = json!({
            "action": "grow",
            "dry-run": arguments.dry_run,
            "stream": plan.request.stream.as_str(),
            "topic": plan.topic.as_str(),
            "from": from,
            "to": to,
            "keys": plan.keys.as_str(),
            "groups": plan.groups,
            "when-drained": arguments.when_drained,
        });
        if let (Some(value), Some(more)) = (value.as_object_mut(), more.as_object()) {
            value.extend(more.clone());
        }
        output::json(&value)
    }
}

fn result(grown: &Grown) -> Value {
    let moved = grown.moved.iter();
    let moved: Vec<Value> = moved
        .map(|(partition, records)| json!({"partition": partition, "records": records}))
        .collect();
    let unfinished = grown.unfinished.iter();
    let unfinished: Vec<Value> = unfinished
        .map(|it| json!({"group": it.group, "partition": it.partition, "records": it.records}))
        .collect();
    json!({"moved": moved, "unfinished": unfinished})
}

/// Says what is missing: at once what is new, and from time to time what is not.
struct Progress {
    quiet: Duration,
    said: Option<(Instant, String)>,
}

impl Progress {
    fn new(quiet: Duration) -> Self {
        Self { quiet, said: None }
    }

    fn show(&mut self, look: &DrainLook) {
        let Some(missing) = look.missing(self.quiet) else {
            return;
        };
        if let Some((at, said)) = &self.said {
            let pause = if *said == missing { REPEATED } else { APART };
            if at.elapsed() < pause {
                return;
            }
        }
        output::note(format!("waiting: {missing}"));
        self.said = Some((Instant::now(), missing));
    }
}
