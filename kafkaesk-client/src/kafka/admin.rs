//! Topics created and deleted, and their settings read. Alters nothing that exists.

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
    producer::{BaseProducer, Producer as _},
};

use super::{
    clients::Clients,
    config::{Role, client_config},
    context::{Context, Shared},
    errors::{Operation, client_error, code_error, other},
    metadata::Lookup,
};
use crate::{
    ClientError, Settings,
    broker::{TopicInfo, TopicSpec},
};

/// Between two looks at whether a new topic is there.
const LOOK: Duration = Duration::from_millis(10);

/// Topics in one request: a broker creates some hundred partitions a second, and has `connect-timeout` for it.
const CHUNK: usize = 50;

/// Creates topics; `false` for one that was there.
pub(super) async fn create_topics(
    clients: &Arc<Clients>,
    specs: &[TopicSpec],
) -> Vec<Result<bool, ClientError>> {
    ask_each(clients, specs, false, |code| match code {
        None => Some(true),
        Some(RDKafkaErrorCode::TopicAlreadyExists) => Some(false),
        Some(_) => None,
    })
    .await
}

/// Checks whether they could be created with these settings. Creates nothing.
pub(super) async fn check_topics(
    clients: &Arc<Clients>,
    specs: &[TopicSpec],
) -> Vec<Result<(), ClientError>> {
    // A plan must not need the right to create.
    ask_each(clients, specs, true, |code| {
        matches!(
            code,
            None | Some(
                RDKafkaErrorCode::TopicAlreadyExists
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed
            )
        )
        .then_some(())
    })
    .await
}

/// Creates topics in chunks; `accept` decides which answers of the brokers are successes.
async fn ask_each<T>(
    clients: &Arc<Clients>,
    specs: &[TopicSpec],
    validate_only: bool,
    accept: impl Fn(Option<RDKafkaErrorCode>) -> Option<T>,
) -> Vec<Result<T, ClientError>> {
    let options = options(&clients.settings).validate_only(validate_only);
    let mut answers = Vec::with_capacity(specs.len());
    for chunk in specs.chunks(CHUNK) {
        let admin = match clients.admin().await {
            Ok(admin) => admin,
            Err(error) => {
                // An error cannot be cloned: the first topic gets it, and the others are not requested.
                answers.push(Err(error));
                break;
            }
        };
        match create(&admin, chunk, &options).await {
            Ok(codes) => {
                for (spec, code) in chunk.iter().zip(codes) {
                    answers.push(match accept(code) {
                        Some(answer) => Ok(answer),
                        None => Err(match code {
                            Some(code) => refusal(&admin, &clients.settings, spec, code).await,
                            None => ClientError::Closed,
                        }),
                    });
                }
                clients.keep_admin(admin);
            }
            Err(error) => {
                answers.push(Err(error));
                break;
            }
        }
    }
    answers
}

/// Deletes a topic; `false` if there is none.
pub(super) async fn delete_topic(
    clients: &Arc<Clients>,
    topic: &TopicName,
) -> Result<bool, ClientError> {
    let action = format!("deleting topic {topic}");
    let doing = Operation::topic(&action, "Delete", topic.as_str());
    let admin = clients.admin().await?;
    let answers = admin
        .delete_topics(&[topic.as_str()], &options(&clients.settings))
        .await;
    clients.keep_admin(admin);
    let answers = answers.map_err(|error| client_error(error, doing))?;
    match answers.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, RDKafkaErrorCode::UnknownTopicOrPartition))) => Ok(false),
        Some(Err((_, code))) => Err(code_error(code, doing)),
        None => Err(other(&action, "the broker answered nothing".into())),
    }
}

/// The broker's answer for each topic, in order: `None` for yes.
async fn create(
    admin: &AdminClient<Context>,
    specs: &[TopicSpec],
    options: &AdminOptions,
) -> Result<Vec<Option<RDKafkaErrorCode>>, ClientError> {
    let topics: Vec<NewTopic<'_>> = specs.iter().map(new_topic).collect();
    let first = specs.first().map_or_else(String::new, creating);
    let name = specs.first().map_or("", |spec| spec.topic.as_str());
    let answers = admin
        .create_topics(&topics, options)
        .await
        .map_err(|e| client_error(e, Operation::topic(&first, "Create", name)))?;
    let by_name: BTreeMap<String, Option<RDKafkaErrorCode>> = answers
        .into_iter()
        .map(|answer| match answer {
            Ok(name) => (name, None),
            Err((name, code)) => (name, Some(code)),
        })
        .collect();
    specs
        .iter()
        .map(|spec| {
            by_name
                .get(spec.topic.as_str())
                .copied()
                .ok_or_else(|| other(&creating(spec), "the broker answered nothing".into()))
        })
        .collect()
}

fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
    let mut topic = NewTopic::new(
        spec.topic.as_str(),
        i32::try_from(spec.partitions).unwrap_or(i32::MAX),
        TopicReplication::Fixed(i32::from(spec.replication_factor)),
    );
    for (name, value) in &spec.config {
        topic = topic.set(name, value);
    }
    topic
}

/// Why a topic cannot be created. rdkafka drops the broker's message, so each setting is tried alone.
async fn refusal(
    admin: &AdminClient<Context>,
    settings: &Settings,
    spec: &TopicSpec,
    code: RDKafkaErrorCode,
) -> ClientError {
    if code != RDKafkaErrorCode::InvalidConfig {
        let action = creating(spec);
        return code_error(
            code,
            Operation::topic(&action, "Create", spec.topic.as_str()),
        );
    }
    let dry = options(settings).validate_only(true);
    let mut wrong = Vec::new();
    for (name, value) in &spec.config {
        let alone = TopicSpec {
            config: BTreeMap::from([(name.clone(), value.clone())]),
            ..spec.clone()
        };
        let answer = create(admin, &[alone], &dry).await;
        if !answer.is_ok_and(|codes| codes == [None]) {
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

/// The dev broker answers no admin request: a producer's question creates there (docs/decisions.md, dev-broker).
pub(super) fn create_by_asking(
    settings: &Settings,
    shared: &Arc<Shared>,
    topic: &TopicName,
) -> Result<(), ClientError> {
    let mut config = client_config(settings, Role::Admin);
    config.set("allow.auto.create.topics", "true");
    let action = format!("creating topic {topic}");
    let doing = Operation::topic(&action, "Create", topic.as_str());
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
) -> Result<TopicInfo, ClientError> {
    let started = Instant::now();
    loop {
        if let Some(there) = lookup.topic(topic.as_str(), "Describe")? {
            return Ok(there);
        }
        if started.elapsed() > timeout {
            return Err(other(
                &format!("creating topic {topic}"),
                format!("it did not appear in the cluster's metadata within {timeout:?}").into(),
            ));
        }
        thread::sleep(LOOK);
    }
}

/// A topic's settings; `None` where DescribeConfigs is denied or not answered.
pub(super) async fn topic_config(
    clients: &Arc<Clients>,
    topic: &TopicName,
) -> Result<Option<BTreeMap<String, String>>, ClientError> {
    let admin = clients.admin().await?;
    let asked = [ResourceSpecifier::Topic(topic.as_str())];
    let answers = admin
        .describe_configs(&asked, &options(&clients.settings))
        .await;
    clients.keep_admin(admin);
    let answers = match answers {
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

pub(super) fn options(settings: &Settings) -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(settings.connect_timeout))
        .operation_timeout(Some(settings.connect_timeout))
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
