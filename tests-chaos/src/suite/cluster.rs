//! Cluster: the Kafka of a run, one broker behind a proxy or three, and what is done to it. Started once for all scenarios
//! that need it.

use std::{process::Command, thread};

use anyhow::{Context, Result, bail};
use xtask::broker::{Broker, BrokerSpec, free_port};

use super::{
    plan::Brokers,
    proxy::{Proxy, Weather},
};

/// A running Kafka.
pub(super) struct Cluster {
    brokers: Vec<Broker>,
    down: Vec<bool>,
    /// The broker that was killed as the coordinator.
    coordinator: Option<usize>,
    /// For a caller that must not be disturbed.
    pub(super) servers: String,
    /// Through the proxy; `servers` where there is none.
    pub(super) proxied: String,
    proxy: Option<Proxy>,
}

impl Cluster {
    pub(super) async fn start(which: Brokers) -> Result<Self> {
        match which {
            Brokers::One => Self::one().await,
            Brokers::Three => Self::three(),
        }
    }

    async fn one() -> Result<Self> {
        let (plain, inner, outer) = (free_port()?, free_port()?, free_port()?);
        let controller = free_port()?;
        let mut spec = common(BrokerSpec::plain(
            &format!("kafkaesk-chaos-{plain}"),
            plain,
        )?)
        .property(
            "controller.quorum.voters",
            format!("1@localhost:{controller}"),
        )
        .property(
            "listeners",
            format!("PLAINTEXT://:{plain},PROXIED://:{inner},CONTROLLER://:{controller}"),
        )
        .property(
            "advertised.listeners",
            format!("PLAINTEXT://127.0.0.1:{plain},PROXIED://127.0.0.1:{outer}"),
        )
        .property(
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
        );
        spec.ports.push(inner);
        let broker = tokio::task::block_in_place(|| Broker::start(&spec))?;
        broker.remove_at_exit()?;
        Ok(Self {
            brokers: vec![broker],
            down: vec![false],
            coordinator: None,
            servers: format!("127.0.0.1:{plain}"),
            proxied: format!("127.0.0.1:{outer}"),
            proxy: Some(Proxy::start(outer, inner).await?),
        })
    }

    fn three() -> Result<Self> {
        let mut ports = Vec::new();
        for _ in 0..3 {
            ports.push((free_port()?, free_port()?));
        }
        let voters: Vec<String> = ports
            .iter()
            .enumerate()
            .map(|(index, (_, controller))| format!("{}@127.0.0.1:{controller}", index + 1))
            .collect();
        let mut specs = Vec::new();
        for (index, (plain, controller)) in ports.iter().enumerate() {
            let name = format!("kafkaesk-chaos-{plain}-of-three");
            let mut spec = common(BrokerSpec::plain(&name, *plain)?)
                .property("node.id", (index + 1).to_string())
                .property("controller.quorum.voters", voters.join(","))
                .property(
                    "listeners",
                    format!("PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}"),
                )
                .property("default.replication.factor", "3")
                .property("min.insync.replicas", "2");
            for log in [
                "offsets.topic",
                "transaction.state.log",
                "share.coordinator.state.topic",
            ] {
                spec = spec.property(&format!("{log}.replication.factor"), "3");
            }
            for log in ["transaction.state.log", "share.coordinator.state.topic"] {
                spec = spec.property(&format!("{log}.min.isr"), "2");
            }
            spec.host_network = true;
            specs.push(spec);
        }
        // Each waits for the others.
        let started: Vec<Result<Broker>> = tokio::task::block_in_place(|| {
            thread::scope(|scope| {
                let starting: Vec<_> = specs
                    .iter()
                    .map(|spec| scope.spawn(|| Broker::start(spec)))
                    .collect();
                starting
                    .into_iter()
                    .map(|one| match one.join() {
                        Ok(started) => started,
                        Err(_) => bail!("a thread that starts a broker panicked"),
                    })
                    .collect()
            })
        });
        let brokers = started.into_iter().collect::<Result<Vec<_>>>()?;
        for broker in &brokers {
            broker.remove_at_exit()?;
        }
        let servers: Vec<String> = ports
            .iter()
            .map(|(plain, _)| format!("127.0.0.1:{plain}"))
            .collect();
        Ok(Self {
            down: vec![false; brokers.len()],
            brokers,
            coordinator: None,
            proxied: servers.join(","),
            servers: servers.join(","),
            proxy: None,
        })
    }

    /// Ends a broker; nothing if it is down already.
    pub(super) fn halt(&mut self, index: usize, at_once: bool) -> Result<()> {
        if !self.down[index] {
            self.down[index] = true;
            tokio::task::block_in_place(|| self.brokers[index].halt(at_once))?;
        }
        Ok(())
    }

    /// Starts a broker that is down.
    pub(super) fn restart(&mut self, index: usize) -> Result<bool> {
        let down = self.down.get(index).copied().unwrap_or(false);
        if down {
            tokio::task::block_in_place(|| self.brokers[index].restart())?;
            self.down[index] = false;
        }
        Ok(down)
    }

    /// Kills the broker that coordinates groups.
    pub(super) fn kill_coordinator(&mut self) -> Result<()> {
        let described = self.tool(
            "org.apache.kafka.tools.TopicCommand",
            &["--describe", "--topic", "__consumer_offsets"],
        )?;
        let leader: usize = described
            .split("Leader:")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|id| id.parse().ok())
            .with_context(|| format!("no leader in: {described}"))?;
        let index = leader.saturating_sub(1);
        self.coordinator = Some(index);
        self.halt(index, true)
    }

    /// Starts it again.
    pub(super) fn restart_coordinator(&mut self) -> Result<bool> {
        match self.coordinator.take() {
            Some(index) => self.restart(index),
            None => Ok(false),
        }
    }

    /// What the brokers logged of topics and groups whose names begin so.
    pub(super) fn logs(&self, prefix: &str) -> String {
        let logs = tokio::task::block_in_place(|| {
            let logs: Vec<String> = self.brokers.iter().map(Broker::log).collect();
            logs.join("\n")
        });
        let mut text = String::new();
        for line in logs.lines().filter(|line| line.contains(prefix)) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    pub(super) fn weather(&self, weather: Weather) {
        if let Some(proxy) = &self.proxy {
            proxy.set(weather);
        }
    }

    /// Runs one of Kafka's own tools beside a broker that is up.
    pub(super) fn tool(&self, class: &str, args: &[&str]) -> Result<String> {
        let mut command = self.tool_command(class, args)?;
        tokio::task::block_in_place(|| xtask::command::output(&mut command))
    }

    /// The command that does so.
    pub(super) fn tool_command(&self, class: &str, args: &[&str]) -> Result<Command> {
        let up = self.down.iter().position(|down| !down);
        let broker = up.context("no broker is up")?;
        let server = self.servers.split(',').nth(broker).unwrap_or_default();
        let args = [&["--bootstrap-server", server], args].concat();
        self.brokers[broker].tool_command(class, &args)
    }
}

/// What every broker of the suite has.
fn common(spec: BrokerSpec) -> BrokerSpec {
    spec
        // One partition, so that one look reads every commit.
        .property("offsets.topic.num.partitions", "1")
        .property("group.min.session.timeout.ms", "1000")
        .property(
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
            "500",
        )
        .property("auto.create.topics.enable", "false")
}
