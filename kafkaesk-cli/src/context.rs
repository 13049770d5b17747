//! What every command starts from: the application, the options, and the configuration, read once when it is asked
//! for.

use std::cell::OnceCell;

use kafkaesk_client::Connection;
use kafkaesk_worker::App;

use crate::{Options, configuration::Configuration};

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The application whose command line this is; empty for `kafkaesk-cli` itself.
    pub(crate) app: App,
    /// The options given.
    pub(crate) options: Options,
    configuration: OnceCell<Configuration>,
}

impl Context {
    pub(crate) fn new(app: App, options: Options) -> Self {
        Self {
            app,
            options,
            configuration: OnceCell::new(),
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
}
