//! Operate: the settings of what a program shows of itself: its service, its metrics, how it judges lag and health.

use std::{fmt, path::PathBuf, time::Duration};

use crate::REDACTED;

/// What a program shows of itself, and where.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperateSettings {
    /// `host:port` that the service listens at. Default none: no service.
    pub listen: Option<String>,
    /// What a command must carry as `Authorization: Bearer …`. Default none: every command is refused.
    pub token: Option<String>,
    /// Whether the keys of held and running messages are shown. They may be personal. Default no.
    pub show_keys: bool,
    /// How long the service waits at the end for one more scrape, at most, within the shutdown's time. Default 0.
    pub linger: Duration,
    /// Which label sets the metrics have. Default one for each partition.
    pub detail: MetricsDetail,
    /// The most series of one answer; what is beyond is counted together. Default 20,000.
    pub max_series: usize,
    /// A file that gets the last state of all metrics at the end. Default none.
    pub metrics_file: Option<PathBuf>,
    /// How often Kafka is asked for the ends of partitions and for commits. Default 10 s.
    pub lag_interval: Duration,
    /// The time whose looks a verdict is made of. Default 2 min, but three times `lag_interval` at least.
    pub lag_window: Duration,
    /// The lag of a partition, in records, that is always well. Default 0.
    pub lag_allowed: u64,
    /// How long a subscription may give no sign of life before `/livez` fails. Default 30 s.
    pub alive_within: Duration,
    /// Where spans go: a URL that takes OTLP over HTTP, whole, such as `http://localhost:4318/v1/traces`. Default none: the
    /// standard `OTEL_*` variables decide.
    pub otel_endpoint: Option<String>,
    /// The age of a record from which on its trace is linked to, and not gone on with. Default 1 h.
    pub trace_parent_max_age: Duration,
    /// Contact nothing but this machine, as `dev` does. Not a setting. Default `false`.
    pub loopback_only: bool,
    /// How long a partition may not move that is behind and that nothing holds. Then its subscription joins its group again;
    /// after the same time once more, `/livez` fails. Default 5 min.
    pub stall_after: Duration,
}

impl Default for OperateSettings {
    fn default() -> Self {
        Self {
            listen: None,
            token: None,
            show_keys: false,
            linger: Duration::ZERO,
            detail: MetricsDetail::default(),
            max_series: 20_000,
            metrics_file: None,
            lag_interval: Duration::from_secs(10),
            lag_window: Duration::from_secs(120),
            lag_allowed: 0,
            alive_within: Duration::from_secs(30),
            otel_endpoint: None,
            trace_parent_max_age: Duration::from_secs(60 * 60),
            loopback_only: false,
            stall_after: Duration::from_secs(300),
        }
    }
}

/// Shows no token.
impl fmt::Debug for OperateSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperateSettings")
            .field("listen", &self.listen)
            .field("token", &self.token.as_ref().map(|_| REDACTED))
            .field("detail", &self.detail)
            .finish_non_exhaustive()
    }
}

/// Which label sets the metrics have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "load", derive(serde::Deserialize))]
#[cfg_attr(feature = "load", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum MetricsDetail {
    /// One for each partition.
    #[default]
    Partition,
    /// One for each stream: the label `partition` is absent.
    Stream,
    /// One for each group: the labels `stream_id` and `partition` are absent.
    Group,
}

impl MetricsDetail {
    /// The word of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::Stream => "stream",
            Self::Group => "group",
        }
    }
}
