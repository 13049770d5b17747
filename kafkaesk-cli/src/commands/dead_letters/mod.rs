//! `dead-letters list | show | redrive | purge [GROUP]`: shows and settles the messages that a consumer group gave up.

mod filter;
mod group;
mod list;
mod settle;
mod show;
mod shown;
mod value;

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use kafkaesk_core::SettledBy;

pub use filter::FilterArguments;

use crate::{context::Context, exit::Exit};

/// Arguments of `dead-letters`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct DeadLettersArguments {
    /// What to do
    #[command(subcommand)]
    pub command: DeadLettersCommand,
}

/// What `dead-letters` can do.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum DeadLettersCommand {
    /// List the dead letters of a group, oldest first, without their values
    ///
    /// The first column is the letter's place in the topic of dead letters, for --offset. Redriven and purged letters
    /// are settled: only --all shows them. A record that is not a dead letter is shown with the reason. With --output
    /// json, letters of different partitions have no order.
    List(ListArguments),
    /// Print dead letters whole: origin, error, headers, key and value
    ///
    /// Letters are printed as they are read; letters of different partitions have no order.
    Show(ShowArguments),
    /// Return dead letters to their group, and to no other
    ///
    /// A copy of each is written to the group's retry topic, which a running worker of the group must read. One
    /// transaction writes the copy and the mark that settles the letter, so you can simply run a stopped redrive again.
    /// A redrive takes over from another redrive or purge of the group. The order of the streams is not kept.
    Redrive(RedriveArguments),
    /// Discard dead letters: they count as settled, and Kafka deletes them after their topic's retention
    Purge(PurgeArguments),
}

/// Arguments of `dead-letters list`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct ListArguments {
    /// Which letters
    #[command(flatten)]
    pub which: FilterArguments,
    /// At most so many rows, the oldest [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Those that are settled as well
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `dead-letters show`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct ShowArguments {
    /// Which letters
    #[command(flatten)]
    pub which: FilterArguments,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Those that are settled as well
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `dead-letters redrive`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct RedriveArguments {
    /// Which letters, and how fast
    #[command(flatten)]
    pub settle: SettleArguments,
}

/// Arguments of `dead-letters purge`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct PurgeArguments {
    /// Which letters, and how fast
    #[command(flatten)]
    pub settle: SettleArguments,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
}

/// What `redrive` and `purge` share.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct SettleArguments {
    /// Which letters
    #[command(flatten)]
    pub which: FilterArguments,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// At most so many each second
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// Print what would be done and change nothing; exit status 2 if there is something to do
    #[arg(long)]
    pub dry_run: bool,
}

impl DeadLettersArguments {
    /// Whether it ends by a signal, between two transactions.
    pub(crate) fn listens(&self) -> bool {
        matches!(
            self.command,
            DeadLettersCommand::Redrive(_) | DeadLettersCommand::Purge(_)
        )
    }
}

/// Runs one of them.
pub(crate) async fn run(
    context: &Context,
    arguments: &DeadLettersArguments,
) -> anyhow::Result<Exit> {
    match &arguments.command {
        DeadLettersCommand::List(arguments) => list::run(context, arguments).await,
        DeadLettersCommand::Show(arguments) => show::run(context, arguments).await,
        DeadLettersCommand::Redrive(arguments) => {
            settle::run(context, &arguments.settle, SettledBy::Redrive, true).await
        }
        DeadLettersCommand::Purge(arguments) => {
            settle::run(context, &arguments.settle, SettledBy::Purge, arguments.yes).await
        }
    }
}
