//! Topics created and their settings read. Alters nothing that exists.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use kafkaesk_core::TopicName;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    error::RDKafkaErrorCode,
    producer::{BaseProducer, Producer},
};

use super::{
    config::{Role, client_config},
    context::{Context, Shared},
    errors::{Doing, client_error, code_error, other},
    metadata::Lookup,
};
use crate::{ClientError, Settings, broker::TopicSpec};

/// Between two looks at whether a new topic is there.
const LOOK: Duration = Duration::from_millis(30);

/// Creates a topic; `false` if it was there.
pub(super) async fn create_topic(
    settings: &Settings,
    shared: &Arc<Shared>,
    spec: &TopicSpec,
) -> Result<bool, ClientError> {
    let admin = client(settings, shared).await?;
    match create(&admin, spec, &spec.config, &options(settings)).await? {
        Ok(()) => Ok(true),
        Err(RDKafkaErrorCode::TopicAlreadyExists) => Ok(false),
        Err(code) => Err(refusal(&admin, settings, spec, code).await),
    }
}

/// Whether it could be created so. Creates nothing.
pub(super) async fn check_topic(
    settings: &Settings,
    shared: &Arc<Shared>,
    spec: &TopicSpec,
) -> Result<(), ClientError> {
    let admin = client(settings, shared).await?;
    let dry = options(settings).validate_only(true);
    match create(&admin, spec, &spec.config, &dry).await? {
        // Whoever only plans need not be allowed to create.
        Ok(())
        | Err(
            RDKafkaErrorCode::TopicAlreadyExists
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed,
        ) => Ok(()),
        Err(code) => Err(refusal(&admin, settings, spec, code).await),
    }
}

/// The broker's answer, with these of the topic's settings.
async fn create(
    admin: &AdminClient<Context>,
    spec: &TopicSpec,
    config: &BTreeMap<String, String>,
    options: &AdminOptions,
) -> Result<Result<(), RDKafkaErrorCode>, ClientError> {
    let mut topic = NewTopic::new(
        spec.topic.as_str(),
        i32::try_from(spec.partitions).unwrap_or(i32::MAX),
        TopicReplication::Fixed(i32::from(spec.replication_factor)),
    );
    for (name, value) in config {
        topic = topic.set(name, value);
    }
    let action = creating(spec);
    let answers = admin
        .create_topics([&topic], options)
        .await
        .map_err(|e| client_error(e, Doing::topic(&action, "Create", spec.topic.as_str())))?;
    match answers.into_iter().next() {
        Some(answer) => Ok(answer.map(drop).map_err(|(_, code)| code)),
        None => Err(other(&action, "the broker answered nothing".into())),
    }
}

/// Why a topic is not created. The broker's words do not come through, so each setting is asked for alone.
async fn refusal(
    admin: &AdminClient<Context>,
    settings: &Settings,
    spec: &TopicSpec,
    code: RDKafkaErrorCode,
) -> ClientError {
    if code != RDKafkaErrorCode::InvalidConfig {
        let action = creating(spec);
        return code_error(code, Doing::topic(&action, "Create", spec.topic.as_str()));
    }
    let dry = options(settings).validate_only(true);
    let mut wrong = Vec::new();
    for (name, value) in &spec.config {
        let alone = BTreeMap::from([(name.clone(), value.clone())]);
        if !matches!(create(admin, spec, &alone, &dry).await, Ok(Ok(()))) {
            wrong.push((name, value));
        }
    }
    if wrong.is_empty() {
        wrong.extend(&spec.config);
    }
    let wrong: Vec<String> = wrong
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    ClientError::TopicSettings {
        topic: spec.topic.clone(),
        wrong: wrong.join(", "),
    }
}

fn creating(spec: &TopicSpec) -> String {
    format!(
        "creating topic {} with {} partitions and replication factor {}",
        spec.topic, spec.partitions, spec.replication_factor
    )
}

/// The dev broker answers no admin request: a producer's question creates there (decisions.md 37).
pub(super) fn create_by_asking(
    settings: &Settings,
    shared: &Arc<Shared>,
    topic: &TopicName,
) -> Result<(), ClientError> {
    let mut config = client_config(settings, Role::Admin);
    config.set("allow.auto.create.topics", "true");
    let action = format!("creating topic {topic}");
    let doing = Doing::topic(&action, "Create", topic.as_str());
    let asking: BaseProducer<Asking> = config
        .create_with_context(Asking(Context(shared.clone())))
        .map_err(|e| client_error(e, doing))?;
    asking
        .client()
        .fetch_metadata(Some(topic.as_str()), settings.connect_timeout)
        .map_err(|e| client_error(e, doing))?;
    Ok(())
}

/// Blocks until metadata knows the topic with a leader for each partition, or `connect_timeout` is over.
pub(super) fn wait_for(
    lookup: &Lookup,
    topic: &TopicName,
    timeout: Duration,
) -> Result<(), ClientError> {
    let started = Instant::now();
    while lookup.topic(topic.as_str(), "Describe")?.is_none() {
        if started.elapsed() > timeout {
            return Err(other(
                &format!("creating topic {topic}"),
                format!("it did not appear in the cluster's metadata within {timeout:?}").into(),
            ));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// A topic's settings; `None` where DescribeConfigs is denied or not answered.
pub(super) async fn topic_config(
    settings: &Settings,
    shared: &Arc<Shared>,
    topic: &TopicName,
) -> Result<Option<BTreeMap<String, String>>, ClientError> {
    let admin = client(settings, shared).await?;
    let asked = [ResourceSpecifier::Topic(topic.as_str())];
    let answers = match admin.describe_configs(&asked, &options(settings)).await {
        Ok(answers) => answers,
        Err(error) => {
            tracing::debug!(%topic, %error, "the topic's settings cannot be read");
            return Ok(None);
        }
    };
    match answers.into_iter().next() {
        Some(Ok(resource)) => Ok(Some(
            resource
                .entries
                .into_iter()
                .filter_map(|entry| Some((entry.name, entry.value?)))
                .collect(),
        )),
        Some(Err(code)) => {
            tracing::debug!(%topic, %code, "the topic's settings cannot be read");
            Ok(None)
        }
        None => Ok(None),
    }
}

fn options(settings: &Settings) -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(settings.connect_timeout))
        .operation_timeout(Some(settings.connect_timeout))
}

async fn client(
    settings: &Settings,
    shared: &Arc<Shared>,
) -> Result<AdminClient<Context>, ClientError> {
    let admin: AdminClient<Context> = client_config(settings, Role::Admin)
        .create_with_context(Context(shared.clone()))
        .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
    if shared.tokens.is_none() {
        return Ok(admin);
    }
    // Nobody polls this handle's events, so it could not even ask for a token.
    let (shared, settings) = (shared.clone(), settings.clone());
    super::blocking("fetching a token", move || {
        shared.log_in(admin.inner(), &settings)?;
        Ok(admin)
    })
    .await
}

/// A producer that sends nothing.
struct Asking(Context);

impl rdkafka::ClientContext for Asking {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, fac: &str, message: &str) {
        self.0.log(level, fac, message);
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl rdkafka::producer::ProducerContext for Asking {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, (): ()) {}
}
