//! `groups reset | skip GROUP STREAM[PARTITION]@OFFSET`: moves a group that has no members to a position, or over exactly
//! one record. Shows what it will do, asks, and logs the record that it passed over.

mod dead_letter;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use kafkaesk_client::{
    Connection,
    broker::{GroupPosition, Upcoming},
};
use kafkaesk_core::{NextOffset, RecordPlace, TopicName, timestamp};
use tracing::warn;

use crate::{context::Context, errors::Usage, exit::Exit, input, output};

/// Arguments of `groups`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct GroupsArguments {
    /// What to do
    #[command(subcommand)]
    pub command: GroupsCommand,
}

/// What `groups` can do.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum GroupsCommand {
    /// Move a group to a record: it is the next one that the group reads in that partition
    ///
    /// The group must have no members. Records between the old and the new position are lost to the group, or read again.
    Reset(MoveArguments),
    /// Move a group over exactly one record: the next one that it reads in that partition
    ///
    /// For a record that cannot be read, or that a handler holds. The group must have no members; for a running group,
    /// start a worker with `--skip`. A record that cannot be read may be in a batch with others: skip each of them, or
    /// reset the group to the first offset after the batch.
    Skip(SkipArguments),
}

/// Which record a group passes over, and where it goes.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct SkipArguments {
    /// Which group and record
    #[command(flatten)]
    pub moving: MoveArguments,
    /// Write the record to the group's dead letters first; the group moves only once it is there
    #[arg(long)]
    pub dead_letter: bool,
}

/// Which group moves where.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct MoveArguments {
    /// The group, as sent to Kafka (with the group prefix, as the worker's log writes it)
    pub group: String,
    /// The record: a stream id, a partition and an offset, such as `orders.placed[3]@17` (quote it from the shell)
    #[arg(value_name = "STREAM[PARTITION]@OFFSET")]
    pub record: String,
    /// Show what would be done, and change nothing (exit status 2 if there is something to do)
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Moves a group.
pub(crate) async fn run(context: &Context, arguments: &GroupsArguments) -> anyhow::Result<Exit> {
    let (moving, is_skip, to_dead_letters) = match &arguments.command {
        GroupsCommand::Reset(moving) => (moving, false, false),
        GroupsCommand::Skip(skip) => (&skip.moving, true, skip.dead_letter),
    };
    let place: RecordPlace = moving.record.parse().map_err(Usage::of)?;
    if !moving.dry_run && !moving.yes && !std::io::stdin().is_terminal() {
        return Err(Usage(
            "standard input is not a terminal, so nobody can be asked: add --yes to move the group, or --dry-run to see what \
             would be done"
                .into(),
        )
        .into());
    }
    let connection = context.connect().await?;
    let topic = topic(&connection, &place).await?;
    let broker = connection.broker();
    let position = broker
        .group_position(&moving.group, &topic, place.partition)
        .await?;
    if !position.members.is_empty() {
        return Err(kafkaesk_client::ClientError::GroupHasMembers {
            group: moving.group.clone(),
            members: position.members.join(", "),
        }
        .into());
    }
    let next = if is_skip {
        over(&moving.group, &place, &position)?
    } else {
        within(&place, &position)?
    };
    output::note(plan(
        &moving.group,
        &place,
        &topic,
        &position,
        next,
        is_skip,
    ));
    if position.committed == Some(next) {
        output::note("nothing to do: the group stands there already");
        return Ok(Exit::Done);
    }
    if to_dead_letters {
        dead_letter::check(&connection, &moving.group, &position)?;
        output::note("the record is written to the dead letters of the group first");
    }
    if moving.dry_run {
        return Ok(Exit::Partial);
    }
    if !moving.yes && !input::confirm("move the group?")? {
        output::note("nothing was changed");
        return Ok(Exit::Failed);
    }
    if to_dead_letters {
        dead_letter::write(&connection, &moving.group, &place, &topic).await?;
    }
    let moved = broker.move_group(&moving.group, &topic, place.partition, next);
    moved.await.with_context(|| match to_dead_letters {
        true => format!(
            "the dead letter of {place} is written, but group {} was not moved over the record; `groups skip` without --dead-letter does that",
            moving.group
        ),
        false => format!("moving group {}", moving.group),
    })?;
    if is_skip {
        warn!(
            group = moving.group,
            topic = topic.as_str(),
            partition = place.partition,
            offset = place.offset.0,
            record = described(&position.upcoming),
            dead_letter = to_dead_letters,
            "passed over by `groups skip`; the group never handles this record, unless it is redriven from the dead letters"
        );
    } else {
        warn!(
            group = moving.group,
            topic = topic.as_str(),
            partition = place.partition,
            from = position.committed.map(|next| next.0),
            to = next.0,
            "moved by `groups reset`"
        );
    }
    Ok(Exit::Done)
}

/// The stream's topic, which must have that partition.
async fn topic(connection: &Connection, place: &RecordPlace) -> anyhow::Result<TopicName> {
    let prefix = &connection.settings().topic_prefix;
    let topic = prefix.topic(&place.stream).map_err(Usage::of)?;
    let Some(info) = connection.broker().topic(&topic, "Read").await? else {
        anyhow::bail!(
            "stream {} does not exist (topic {topic}); `streams list` shows those that do",
            place.stream
        );
    };
    if place.partition as u32 >= info.partitions {
        anyhow::bail!(
            "stream {} has partitions 0 to {}, not {}",
            place.stream,
            info.partitions - 1,
            place.partition
        );
    }
    Ok(topic)
}

/// The offset after the record, if that is the one that the group reads next.
fn over(group: &str, place: &RecordPlace, position: &GroupPosition) -> anyhow::Result<NextOffset> {
    let upcoming = match &position.upcoming {
        Upcoming::Record { offset, .. } | Upcoming::Unreadable { offset, .. } => *offset,
        Upcoming::Nothing => anyhow::bail!(
            "group {group} has read {}[{}] to its end at offset {}: there is no record to pass over",
            place.stream,
            place.partition,
            position.end
        ),
    };
    if upcoming != place.offset {
        anyhow::bail!(
            "the next record that group {group} reads in {}[{}] is @{upcoming}, not @{}, and exactly one record can be \
             passed over; to move the group elsewhere use `groups reset`",
            place.stream,
            place.partition,
            place.offset
        );
    }
    Ok(place.offset.next())
}

/// The record's own offset, if it is in the log.
fn within(place: &RecordPlace, position: &GroupPosition) -> anyhow::Result<NextOffset> {
    let next = NextOffset(place.offset.0);
    if next < position.first || next > position.end {
        anyhow::bail!(
            "{}[{}] holds the offsets {} to {}, not {}",
            place.stream,
            place.partition,
            position.first,
            position.end,
            place.offset
        );
    }
    Ok(next)
}

fn plan(
    group: &str,
    place: &RecordPlace,
    topic: &TopicName,
    position: &GroupPosition,
    next: NextOffset,
    is_skip: bool,
) -> String {
    let stands = match position.committed {
        Some(committed) => format!("stands at offset {committed}"),
        None => format!(
            "has committed nothing (a new group reads from offset {})",
            position.first
        ),
    };
    let from = position.committed.unwrap_or(position.first);
    let effect = if is_skip {
        format!(
            "it is moved over one record, to offset {next}: {}",
            described(&position.upcoming)
        )
    } else if next > from {
        format!(
            "it is moved forward to offset {next}: {} offset(s) are never read by it",
            next.0 - from.0
        )
    } else {
        format!(
            "it is moved back to offset {next}: {} offset(s) are read again",
            from.0 - next.0
        )
    };
    format!(
        "group {group} {stands} in {topic}[{}]; {effect}",
        place.partition
    )
}

fn described(upcoming: &Upcoming) -> String {
    match upcoming {
        Upcoming::Record {
            offset,
            key,
            bytes,
            timestamp,
        } => {
            let key = key.as_ref().map_or("no key".to_owned(), |key| {
                let text: String = String::from_utf8_lossy(key).chars().take(100).collect();
                format!("key {text:?}")
            });
            let time = timestamp
                .and_then(timestamp::format)
                .unwrap_or_else(|| "no timestamp".to_owned());
            format!("@{offset}, {key}, {bytes} bytes, {time}")
        }
        Upcoming::Unreadable { offset, reason } => {
            format!("@{offset}, which cannot be read: {reason}")
        }
        Upcoming::Nothing => "no record".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use kafkaesk_core::Offset;

    use super::*;

    fn position(committed: Option<i64>, upcoming: Upcoming) -> GroupPosition {
        GroupPosition {
            members: Vec::new(),
            committed: committed.map(NextOffset),
            first: NextOffset(2),
            end: NextOffset(9),
            upcoming,
        }
    }

    fn unreadable(offset: i64) -> Upcoming {
        Upcoming::Unreadable {
            offset: Offset(offset),
            reason: "damaged".to_owned(),
        }
    }

    #[test]
    fn a_skip_passes_over_the_next_record_and_no_other() {
        let place: RecordPlace = "a[0]@5".parse().unwrap();
        // Offsets 3 and 4 have no records.
        let next = over("g", &place, &position(Some(3), unreadable(5))).unwrap();
        assert_eq!(next, NextOffset(6));
        for upcoming in [unreadable(4), unreadable(6), Upcoming::Nothing] {
            assert!(over("g", &place, &position(Some(4), upcoming)).is_err());
        }
    }

    #[test]
    fn a_reset_stays_within_the_log() {
        for (offset, good) in [(1, false), (2, true), (9, true), (10, false)] {
            let place: RecordPlace = format!("a[0]@{offset}").parse().unwrap();
            let within = within(&place, &position(None, Upcoming::Nothing));
            assert_eq!(within.is_ok(), good, "{offset}");
        }
    }
}
