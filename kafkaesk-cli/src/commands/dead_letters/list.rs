//! `dead-letters list`: one row for each letter. Keeps no values, and no more rows than it prints.

use std::collections::BTreeMap;

use super::{ListArguments, filter::FilterArguments, group, shown};
use crate::{context::Context, exit::Exit, format::OutputFormat, output};

/// So many rows, where nothing else is said.
const ROWS: u64 = 1000;

/// What a reading of the letters found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Matching letters that are not settled.
    pub(super) open: u64,
    /// Matching letters that are settled.
    pub(super) settled: u64,
}

/// Lists.
pub(super) async fn run(context: &Context, arguments: &ListArguments) -> anyhow::Result<Exit> {
    let filter = arguments.which.filter()?;
    let connection = context.connect().await?;
    let letters = group::find(context, &connection, arguments.which.group.as_deref()).await?;
    let Some(snapshot) = letters.snapshot().await? else {
        return no_topic(letters.group(), letters.topic().as_str());
    };
    let prefix = &connection.settings().topic_prefix;
    let json = context.options.format() == OutputFormat::Json;
    let limit = arguments.limit.unwrap_or(ROWS);
    let mut reading = letters.letters(&snapshot).await?;
    let mut found = Found::default();
    let mut listed = 0;
    let mut rows = BTreeMap::new();
    while let Some(letter) = reading.next().await? {
        if !letters.takes(&filter, &letter) {
            continue;
        }
        match letter.settled {
            Some(_) => found.settled += 1,
            None => found.open += 1,
        }
        if letter.settled.is_some() && !arguments.all {
            continue;
        }
        listed += 1;
        if json {
            if listed <= limit {
                output::json(&shown::summary(&letter, prefix))?;
            }
            continue;
        }
        let record = &letter.record;
        let place = (record.timestamp, record.partition(), record.offset);
        rows.insert(place, shown::row(&letter, prefix));
        if rows.len() as u64 > limit {
            rows.pop_last();
        }
    }
    let rows: Vec<Vec<String>> = rows.into_values().collect();
    for line in output::table(&rows) {
        output::line(line)?;
    }
    if listed == 0 {
        return nothing(letters.group(), &arguments.which, found);
    }
    if listed > limit {
        output::note(format!(
            "{limit} of {listed} are listed; --limit {listed} lists all of them"
        ));
    }
    if found.settled > 0 && !arguments.all && !json {
        output::note(format!(
            "{} more are settled; --all lists them as well",
            found.settled
        ));
    }
    Ok(Exit::Done)
}

/// The group has no topic of dead letters.
pub(super) fn no_topic(group: &str, topic: &str) -> anyhow::Result<Exit> {
    output::note(format!(
        "group {group} has no dead letters (topic {topic} does not exist)"
    ));
    Ok(Exit::Done)
}

/// Nothing matches. With a filter that is a failure, since the filter names letters that do not exist.
pub(super) fn nothing(group: &str, which: &FilterArguments, found: Found) -> anyhow::Result<Exit> {
    let settled = match found.settled {
        0 => String::new(),
        1 => "; 1 that was redriven or purged does (`list --all` shows it)".to_owned(),
        many => format!("; {many} that were redriven or purged do (`list --all` shows them)"),
    };
    if which.is_given() {
        output::note(format!(
            "no dead letter of group {group} matches the filter{settled}"
        ));
        return Ok(Exit::Failed);
    }
    output::note(match found.settled {
        0 => format!("group {group} has no dead letters"),
        many => format!(
            "group {group} has no dead letters that are not settled; {many} were redriven or purged (`list --all` shows them)"
        ),
    });
    Ok(Exit::Done)
}
