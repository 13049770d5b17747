//! The embedded broker of `kafkaesk-cli dev`: a Kafka on a loopback address that any client can use.
//!
//! librdkafka's mock cluster lives in this process and listens at a random loopback port; a plain TCP forwarder at the
//! wanted address leads there, so that other processes find it. Clients then connect to the port that metadata names.
//! It never listens beyond loopback, keeps nothing after its end, answers no admin requests (topics are created by
//! asking for them, with 4 partitions, or by [`DevBroker::create_topic`]) and drops the oldest records of a partition past 5 MiB.

mod address;
mod forward;
mod taken;

use std::net::SocketAddr;

use kafkaesk_core::TopicName;
use rdkafka::{
    ClientConfig, producer::BaseProducer, producer::Producer as _, types::RDKafkaErrorCode,
};

use self::forward::Forwarder;
use crate::{ClientError, kafka::set_mock_rebalance_delay};

/// How long a group's first join waits for further members: long enough for those of one process.
const FIRST_JOIN_MILLISECONDS: i32 = 50;

/// A running dev broker; ends when dropped.
pub struct DevBroker {
    /// Ends before the cluster that it leads to.
    forwarder: Forwarder,
    /// The client that owns the mock cluster. It is never used to produce.
    owner: BaseProducer,
}

impl DevBroker {
    /// The most partitions of a topic: more than one machine has use for, and each costs memory.
    pub const MOST_PARTITIONS: u32 = 1_000;

    /// Starts one at `host:port`, where the host is a loopback one (`127.0.0.1`, `[::1]`, `localhost`). Port 0 takes
    /// any free port. Blocks for a few milliseconds.
    ///
    /// # Errors
    /// [`ClientError::Setting`]: the address is not a loopback one, or is taken; then it says by what, if that can be
    /// found out, and offers a free one.
    pub fn start(address: &str) -> Result<Self, ClientError> {
        let addresses = address::loopback(address)?;
        let owner: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .set("client.id", "kafkaesk-dev-broker")
            .create()
            .map_err(failed)?;
        if !set_mock_rebalance_delay(owner.client(), FIRST_JOIN_MILLISECONDS) {
            return Err(failed("librdkafka made no mock cluster".to_owned()));
        }
        let bootstrap = owner
            .client()
            .mock_cluster()
            .ok_or_else(|| failed("librdkafka made no mock cluster".to_owned()))?
            .bootstrap_servers();
        let target: SocketAddr = bootstrap
            .parse()
            .map_err(|_| failed(format!("librdkafka's mock cluster is at {bootstrap:?}")))?;
        let forwarder =
            Forwarder::start(&addresses, target).map_err(|error| match error.kind() {
                std::io::ErrorKind::AddrInUse => taken::explain(address, addresses[0]),
                _ => failed(format!("cannot listen at {address}: {error}")),
            })?;
        Ok(Self { forwarder, owner })
    }

    /// Creates a topic with so many partitions, [`Self::MOST_PARTITIONS`] at most. A topic that is there stays as it is. Its
    /// partitions never become more: the mock cluster cannot do that.
    ///
    /// # Errors
    /// [`ClientError::Kafka`]: the mock cluster refuses it.
    pub fn create_topic(&self, topic: &TopicName, partitions: u32) -> Result<(), ClientError> {
        let action = || format!("creating topic {topic} on the dev broker");
        let failed = |source: crate::error::Source| ClientError::Kafka {
            action: action(),
            source,
        };
        let cluster = self.owner.client().mock_cluster();
        let cluster = cluster.ok_or_else(|| failed("its cluster is gone".into()))?;
        let partitions = partitions.clamp(1, Self::MOST_PARTITIONS) as i32;
        match cluster.create_topic(topic.as_str(), partitions, 1) {
            Err(error)
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAlreadyExists) =>
            {
                Ok(())
            }
            created => created.map_err(|error| failed(Box::new(error))),
        }
    }

    /// Where it listens: what goes into `kafka-servers`.
    pub fn address(&self) -> SocketAddr {
        self.forwarder.address()
    }
}

impl std::fmt::Debug for DevBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevBroker")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

fn failed(source: impl Into<crate::error::Source>) -> ClientError {
    ClientError::Kafka {
        action: "starting the dev broker".into(),
        source: source.into(),
    }
}
