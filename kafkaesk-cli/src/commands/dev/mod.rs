//! `dev [DIR]`: a broker, the project's schemas and a worker in one process. Needs no Kafka, and contacts no server
//! that is not on this machine's loopback.

mod hint;
mod isolate;
mod sample;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use kafkaesk_client::{
    Connection, Settings,
    catalog::{Pushed, StreamSpec},
    dev::DevBroker,
};
use kafkaesk_operate::{Operate, StartError};
use kafkaesk_worker::{App, Subscription};

use super::{schema, worker};
use crate::{
    configuration::{Configuration, SchemaSource},
    context::Context,
    errors::Usage,
    exit::Exit,
    handlers::{Configured, stdout::Stdout},
    operate_options::OperateOptions,
    output, signals,
};

/// Arguments of `dev`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct DevArguments {
    /// The project's folder, with its kafkaesk.toml [default: as found from here]
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// What it shows of itself.
    #[command(flatten)]
    pub operate: OperateOptions,
}

/// Runs until Ctrl-C, SIGTERM or SIGHUP.
pub(crate) async fn run(context: Context, arguments: &DevArguments) -> anyhow::Result<Exit> {
    let mut options = context.options.clone();
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
            ))
            .into());
        }
        options.config = Some(file);
    }
    let mut configuration = Configuration::load_dev(&options)?;
    let app = context.app;
    // Everything that needs no broker is checked before one is started.
    let (sources, streams) = schema::sources(&configuration, app.schemas()?)?;
    let app = worker::check(&configuration.subscriptions, app, &[])?;
    let operate = operate(&configuration, &app).await?;
    operate.show_settings(worker::shown_settings(&configuration));

    let isolated = isolate::isolate(&configuration.settings, &mut configuration.subscriptions);
    let broker = DevBroker::start(&isolated.address)?;
    let address = broker.address().to_string();
    let mut settings = isolated.settings;
    settings.kafka_servers = vec![address.clone()];
    output::line(format!(
        "dev broker ready at {address} (in this process; nothing is kept after it ends)"
    ))?;
    for note in &isolated.notes {
        output::note(note);
    }
    let mut shutdown = signals::shutdown().context("listening to signals")?;
    let prepared = shutdown.unless(prepare(&settings, &sources, &streams));
    let Some(connection) = prepared.await else {
        return Ok(Exit::Done);
    };
    let connection = connection?;
    let declared = configuration
        .subscriptions
        .iter()
        .map(|s| s.pattern.clone());
    let own = app.subscriptions().iter().map(|s| s.pattern().to_owned());
    let patterns: Vec<String> = declared.chain(own).collect();
    let ended = work(app, connection, operate, &configuration, || {
        hint::command(
            &configuration,
            &patterns,
            &sources,
            &streams,
            &address,
            isolated.hides_security,
        )
    })
    .await;
    drop(broker);
    ended
}

/// Connects, pushes the schemas and creates the streams.
async fn prepare(
    settings: &Settings,
    sources: &[SchemaSource],
    streams: &[StreamSpec],
) -> anyhow::Result<Connection> {
    let connection = Connection::open(settings).await?;
    for source in sources {
        let pushed = connection
            .catalog()
            .push(&source.id, &source.document)
            .await
            .with_context(|| format!("pushing {}", source.shown))?;
        if pushed == Pushed::New {
            output::line(format!("pushed  {}", source.id))?;
        }
    }
    for stream in streams {
        connection.catalog().ensure_stream(stream).await?;
    }
    Ok(connection)
}

/// Runs the subscriptions, or waits where there are none.
async fn work(
    app: App,
    connection: Connection,
    operate: Operate,
    configuration: &Configuration,
    command: impl FnOnce() -> Option<String>,
) -> anyhow::Result<Exit> {
    for subscription in app.subscriptions() {
        say_worker(subscription, "this program")?;
    }
    let stdout = Stdout::start().context("starting the writer of standard output")?;
    let mut handlers = Vec::new();
    for settings in &configuration.subscriptions {
        let handler = Configured::start_dev(&settings.handler, &stdout)?;
        let subscription = settings.subscription(handler.clone());
        say_worker(&subscription, settings.handler.shown())?;
        if let Some(note) = handler.dev_note().await {
            output::note(note);
        }
        handlers.push((subscription, handler));
    }
    if let Some(address) = operate.address() {
        let commands = match configuration.operate.token {
            Some(_) => "commands",
            None => "no commands without `operate-token`",
        };
        output::line(format!(
            "operate http://{address}/  a page, metrics, health, {commands}"
        ))?;
    }
    let nothing = handlers.is_empty() && app.subscriptions().is_empty();
    if nothing {
        output::line(NOTHING)?;
    }
    if let Some(command) = command() {
        output::line("try, in another terminal:")?;
        output::line(format!("  {command}"))?;
    }
    if nothing {
        let mut shutdown = signals::shutdown().context("listening to signals")?;
        shutdown.asked().await;
        return Ok(Exit::Done);
    }
    let app = handlers.iter().fold(app, |app, (subscription, _)| {
        app.subscribe(subscription.clone())
    });
    let handlers = handlers.into_iter().map(|(_, handler)| handler).collect();
    worker::run_app(app, connection, operate, handlers).await
}

/// Starts what shows the worker, at the configured address or at [`LISTEN`].
async fn operate(configuration: &Configuration, app: &App) -> anyhow::Result<Operate> {
    let mut settings = configuration.operate.clone();
    let is_chosen = settings.listen.is_some();
    settings.listen.get_or_insert_with(|| LISTEN.to_owned());
    settings.loopback_only = true;
    match Operate::start(settings.clone(), app.watch(), app.control()).await {
        // A second `dev` on this machine, for example.
        Err(error @ StartError::Listen { .. }) if !is_chosen => {
            output::note(format!(
                "no metrics and health here: {error}; `operate-listen` chooses another address"
            ));
            settings.listen = None;
            Ok(Operate::start(settings, app.watch(), app.control()).await?)
        }
        started => Ok(started?),
    }
}

fn say_worker(subscription: &Subscription, to: &str) -> std::io::Result<()> {
    output::line(format!(
        "worker  {}  {}  → {to}",
        subscription.group_name().unwrap_or("(no group)"),
        subscription.pattern()
    ))
}

/// Where `dev` shows its worker, if the configuration says nothing.
const LISTEN: &str = "127.0.0.1:9464";

const NOTHING: &str = "\
no subscriptions yet; declare one in kafkaesk.toml and start again:
  [[subscriptions]]
  pattern = \"orders.*\"
  group = \"billing\"
  handler = { stdout = true }";
