//! What the cluster holds: asked through a consumer handle, since a producer's question creates (docs/decisions.md, asking).

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use kafkaesk_core::TopicPrefix;
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
    metadata::{Metadata, MetadataTopic},
};

use super::{
    clients::Clients,
    config::{Role, client_config},
    context::{Context, Shared},
    coordinator::while_coordinator_moves,
    errors::{Operation, client_error, code_error},
    native,
};
use crate::{
    ClientError,
    broker::{Cluster, Readers, TopicInfo},
    meter::ActionKind,
};

/// The events of the handle (errors, log lines, token requests) wait at most this long.
const EVENTS: Duration = Duration::from_millis(200);
/// How long the first try of a question may take before the reasons for its silence are looked at. Each further try may
/// take twice as long: the metadata of a large cluster takes its time.
const FIRST_TRY: Duration = Duration::from_millis(500);

/// The handle that asks. Its events are served by a thread of its own, which ends with it.
pub(super) struct Lookup {
    consumer: Arc<BaseConsumer<Context>>,
    stop: Arc<AtomicBool>,
    shared: Arc<Shared>,
    servers: String,
    timeout: Duration,
    /// Whether this is librdkafka's mock cluster.
    cluster_id: OnceLock<Option<String>>,
}

impl Lookup {
    pub(super) fn new(clients: Arc<Clients>) -> Result<Self, ClientError> {
        let (settings, shared) = (clients.settings.clone(), clients.shared.clone());
        let settings = &*settings;
        let consumer: BaseConsumer<Context> = client_config(settings, Role::Lookup)
            .create_with_context(Context(shared.clone()))
            .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
        let consumer = Arc::new(consumer);
        let stop = Arc::new(AtomicBool::new(false));
        let (events, stopped) = (consumer.clone(), stop.clone());
        thread::Builder::new()
            .name("kafkaesk-lookup".into())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    // No group: nothing but events comes out.
                    let _ = events.poll(EVENTS);
                    clients.tend();
                }
            })
            .map_err(|e| super::errors::other("starting a thread", Box::new(e)))?;
        Ok(Self {
            consumer,
            stop,
            shared,
            servers: settings.kafka_servers.join(","),
            timeout: settings.connect_timeout,
            cluster_id: OnceLock::new(),
        })
    }

    /// The client that asks. It has no group.
    pub(super) fn consumer(&self) -> &BaseConsumer<Context> {
        &self.consumer
    }

    /// How long one question may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The groups of which a member reads this topic. Blocks for at most three times `connect_timeout`.
    pub(super) fn readers(&self, topic: &str) -> Result<Readers, ClientError> {
        let action = "asking for the groups that read a topic";
        let list = || self.consumer.fetch_group_list(None, self.timeout);
        let groups = while_coordinator_moves(self.timeout, list)
            .map_err(|error| client_error(error, Operation::cluster(action)))?;
        let mut readers = Readers::new();
        for group in groups.groups() {
            let assigned = group.members().iter().filter_map(|it| it.assignment());
            let members = assigned.filter(|it| assigns(it, topic)).count();
            if members > 0 {
                readers.insert(group.name().to_owned(), members);
            }
        }
        for group in self.readers_by_broker(topic)? {
            *readers.entry(group).or_default() += 1;
        }
        Ok(readers)
    }

    /// The group of each member whose partitions the brokers assign (KIP-848): the question above sees none of these.
    fn readers_by_broker(&self, topic: &str) -> Result<Vec<String>, ClientError> {
        let describe = || {
            let groups = native::groups(&self.consumer, self.timeout)?;
            let by_brokers = groups.iter().filter(|group| group.is_by_brokers);
            let names: Vec<&str> = by_brokers.map(|group| group.name.as_str()).collect();
            native::group_members(&self.consumer, &names, self.timeout)
        };
        let action = "asking for the groups that read a topic";
        let members = describe().map_err(|code| code_error(code, Operation::cluster(action)))?;
        Ok(members
            .into_iter()
            .filter(|member| member.topics.iter().any(|read| read == topic))
            .map(|member| member.group)
            .collect())
    }

    /// All topics. Blocks for at most `connect_timeout`.
    pub(super) fn cluster(&self) -> Result<Cluster, ClientError> {
        let metadata = self.ask(None)?;
        let mut cluster = Cluster {
            id: self.cluster_id().map(str::to_owned),
            brokers: metadata.brokers().len(),
            is_dev: self.is_dev(),
            ..Cluster::default()
        };
        for topic in metadata.topics() {
            if topic.partitions().is_empty() {
                continue;
            }
            let info = topic_info(topic);
            cluster.topics.insert(info.name.clone(), info);
        }
        Ok(cluster)
    }

    /// The same, with the ids of the topics that carry streams behind this prefix: what tells a topic from one that was
    /// deleted and created again. Ids are left out where the brokers have none. Blocks for twice `connect_timeout`, at
    /// most. Counted as one question.
    pub(super) fn discover(&self, prefix: &TopicPrefix) -> Result<Cluster, ClientError> {
        self.shared
            .counted(ActionKind::Metadata, || self.cluster_with_ids(prefix))
    }

    fn cluster_with_ids(&self, prefix: &TopicPrefix) -> Result<Cluster, ClientError> {
        let mut cluster = self.cluster()?;
        let names: Vec<&str> = cluster
            .topics
            .keys()
            .map(String::as_str)
            .filter(|name| prefix.consumed_stream(name).is_some())
            .collect();
        if cluster.is_dev || names.is_empty() {
            return Ok(cluster);
        }
        // Without ids, only the detection of recreated topics does not work.
        let ids = self
            .topic_ids(&names, self.timeout)
            .inspect_err(|error| tracing::debug!(%error, "the ids of topics are unknown"))
            .unwrap_or_default();
        for (name, id) in ids {
            if let Some(topic) = cluster.topics.get_mut(&name) {
                topic.id = Some(id);
            }
        }
        Ok(cluster)
    }

    /// The ids of these topics, of those that have one. Blocks for at most `timeout`.
    pub(super) fn topic_ids(
        &self,
        topics: &[&str],
        timeout: Duration,
    ) -> Result<HashMap<String, String>, ClientError> {
        native::topic_ids(&self.consumer, topics, timeout)
            .map_err(|code| code_error(code, Operation::cluster("asking for topic ids")))
    }

    /// Whether this is librdkafka's mock cluster (docs/decisions.md, dev-broker). Blocks for at most `connect_timeout`.
    pub(super) fn is_dev(&self) -> bool {
        self.cluster_id()
            .is_some_and(|id| id.starts_with("mockCluster"))
    }

    fn cluster_id(&self) -> Option<&str> {
        let id = self.cluster_id.get_or_init(|| {
            let client = self.consumer.client();
            client.fetch_cluster_id(self.timeout)
        });
        id.as_deref()
    }

    /// One topic; `None` if there is none. Creates nothing. Blocks for at most `connect_timeout`.
    pub(super) fn topic(
        &self,
        topic: &str,
        operation: &'static str,
    ) -> Result<Option<TopicInfo>, ClientError> {
        let metadata = self.ask(Some(topic))?;
        let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else {
            return Ok(None);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None if found.partitions().is_empty() => Ok(None),
            None => Ok(Some(topic_info(found))),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Ok(None)
            }
            // Created a moment ago: no leader yet.
            Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(None),
            Some(code) => {
                let action = format!("asking for topic {topic}");
                Err(code_error(
                    code,
                    Operation::topic(&action, operation, topic),
                ))
            }
        }
    }

    /// A partition's first and next offset. Blocks for at most `connect_timeout`.
    pub(super) fn watermarks(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<(i64, i64), ClientError> {
        let started = Instant::now();
        loop {
            let error = match self
                .consumer
                .fetch_watermarks(topic, partition, self.timeout)
            {
                Ok(ends) => return Ok(ends),
                Err(error) => error,
            };
            let moves = matches!(
                super::errors::code_of(&error),
                Some(
                    RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable
                )
            );
            if !moves || started.elapsed() > self.timeout {
                let action = format!("asking for the ends of {topic}[{partition}]");
                return Err(self.explain(error, Operation::topic(&action, "Describe", topic)));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes several tries, so that refused credentials end the wait early.
    fn ask(&self, topic: Option<&str>) -> Result<Metadata, ClientError> {
        let started = Instant::now();
        // A caller with the same timeout gets our error, not its own.
        let timeout = self.timeout - self.timeout / 20;
        let mut slice = FIRST_TRY;
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            match self
                .consumer
                .fetch_metadata(topic, left.min(slice).max(Duration::from_millis(10)))
            {
                Ok(metadata) => {
                    self.shared.answered();
                    return Ok(metadata);
                }
                Err(error) => {
                    if let Some(reason) = self.shared.refused() {
                        return Err(ClientError::Authentication {
                            servers: self.servers.clone(),
                            reason,
                        });
                    }
                    if started.elapsed() >= timeout || !is_silence(&error) {
                        return Err(self.explain(error, Operation::cluster("asking for metadata")));
                    }
                    if left > slice {
                        // A refused connection answers at once: do not spin on it.
                        thread::sleep(Duration::from_millis(20));
                    }
                    slice *= 2;
                }
            }
        }
    }

    /// An error, or what silence means.
    pub(super) fn explain(
        &self,
        error: rdkafka::error::KafkaError,
        doing: Operation<'_>,
    ) -> ClientError {
        if is_silence(&error) {
            return ClientError::Unreachable {
                servers: self.servers.clone(),
                waited: self.timeout,
                reason: self
                    .shared
                    .current_reason()
                    .unwrap_or_else(|| "no answer at all".to_owned()),
            };
        }
        client_error(error, doing)
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

fn is_silence(error: &rdkafka::error::KafkaError) -> bool {
    matches!(
        super::errors::code_of(error),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::RequestTimedOut
        )
    )
}

fn topic_info(topic: &MetadataTopic) -> TopicInfo {
    TopicInfo {
        name: topic.name().to_owned(),
        id: None,
        partitions: topic.partitions().len() as u32,
        replication_factor: topic
            .partitions()
            .first()
            .map_or(0, |partition| partition.replicas().len() as u16),
    }
}

/// Whether a member's assignment, in the form of Kafka's consumer protocol (a version, then each topic with its
/// partitions), names the topic. A malformed assignment names none.
fn assigns(assignment: &[u8], topic: &str) -> bool {
    fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (taken, after) = rest.split_at_checked(length)?;
        *rest = after;
        Some(taken)
    }
    fn number(rest: &mut &[u8], length: usize) -> Option<usize> {
        let bytes = take(rest, length)?;
        Some(
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | usize::from(*byte)),
        )
    }
    fn names(mut rest: &[u8], topic: &str) -> Option<()> {
        number(&mut rest, 2)?;
        for _ in 0..number(&mut rest, 4)? {
            let length = number(&mut rest, 2)?;
            if take(&mut rest, length)? == topic.as_bytes() {
                return Some(());
            }
            let partitions = number(&mut rest, 4)?;
            take(&mut rest, partitions.checked_mul(4)?)?;
        }
        None
    }
    names(assignment, topic).is_some()
}

#[cfg(test)]
mod assignment_tests {
    use super::assigns;

    #[test]
    fn an_assignment_names_its_topics_and_what_is_cut_names_none() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        for (topic, partitions) in [("orders", 2), ("users", 1)] {
            bytes.extend([0, topic.len() as u8]);
            bytes.extend(topic.bytes());
            bytes.extend([0, 0, 0, partitions]);
            bytes.extend(vec![0; 4 * usize::from(partitions)]);
        }
        assert!(assigns(&bytes, "orders") && assigns(&bytes, "users"));
        assert!(!assigns(&bytes, "order") && !assigns(&bytes, ""));
        for length in 0..bytes.len() {
            assigns(&bytes[..length], "users");
        }
        assert!(!assigns(&[0xff; 64], "users"));
    }
}
