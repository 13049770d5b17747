//! Finds the Kafka that the tests use: a server named by a variable, a Docker engine, or jars, in this order. Says
//! which it took, and fails with what to do. Never lets a test pass without one.

pub mod docker;
pub mod jars;

use std::{
    env,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{
    broker::{Broker, BrokerSpec, free_port},
    machine,
};

/// The Kafka that everything is tested against.
pub const IMAGE: &str = "apache/kafka:4.3.1";
/// The variables that name a server, first come first.
pub const VARIABLES: [&str; 2] = ["KAFKAESK_TEST_SERVERS", "KAFKA"];

/// What was found.
#[derive(Debug)]
pub enum Kafka {
    /// A server that the environment names; the tests read the same variable.
    Named {
        /// The variable.
        variable: &'static str,
        /// Its value.
        servers: String,
    },
    /// A Docker engine: each test binary starts its own by testcontainers.
    Docker,
    /// One from its jars, started by us; ends with this value.
    Jars {
        /// `127.0.0.1:port`.
        servers: String,
        /// The process.
        broker: Broker,
    },
}

impl Kafka {
    /// Looks in order; starts what has to be started.
    ///
    /// # Errors
    /// Nothing works: says what to do.
    pub fn find() -> Result<Self> {
        for variable in VARIABLES {
            let Ok(servers) = env::var(variable) else {
                continue;
            };
            if servers.trim().is_empty() {
                continue;
            }
            if !answers(&servers) {
                bail!(
                    "{variable}={servers}, but nothing listens there; start it, or unset {variable} to let the tests start their own Kafka"
                );
            }
            return Ok(Self::Named { variable, servers });
        }
        if docker::engine() {
            match docker::ensure_image() {
                Ok(()) => return Ok(Self::Docker),
                Err(error) => println!(
                    "xtask: Docker answers, but {IMAGE} can neither be pulled nor built ({error}); trying Kafka's jars"
                ),
            }
        }
        if let Err(error) = machine::jar_tools() {
            bail!(
                "no Kafka to test with. One of these is enough:\n  export KAFKAESK_TEST_SERVERS=host:9092   (a Kafka that may hold test topics)\n  a running Docker engine (`docker info` must work)\n  Java 17 and Maven, to start Kafka from its jars: {error}"
            );
        }
        let port = free_port()?;
        let spec = BrokerSpec::plain(&format!("kafkaesk-test-{port}"), port)?;
        let broker = Broker::start_jars(&spec)?;
        Ok(Self::Jars {
            servers: format!("127.0.0.1:{port}"),
            broker,
        })
    }

    /// The servers, where one is running already.
    pub fn servers(&self) -> Option<&str> {
        match self {
            Self::Named { servers, .. } | Self::Jars { servers, .. } => Some(servers),
            Self::Docker => None,
        }
    }

    /// Servers that run for as long as the second value lives: those that were found, or a broker of this name.
    ///
    /// # Errors
    /// The broker does not start.
    pub fn running(&self, name: &str) -> Result<(String, Option<Broker>)> {
        if let Some(servers) = self.servers() {
            return Ok((servers.to_owned(), None));
        }
        let port = free_port()?;
        let spec = BrokerSpec::plain(&format!("kafkaesk-{name}-{port}"), port)?;
        Ok((format!("127.0.0.1:{port}"), Some(Broker::start(&spec)?)))
    }

    /// One line that says which it is.
    pub fn describe(&self) -> String {
        match self {
            Self::Named { variable, servers } => format!("{servers}, named by {variable}"),
            Self::Docker => format!("{IMAGE} by testcontainers on the Docker engine"),
            Self::Jars { servers, .. } => {
                format!("Apache Kafka from its jars on Maven Central, at {servers}")
            }
        }
    }
}

/// Whether anything listens at one of these `host:port`, within 5 s each.
pub fn answers(servers: &str) -> bool {
    servers
        .split(',')
        .filter_map(|server| server.trim().to_socket_addrs().ok())
        .flatten()
        .any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_ok())
}
