//! Worker: an application on kafkaesk-worker that does what each message says, and tells the suite of every step.

use std::{
    io::{Read, Write},
    process::ExitCode,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use kafkaesk_client::ClientError;
use kafkaesk_core::TopicPrefix;
use kafkaesk_worker::prelude::*;
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{EnvFilter, Layer, layer::Context, prelude::*};

use crate::{
    batches::load,
    line::{Change, Ended, Handled, Line, Report, Said, now},
    sink::{Sink, hand_over},
    work::Work,
};

#[derive(Debug, Parser)]
struct Args {
    #[arg(long)]
    servers: String,
    #[arg(long)]
    prefix: String,
    #[arg(long)]
    group: String,
    #[arg(long)]
    pattern: String,
    #[arg(long)]
    concurrency: u32,
    #[arg(long)]
    shutdown_timeout_ms: u64,
    #[arg(long)]
    discovery_interval_ms: u64,
    /// How many failed attempts a message has; with short waits between them
    #[arg(long)]
    attempts: Option<u32>,
    /// Commit by hand: for how long a message is held at the most
    #[arg(long)]
    hold_ms: Option<u64>,
    /// Batches: how many messages one has at the most
    #[arg(long)]
    batch: Option<u32>,
    /// Instances come and go, about so often
    #[arg(long)]
    shuffle_ms: Option<u64>,
    /// A held message does not end at a revoke
    #[arg(long)]
    deaf: bool,
    /// `max-uncommitted`, with `hold_ms`
    #[arg(long, default_value_t = 10_000)]
    max_uncommitted: u32,
    /// Publish a copy of each message to this stream, in transactions
    #[arg(long)]
    copies: Option<String>,
    /// A librdkafka property of consumers, `name=value`
    #[arg(long)]
    property: Vec<String>,
}

/// The program.
pub fn main() -> ExitCode {
    // Before all else: the suite asks a worker to end from its first line on.
    let heard = listen();
    let hang = HANG.get_or_init(|| watch::Sender::new(false));
    let args = Args::parse();
    tracing_subscriber::registry()
        .with(Partitions)
        .with(
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(false)
                .with_filter(EnvFilter::new("info")),
        )
        .init();
    end_with_the_suite();
    let report = match heard {
        Ok((runtime, signals)) => {
            let [terminate, hangs, goes_on] = signals;
            runtime.spawn(follow(hangs, hang, true));
            runtime.spawn(follow(goes_on, hang, false));
            runtime.block_on(run(&args, terminate))
        }
        Err(error) => Report {
            error: Some(error.to_string()),
            ..Report::default()
        },
    };
    let status = match (&report.error, report.unfinished) {
        (Some(_), _) => 1,
        (None, 0) => 0,
        (None, _) => 3,
    };
    say(Said::Report(report));
    ExitCode::from(status)
}

/// Whether handlers that begin hang: SIGUSR1 says so, SIGUSR2 that they go on.
static HANG: OnceLock<watch::Sender<bool>> = OnceLock::new();
/// The longest time for which a handler hangs on when it may go on, so that not all of them end at once.
const HANGS_ON: u64 = 4000;

async fn follow(mut signal: Signal, hang: &watch::Sender<bool>, hangs: bool) {
    while signal.recv().await.is_some() {
        hang.send_replace(hangs);
    }
}

/// Hangs as long as the suite says, and then for a time that the message decides.
pub(crate) async fn hang(seq: u64) {
    let Some(mut hang) = HANG.get().map(watch::Sender::subscribe) else {
        return;
    };
    if *hang.borrow_and_update() {
        let _ = hang.wait_for(|hang| !hang).await;
        let longer = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) % HANGS_ON;
        tokio::time::sleep(Duration::from_millis(longer)).await;
    }
}

/// Listens to SIGTERM and to the signals of [`HANG`], and says so.
fn listen() -> std::io::Result<(Runtime, [Signal; 3])> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let signals = {
        let _entered = runtime.enter();
        [
            signal(SignalKind::terminate())?,
            signal(SignalKind::user_defined1())?,
            signal(SignalKind::user_defined2())?,
        ]
    };
    say(Said::Listening);
    Ok((runtime, signals))
}

async fn run(args: &Args, mut terminate: Signal) -> Report {
    let mut settings = Settings::new(&args.servers);
    settings.shutdown_timeout = Duration::from_millis(args.shutdown_timeout_ms);
    settings.discovery_interval = Duration::from_millis(args.discovery_interval_ms);
    for property in &args.property {
        let (name, value) = property.split_once('=').unwrap_or((property, ""));
        let table = &mut settings.kafka_settings.consumer;
        table.insert(name.to_owned(), value.to_owned());
    }
    let ran = async {
        settings.topic_prefix = TopicPrefix::new(&args.prefix)?;
        let subscription = match (args.hold_ms, &args.copies) {
            (None, None) => match args.batch {
                None => subscription(&args.pattern, handle),
                Some(max) => {
                    let options = BatchOptions::new().max(max);
                    let options = options.wait(Duration::from_millis(50));
                    subscription(&args.pattern, load).batch(options)
                }
            },
            (Some(_), _) => subscription(&args.pattern, hand_over)
                .commit(Commit::Manual)
                .max_uncommitted(args.max_uncommitted),
            (None, Some(_)) => subscription(&args.pattern, copy).batch(
                // Nearly always one is on its way.
                BatchOptions::new()
                    .max(200)
                    .wait(Duration::from_millis(20))
                    .transaction(true),
            ),
        };
        let mut subscription = subscription
            .group(&args.group)
            .concurrency(args.concurrency);
        if let Some(attempts) = args.attempts {
            subscription = subscription
                .max_attempts(attempts)
                .retry_backoff(Duration::from_millis(50), Duration::from_millis(400))
                // At a run's end nothing but poison may be left, which would pause the subscription for good.
                .failure_limit(None);
        }
        if args.copies.is_some() {
            // While nothing can be committed, hardly any but failing messages are tried, which looks like an outage of the
            // handler: the pause for that may be longer than the time in which progress is expected.
            subscription = subscription.failure_limit(None);
        }
        let sink = Sink {
            longest: Duration::from_millis(args.hold_ms.unwrap_or(0)),
            deaf: args.deaf,
        };
        let to = CopyTo(args.copies.clone().unwrap_or_default());
        let mut app = App::new().state(sink).state(to).subscribe(subscription);
        if let Some(millis) = args.shuffle_ms {
            app = app.shuffle_instances(Duration::from_millis(millis));
        }
        let asked = async move {
            terminate.recv().await;
        };
        anyhow::Ok(app.run(&settings, asked).await?)
    };
    match ran.await {
        Ok(report) => Report {
            handled: report.handled,
            unfinished: report.unfinished_total + report.in_custody,
            redelivered: report.redelivered,
            error: None,
        },
        Err(error) => Report {
            error: Some(format!("{error:#}")),
            ..Report::default()
        },
    }
}

/// The stream of copies.
struct CopyTo(String);

async fn handle(work: Work, record: Record, attempt: Attempt) -> Result<(), HandlerError> {
    act(work, &record, attempt, async { Ok(()) }).await
}

/// Publishes a copy first, so that attempts that fail have published one, too.
async fn copy(
    work: Work,
    record: Record,
    attempt: Attempt,
    publisher: Publisher,
    to: State<CopyTo>,
) -> Result<(), HandlerError> {
    let key = record.key.clone().unwrap_or_default();
    let publish = publisher.publish(&to.0, &work).key(key);
    act(work, &record, attempt, async { publish.await.map(drop) }).await
}

async fn act(
    work: Work,
    record: &Record,
    attempt: Attempt,
    publishing: impl Future<Output = Result<(), ClientError>>,
) -> Result<(), HandlerError> {
    let open = Open::start(handled(&work, record, attempt));
    if let Err(error) = publishing.await {
        open.end(Ended::Failed);
        return Err(error.into());
    }
    hang(work.seq).await;
    if work.takes > 0 {
        tokio::time::sleep(Duration::from_micros(work.takes)).await;
    }
    if attempt.0 <= work.panics {
        panic!("as message {} says", work.seq);
    }
    if work.rejects {
        open.end(Ended::Rejected);
        return Err(HandlerError::reject("as its message says"));
    }
    if attempt.0 <= work.panics.saturating_add(work.fails) {
        open.end(Ended::Failed);
        return Err(HandlerError::msg("as its message says"));
    }
    open.end(Ended::Done);
    Ok(())
}

/// What a line says of an attempt.
pub(crate) fn handled(work: &Work, record: &Record, attempt: Attempt) -> Handled {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    Handled {
        t: record.topic().to_owned(),
        p: record.partition(),
        o: record.offset.0,
        k: String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned(),
        q: work.seq,
        a: attempt.0,
        n: NUMBER.fetch_add(1, Ordering::Relaxed),
    }
}

/// A handler that runs, or a message in custody. Dropped before its end, it says so.
pub(crate) struct Open(Option<Handled>);

impl Open {
    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |handled| handled.n)
    }

    pub(crate) fn start(handled: Handled) -> Self {
        say(Said::Start(handled.clone()));
        Self(Some(handled))
    }

    pub(crate) fn end(mut self, how: Ended) {
        if let Some(handled) = self.0.take() {
            say(Said::End { handled, how });
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(handled) = self.0.take() {
            let how = match std::thread::panicking() {
                true => Ended::Panicked,
                false => Ended::CutOff,
            };
            say(Said::End { handled, how });
        }
    }
}

/// Writes a line. Blocks its thread: the suite reads at once, and order against the handler's own steps is what counts.
pub(crate) fn say(said: Said) {
    let Ok(mut text) = serde_json::to_vec(&Line { at: now(), said }) else {
        return;
    };
    text.push(b'\n');
    let mut out = std::io::stdout().lock();
    if out.write_all(&text).and_then(|()| out.flush()).is_err() {
        // Nobody listens any more.
        std::process::exit(2);
    }
}

/// Ends this process when the suite is gone: its end of standard input closes then.
fn end_with_the_suite() {
    std::thread::spawn(|| {
        let mut nothing = [0];
        while matches!(std::io::stdin().read(&mut nothing), Ok(1..)) {}
        std::process::exit(2);
    });
}

/// The words of a warning of records that cannot be read any more, and of a topic that was created again.
const WARNED: [&str; 2] = ["reading goes on at", "was deleted and created again"];

/// Takes what the worker logs of its partitions; there is no other way to hear of them.
struct Partitions;

impl<S: Subscriber> Layer<S> for Partitions {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if !event.metadata().target().starts_with("kafkaesk_worker") {
            return;
        }
        let mut seen = Seen::default();
        event.record(&mut seen);
        let change = match seen.message.as_str() {
            "assigned" => Change::Assigned,
            "revoked" => Change::Revoked,
            message if message.starts_with("lost;") => Change::Lost,
            message if WARNED.iter().any(|words| message.contains(words)) => {
                return say(Said::Warned { text: seen.message });
            }
            _ => return,
        };
        say(Said::Partitions {
            change,
            names: seen.partitions,
        });
    }
}

#[derive(Default)]
struct Seen {
    message: String,
    partitions: String,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "partitions" => self.partitions = format!("{value:?}"),
            _ => {}
        }
    }
}
