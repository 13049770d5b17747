//! `scale explain [GROUP]`: the numbers of running workers that follow the load, and why they are as they are.

use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::future::join_all;
use kafkaesk_core::span::rough_span;
use serde_json::{Value, json};

use crate::{
    context::Context,
    exit::Exit,
    format::OutputFormat,
    output,
    processes::{self, Process},
};

/// Arguments of `scale`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct ScaleArguments {
    /// What to do
    #[command(subcommand)]
    pub command: ScaleCommand,
}

/// What `scale` can do.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum ScaleCommand {
    /// Say how many handlers, instances and processes there are, how many are wanted, and why nothing changes
    Explain(ExplainArguments),
}

/// Arguments of `scale explain`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct ExplainArguments {
    /// Only this group, with or without the group prefix
    pub group: Option<String>,
    /// The service of the workers; every address behind the name is asked [default: that of `operate-listen`, or
    /// http://127.0.0.1:9464]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// Explains. Some processes that do not answer make it a part.
pub(crate) async fn run(context: &Context, arguments: &ScaleArguments) -> anyhow::Result<Exit> {
    let ScaleCommand::Explain(arguments) = &arguments.command;
    let processes = processes::find(&processes::url(context, arguments.url.as_deref())?).await?;
    let group = arguments.group.as_deref();
    let answers = join_all(processes.iter().map(|it| it.scale(group))).await;
    let is_json = context.options.format() == OutputFormat::Json;
    let (mut failed, mut found) = (Vec::new(), 0);
    for (process, answer) in processes.iter().zip(answers) {
        match answer {
            Err(error) => failed.push(error),
            Ok(scale) => {
                let all = scale["subscriptions"].as_array();
                found += all.map_or(0, Vec::len);
                match is_json {
                    true => output::json(
                        &json!({ "address": process.address.to_string(), "scale": scale }),
                    )?,
                    false => explain(process, all.map_or(&[], Vec::as_slice))?,
                }
            }
        }
    }
    let answered = processes.len() - failed.len();
    let exit = processes::ended(answered, failed)?;
    if answered > 0 && found == 0 {
        output::note(match group {
            Some(group) => format!("no process here runs group {group:?}"),
            None => "no subscription runs here".to_owned(),
        });
        return Ok(Exit::Failed);
    }
    Ok(exit)
}

fn explain(process: &Process, subscriptions: &[Value]) -> anyhow::Result<()> {
    for it in subscriptions {
        output::line(format!(
            "{}  {}  {}",
            process.address,
            text(&it["group"]),
            text(&it["pattern"])
        ))?;
        for line in lines(it) {
            output::line(format!("  {line}"))?;
        }
    }
    Ok(())
}

/// What is said of one subscription.
fn lines(it: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let (now, scaled) = (&it["handlers"]["now"], &it["handlers"]["scaled"]);
    lines.push(match scaled.is_null() {
        true => {
            format!("handlers   {now}, fixed; `concurrency = \"auto\"` lets them follow the load")
        }
        false => format!(
            "handlers   {now}, from {} to {}: {}",
            scaled["min"],
            scaled["max"],
            text(&scaled["state"])
        ),
    });
    lines.extend(changes(scaled));
    let (now, scaled) = (&it["instances"]["now"], &it["instances"]["scaled"]);
    lines.push(match scaled.is_null() {
        true => format!(
            "instances  {now}, fixed; `scaling = \"on\"` and `max-concurrency` let them follow the load"
        ),
        false => format!(
            "instances  {now} of at most {}{}: {}{}",
            scaled["max"],
            match scaled["wanted"].as_u64() {
                Some(wanted) => format!(", {wanted} wanted"),
                None => String::new(),
            },
            text(&scaled["state"]),
            match scaled["acts"].as_bool() {
                Some(false) => " (dry run: decisions change nothing)",
                _ => "",
            }
        ),
    });
    lines.extend(changes(scaled));
    let wanted = &it["processes"];
    lines.push(match wanted.is_null() {
        true => "processes  not known here: the process that holds the group's first partition says it, after about two minutes"
            .to_owned(),
        false => format!("processes  {} wanted: {}", wanted["wanted"], text(&wanted["state"])),
    });
    let partitions = &it["partitions"];
    let short = partitions["short"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    lines.extend(short.iter().map(|it| {
        format!(
            "partitions {} of {} are too few, for {}: {}",
            it["partitions"],
            text(&it["stream"]),
            rough_span(Duration::from_secs_f64(
                it["seconds"].as_f64().unwrap_or_default()
            )),
            text(&it["state"])
        )
    }));
    lines.extend(changes(partitions));
    lines
}

fn changes(scaled: &Value) -> Vec<String> {
    let changes = scaled["changes"].as_array().map_or(&[][..], Vec::as_slice);
    let changes = changes.iter().map(|change| {
        format!(
            "  {}  {} → {}  {}",
            text(&change["at"]),
            change["from"],
            change["to"],
            text(&change["reason"])
        )
    });
    changes.collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_a_line_with_its_reason() {
        let fixed = json!({ "handlers": { "now": 32 }, "instances": { "now": 1 } });
        let lines = super::lines(&fixed);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(
            lines.iter().take(2).all(|line| line.contains("fixed")),
            "{lines:?}"
        );
        let change = json!({ "at": "12:00", "from": 1, "to": 2, "reason": "busy" });
        let scaled = json!({
            "handlers": { "now": 8, "scaled": { "min": 1, "max": 512, "state": "it measures", "changes": [] } },
            "instances": { "now": 2, "scaled":
                { "acts": false, "max": 3, "wanted": 4, "state": "more are needed", "changes": [change] } },
            "processes": { "wanted": 2, "state": "orders[3] alone needs 1.4 members" },
            "partitions": {
                "short": [{ "stream": "orders", "partitions": 7, "seconds": 1860.0, "state": "more members help first" }],
                "changes": [{ "at": "11:00", "from": 7, "to": 14, "reason": "clicks: each is busy" }],
            },
        });
        assert_eq!(
            super::lines(&scaled),
            [
                "handlers   8, from 1 to 512: it measures",
                "instances  2 of at most 3, 4 wanted: more are needed (dry run: decisions change nothing)",
                "  12:00  1 → 2  busy",
                "processes  2 wanted: orders[3] alone needs 1.4 members",
                "partitions 7 of orders are too few, for 31m 0s: more members help first",
                "  11:00  7 → 14  clicks: each is busy",
            ]
        );
    }
}
