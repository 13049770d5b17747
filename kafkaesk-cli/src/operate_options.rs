//! Options of `worker` and `dev` about what they show of themselves. Each is a setting, as all others.

use clap::Args;

/// What `worker` and `dev` show of themselves.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Metrics and health")]
#[non_exhaustive]
pub struct OperateOptions {
    /// Serve metrics, health and commands at this address [default: none; `dev`: 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT")]
    pub operate_listen: Option<String>,
    /// What commands over HTTP must carry; better `operate-token = { env = … }` in the file, since flags are seen by others
    #[arg(long, value_name = "TOKEN")]
    pub operate_token: Option<String>,
    /// Show the keys of held and running messages: true or false [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub operate_show_keys: Option<String>,
    /// How long the end waits for one more scrape, at most [default: 0s]
    #[arg(long, value_name = "SPAN")]
    pub operate_linger: Option<String>,
    /// Labels of the metrics: partition, stream or group [default: partition]
    #[arg(long, value_name = "DETAIL")]
    pub metrics_detail: Option<String>,
    /// The most series of the metrics; further label sets are counted together [default: 20000]
    #[arg(long, value_name = "N")]
    pub metrics_max_series: Option<String>,
    /// Write the last state of all metrics to this file at the end
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<String>,
    /// How often Kafka is asked for the lag that metrics show [default: 10s]
    #[arg(long, value_name = "SPAN")]
    pub lag_interval: Option<String>,
    /// The time whose looks a verdict on lag is made of [default: 2m]
    #[arg(long, value_name = "SPAN")]
    pub lag_window: Option<String>,
    /// The lag of a partition, in records, that is always well [default: 0]
    #[arg(long, value_name = "N")]
    pub lag_allowed: Option<String>,
    /// How long a subscription may give no sign of life before /livez fails [default: 30s]
    #[arg(long, value_name = "SPAN")]
    pub alive_within: Option<String>,
    /// Send a span of each publish and each attempt to this collector, by OTLP over HTTP [default: what OTEL_* variables say]
    #[arg(long, value_name = "URL")]
    pub otel_endpoint: Option<String>,
    /// The age of a record from which on its trace is linked to, and not gone on with [default: 1h]
    #[arg(long, value_name = "SPAN")]
    pub trace_parent_max_age: Option<String>,
    /// How long a partition may not move that is behind and that nothing holds, before its subscription joins its group
    /// again [default: 5m]
    #[arg(long, value_name = "SPAN")]
    pub stall_after: Option<String>,
}

impl OperateOptions {
    /// The settings that were given as flags, by their one name.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("operate-listen", &self.operate_listen),
            ("operate-token", &self.operate_token),
            ("operate-show-keys", &self.operate_show_keys),
            ("operate-linger", &self.operate_linger),
            ("metrics-detail", &self.metrics_detail),
            ("metrics-max-series", &self.metrics_max_series),
            ("metrics-file", &self.metrics_file),
            ("lag-interval", &self.lag_interval),
            ("lag-window", &self.lag_window),
            ("lag-allowed", &self.lag_allowed),
            ("alive-within", &self.alive_within),
            ("otel-endpoint", &self.otel_endpoint),
            ("trace-parent-max-age", &self.trace_parent_max_age),
            ("stall-after", &self.stall_after),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}
