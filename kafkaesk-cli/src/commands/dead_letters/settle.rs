//! `dead-letters redrive` and `purge`: counts the selected letters, asks before a purge, and settles them. A signal
//! ends the command between two transactions.

use std::{io::IsTerminal as _, ops::ControlFlow, time::Instant};

use anyhow::Context as _;
use kafkaesk_client::{
    DeadLetters,
    dead_letters::{Filter, Order, READER_WAIT, Tally},
};
use kafkaesk_core::SettledBy;
use serde_json::json;

use super::{
    SettleArguments, group,
    list::{Found, no_topic, nothing},
    shown,
};
use crate::{
    context::Context,
    errors::Usage,
    exit::Exit,
    format::OutputFormat,
    input, output,
    progress::Progress,
    signals::{self, Shutdown},
};

/// Settles the letters. `yes`: does not ask.
pub(super) async fn run(
    context: &Context,
    arguments: &SettleArguments,
    by: SettledBy,
    yes: bool,
) -> anyhow::Result<Exit> {
    let filter = arguments.which.filter()?;
    if !yes && !arguments.dry_run && !std::io::stdin().is_terminal() {
        return Err(Usage(
            "standard input is not a terminal, so nobody can be asked: add --yes to purge, or --dry-run to see how many it would be"
                .into(),
        )
        .into());
    }
    let mut shutdown = signals::shutdown().context("listening to signals")?;
    let begun = async {
        let connection = context.connect().await?;
        let letters = group::find(context, &connection, arguments.which.group.as_deref()).await?;
        let found = count(&letters, &filter).await?;
        anyhow::Ok((letters, found))
    };
    let Some(begun) = shutdown.unless(begun).await else {
        return Ok(stopped(Tally::default()));
    };
    let (letters, counted) = begun?;
    let Some((found, left)) = counted else {
        return no_topic(letters.group(), letters.topic().as_str());
    };
    let all = found.open.min(arguments.limit.unwrap_or(u64::MAX));
    if all == 0 && left == 0 {
        return nothing(letters.group(), &arguments.which, found);
    }
    if all == 0 {
        left_note(left);
        return Ok(Exit::Partial);
    }
    if arguments.dry_run {
        return dry_run(context, &letters, by, all, left).await;
    }
    let question = || format!("discard {all} dead letter(s) of group {}?", letters.group());
    if !yes && !input::confirm(&question())? {
        output::note("nothing was changed");
        return Ok(Exit::Failed);
    }
    if by == SettledBy::Redrive {
        if !letters.has_reader().await? {
            output::note(format!(
                "waiting until a member of group {} reads {} ({READER_WAIT:?} at most)",
                letters.group(),
                letters.retry_topic()
            ));
        }
        let Some(ready) = shutdown.unless(letters.wait_for_reader()).await else {
            return Ok(stopped(Tally::default()));
        };
        ready?;
    }
    let order = Order {
        filter,
        limit: arguments.limit,
        rate: arguments.rate,
    };
    settle(context, &letters, by, &order, all, shutdown).await
}

/// How many letters match, and how many records that match are none and stay; `None` without a topic.
async fn count(letters: &DeadLetters, filter: &Filter) -> anyhow::Result<Option<(Found, u64)>> {
    let Some(snapshot) = letters.snapshot().await? else {
        return Ok(None);
    };
    let (mut found, mut left) = (Found::default(), 0);
    let mut reading = letters.letters(&snapshot).await?;
    while let Some(letter) = reading.next().await? {
        if !letters.takes(filter, &letter) {
            continue;
        }
        if letter.settled.is_some() {
            found.settled += 1;
        } else if letter.origin.is_err() {
            left += 1;
        } else {
            found.open += 1;
        }
    }
    Ok(Some((found, left)))
}

async fn settle(
    context: &Context,
    letters: &DeadLetters,
    by: SettledBy,
    order: &Order,
    all: u64,
    shutdown: Shutdown,
) -> anyhow::Result<Exit> {
    let progress = Progress::letters(all);
    let begun = Instant::now();
    let mut last = Tally::default();
    let mut ended = false;
    let each = |tally: &Tally| {
        last = *tally;
        progress.reached(tally.settled);
        ended = shutdown.is_asked() && tally.settled < all;
        match ended {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let done = match by {
        SettledBy::Purge => letters.purge(order, each).await,
        _ => letters.redrive(order, each).await,
    };
    drop(progress);
    let tally = match done {
        Ok(tally) => tally,
        Err(error) => {
            output::note(format!(
                "{} of {all} letter(s) were {} before it failed",
                last.settled,
                shown::done(by)
            ));
            return Err(error.into());
        }
    };
    match context.options.format() {
        OutputFormat::Json => output::json(&json!({
            "action": by.as_str(), "group": letters.group(), "settled": tally.settled, "left": tally.left,
        }))?,
        OutputFormat::Text => output::line(format!(
            "{}  {} letter(s) of group {}{} in {:.1} s",
            shown::done(by),
            tally.settled,
            letters.group(),
            target(letters, by),
            begun.elapsed().as_secs_f64()
        ))?,
    }
    if ended {
        return Ok(stopped(tally));
    }
    Ok(match tally.left {
        0 => Exit::Done,
        left => {
            left_note(left);
            Exit::Partial
        }
    })
}

async fn dry_run(
    context: &Context,
    letters: &DeadLetters,
    by: SettledBy,
    all: u64,
    left: u64,
) -> anyhow::Result<Exit> {
    match context.options.format() {
        OutputFormat::Json => output::json(&json!({
            "action": by.as_str(), "group": letters.group(), "would-settle": all, "left": left,
        }))?,
        OutputFormat::Text => output::line(format!(
            "would {}  {all} letter(s) of group {}{}",
            by.as_str(),
            letters.group(),
            target(letters, by)
        ))?,
    }
    if left > 0 {
        left_note(left);
    }
    if by == SettledBy::Redrive && !letters.has_reader().await? {
        let (group, topic) = (letters.group(), letters.retry_topic());
        output::note(match letters.awaits_retry_topic().await? {
            true => format!(
                "topic {topic} does not exist yet: the redrive creates it, and waits until a member of group {group} reads it"
            ),
            false => format!(
                "no member of group {group} reads {topic} now: start a worker of the group before the redrive"
            ),
        });
    }
    Ok(Exit::Partial)
}

fn left_note(left: u64) {
    output::note(format!(
        "{left} record(s) stay where they are, since they are not dead letters or cannot be read; `dead-letters list` says why"
    ));
}

fn stopped(tally: Tally) -> Exit {
    output::note(format!(
        "stopped by a signal after {} letter(s); run it again for the rest",
        tally.settled
    ));
    Exit::Failed
}

fn target(letters: &DeadLetters, by: SettledBy) -> String {
    match by {
        SettledBy::Purge => String::new(),
        _ => format!(" to {}", letters.retry_topic()),
    }
}
