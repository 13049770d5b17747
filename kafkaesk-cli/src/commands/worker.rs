//! `worker [GROUP…]`: runs the subscriptions of `kafkaesk.toml` and of the application until a signal.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use kafkaesk_client::{Connection, settings::nearest};
use kafkaesk_operate::{Operate, ShownSetting};
use kafkaesk_worker::{App, AppError};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep_until},
};
use tracing::info;

use crate::{
    configuration::{Configuration, SubscriptionSettings},
    context::Context,
    errors::Usage,
    exit::Exit,
    handlers::{Configured, stdout::Stdout},
    operate_options::OperateOptions,
    signals,
};

/// The shortest time for a whole shutdown, as the worker's own.
const LEAST: Duration = Duration::from_secs(1);

/// Arguments of `worker`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct WorkerArguments {
    /// Run only the subscriptions of these groups
    #[arg(value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Pass over a record that the group cannot read or handle: `orders.placed[3]@17`. Only the next record that the
    /// group reads in that partition when it is assigned; may be given several times
    #[arg(long, value_name = "STREAM[PARTITION]@OFFSET")]
    pub skip: Vec<String>,
    /// What it shows of itself.
    #[command(flatten)]
    pub operate: OperateOptions,
}

/// Runs until Ctrl-C, SIGTERM or SIGHUP.
pub(crate) async fn run(mut context: Context, arguments: &WorkerArguments) -> anyhow::Result<Exit> {
    let configuration = context.configuration()?;
    let declared = configuration.subscriptions.clone();
    let settings = configuration.operate.clone();
    let shown = shown_settings(configuration);
    let app = std::mem::take(&mut context.app);
    if declared.is_empty() && app.subscriptions().is_empty() {
        return Err(Usage(
            "there is nothing to run: no [[subscriptions]] in the configuration; declare one with `pattern`, `group` and `handler`"
                .into(),
        )
        .into());
    }
    // Reports mistakes in the subscriptions before it waits for a broker.
    let mut app = app;
    for text in &arguments.skip {
        app = app.skip(text.parse().map_err(Usage::of)?);
    }
    let app = check(&declared, app, &arguments.groups)?;
    let mut shutdown = signals::shutdown().context("listening to signals")?;
    // Before the connection: health is asked for while no broker answers.
    let operate = Operate::start(settings, app.watch(), app.control()).await?;
    operate.show_settings(shown);
    if let Some(address) = operate.address() {
        info!(%address, "metrics, health and commands are at http://{address}/");
    }
    let Some(connection) = shutdown.unless(context.connect()).await else {
        return Ok(Exit::Done);
    };
    let connection = connection?;
    run_declared(app, connection, operate, &declared, &arguments.groups).await
}

/// The application with only these groups (all, if none are named), checked together with the declared subscriptions
/// before anything is started or contacted.
///
/// # Errors
/// What is wrong with the subscriptions.
pub(crate) fn check(
    declared: &[SubscriptionSettings],
    own: App,
    groups: &[String],
) -> anyhow::Result<App> {
    let own = if groups.is_empty() {
        own
    } else {
        own.only(groups.iter().cloned())
    };
    let declared_at = declared;
    let declared: Vec<_> = declared
        .iter()
        .map(SubscriptionSettings::without_handler)
        .collect();
    match own.check_with(&declared) {
        Ok(()) => Ok(own),
        Err(error @ AppError::SkipsNothing { .. }) => Err(Usage::of(error).into()),
        Err(AppError::UnknownGroup { group, known }) => {
            let near = nearest(&group, known.split(", "));
            let near = near.map(|near| format!("; did you mean {near:?}?"));
            let near = near.unwrap_or_default();
            let error = AppError::UnknownGroup { group, known };
            Err(Usage(format!("{error}{near}")).into())
        }
        Err(error) => Err(match places(&error, declared_at) {
            None => error.into(),
            Some(places) => anyhow::anyhow!("{places}: {error}"),
        }),
    }
}

/// Where the two subscriptions are declared that overlap; nothing for those of the application's own code.
fn places(error: &AppError, declared: &[SubscriptionSettings]) -> Option<String> {
    let AppError::Overlap {
        group,
        first,
        second,
    } = error
    else {
        return None;
    };
    let mut places: Vec<String> = declared
        .iter()
        .filter(|other| {
            other.group == *group && (other.pattern == *first || other.pattern == *second)
        })
        .map(|other| other.origin.to_string())
        .collect();
    places.truncate(2);
    (!places.is_empty()).then(|| places.join(" and "))
}

/// The effective settings, without secrets.
pub(crate) fn shown_settings(configuration: &Configuration) -> Vec<ShownSetting> {
    let effective = configuration.effective.iter();
    effective
        .map(|it| ShownSetting {
            key: it.key.clone(),
            value: it.value.clone(),
            source: it.source.clone(),
        })
        .collect()
}

/// Starts the handlers of the wanted groups and runs everything over a connection.
async fn run_declared(
    mut app: App,
    connection: Connection,
    operate: Operate,
    declared: &[SubscriptionSettings],
    groups: &[String],
) -> anyhow::Result<Exit> {
    let stdout = Stdout::start().context("starting the writer of standard output")?;
    let mut handlers = Vec::new();
    for settings in declared {
        if groups.is_empty() || groups.contains(&settings.group) {
            let handler = Configured::start(&settings.handler, &stdout)?;
            handlers.push(handler.clone());
            app = app.subscribe(settings.subscription(handler));
        }
    }
    let mut shutdown = signals::shutdown().context("listening to signals")?;
    run_app(app, connection, operate, handlers, shutdown.asked()).await
}

/// Runs an application until it is asked to stop, then ends its handlers' child processes and what shows it, all within
/// `shutdown-timeout`.
pub(crate) async fn run_app(
    app: App,
    connection: Connection,
    mut operate: Operate,
    handlers: Vec<Configured>,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<Exit> {
    let timeout = connection.settings().shutdown_timeout.max(LEAST);
    operate.connected(&connection);
    let (stopping, mut stopped) = watch::channel(None);
    let (running, ended) = oneshot::channel::<()>();
    let run = async {
        let ran = app
            .run_on(connection, async {
                stop.await;
                handlers.iter().for_each(stop_restarts);
                stopping.send_replace(Some(Instant::now()));
            })
            .await;
        drop(running);
        ran
    };
    let end_children = async {
        let handlers_are_cut_off = async {
            match stopped.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(begun)) => sleep_until(*begun + timeout - reserve(timeout)).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = ended => {}
            () = handlers_are_cut_off => {}
        }
        let begun = stopped.borrow().unwrap_or_else(Instant::now);
        let deadline = begun + timeout;
        futures_util::future::join_all(handlers.iter().map(|handler| handler.shutdown(deadline)))
            .await;
    };
    let (ran, ()) = tokio::join!(run, end_children);
    let begun = *stopping.borrow();
    let left = begun.map_or(timeout, |begun| timeout.saturating_sub(begun.elapsed()));
    operate.finish(left).await;
    // `worker | head` ends as quietly as any other command; what was not printed is not committed.
    if ran.is_err() && handlers.iter().any(Configured::is_output_closed) {
        return Ok(Exit::Done);
    }
    let report = ran?;
    info!(
        handled = report.handled,
        dead_letters = report.dead_letters,
        without_event = report.without_event,
        failed_attempts = report.failed_attempts,
        pauses = report.pauses,
        cut_off = report.unfinished_total,
        interrupted = report.interrupted,
        waiting = report.waiting,
        redelivered = report.redelivered,
        stalled_partitions = report.stalled,
        "ended; what was cut off or held, and the handled messages that follow it, are delivered again at the next start"
    );
    // Held messages are delivered again as usual; an interrupted handler may have done half of its work.
    Ok(match report.interrupted {
        0 => Exit::Done,
        _ => Exit::Partial,
    })
}

/// The last part of a shutdown's time, in which the worker's handlers are cut off (`kafkaesk-worker/src/shutdown.rs`):
/// children end in it while the worker commits.
fn reserve(timeout: Duration) -> Duration {
    (timeout / 5).min(Duration::from_secs(4))
}

fn stop_restarts(handler: &Configured) {
    if let Configured::Exec(exec) = handler {
        exec.stop_restarts();
    }
}
