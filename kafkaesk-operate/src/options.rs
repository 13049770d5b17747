//! Options of the service, with their defaults.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// What the service does. `docs/operate.md` names the settings that fill it.
#[derive(Clone)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What a request that changes something must show as `Authorization: Bearer …`. Without one, every such request is refused.
    pub token: Option<String>,
    /// Whether keys of messages are shown. They may be personal.
    pub show_keys: bool,
    /// How long the end of the application waits for one more scrape, within `shutdown-timeout`.
    pub linger: Duration,
    /// How fine the labels of metrics are.
    pub detail: Detail,
    /// The most series of one exposition. Further label sets are counted together.
    pub max_series: usize,
    /// A file that gets the last exposition at the end.
    pub metrics_file: Option<PathBuf>,
    /// How often Kafka is asked for the ends and commits of the assigned partitions.
    pub lag_interval: Duration,
    /// Over how long a verdict is formed.
    pub lag_window: Duration,
    /// How many records of lag in a partition are no reason for a verdict.
    pub lag_allowed: u64,
    /// After this long without an answer a subscription's task, or its consumer's thread, stands still.
    pub alive_within: Duration,
    /// A partition with lag in which nothing runs and nothing moves for this long is rebuilt once, and then fails `/livez`.
    pub stall_after: Duration,
    /// Effective settings for the page and `/stats`, redacted: key, value, source.
    pub settings: Vec<(String, String, String)>,
}

/// How fine the labels of metrics are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// A series for each partition.
    #[default]
    Partition,
    /// A series for each stream; its partitions are added up.
    Stream,
    /// A series for each group; its streams are added up.
    Group,
}

impl Options {
    /// A service on this address, with the defaults of everything else.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            token: None,
            show_keys: false,
            linger: Duration::ZERO,
            detail: Detail::Partition,
            max_series: 20_000,
            metrics_file: None,
            lag_interval: Duration::from_secs(10),
            lag_window: Duration::from_secs(120),
            lag_allowed: 0,
            alive_within: Duration::from_secs(30),
            stall_after: Duration::from_secs(300),
            settings: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Options {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("has_token", &self.token.is_some())
            .field("detail", &self.detail)
            .finish_non_exhaustive()
    }
}
