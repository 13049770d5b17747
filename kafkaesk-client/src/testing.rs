//! An Apache Kafka for integration tests: a server that the environment names, or a container of this process.
//!
//! Never stops a server that it did not start, and leaves no container behind.

use std::{
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use kafkaesk_core::TopicPrefix;
use testcontainers::{ImageExt, runners::AsyncRunner};
use testcontainers_modules::kafka::apache::{KAFKA_PORT, Kafka};
use tokio::sync::OnceCell;

use crate::Settings;

/// Servers to use instead of a container, comma separated. Asked first.
pub const SERVERS: &str = "KAFKAESK_TEST_SERVERS";
/// The same, as users of the Python library know it: `host:port`. Asked second.
pub const KAFKA: &str = "KAFKA";
/// The tag of the image `apache/kafka` to start.
pub const IMAGE_TAG: &str = "KAFKAESK_TEST_IMAGE_TAG";
/// The tag if none is named.
const DEFAULT_IMAGE_TAG: &str = "4.3.1";

/// One container serves all tests of a process.
static CONTAINER: OnceCell<String> = OnceCell::const_new();
static CALLS: AtomicU32 = AtomicU32::new(0);

/// A Kafka to test with. Others may use it too: topics of this handle have a prefix of their own.
#[derive(Clone, Debug)]
pub struct TestKafka {
    servers: String,
    prefix: String,
}

impl TestKafka {
    /// Settings for it, with a topic prefix that no other call has, and one partition of dead letters for each group.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::new(&self.servers);
        // Each test has groups of its own, and brokers bear only so many partitions.
        settings.dead_letter_partitions = 1;
        if let Ok(prefix) = TopicPrefix::new(&self.prefix) {
            settings.topic_prefix = prefix;
        }
        settings
    }

    /// The bootstrap servers, comma separated.
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// The prefix of [`Self::settings`]; good as a part of a group's name too.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// An Apache Kafka: the server named by `KAFKAESK_TEST_SERVERS` or `KAFKA`, or one that testcontainers starts.
///
/// ```no_run
/// # async fn example() -> Result<(), kafkaesk_client::ClientError> {
/// let kafka = kafkaesk_client::testing::kafka().await;
/// let publisher = kafkaesk_client::Publisher::connect(&kafka.settings()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// When there is none: a test that needs Kafka must not pass without it. The text says what to do.
pub async fn kafka() -> TestKafka {
    let named = [SERVERS, KAFKA]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let servers = match named {
        Some(servers) => servers,
        None => CONTAINER.get_or_init(start).await.clone(),
    };
    TestKafka {
        servers,
        prefix: unique(),
    }
}

fn unique() -> String {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    format!(
        "test-{:x}-{:x}-{}.",
        std::process::id(),
        nanos & 0xffff_ffff_ffff,
        CALLS.fetch_add(1, Ordering::Relaxed)
    )
}

async fn start() -> String {
    let tag = std::env::var(IMAGE_TAG).unwrap_or_else(|_| DEFAULT_IMAGE_TAG.to_owned());
    let started = Kafka::default()
        .with_jvm_image()
        .with_tag(&tag)
        .with_env_var("KAFKA_NODE_ID", "1")
        // A single broker must suffice for transactions, and a group's first member must not wait for others.
        .with_env_var("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env_var("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        .with_env_var("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        .start()
        .await;
    let container = match started {
        Ok(container) => container,
        Err(error) => panic!(
            "this test needs an Apache Kafka, and starting the container apache/kafka:{tag} failed: {error}\n\
             either name a running one (KAFKAESK_TEST_SERVERS=localhost:9092), or let Docker run and pull the image"
        ),
    };
    remove_at_exit(container.id());
    let port = match container.get_host_port_ipv4(KAFKA_PORT).await {
        Ok(port) => port,
        Err(error) => panic!("the container apache/kafka:{tag} has no port: {error}"),
    };
    // It lives as long as this process, longer than any test's runtime, on which its own clean-up would depend.
    std::mem::forget(container);
    format!("127.0.0.1:{port}")
}

/// A child that waits for the end of its standard input, which comes when this process ends in any way, and then
/// removes the container.
fn remove_at_exit(id: &str) {
    let script = format!(
        "read _; docker rm -f -v {id} || curl -s -X DELETE --unix-socket /var/run/docker.sock 'http://localhost/containers/{id}?force=true&v=true'"
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    #[cfg(unix)]
    {
        // Out of the terminal's group: Ctrl-C must not end it before its work.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
    }
    match command.spawn() {
        // Its end of the pipe is closed by the end of this process.
        Ok(child) => std::mem::forget(child),
        Err(error) => tracing::warn!(%error, container = id, "the container will be left behind"),
    }
}
