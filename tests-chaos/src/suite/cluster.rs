//! Cluster: the Kafka of a run, one broker behind a proxy or three, and what is done to it. Started once for all scenarios
//! that need it.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, bail};
use kafkaesk_core::NextOffset;
use parking_lot::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use xtask::broker::{Broker, BrokerSpec, free_port};

use super::{
    book::Outages,
    plan::Brokers,
    proxy::{Proxy, Weather},
};

/// A running Kafka. What is done to its brokers is done in turn and beside the schedule: a broker that was killed needs up
/// to 35 s until it answers again.
pub(super) struct Cluster {
    nodes: Arc<Vec<Node>>,
    /// What is being done to the brokers, one after the other.
    doing: Option<JoinHandle<Result<()>>>,
    /// The broker that was killed as the coordinator.
    coordinator: Arc<Mutex<Option<usize>>>,
    /// For a caller that must not be disturbed.
    pub(super) servers: String,
    /// Through the proxy; `servers` where there is none.
    pub(super) proxied: String,
    proxy: Option<Arc<Proxy>>,
    /// From where on the next run reads the log of commits.
    pub(super) commits_from: Arc<Mutex<NextOffset>>,
}

impl Cluster {
    /// The same brokers for a run beside others, which does nothing to them.
    pub(super) fn beside(&self) -> Self {
        Self {
            nodes: self.nodes.clone(),
            doing: None,
            coordinator: Arc::default(),
            servers: self.servers.clone(),
            proxied: self.proxied.clone(),
            proxy: self.proxy.clone(),
            commits_from: self.commits_from.clone(),
        }
    }

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
        )
        // Everybody may do everything, until a topic has a rule. Not with three: their controllers would wait for the
        // rules, and the rules for the controllers' votes.
        .property(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        )
        .property("allow.everyone.if.no.acl.found", "true");
        spec.ports.push(inner);
        let broker = tokio::task::block_in_place(|| Broker::start(&spec))?;
        broker.remove_at_exit()?;
        Ok(Self {
            nodes: Arc::new(vec![Node::of(broker, plain)]),
            doing: None,
            coordinator: Arc::default(),
            servers: format!("127.0.0.1:{plain}"),
            proxied: format!("127.0.0.1:{outer}"),
            proxy: Some(Arc::new(Proxy::start(outer, inner).await?)),
            commits_from: Arc::new(Mutex::new(NextOffset(0))),
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
        let nodes = brokers.into_iter().zip(&ports);
        Ok(Self {
            nodes: Arc::new(
                nodes
                    .map(|(broker, (plain, _))| Node::of(broker, *plain))
                    .collect(),
            ),
            doing: None,
            coordinator: Arc::default(),
            proxied: servers.join(","),
            servers: servers.join(","),
            proxy: None,
            commits_from: Arc::new(Mutex::new(NextOffset(0))),
        })
    }

    /// Ends a broker, once what was begun before is over; nothing if it is down already.
    pub(super) fn halt(&mut self, index: usize, at_once: bool, outages: Outages) {
        let nodes = self.nodes.clone();
        self.then(move || nodes[index].halt(at_once, &outages));
    }

    /// Starts a broker that is down. Its outage is over when it answers.
    pub(super) fn restart(&mut self, index: usize, outages: Outages) {
        let nodes = self.nodes.clone();
        self.then(move || match nodes.get(index) {
            Some(node) => node.restart(&outages),
            None => Ok(()),
        });
    }

    /// Kills the broker that coordinates groups.
    pub(super) fn kill_coordinator(&mut self, outages: Outages) {
        let (nodes, coordinator) = (self.nodes.clone(), self.coordinator.clone());
        self.then(move || {
            let topic = ["--describe", "--topic", "__consumer_offsets"];
            let described = tool(&nodes, "org.apache.kafka.tools.TopicCommand", &topic)?;
            let leader: usize = described
                .split("Leader:")
                .nth(1)
                .and_then(|rest| rest.split_whitespace().next())
                .and_then(|id| id.parse().ok())
                .with_context(|| format!("no leader in: {described}"))?;
            let index = leader.saturating_sub(1);
            let node = nodes.get(index).context("a leader without a broker")?;
            *coordinator.lock() = Some(index);
            node.halt(true, &outages)
        });
    }

    /// Starts it again.
    pub(super) fn restart_coordinator(&mut self, outages: Outages) {
        let (nodes, coordinator) = (self.nodes.clone(), self.coordinator.clone());
        self.then(move || match coordinator.lock().take() {
            Some(index) => nodes[index].restart(&outages),
            None => Ok(()),
        });
    }

    /// Runs one of Kafka's own tools after what is being done, beside the schedule.
    pub(super) fn tool_in_turn(
        &mut self,
        class: &'static str,
        args: Vec<String>,
        over: impl FnOnce(&str) + Send + 'static,
    ) {
        let nodes = self.nodes.clone();
        self.then(move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            over(&tool(&nodes, class, &args)?);
            Ok(())
        });
    }

    /// Does something to the brokers after what is being done.
    fn then(&mut self, what: impl FnOnce() -> Result<()> + Send + 'static) {
        let before = self.doing.take();
        self.doing = Some(tokio::spawn(async move {
            if let Some(before) = before {
                before.await??;
            }
            spawn_blocking(what).await?
        }));
    }

    /// Waits until everything that was begun is done.
    pub(super) async fn settled(&mut self) -> Result<()> {
        match self.doing.take() {
            Some(doing) => doing
                .await
                .context("a broker could not be started or ended")?,
            None => Ok(()),
        }
    }

    /// What the brokers logged of topics and groups whose names begin so.
    pub(super) fn logs(&self, prefix: &str) -> String {
        let logs = tokio::task::block_in_place(|| {
            let logs: Vec<String> = self
                .nodes
                .iter()
                .map(|node| node.broker.lock().log())
                .collect();
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
        tokio::task::block_in_place(|| tool(&self.nodes, class, args))
    }

    /// The command that does so.
    pub(super) fn tool_command(&self, class: &str, args: &[&str]) -> Result<Command> {
        tool_command(&self.nodes, class, args)
    }
}

/// A broker.
struct Node {
    broker: Mutex<Broker>,
    /// For clients.
    server: String,
    up: AtomicBool,
}

impl Node {
    fn of(broker: Broker, port: u16) -> Self {
        Self {
            broker: Mutex::new(broker),
            server: format!("127.0.0.1:{port}"),
            up: AtomicBool::new(true),
        }
    }

    fn halt(&self, at_once: bool, outages: &Outages) -> Result<()> {
        if self.up.swap(false, Ordering::SeqCst) {
            outages.begin();
            self.broker.lock().halt(at_once)?;
        }
        Ok(())
    }

    fn restart(&self, outages: &Outages) -> Result<()> {
        if !self.up.load(Ordering::SeqCst) {
            let mut broker = self.broker.lock();
            // Seen once on a loaded machine: a killed broker ended itself on its way up. Who runs one starts it again.
            broker.restart().or_else(|_| broker.restart())?;
            drop(broker);
            self.up.store(true, Ordering::SeqCst);
            outages.over();
        }
        Ok(())
    }
}

fn tool(nodes: &[Node], class: &str, args: &[&str]) -> Result<String> {
    xtask::command::output(&mut tool_command(nodes, class, args)?)
}

fn tool_command(nodes: &[Node], class: &str, args: &[&str]) -> Result<Command> {
    let up = nodes.iter().find(|node| node.up.load(Ordering::SeqCst));
    let node = up.context("no broker is up")?;
    let args = [&["--bootstrap-server", &node.server], args].concat();
    node.broker.lock().tool_command(class, &args)
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
        // Retention and compaction act soon, where a topic asks for them.
        .property("log.initial.task.delay.ms", "500")
        .property("log.retention.check.interval.ms", "300")
        .property("log.cleaner.backoff.ms", "300")
        // Members of the protocol `consumer` have the brokers' session.
        .property("group.consumer.min.session.timeout.ms", "1000")
        .property("group.consumer.session.timeout.ms", "6000")
        .property("group.consumer.min.heartbeat.interval.ms", "500")
        .property("group.consumer.heartbeat.interval.ms", "1000")
}
