//! `dev [DIR]`: a broker, the project's schemas and a worker in one process. Needs no Kafka, and contacts no server
//! that is not on this machine's loopback.

mod files;
mod hint;
mod isolate;
mod said;
mod sample;
mod start;
mod watch;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use kafkaesk_client::dev::DevBroker;

use self::{files::Files, said::Said, start::Start};
use crate::{
    Options, context::Context, errors::Usage, exit::Exit, operate_options::OperateOptions, output,
    signals,
};

/// Arguments of `dev`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct DevArguments {
    /// The project's folder, with its kafkaesk.toml [default: as found from here]
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Start the worker again when kafkaesk.toml, a schema that it names, or a file in the command of an `exec` handler
    /// changes; the broker and its messages stay
    #[arg(long)]
    pub watch: bool,
    /// What it shows of itself.
    #[command(flatten)]
    pub operate: OperateOptions,
}

/// Runs until Ctrl-C, SIGTERM or SIGHUP.
pub(crate) async fn run(context: Context, arguments: &DevArguments) -> anyhow::Result<Exit> {
    let options = options(&context.options, arguments)?;
    let app = context.app;
    if arguments.watch && !app.subscriptions().is_empty() {
        return Err(Usage(
            "--watch starts the handlers of kafkaesk.toml again, and this program has handlers of its own, which are \
             compiled into it; run `dev` without --watch, and start it again after a build"
                .into(),
        )
        .into());
    }
    let own = app.schemas()?;
    let mut files = Files::default();
    let start = Start::read(&options, &own, app, &mut files).await?;
    let broker = DevBroker::start(&start.isolated.address)?;
    output::line(format!(
        "dev broker ready at {} (in this process; nothing is kept after it ends)",
        broker.address()
    ))?;
    let mut said = Said::default();
    if arguments.watch {
        return watch::run(&options, &own, files, start, &broker, said).await;
    }
    let mut shutdown = signals::shutdown().context("listening to signals")?;
    let Some(ready) = shutdown.unless(start.prepare(&broker, &mut said)).await else {
        return Ok(Exit::Done);
    };
    ready?.work(&mut said, shutdown.asked()).await
}

/// The options, with the configuration of the named folder.
fn options(given: &Options, arguments: &DevArguments) -> Result<Options, Usage> {
    let mut options = given.clone();
    if let Some(directory) = &arguments.directory {
        let file = directory.join("kafkaesk.toml");
        if !file.is_file() {
            let why = match directory.exists() {
                true => "",
                false => ", since there is no such folder",
            };
            return Err(Usage(format!(
                "{} has no kafkaesk.toml{why}; name a project's folder, or write one there",
                directory.display()
            )));
        }
        options.config = Some(file);
    }
    Ok(options)
}
