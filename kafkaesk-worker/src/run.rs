//! A run of an application: connects, makes states, registers schemas, runs the worker until the shutdown future
//! resolves, then runs the hooks and returns a report. Next: `worker`.

use std::{
    future::{Future, ready},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use kafkaesk_client::{Connection, Settings};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::{
    App, AppError, RunReport, Subscription,
    app::Hook,
    shutdown::Shutdown,
    worker::{Seams, Worker},
};

impl App {
    /// Connects and runs until `shutdown` resolves, then drains, commits and leaves its groups. `shutdown` also works
    /// during the start: it cancels connecting, making states and registering schemas.
    ///
    /// # Errors
    /// [`AppError`]: what is wrong with the application, Kafka's refusal, or an abort.
    pub async fn run(
        self,
        settings: &Settings,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<RunReport, AppError> {
        let opening = async { Ok(Connection::open(settings).await?) };
        self.run_when(opening, settings.shutdown_timeout, shutdown)
            .await
    }

    /// Runs over an existing connection.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_on(
        self,
        connection: Connection,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<RunReport, AppError> {
        let timeout = connection.settings().shutdown_timeout;
        self.run_when(ready(Ok(connection)), timeout, shutdown)
            .await
    }

    async fn run_when(
        mut self,
        opening: impl Future<Output = Result<Connection, AppError>> + Send,
        timeout: Duration,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<RunReport, AppError> {
        self.check()?;
        let expected = self.chosen().count();
        if expected == 0 {
            return Err(AppError::NothingToRun);
        }
        let hooks = std::mem::take(&mut self.hooks);
        let end = Shutdown::within(timeout);
        self.control.0.begin(expected, end.clone());
        let mut shutdown = pin!(shutdown);
        let ran = tokio::select! {
            biased;
            () = &mut shutdown => Ok(RunReport::default()),
            started = self.start(opening, end.clone()) => match started {
                Ok((worker, subscriptions)) => worker.run(subscriptions, shutdown).await,
                Err(error) => Err(error),
            },
        };
        run_hooks(hooks, end.begin().hooks).await;
        ran
    }

    /// Everything before the first subscription.
    async fn start(
        self,
        opening: impl Future<Output = Result<Connection, AppError>> + Send,
        end: Shutdown,
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
        let worker = Worker::new(
            connection,
            Arc::new(states),
            Seams {
                telemetry: self.telemetry,
                control: self.control,
                immediate: self.immediate,
                shuffled: self.shuffled,
            },
            self.skip,
            end,
        );
        Ok((worker, subscriptions))
    }
}

async fn run_hooks(hooks: Vec<Hook>, deadline: Instant) {
    let all = hooks.len();
    for (ran, hook) in hooks.into_iter().enumerate() {
        if timeout_at(deadline, hook()).await.is_err() {
            warn!(
                cut_off = all - ran,
                "what runs at the end of the application did not end within the shutdown's deadline"
            );
            return;
        }
    }
}
