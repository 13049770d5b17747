//! The worker: starts the subscriptions, ends all of them, and reports what they did. Reads no record itself. Next: `members`.

use std::{future::Future, num::NonZeroU32, pin::pin, sync::Arc, time::Duration};

use kafkaesk_client::{Connection, dead_letters::TopicState};
use kafkaesk_core::{Pattern, RecordPlace};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::{info, warn};

use crate::{
    AppError, Control, RunReport, Subscription,
    instance::Instance,
    members::Members,
    prepare::{Prepared, prepare},
    scale::{Ceilings, Timed},
    shutdown::{Shutdown, left},
    state::States,
    telemetry::Telemetry,
};

/// Observers and commands.
#[derive(Default)]
pub(crate) struct Seams {
    pub(crate) telemetry: Option<Arc<dyn Telemetry>>,
    pub(crate) control: Control,
    /// For tests: retries do not wait, and a message that would be held is tried this often.
    pub(crate) immediate: Option<NonZeroU32>,
    /// For the chaos suite: so often, a random number of instances is taken.
    pub(crate) shuffled: Option<Duration>,
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
    /// What adds and removes instances.
    scaling: JoinSet<()>,
    /// Further instances, which are about to run.
    further: (mpsc::Sender<Instance>, mpsc::Receiver<Instance>),
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
            scaling: JoinSet::new(),
            further: mpsc::channel(1),
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
        let starting = async {
            let prepared = prepare(&subscriptions, &self.connection, &self.states, &self.seams)?;
            self.create_dead_letter_topics(&prepared).await?;
            let mut ceilings = Ceilings::default();
            for Prepared {
                context, pattern, ..
            } in &prepared
            {
                ceilings.add(
                    pattern.clone(),
                    &context.group,
                    context.options.max_partitions,
                );
            }
            for prepared in prepared {
                self.start(prepared, &ceilings).await?;
            }
            Ok(())
        };
        tokio::select! {
            () = &mut shutdown => { self.end.begin(); }
            started = starting => if let Err(error) = started {
                failure = Some(error);
            }
        }
        let mut report = RunReport::default();
        let begun = self.end.watch();
        loop {
            if failure.is_some() {
                self.end.begin();
            }
            if begun.borrow().is_some() {
                self.scaling.abort_all();
            }
            tokio::select! {
                () = &mut shutdown, if begun.borrow().is_none() => { self.end.begin(); }
                Some(instance) = self.further.1.recv() => self.spawn(instance),
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
        // Flushes the records that handlers published without awaiting the receipt.
        let timeout = left(self.end.begin().flushing);
        if let Err(error) = self.connection.broker().flush(timeout).await {
            warn!(%error, "not everything that handlers published is known to be written");
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(report),
        }
    }

    /// Creates the topics of dead letters that are absent, one for each group.
    async fn create_dead_letter_topics(&self, prepared: &[Prepared]) -> Result<(), AppError> {
        let mut done: Vec<&str> = Vec::new();
        for Prepared { context, .. } in prepared {
            let Some(dead_letters) = &context.dead_letters else {
                continue;
            };
            let group = context.group.as_str();
            let of_group = || prepared.iter().filter(|p| p.context.group == group);
            if done.contains(&group) || !of_group().any(|p| p.context.policies.use_dead_letters()) {
                continue;
            }
            done.push(group);
            let patterns: Vec<Pattern> = of_group().map(|p| p.pattern.clone()).collect();
            let state =
                dead_letters
                    .create(&patterns)
                    .await
                    .map_err(|source| AppError::DeadLetters {
                        group: group.to_owned(),
                        topic: dead_letters.topic().to_string(),
                        source,
                    })?;
            if state == TopicState::Created {
                info!(group, topic = %dead_letters.topic(), "created the topic of dead letters");
            }
        }
        Ok(())
    }

    /// Starts a subscription with one instance, whose number follows the load from then on.
    async fn start(&mut self, prepared: Prepared, ceilings: &Ceilings) -> Result<(), AppError> {
        let members = Members::new(prepared, &self.connection, &self.seams.control.0);
        let first = members.start(self.skip.clone()).await?;
        members.log();
        self.spawn(first);
        if let Some(every) = self.seams.shuffled {
            let further = self.further.0.clone();
            self.scaling.spawn(members.shuffle(every, further));
        } else if members.may_scale() {
            let further = self.further.0.clone();
            self.scaling
                .spawn(members.follow(ceilings.clone(), further));
        }
        Ok(())
    }

    fn spawn(&mut self, instance: Instance) {
        let entry = instance.entry().clone();
        let run = instance.run(self.end.clone());
        self.instances.spawn(Timed::new(run, entry));
    }
}
