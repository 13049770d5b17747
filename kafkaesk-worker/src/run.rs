//! A run: an application and a shutdown future in, connected, states made, schemas registered and the worker run until
//! the future resolves, hooks run at the end, a report out.

use std::{
    future::{Future, ready},
    pin::pin,
    sync::Arc,
};

use kafkaesk_client::{Connection, Settings};

use crate::{App, AppError, RunReport, Subscription, worker::Worker};

impl App {
    /// Connects and runs until `shutdown` resolves, then drains, commits and leaves its groups. `shutdown` is heard
    /// from the beginning: while it connects, makes states or registers schemas, these are given up.
    ///
    /// # Errors
    /// [`AppError`]: what is wrong with the application, Kafka's refusal, or an abort.
    pub async fn run(
        self,
        settings: &Settings,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<RunReport, AppError> {
        let opening = async { Ok(Connection::open(settings).await?) };
        self.run_when(opening, shutdown).await
    }

    /// Runs over a connection that is there already.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_on(
        self,
        connection: Connection,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<RunReport, AppError> {
        self.run_when(ready(Ok(connection)), shutdown).await
    }

    async fn run_when(
        mut self,
        opening: impl Future<Output = Result<Connection, AppError>> + Send,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<RunReport, AppError> {
        self.check()?;
        if self.chosen().next().is_none() {
            return Err(AppError::NothingToRun);
        }
        let hooks = std::mem::take(&mut self.hooks);
        let mut shutdown = pin!(shutdown);
        let ran = tokio::select! {
            biased;
            () = &mut shutdown => Ok(RunReport::default()),
            started = self.start(opening) => match started {
                Ok((worker, subscriptions)) => worker.run(subscriptions, shutdown).await,
                Err(error) => Err(error),
            },
        };
        for hook in hooks {
            hook().await;
        }
        ran
    }

    /// Everything before the first subscription.
    async fn start(
        self,
        opening: impl Future<Output = Result<Connection, AppError>> + Send,
    ) -> Result<(Worker, Vec<Subscription>), AppError> {
        let connection = opening.await?;
        let subscriptions = self.chosen().cloned().collect();
        let mut states = self.states;
        for (_, make) in self.makers {
            make(connection.settings().clone()).await?(&mut states);
        }
        let events = self
            .router
            .events
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        if !events.is_empty() {
            connection.catalog().register(&events).await?;
        }
        let worker = Worker::new(connection, Arc::new(states), self.observer);
        Ok((worker, subscriptions))
    }
}
