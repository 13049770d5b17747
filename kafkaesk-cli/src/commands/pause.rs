//! `pause GROUP` and `resume GROUP`: commands to every running worker behind a URL.

use clap::Args;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{context::Context, exit::Exit, output, processes};

/// Arguments of `pause`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct PauseArguments {
    /// The group, without the group prefix
    pub group: String,
    /// The service of the workers; every address behind the name is asked [default: that of `operate-listen`, or
    /// http://127.0.0.1:9464]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Why, for those who look at it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How long [default: until `resume`]
    #[arg(long = "for", value_name = "SPAN")]
    pub lasting: Option<String>,
}

/// Arguments of `resume`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct ResumeArguments {
    /// The group, without the group prefix
    pub group: String,
    /// The service of the workers; every address behind the name is asked [default: that of `operate-listen`, or
    /// http://127.0.0.1:9464]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// Pauses the group in every process.
pub(crate) async fn pause(context: &Context, arguments: &PauseArguments) -> anyhow::Result<Exit> {
    let mut body = json!({ "reason": arguments.reason.as_deref().unwrap_or_default() });
    if let Some(lasting) = &arguments.lasting {
        body["for"] = lasting.as_str().into();
    }
    command(
        context,
        "pause",
        &arguments.group,
        arguments.url.as_deref(),
        &body,
    )
    .await
}

/// Resumes the group in every process.
pub(crate) async fn resume(context: &Context, arguments: &ResumeArguments) -> anyhow::Result<Exit> {
    command(
        context,
        "resume",
        &arguments.group,
        arguments.url.as_deref(),
        &Value::Null,
    )
    .await
}

/// Asks all processes. Some that refuse or do not answer make it a part.
async fn command(
    context: &Context,
    command: &str,
    group: &str,
    url: Option<&str>,
    body: &Value,
) -> anyhow::Result<Exit> {
    let token = context.configuration()?.operate.token.clone();
    let processes = processes::find(&processes::url(context, url)?).await?;
    let path = ["subscriptions", group, command];
    let asked = processes
        .iter()
        .map(|it| it.post(&path, token.as_deref(), body));
    let mut failed = Vec::new();
    let mut done = 0;
    for (process, answer) in processes.iter().zip(join_all(asked).await) {
        match answer {
            Ok(answer) => {
                done += 1;
                let what = match answer["note"].as_str() {
                    Some(note) => note.to_owned(),
                    None => match answer["subscriptions"].as_u64().unwrap_or_default() {
                        1 => format!("{command}d, 1 subscription"),
                        some => format!("{command}d, {some} subscriptions"),
                    },
                };
                output::line(format!("{}  {group}  {what}", process.address))?;
            }
            Err(error) => failed.push(error),
        }
    }
    processes::ended(done, failed)
}
