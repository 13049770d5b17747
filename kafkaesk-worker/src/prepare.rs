//! Prepare: checks the subscriptions, and makes what all instances of one share. Needs no network. Next: `members` starts them.

use std::{sync::Arc, time::Duration};

use kafkaesk_client::{
    Connection, DeadLetters,
    consumer::{ConsumerSpec, Start},
};
use kafkaesk_core::{Pattern, RecordPlace, TopicName};
use tracing::info;

use crate::{
    AppError, BatchOptions, Subscription,
    context::{Context, SeenSchemas},
    policy::{Policies, Policy},
    routes::Routes,
    state::States,
    subscription,
    worker::Seams,
};

/// A subscription that is about to start.
pub(crate) struct Prepared {
    /// Its group without `group-prefix`.
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) context: Arc<Context>,
    /// The group's retry topic: the group's first subscription reads it as well.
    pub(crate) retry_topic: Option<TopicName>,
    /// Whose handler a record is for.
    pub(crate) routes: Arc<Routes>,
}

/// All subscriptions of a worker.
pub(crate) fn prepare(
    subscriptions: &[Subscription],
    connection: &Connection,
    states: &Arc<States>,
    seams: &Seams,
) -> Result<Vec<Prepared>, AppError> {
    let parts = subscriptions
        .iter()
        .map(|subscription| part(subscription, connection, states, seams))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((0..parts.len()).map(|at| with_routes(&parts, at)).collect())
}

/// What a subscription is by itself.
struct Part {
    name: String,
    pattern: Pattern,
    context: Arc<Context>,
}

fn part(
    subscription: &Subscription,
    connection: &Connection,
    states: &Arc<States>,
    seams: &Seams,
) -> Result<Part, AppError> {
    let pattern = subscription::check(subscription)?;
    let settings = connection.settings();
    let name = subscription.group_name().unwrap_or_default();
    let group = format!("{}{name}", settings.group_prefix);
    let mut options = subscription.options.clone();
    if let Some(held) = seams.immediate {
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
            .then(|| DeadLetters::of(connection, &group))
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
        states: states.clone(),
        connection: connection.clone(),
        seen: SeenSchemas::default(),
        telemetry: seams.telemetry.clone(),
    });
    Ok(Part {
        name: name.to_owned(),
        pattern,
        context,
    })
}

/// The first subscription of a group reads the group's retry topic as well.
fn with_routes(parts: &[Part], at: usize) -> Prepared {
    let Part {
        name,
        pattern,
        context,
    } = &parts[at];
    let of_group = |part: &&Part| part.context.group == context.group;
    let is_first = !parts[..at].iter().any(|part| of_group(&part));
    let retry_topic = context
        .dead_letters
        .as_ref()
        .filter(|_| is_first)
        .map(|dead_letters| dead_letters.retry_topic().clone());
    let group = parts.iter().filter(of_group);
    let routes = Routes::new(
        retry_topic.clone(),
        group
            .map(|part| (part.pattern.clone(), part.context.clone()))
            .collect(),
    );
    Prepared {
        name: name.clone(),
        pattern: pattern.clone(),
        context: context.clone(),
        retry_topic,
        routes: Arc::new(routes),
    }
}

impl Prepared {
    /// What an instance consumes.
    pub(crate) fn spec(&self, drain: Duration, skip: Vec<RecordPlace>) -> ConsumerSpec {
        let options = &self.context.options;
        ConsumerSpec {
            group: Some(self.context.group.clone()),
            pattern: self.pattern.clone(),
            retry_topic: self.retry_topic.clone(),
            start: options.start,
            drain,
            kafka_settings: options.kafka_settings.clone(),
            skip,
            exact: self.routes.transactions(&self.context).is_some(),
            partition: None,
        }
    }

    /// Logs where its group starts, and what becomes of messages that fail.
    pub(crate) fn log(&self) {
        info!(
            group = self.context.group,
            pattern = self.context.pattern,
            "subscribed; a new group reads {}; {}",
            match self.context.options.start {
                Start::Earliest => "from the earliest record that there is".to_owned(),
                Start::Latest => "what comes after its first start".to_owned(),
                Start::Back(back) => format!("from {back:?} back"),
            },
            describe_policy(&self.context)
        );
    }
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
