//! What every command starts from: the application, the options, and the configuration, read once when it is asked
//! for.

use std::{
    cell::{OnceCell, RefCell},
    time::Duration,
};

use kafkaesk_client::Connection;
use kafkaesk_operate::Traces;
use kafkaesk_worker::App;

use crate::{Options, configuration::Configuration};

/// How long a command's end waits for the collector of its spans, at most.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The application whose command line this is; empty for `kafkaesk-cli` itself.
    pub(crate) app: App,
    /// The options given.
    pub(crate) options: Options,
    configuration: OnceCell<Configuration>,
    /// What traces the connection of a command that publishes.
    traces: RefCell<Option<Traces>>,
}

impl Context {
    pub(crate) fn new(app: App, options: Options) -> Self {
        Self {
            app,
            options,
            configuration: OnceCell::new(),
            traces: RefCell::default(),
        }
    }

    /// The configuration.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub(crate) fn configuration(&self) -> anyhow::Result<&Configuration> {
        if let Some(configuration) = self.configuration.get() {
            return Ok(configuration);
        }
        let loaded = Configuration::load(&self.options)?;
        Ok(self.configuration.get_or_init(|| loaded))
    }

    /// A connection to the Kafka that the configuration names.
    ///
    /// # Errors
    /// As the configuration or connecting fails.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        Ok(Connection::open(&self.configuration()?.settings).await?)
    }

    /// The same, traced if the configuration or a variable names a collector. [`Self::finish_traces`] sends the last spans.
    ///
    /// # Errors
    /// As [`Self::connect`], or spans cannot be sent.
    pub(crate) async fn connect_traced(&self) -> anyhow::Result<Connection> {
        let traces = Traces::start(&self.configuration()?.operate)?;
        let connection = self.connect().await?;
        traces.of(&connection);
        self.traces.replace(Some(traces));
        Ok(connection)
    }

    /// Sends the spans that are left.
    pub(crate) async fn finish_traces(&self) {
        if let Some(traces) = self.traces.take() {
            let within = self.configuration().map(|it| it.settings.shutdown_timeout);
            traces
                .finish(within.unwrap_or_default().min(LAST_SPANS))
                .await;
        }
    }
}
