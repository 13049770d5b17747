//! `top`: what the running workers behind a URL do, in a terminal, again and again; or once, as a table for scripts.

mod rows;
mod screen;

use std::{io::IsTerminal as _, time::Duration};

use clap::Args;
use futures_util::future::join_all;
use serde_json::Value;

use self::rows::Board;
use crate::{
    errors::Usage,
    exit::Exit,
    output,
    processes::{self, Process, URL},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// Arguments of `top`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Keys: ↑ ↓ select a group, Enter shows what it does, q ends.")]
#[non_exhaustive]
pub struct TopArguments {
    /// The service of the workers; every address behind the name is asked
    #[arg(long, value_name = "URL", default_value = URL)]
    pub url: String,
    /// Print once, for scripts
    #[arg(long)]
    pub once: bool,
}

/// Shows once, or until `q`.
pub(crate) async fn run(arguments: &TopArguments) -> anyhow::Result<Exit> {
    let processes = processes::find(&arguments.url).await?;
    if arguments.once {
        let board = Board::of(look(&processes).await);
        if board.answers == 0 {
            anyhow::bail!(board.silent.join("\n"));
        }
        for line in board.lines() {
            output::line(line)?;
        }
        return Ok(match board.silent.as_slice() {
            [] => Exit::Done,
            silent => {
                for error in silent {
                    output::error(format!("error: {error}"));
                }
                Exit::Partial
            }
        });
    }
    if !std::io::stdout().is_terminal() {
        return Err(
            Usage("standard output is not a terminal; `top --once` prints a table".into()).into(),
        );
    }
    screen::run(&arguments.url).await?;
    Ok(Exit::Done)
}

/// What each process answers.
async fn look(processes: &[Process]) -> Vec<(String, anyhow::Result<Value>)> {
    let looks = processes
        .iter()
        .map(|process| async { (process.address.to_string(), process.stats().await) });
    join_all(looks).await
}
