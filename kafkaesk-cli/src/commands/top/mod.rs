//! `top`: what the running workers behind a URL do, in a terminal, again and again; or once, as a table for scripts.

mod rows;
mod screen;

use std::{io::IsTerminal as _, time::Duration};

use clap::Args;
use futures_util::future::join_all;
use serde_json::{Value, json};

use self::rows::Board;
use crate::{
    context::Context,
    errors::Usage,
    exit::Exit,
    format::OutputFormat,
    output,
    processes::{self, Process},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// Arguments of `top`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Keys: ↑ ↓ select a group, Enter shows what it does, q ends.")]
#[non_exhaustive]
pub struct TopArguments {
    /// The service of the workers; every address behind the name is asked [default: that of `operate-listen`, or
    /// http://127.0.0.1:9464]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Print once, for scripts; with `--output json` what each process answers, a line for each
    #[arg(long)]
    pub once: bool,
}

/// Shows once, or until `q`.
pub(crate) async fn run(context: &Context, arguments: &TopArguments) -> anyhow::Result<Exit> {
    let url = processes::url(context, arguments.url.as_deref())?;
    let processes = processes::find(&url).await?;
    let is_json = context.options.format() == OutputFormat::Json;
    if arguments.once {
        let looks = look(&processes).await;
        if is_json {
            for (address, answer) in &looks {
                if let Ok(stats) = answer {
                    output::json(&json!({ "address": address, "stats": stats }))?;
                }
            }
        }
        let board = Board::of(looks);
        if board.answers == 0 {
            anyhow::bail!(board.silent.join("\n"));
        }
        for line in board.lines().into_iter().filter(|_| !is_json) {
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
    if is_json {
        return Err(Usage("`top --once --output json` prints JSON".into()).into());
    }
    screen::run(&url).await?;
    Ok(Exit::Done)
}

/// What each process answers.
async fn look(processes: &[Process]) -> Vec<(String, anyhow::Result<Value>)> {
    let looks = processes
        .iter()
        .map(|process| async { (process.address.to_string(), process.stats().await) });
    join_all(looks).await
}
