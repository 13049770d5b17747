//! Broker: starts an Apache Kafka of our own with given properties and files, by Docker or from its jars. It ends with its
//! handle. Never used for the shared server that a person names.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    command,
    kafka::{IMAGE, docker, jars},
    paths,
};

const CLUSTER_ID: &str = "5L6g3nShT-eMCtK--X86sw";
const START_LIMIT: Duration = Duration::from_secs(90);
const STARTED: &str = "Kafka Server started";
/// What a container runs: the image's own start, which formats the storage; without it where a container starts again.
const START: &str = "\
if [ -e /tmp/started ]; then
  exec java ${KAFKA_HEAP_OPTS:--Xmx512m} -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml \
    -cp '/opt/kafka/libs/*' kafka.Kafka /opt/kafka/config/server.properties
fi
touch /tmp/started
exec /etc/kafka/docker/run";

/// What to start.
#[derive(Clone, Debug)]
pub struct BrokerSpec {
    /// Its container's name, and its folder's.
    pub name: String,
    /// `server.properties`; `{dir}` stands for the folder that holds `files`.
    pub properties: BTreeMap<String, String>,
    /// Ports to publish on loopback, the same inside and outside.
    pub ports: Vec<u16>,
    /// Files beside the properties: name and content.
    pub files: Vec<(String, Vec<u8>)>,
    /// The container shares this machine's network, so that brokers reach one another at the addresses of loopback.
    pub host_network: bool,
}

impl BrokerSpec {
    /// One node, KRaft, one plain listener for clients at `127.0.0.1:port`.
    pub fn plain(name: &str, port: u16) -> Result<Self> {
        let controller = free_port()?;
        let pairs = [
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", "1".to_owned()),
            (
                "controller.quorum.voters",
                format!("1@localhost:{controller}"),
            ),
            (
                "listeners",
                format!("PLAINTEXT://:{port},CONTROLLER://:{controller}"),
            ),
            (
                "advertised.listeners",
                format!("PLAINTEXT://127.0.0.1:{port}"),
            ),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
            (
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned(),
            ),
            ("offsets.topic.replication.factor", "1".to_owned()),
            ("offsets.topic.num.partitions", "5".to_owned()),
            ("transaction.state.log.replication.factor", "1".to_owned()),
            ("transaction.state.log.min.isr", "1".to_owned()),
            (
                "share.coordinator.state.topic.replication.factor",
                "1".to_owned(),
            ),
            ("share.coordinator.state.topic.min.isr", "1".to_owned()),
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
            ("log.dirs", "/tmp/kraft-combined-logs".to_owned()),
        ];
        Ok(Self {
            name: name.to_owned(),
            properties: pairs.map(|(k, v)| (k.to_owned(), v)).into(),
            ports: vec![port],
            files: Vec::new(),
            host_network: false,
        })
    }

    /// Sets a property.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl Into<String>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    fn rendered(&self, dir: &str) -> String {
        self.properties
            .iter()
            .map(|(name, value)| format!("{name}={}\n", value.replace("{dir}", dir)))
            .collect()
    }
}

/// A running broker. Dropping it ends it.
#[derive(Debug)]
pub struct Broker {
    how: How,
    /// Left running when the handle goes (`cargo xtask kafka up`).
    keep: bool,
}

#[derive(Debug)]
enum How {
    Docker { name: String },
    Jars { child: Child, dir: PathBuf },
}

impl Broker {
    /// Starts it by Docker where an engine answers, else from its jars.
    ///
    /// # Errors
    /// Neither is possible (it says what to install), or the broker does not come up within 90 s (with its log's end).
    pub fn start(spec: &BrokerSpec) -> Result<Self> {
        if docker::engine() {
            docker::ensure_image()?;
            Self::start_docker(spec)
        } else {
            Self::start_jars(spec)
        }
    }

    /// Starts it as a container.
    ///
    /// # Errors
    /// Docker's, or the broker does not come up within 90 s.
    pub fn start_docker(spec: &BrokerSpec) -> Result<Self> {
        const CONFIG: &str = "/mnt/shared/config";
        let stage = paths::cache("brokers")?.join(&spec.name);
        write_files(spec, &stage, CONFIG)?;
        let mut create = Command::new("docker");
        create.args(["create", "--name", &spec.name, "--label", docker::LABEL]);
        create.args(["-e", &format!("CLUSTER_ID={CLUSTER_ID}")]);
        if spec.host_network {
            create.args(["--network", "host"]);
        } else {
            for port in &spec.ports {
                create.args(["-p", &format!("127.0.0.1:{port}:{port}")]);
            }
        }
        command::output(create.args([IMAGE, "bash", "-c", START]))?;
        let broker = Self {
            how: How::Docker {
                name: spec.name.clone(),
            },
            keep: false,
        };
        command::output(
            Command::new("docker")
                .arg("cp")
                .arg(stage.join("."))
                .arg(format!("{}:{CONFIG}/", spec.name)),
        )?;
        // The container has its own copy now.
        fs::remove_dir_all(&stage)?;
        command::output(Command::new("docker").args(["start", &spec.name]))?;
        broker.wait(1)?;
        Ok(broker)
    }

    /// Starts it from the jars, as a process of its own.
    ///
    /// # Errors
    /// The jars cannot be had, or the broker does not come up within 90 s.
    pub fn start_jars(spec: &BrokerSpec) -> Result<Self> {
        let libs = jars::libs()?;
        let dir = paths::cache("brokers")?.join(&spec.name);
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        let spec = spec.clone().property("log.dirs", "{dir}/data");
        write_files(&spec, &dir, &dir.to_string_lossy())?;
        let classpath = format!("{}/*", libs.display());
        let properties = dir.join("server.properties");
        command::output(
            Command::new("java")
                .args([
                    "-Xmx256m",
                    "-cp",
                    &classpath,
                    "kafka.tools.StorageTool",
                    "format",
                ])
                .args(["-t", CLUSTER_ID, "-c"])
                .arg(&properties),
        )?;
        let child = java(&dir)?;
        let broker = Self {
            how: How::Jars { child, dir },
            keep: false,
        };
        broker.wait(1)?;
        Ok(broker)
    }

    /// Ends its process: at once, or as Kafka ends when it is asked to. Its data stays.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn halt(&mut self, at_once: bool) -> Result<()> {
        match &mut self.how {
            How::Docker { name } => {
                let end: &[&str] = match at_once {
                    true => &["kill", "--signal", "KILL"],
                    false => &["stop", "--time", "30"],
                };
                command::output(Command::new("docker").args(end).arg(name))?;
            }
            How::Jars { child, .. } => {
                if at_once {
                    child.kill()?;
                } else {
                    command::run(Command::new("kill").arg(child.id().to_string()))?;
                }
                child.wait()?;
            }
        }
        Ok(())
    }

    /// Starts it again after [`Self::halt`], with the data that it had. Waits until it is up.
    ///
    /// # Errors
    /// It does not come up within 90 s.
    pub fn restart(&mut self) -> Result<()> {
        let starts = self.log().matches(STARTED).count();
        match &mut self.how {
            How::Docker { name } => {
                command::output(Command::new("docker").args(["start", name]))?;
            }
            How::Jars { child, dir } => *child = java(dir)?,
        }
        self.wait(starts + 1)
    }

    /// Leaves it running when this handle goes. Returns what [`stop`] takes.
    pub fn leave_running(mut self) -> Left {
        self.keep = true;
        match &self.how {
            How::Docker { name } => Left::Container(name.clone()),
            How::Jars { child, .. } => Left::Process(child.id()),
        }
    }

    /// Lets it run until this process ends, however it ends: for one broker that all tests of a binary share.
    ///
    /// # Errors
    /// `sh`, which waits for that end, cannot be started; the broker then ends here.
    pub fn until_exit(self) -> Result<()> {
        self.remove_at_exit()?;
        self.leave_running();
        Ok(())
    }

    /// Has it removed when this process ends, however it ends, if its handle did not do so before.
    ///
    /// # Errors
    /// `sh`, which waits for that end, cannot be started.
    pub fn remove_at_exit(&self) -> Result<()> {
        let end = match &self.how {
            How::Docker { name } => format!("docker rm -f -v {name}"),
            How::Jars { child, dir } => {
                format!("kill -9 {}; rm -rf '{}'", child.id(), dir.display())
            }
        };
        let mut waiting = Command::new("sh");
        waiting
            .args(["-c", &format!("read _; {end}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Out of the terminal's group: Ctrl-C must not end it before its work.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut waiting, 0);
        let child = waiting.spawn().context("cannot start sh")?;
        // Its end of the pipe is closed by the end of this process.
        std::mem::forget(child);
        Ok(())
    }

    /// Runs a class of Kafka's own command line tools beside the broker; returns what it prints.
    ///
    /// # Errors
    /// The tool's.
    pub fn tool(&self, class: &str, args: &[&str]) -> Result<String> {
        command::output(&mut self.tool_command(class, args)?)
    }

    /// The command that [`Self::tool`] runs.
    ///
    /// # Errors
    /// The jars cannot be had.
    pub fn tool_command(&self, class: &str, args: &[&str]) -> Result<Command> {
        const JAVA: [&str; 3] = ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp"];
        let mut tool = match &self.how {
            How::Docker { name } => {
                let mut tool = Command::new("docker");
                tool.args(["exec", name, "java"]);
                tool.args(JAVA).arg("/opt/kafka/libs/*");
                tool
            }
            How::Jars { .. } => {
                let mut tool = Command::new("java");
                tool.args(JAVA)
                    .arg(format!("{}/*", jars::libs()?.display()));
                tool
            }
        };
        tool.arg(class).args(args);
        Ok(tool)
    }

    /// The broker's log so far.
    pub fn log(&self) -> String {
        match &self.how {
            How::Docker { name } => Command::new("docker")
                .args(["logs", name])
                .output()
                .map(|out| {
                    String::from_utf8_lossy(&out.stdout).into_owned()
                        + &String::from_utf8_lossy(&out.stderr)
                })
                .unwrap_or_default(),
            How::Jars { dir, .. } => fs::read_to_string(dir.join("kafka.log")).unwrap_or_default(),
        }
    }

    /// Waits until its log says that it started, for this many times.
    fn wait(&self, starts: usize) -> Result<()> {
        let end = Instant::now() + START_LIMIT;
        loop {
            let log = self.log();
            if log.matches(STARTED).count() >= starts {
                return Ok(());
            }
            if Instant::now() > end || log.contains("Exiting Kafka due to fatal exception") {
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(30)..].join("\n");
                bail!("Kafka did not start within {START_LIMIT:?}; the end of its log:\n{tail}");
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        match &mut self.how {
            How::Docker { name } => docker::remove(name),
            How::Jars { child, dir } => {
                let _ = child.kill();
                let _ = child.wait();
                let _ = fs::remove_dir_all(dir);
            }
        }
    }
}

/// What a broker that was left running is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// A container's name.
    Container(String),
    /// A process id.
    Process(u32),
}

/// Ends a broker that was left running.
///
/// # Errors
/// A process cannot be signalled.
pub fn stop(left: &Left) -> Result<()> {
    match left {
        Left::Container(name) => docker::remove(name),
        Left::Process(pid) => command::run(Command::new("kill").arg(pid.to_string()))?,
    }
    Ok(())
}

/// A port on loopback that nobody listens on right now.
///
/// # Errors
/// None is free.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))
        .context("no free port on 127.0.0.1")?
        .local_addr()?
        .port())
}

/// The process of a broker from its jars, with the properties in this folder; its log is added to the one that is there.
fn java(dir: &Path) -> Result<Child> {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(dir.join("kafka.log"))?;
    let log4j = paths::root().join("xtask/kafka-image/log4j2.yaml");
    let mut java = Command::new("java");
    java.arg("-Xmx512m")
        .arg(format!("-Dlog4j2.configurationFile={}", log4j.display()))
        .arg("-cp")
        .arg(format!("{}/*", jars::libs()?.display()))
        .arg("kafka.Kafka")
        .arg(dir.join("server.properties"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut java, 0);
    java.spawn().context("cannot start java")
}

fn write_files(spec: &BrokerSpec, folder: &PathBuf, seen_as: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("server.properties"), spec.rendered(seen_as))?;
    for (name, content) in &spec.files {
        fs::write(folder.join(name), content)?;
    }
    Ok(())
}
