//! The worker: starts one instance for each subscription, ends all of them, and reports what they did. Reads no record
//! itself. Next: `instance`.

use std::{future::Future, num::NonZeroU32, pin::pin, sync::Arc, time::Duration};

use kafkaesk_client::{
    Connection, DeadLetters,
    consumer::{ConsumerSpec, Start},
    dead_letters::TopicState,
};
use kafkaesk_core::{Pattern, RecordPlace};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::{
    AppError, BatchOptions, Control, RunReport, Subscription,
    context::{Context, SeenSchemas},
    instance::Instance,
    policy::{Policies, Policy},
    routes::Routes,
    scale::Limit,
    shutdown::{Shutdown, left},
    snapshot::SubscriptionSnapshot,
    state::States,
    subscription,
    telemetry::Telemetry,
};

/// Observers and commands.
#[derive(Default)]
pub(crate) struct Seams {
    pub(crate) telemetry: Option<Arc<dyn Telemetry>>,
    pub(crate) control: Control,
    /// For tests: retries do not wait, and a message that would be held is tried this often.
    pub(crate) immediate: Option<NonZeroU32>,
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
        let starting = async {
            let prepared = self.prepare(&subscriptions)?;
            self.create_dead_letter_topics(&prepared).await?;
            for at in 0..prepared.len() {
                self.start(&prepared, at).await?;
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

    /// The shared context of each subscription's deliveries, and its pattern. Needs no network.
    fn prepare(&self, subscriptions: &[Subscription]) -> Result<Vec<Prepared>, AppError> {
        subscriptions
            .iter()
            .map(|subscription| self.prepare_one(subscription))
            .collect()
    }

    fn prepare_one(&self, subscription: &Subscription) -> Result<Prepared, AppError> {
        let pattern = subscription::check(subscription)?;
        let settings = self.connection.settings();
        let name = subscription.group_name().unwrap_or_default();
        let group = format!("{}{name}", settings.group_prefix);
        let mut options = subscription.options.clone();
        if let Some(held) = self.seams.immediate {
            options.retry = options.retry.immediate(held);
            if let Some(batch) = options.batch.as_mut().filter(|it| it.transaction) {
                batch.wait = BatchOptions::SHORTEST;
            }
        }
        let refused = |message| AppError::Subscription {
            pattern: subscription.pattern.clone(),
            message,
        };
        let policies = Policies::of(&options.stated, settings.dead_letters)
            .map_err(|contradiction| refused(contradiction.to_string()))?;
        let dead_letters = settings
            .dead_letters
            .then(|| DeadLetters::of(&self.connection, &group))
            .transpose()
            .map_err(|error| {
                refused(format!(
                    "group {group:?} cannot have a topic of dead letters: {error}; give it another name, or set `dead-letters = false`"
                ))
            })?;
        let context = Arc::new(Context {
            group,
            pattern: subscription.pattern.clone(),
            options,
            policies,
            dead_letters,
            handler: subscription.handler.clone(),
            decodes: subscription.needs().decodes,
            states: self.states.clone(),
            connection: self.connection.clone(),
            seen: SeenSchemas::default(),
            telemetry: self.seams.telemetry.clone(),
        });
        Ok(Prepared {
            name: name.to_owned(),
            pattern,
            context,
        })
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

    /// Starts the instance of a subscription. The first one of a group reads the group's retry topic as well.
    async fn start(&mut self, prepared: &[Prepared], at: usize) -> Result<(), AppError> {
        let Prepared {
            name,
            pattern,
            context,
        } = &prepared[at];
        let of_group = |p: &&Prepared| p.context.group == context.group;
        let is_first = !prepared[..at].iter().any(|p| of_group(&p));
        let retry_topic = context
            .dead_letters
            .as_ref()
            .filter(|_| is_first)
            .map(|dead_letters| dead_letters.retry_topic().clone());
        let group = prepared.iter().filter(of_group);
        let routes = Routes::new(
            retry_topic.clone(),
            group
                .map(|p| (p.pattern.clone(), p.context.clone()))
                .collect(),
        );
        let options = &context.options;
        let drain = self.connection.settings().shutdown_timeout;
        let consumer = self
            .connection
            .broker()
            .consume(ConsumerSpec {
                group: Some(context.group.clone()),
                pattern: pattern.clone(),
                retry_topic,
                start: options.start,
                drain,
                kafka_settings: options.kafka_settings.clone(),
                skip: self.skip.clone(),
                exact: routes.transactions(context).is_some(),
            })
            .await?;
        info!(
            group = context.group,
            pattern = context.pattern,
            "subscribed; a new group reads {}; {}",
            match options.start {
                Start::Earliest => "from the earliest record that there is".to_owned(),
                Start::Latest => "what comes after its first start".to_owned(),
                Start::Back(back) => format!("from {back:?} back"),
            },
            describe_policy(context)
        );
        let mut first = SubscriptionSnapshot::new(&context.group, name, &context.pattern);
        first.concurrency = Limit::new(options.concurrency).handlers();
        let registered = self.seams.control.0.add(first, consumer.control());
        let instance = Instance::new(
            context.clone(),
            routes,
            consumer,
            registered,
            name.clone(),
            drain,
        );
        self.instances.spawn(instance.run(self.end.clone()));
        Ok(())
    }
}

/// A subscription that is about to start.
struct Prepared {
    /// Its group without `group-prefix`.
    name: String,
    pattern: Pattern,
    context: Arc<Context>,
}

/// Logs how often a message is tried, how long that takes, and which policy follows.
fn describe_policy(context: &Context) -> String {
    let (Some(attempts), Some(duration)) = (
        context.options.retry.attempts,
        context.options.retry.duration(),
    ) else {
        return "a message that fails is tried without an end".to_owned();
    };
    let topic = context.dead_letters.as_ref().map(DeadLetters::topic);
    let then = match (context.policies.failure, topic) {
        (Policy::DeadLetter, Some(topic)) => format!("kept as a dead letter in {topic}"),
        (Policy::DeadLetter | Policy::Skip, _) => "logged and passed over".to_owned(),
        (Policy::Hold, _) => "held".to_owned(),
    };
    let takes = match duration.as_secs() {
        0 => "less than a second".to_owned(),
        seconds => format!("about {:?}", Duration::from_secs(seconds)),
    };
    format!(
        "a message that fails is tried {attempts} times, which takes {takes}, and then it is {then}"
    )
}
