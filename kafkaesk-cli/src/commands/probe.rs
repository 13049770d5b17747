//! `probe live|ready`: asks a running worker whether it is well, for a container's health check. One line, an exit status,
//! and an answer within 2 s.

use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use futures_util::future::join_all;

use crate::{
    context::Context,
    exit::Exit,
    output,
    processes::{self, Health},
};

/// How long all of it may take; a container's health check has a bound of its own, often 5 s or less.
const WITHIN: Duration = Duration::from_secs(2);

/// Arguments of `probe`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct ProbeArguments {
    /// What to ask
    #[arg(value_enum)]
    pub question: Question,
    /// The service of the worker [default: that of `operate-listen`, or http://127.0.0.1:9464]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// What `probe` can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Question {
    /// Fails if a restart would help (/livez)
    Live,
    /// Fails unless the worker takes part in its groups (/readyz)
    Ready,
}

impl Question {
    fn path(self) -> &'static str {
        match self {
            Self::Live => "/livez",
            Self::Ready => "/readyz",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ready => "ready",
        }
    }
}

/// Asks. Exit status 0 if the worker is well, 1 if it is not or does not answer.
pub(crate) async fn run(context: &Context, arguments: &ProbeArguments) -> anyhow::Result<Exit> {
    let url = processes::url(context, arguments.url.as_deref())?;
    match tokio::time::timeout(WITHIN, ask(&url, arguments.question)).await {
        Ok(line) => output::line(line?)?,
        Err(_) => bail!("{url} gave no answer within {WITHIN:?}"),
    }
    Ok(Exit::Done)
}

/// Every address behind the name that answers must be well. One where nothing listens does not count beside another that
/// answers: `localhost` has two addresses, and a worker listens at one of them.
async fn ask(url: &str, question: Question) -> anyhow::Result<String> {
    let processes = processes::find(url).await?;
    let asked = processes.iter().map(|it| it.health(question.path()));
    let word = question.word();
    let mut well = Vec::new();
    let mut silent = None;
    for (process, health) in processes.iter().zip(join_all(asked).await) {
        match health? {
            Health::Well => well.push(process.address.to_string()),
            Health::Unwell(why) => bail!("{} is not {word}: {why}", process.address),
            Health::Silent(why) => silent = Some((process.address, why)),
        }
    }
    match silent {
        Some((address, why)) if well.is_empty() => bail!(
            "{address} is not {word}: nothing listens there ({why}); is a worker running, with `operate-listen` at this address?"
        ),
        _ => Ok(format!("{word}  {}", well.join(" "))),
    }
}
