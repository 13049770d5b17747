//! Consuming from Kafka: one thread for each consumer turns what librdkafka says into one ordered stream of events.
//!
//! `discovery` looks for topics; `member` is the thread of a group's member and `rebalance` its callbacks; `reader` is
//! the thread without a group; `start` settles where a new group begins; `records` cuts batches, `handover` turns the
//! pieces into events, `places` keeps what is known of each partition, `resets` warns of offsets that are not in their
//! log, `ahead` bounds what is fetched before the reader takes it, `created_again` restarts topics with a new id,
//! `commits` follows commits to their answers, `acks` says who waits for them, `membership` says who the member is
//! for transactions, `part` leaves the group for a while, `leave` for good; `outbox` and `control_requests` are the two channels between the thread
//! and its user, and `pulse` says whether the thread runs.

mod acks;
mod ahead;
mod commits;
mod control_requests;
mod created_again;
mod discovery;
mod handover;
mod last_commits;
mod leave;
mod member;
pub(super) mod membership;
mod outbox;
mod part;
mod pauses;
mod places;
mod pulse;
mod reader;
mod rebalance;
mod records;
mod resets;
mod setup;
mod start;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use self::{
    control_requests::{ControlRequests, Ended},
    setup::{Instance, Setup},
};
pub(super) use self::{discovery::Discovery, records::one};
use super::{blocking, context::Shared, metadata::Lookup};
use crate::{
    ClientError, Settings,
    consumer::{Consumer, ConsumerSpec, EVENT_BOUND},
    settings::{KafkaSettings, Role, group_instance_id},
};

/// How often patterns look for new topics on the dev broker, at least.
const DEV_DISCOVERY: Duration = Duration::from_millis(200);
/// The defaults of consumers on the dev broker.
const DEV_CONSUMER: [(&str, &str); 2] = [
    ("session.timeout.ms", "1300"),
    ("heartbeat.interval.ms", "100"),
];

/// What all consumers of a connection share.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    discovery: Discovery,
    /// The numbers in use behind each `group.instance.id`.
    instances: Arc<Mutex<BTreeMap<String, BTreeSet<usize>>>>,
}

impl Consumers {
    /// Starts a consumer; resolves when its thread runs. Nothing need match yet.
    pub(super) async fn start(
        &self,
        settings: &Settings,
        shared: &Arc<Shared>,
        lookup: &Arc<Lookup>,
        spec: ConsumerSpec,
    ) -> Result<Consumer, ClientError> {
        spec.check()?;
        let mut settings = settings.clone();
        settings.kafka_settings = settings.kafka_settings.refined_by(&KafkaSettings {
            common: spec.kafka_settings.clone(),
            ..KafkaSettings::default()
        });
        settings
            .kafka_settings
            .check()
            .map_err(|e| ClientError::Setting(format!("kafka-settings: {e}")))?;
        let asking = lookup.clone();
        if blocking("asking for metadata", move || Ok(asking.is_dev())).await? {
            apply_dev_timeouts(&mut settings);
        }
        let instance = self.instance(&mut settings, &spec);
        let discovery = self.discovery.watch(lookup, &settings).await?;
        let (sender, events) = mpsc::channel(EVENT_BOUND);
        let requests = Arc::new(ControlRequests::of(spec.group.as_deref()));
        let setup = Setup {
            settings,
            shared: shared.clone(),
            lookup: lookup.clone(),
            spec,
            discovery,
            requests: requests.clone(),
            _ended: Ended(requests.clone()),
            _instance: instance,
        };
        blocking("starting a consumer", move || {
            match setup.spec.group.clone() {
                Some(group) => member::start(setup, group, sender),
                None => reader::start(setup, sender),
            }
        })
        .await?;
        Ok(Consumer::new(events, requests))
    }

    /// A static member's own id: shared by two members, it would throw out the first.
    fn instance(&self, settings: &mut Settings, spec: &ConsumerSpec) -> Option<Instance> {
        let group = spec.group.as_ref()?;
        let base = settings
            .kafka_settings
            .get(Role::Consumer, "group.instance.id")?
            .to_owned();
        let mut all = self.instances.lock();
        let used = all.entry(group.clone()).or_default();
        let number = (0..).find(|n| !used.contains(n)).unwrap_or(0);
        used.insert(number);
        settings.kafka_settings.consumer.insert(
            "group.instance.id".into(),
            group_instance_id(&base, group, number),
        );
        Some(Instance {
            all: self.instances.clone(),
            group: group.clone(),
            number,
        })
    }
}

/// A person waits in front of the dev broker, and the mock cluster delays a group's rejoin for the session timeout less
/// one second.
fn apply_dev_timeouts(settings: &mut Settings) {
    settings.discovery_interval = settings.discovery_interval.min(DEV_DISCOVERY);
    for (name, value) in DEV_CONSUMER {
        if settings.kafka_settings.get(Role::Consumer, name).is_none() {
            let consumer = &mut settings.kafka_settings.consumer;
            consumer.insert(name.into(), value.into());
        }
    }
}
