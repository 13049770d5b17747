//! The worker: starts one instance for each subscription, ends all of them, and reports what they did. Reads no record
//! itself. Next: `instance`.

use std::{future::Future, pin::pin, sync::Arc};

use kafkaesk_client::{
    Connection,
    consumer::{ConsumerSpec, Start},
};
use kafkaesk_core::RecordPlace;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::{
    AppError, Control, RunReport, Subscription,
    context::{Context, SeenSchemas},
    instance::Instance,
    retry::RetryPolicy,
    shutdown::{Shutdown, left},
    state::States,
    subscription,
    telemetry::Telemetry,
};

/// Where others look on or have a say.
#[derive(Default)]
pub(crate) struct Seams {
    pub(crate) telemetry: Option<Arc<dyn Telemetry>>,
    pub(crate) control: Control,
    /// Replaces the retry policy of every subscription; for tests.
    pub(crate) retry: Option<RetryPolicy>,
}

/// Runs subscriptions over one connection.
pub(crate) struct Worker {
    connection: Connection,
    states: Arc<States>,
    seams: Seams,
    /// Records that no handler gets.
    skip: Vec<RecordPlace>,
    end: Shutdown,
    instances: JoinSet<Result<RunReport, AppError>>,
}

impl Worker {
    pub(crate) fn new(
        connection: Connection,
        states: Arc<States>,
        seams: Seams,
        skip: Vec<RecordPlace>,
        end: Shutdown,
    ) -> Self {
        Self {
            connection,
            states,
            seams,
            skip,
            end,
            instances: JoinSet::new(),
        }
    }

    /// Runs until `shutdown` resolves or an instance fails; then ends all of them.
    pub(crate) async fn run(
        mut self,
        subscriptions: Vec<Subscription>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<RunReport, AppError> {
        let mut shutdown = pin!(shutdown);
        let mut failure = None;
        for subscription in &subscriptions {
            tokio::select! {
                () = &mut shutdown => {
                    self.end.begin();
                    break;
                }
                started = self.start(subscription) => if let Err(error) = started {
                    failure = Some(error);
                    break;
                }
            }
        }
        let mut report = RunReport::default();
        let begun = self.end.watch();
        loop {
            if failure.is_some() {
                self.end.begin();
            }
            tokio::select! {
                () = &mut shutdown, if begun.borrow().is_none() => { self.end.begin(); }
                ended = self.instances.join_next() => match ended {
                    None => break,
                    Some(Ok(Ok(part))) => {
                        report.add(part);
                    }
                    Some(Ok(Err(error))) => { failure.get_or_insert(error); }
                    Some(Err(error)) => {
                        failure.get_or_insert(AppError::Internal {
                            group: "(of the worker)".to_owned(),
                            message: error.to_string(),
                        });
                    }
                }
            }
        }
        // What handlers published without waiting for its receipt.
        let timeout = left(self.end.begin().flushing);
        if let Err(error) = self.connection.broker().flush(timeout).await {
            warn!(%error, "not everything that handlers published is known to be written");
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(report),
        }
    }

    /// Starts an instance of a subscription; also while others run.
    async fn start(&mut self, subscription: &Subscription) -> Result<(), AppError> {
        let pattern = subscription::check(subscription)?;
        let settings = self.connection.settings();
        let name = subscription.group_name().unwrap_or_default();
        let group = format!("{}{name}", settings.group_prefix);
        let mut options = subscription.options.clone();
        options.retry = self.seams.retry.unwrap_or(options.retry);
        let drain = settings.shutdown_timeout;
        let consumer = self
            .connection
            .broker()
            .consume(ConsumerSpec {
                group: Some(group.clone()),
                pattern,
                retry_topic: None,
                start: options.start,
                drain,
                kafka_settings: options.kafka_settings.clone(),
                skip: self.skip.clone(),
            })
            .await?;
        info!(
            group,
            pattern = subscription.pattern,
            "subscribed; a new group reads {}",
            match options.start {
                Start::Earliest => "from the earliest record that there is".to_owned(),
                Start::Latest => "what comes after its first start".to_owned(),
                Start::Back(back) => format!("from {back:?} back"),
            }
        );
        let context = Arc::new(Context {
            group,
            pattern: subscription.pattern.clone(),
            options,
            handler: subscription.handler.clone(),
            decodes: subscription.needs().decodes,
            states: self.states.clone(),
            connection: self.connection.clone(),
            seen: SeenSchemas::default(),
            telemetry: self.seams.telemetry.clone(),
        });
        let inbox = self.seams.control.inbox(name);
        let instance = Instance::new(context, consumer, inbox, drain);
        self.instances.spawn(instance.run(self.end.clone()));
        Ok(())
    }
}
