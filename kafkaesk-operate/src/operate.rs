//! Operate: starts the service before anything else, and ends it after everything else.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kafkaesk_client::{Connection, settings::OperateSettings};
use kafkaesk_worker::{Control, Watch};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::{
    metrics::Format,
    observer::Observer,
    service::{Service, bind, guard, router, serve},
    thread::Thread,
    traces::{Traces, TracesError},
    view::ShownSetting,
};

/// Shows an application while it runs.
///
/// ```no_run
/// # use kafkaesk_client::{Connection, Settings, settings::OperateSettings};
/// # use kafkaesk_operate::Operate;
/// # use kafkaesk_worker::App;
/// # async fn run(app: App, settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
/// let mut operate = OperateSettings::default();
/// operate.listen = Some("127.0.0.1:9464".into());
/// let mut operate = Operate::start(operate, app.watch(), app.control()).await?;
/// let connection = Connection::open(&settings).await?;
/// operate.connected(&connection);
/// app.run_on(connection, async { drop(tokio::signal::ctrl_c().await) }).await?;
/// operate.finish(std::time::Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
///
/// The service has a thread of its own, so it answers while handlers block the application's threads. Dropping it ends the
/// service at once.
pub struct Operate {
    service: Arc<Service>,
    address: Option<SocketAddr>,
    /// None where nothing is shown.
    thread: Option<Thread>,
    traces: Traces,
}

/// Shows no view: it has the keys of messages.
impl fmt::Debug for Operate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operate")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Nothing can be shown as the settings ask for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The service cannot listen.
    #[error("cannot listen at {listen}: {source}")]
    Listen {
        /// The address, as given.
        listen: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// `metrics-file` cannot be written.
    #[error("cannot write `metrics-file` {}: {source}", file.display())]
    MetricsFile {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no thread for the service.
    #[error("cannot start a thread for the service: {0}")]
    Thread(io::Error),
    /// Spans cannot be sent.
    #[error(transparent)]
    Traces(#[from] TracesError),
}

impl Operate {
    /// Listens, if the settings name an address, and answers from now on; the application may start later. Starts what
    /// sends spans, if a collector is named.
    ///
    /// # Errors
    /// [`StartError`]: the address is in use, not this machine's, or not allowed, `metrics-file` cannot be written, there is
    /// no thread left, or spans cannot be sent.
    pub async fn start(
        settings: OperateSettings,
        watch: Watch,
        control: Control,
    ) -> Result<Self, StartError> {
        // Before anything that an error would have to undo.
        let traces = Traces::start(&settings)?;
        let observer = Arc::new(Observer::new(
            watch,
            control.clone(),
            &settings,
            traces.dropped(),
        ));
        let service = Arc::new(Service::new(settings, observer, control));
        let mut operate = Self {
            service,
            address: None,
            thread: None,
            traces,
        };
        let settings = &operate.service.settings;
        let listen = settings.listen.clone();
        if listen.is_none() && settings.metrics_file.is_none() {
            return Ok(operate);
        }
        if let Some(file) = &settings.metrics_file {
            // Now, and not when the last counts are lost.
            let tried = try_file(file);
            let file = file.clone();
            tried.map_err(|source| StartError::MetricsFile { file, source })?;
        }
        let thread = Thread::start("kafkaesk-operate").map_err(StartError::Thread)?;
        if let Some(listen) = listen.clone() {
            // A listener belongs to the runtime that it is made in.
            let bound = thread.handle.spawn(async move { bind(&listen).await });
            let bound = bound.await;
            let (listener, local) = bound.map_err(|error| StartError::Thread(error.into()))??;
            let router = guard::at(local, router(&operate.service));
            thread.handle.spawn(serve(listener, router));
            operate.address = Some(local);
        }
        operate.thread = Some(thread);
        Ok(operate)
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Shows these settings on the page and in `/stats?settings=true`, the first 300. They must have no secrets.
    pub fn show_settings(&self, settings: Vec<ShownSetting>) {
        self.service.observer.show_settings(settings);
    }

    /// Asks Kafka over this connection from now on, and traces what is published and handled over it.
    pub fn connected(&mut self, connection: &Connection) {
        self.traces.of(connection);
        if let Some(thread) = &self.thread {
            let (observer, connection) = (self.service.observer.clone(), connection.clone());
            let letters = (observer.clone(), connection.clone());
            thread
                .handle
                .spawn(async move { letters.0.run_letters(letters.1).await });
            thread
                .handle
                .spawn(async move { observer.run(connection).await });
        }
    }

    /// Ends after the application, within `within`: sends the last spans, writes `metrics-file`, and waits up to
    /// `operate-linger` for one more scrape, so that the last counts are seen.
    pub async fn finish(self, within: Duration) {
        let end = Instant::now() + within;
        let linger = self.service.settings.linger;
        // First, so that the last counts have what was dropped. A scrape gets half of the time, if it wants that much.
        self.traces.finish(within - linger.min(within / 2)).await;
        let Some(thread) = self.thread else {
            return;
        };
        // A view from before the end misses the last counts.
        self.service.observer.forget_view().await;
        let deadline = end.min(Instant::now() + linger);
        if let Some(file) = self.service.settings.metrics_file.clone() {
            let text = self.service.exposition(Format::Prometheus).await;
            let written = tokio::task::spawn_blocking({
                let file = file.clone();
                move || write(&file, &text)
            });
            if let Ok(Err(error)) = written.await {
                warn!(file = %file.display(), %error, "cannot write `metrics-file`; the last metrics are lost");
            }
        }
        if self.address.is_some() {
            let _ = timeout_at(deadline, self.service.scraped.notified()).await;
        }
        thread.end().await;
    }
}

/// Writes a file whole: a reader sees the former one or this one.
fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    // The file behind a link is replaced, and not the link.
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let part = part(&file);
    std::fs::write(&part, text)?;
    std::fs::rename(&part, &file)
}

/// Whether a file can be written so.
fn try_file(file: &Path) -> io::Result<()> {
    if std::fs::metadata(file).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("it is there, and not a file"));
    }
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let part = part(&file);
    std::fs::write(&part, "")?;
    std::fs::remove_file(&part)
}

/// The file before it has its name.
fn part(file: &Path) -> PathBuf {
    let mut part = file.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    part.into()
}
