//! The worker: subscriptions in, one instance for each started, ended and reported on. Reads no record itself.

use std::{future::Future, sync::Arc};

use kafkaesk_client::Connection;

use crate::{AppError, RunReport, Subscription, state::States, watch::Observer};

/// Runs subscriptions over one connection.
pub(crate) struct Worker {
    connection: Connection,
    states: Arc<States>,
    observer: Option<Arc<dyn Observer>>,
}

impl Worker {
    pub(crate) fn new(
        connection: Connection,
        states: Arc<States>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self {
            connection,
            states,
            observer,
        }
    }

    pub(crate) async fn run(
        self,
        _subscriptions: Vec<Subscription>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<RunReport, AppError> {
        let _ = (&self.connection, &self.states, &self.observer);
        shutdown.await;
        Ok(RunReport::default())
    }
}
