//! A real Prometheus: what it sees of two workers through a rebalance, and whether it takes our rules.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use kafkaesk_client::testing;
use kafkaesk_operate::metrics::{FAMILIES, Kind};
use kafkaesk_worker::prelude::*;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    http::get,
    support::{Content, Running, app, shown},
};

/// Debian's package `prometheus` has both programs.
fn tool(program: &str) -> Command {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(
        found.is_ok_and(|status| status.success()),
        "{program} is missing: apt-get install -y prometheus"
    );
    Command::new(program)
}

/// A Prometheus that scrapes these addresses every second. Dropping it ends it.
struct Prometheus {
    child: Child,
    address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    async fn start(targets: &[std::net::SocketAddr]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let targets: Vec<String> = targets.iter().map(|it| format!("'{it}'")).collect();
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n  - job_name: kafkaesk\n    static_configs: [ {{ targets: [{}] }} ]\n",
            targets.join(", ")
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        // Nobody takes the port in between: the tests ask the operating system for other ones.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let child = tool("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .spawn()
            .unwrap();
        let started = Self {
            child,
            address,
            _folder: folder,
        };
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(address).await.is_ok()
                && get(address, "/-/ready").await.status == 200
            {
                return started;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("Prometheus did not start");
    }

    /// The result of a query: a list of series, each with its labels and `value` or `values`.
    async fn query(&self, path: &str, query: &str) -> Vec<Value> {
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("/api/v1/{path}{separator}query={query}");
        let answer = get(self.address, &path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = dechunked(&answer);
        let read: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        read["data"]["result"].as_array().unwrap().clone()
    }

    /// The only value of a query, once there is this one.
    async fn until(&self, query: &str, wanted: f64) {
        let mut last = None;
        for _ in 0..600 {
            let result = self.query("query", query).await;
            let value = result
                .first()
                .and_then(|it| it["value"][1].as_str()?.parse::<f64>().ok());
            if value == Some(wanted) {
                return;
            }
            last = value;
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{query} never was {wanted}: {last:?}");
    }
}

/// Prometheus may answer in chunks.
fn dechunked(answer: &crate::http::Answer) -> String {
    if answer.header("transfer-encoding") != Some("chunked") {
        return answer.body.clone();
    }
    let (mut rest, mut body) = (answer.body.as_str(), String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        body.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_that_scrapes_through_a_rebalance_agrees_with_the_ledger() {
    let kafka = testing::kafka().await;
    let mut settings = kafka.settings();
    settings.partitions = 6;
    let open = || async { Connection::open(&settings).await.unwrap() };
    let app = || App::new().subscribe(subscription("content.*", |_: Content| async {}).group("g"));
    let first = Running::start_on(app(), open().await, shown()).await;
    let mut ledger = 0;
    let publish = |running: &Running, from: u32| {
        let texts: Vec<String> = (from..from + 50).map(|n| n.to_string()).collect();
        let connection = running.connection.clone();
        async move {
            for text in texts {
                let event = Content { text: text.clone() };
                let publisher = connection.publisher();
                publisher
                    .publish("content.a", &event)
                    .key(text)
                    .await
                    .unwrap();
            }
        }
    };
    publish(&first, 0).await;
    ledger += 50;
    let second = Running::start_on(app(), open().await, shown()).await;
    let prometheus = Prometheus::start(&[first.address, second.address]).await;
    let finished = "sum(kafkaesk_consumer_finished_messages_total)";
    prometheus
        .until("count(kafkaesk_consumer_assigned_partitions == 3)", 2.0)
        .await;
    publish(&first, 100).await;
    ledger += 50;
    prometheus.until(finished, f64::from(ledger)).await;
    prometheus
        .until(
            "sum(kafkaesk_published_messages_total{error=\"none\"})",
            f64::from(ledger),
        )
        .await;
    // The second one leaves, and its service stays: its counters stay, and its gauges go.
    let (operate, report) = second.end().await;
    assert!(report.handled > 0);
    prometheus
        .until("max(kafkaesk_consumer_assigned_partitions)", 6.0)
        .await;
    publish(&first, 200).await;
    ledger += 50;
    prometheus.until(finished, f64::from(ledger)).await;
    prometheus
        .until("count(kafkaesk_consumer_lag_records)", 6.0)
        .await;
    prometheus
        .until("sum(kafkaesk_consumer_lag_records)", 0.0)
        .await;
    prometheus
        .until("sum(kafkaesk_consumer_committed_offset)", f64::from(ledger))
        .await;
    let ends = "sum(kafkaesk_stream_end_offset)";
    prometheus.until(ends, f64::from(ledger)).await;

    // Over the whole time, second by second: no counter went back, and a partition was never for longer than a scrape in both.
    let resets = "sum(resets(kafkaesk_consumer_finished_messages_total[10m]))";
    prometheus.until(resets, 0.0).await;
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let range = format!("query_range?start={}&end={now}&step=1", now - 120);
    let by_partition = "count by (partition) (kafkaesk_consumer_lag_records)";
    let seen = prometheus.query(&range, by_partition).await;
    assert_eq!(seen.len(), 6);
    for partition in seen {
        let values = partition["values"].as_array().unwrap();
        let doubled: Vec<bool> = values.iter().map(|it| it[1] != "1").collect();
        let longest = doubled.split(|twice| !twice).map(<[bool]>::len).max();
        assert!(longest <= Some(2), "{partition}");
    }
    first.end().await;
    operate.finish(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_finds_nothing_wrong_with_the_exposition() {
    let running = Running::start(app(), shown()).await;
    running.publish(&["1"]).await;
    let text = get(running.address, "/metrics").await.body;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics.txt");
    std::fs::write(&file, text).unwrap();
    let checked = tool("promtool")
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    running.end().await;
}

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn promtool(arguments: &[&str]) -> Output {
    let output = tool("promtool").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

#[test]
fn the_alert_rules_are_valid_and_fire() {
    let rules = docs().join("alerts.yml");
    promtool(&["check", "rules", rules.to_str().unwrap()]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tests.yml");
    let series = |status: &str, value: u8| {
        format!(
            "kafkaesk_consumer_status{{group_id=\"billing\",status=\"{status}\",instance=\"a\"}}', values: '{value}x30'"
        )
    };
    let test = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n      - {{ series: '{} }}\n      - {{ series: '{} }}\n      - {{ series: 'kafkaesk_dead_letters_total{{group_id=\"billing\",reason=\"rejected\"}}', values: '0 0 1 1 1 1 1 1 1 1 1' }}\n      - {{ series: 'kafkaesk_dead_letters_oldest_seconds{{group_id=\"billing\",instance=\"a\"}}', values: '500+60x30' }}\n      - {{ series: 'kafkaesk_dead_letters_retention_seconds{{group_id=\"billing\",instance=\"a\"}}', values: '1000x30' }}\n    alert_rule_test:\n      - {{ eval_time: 10m, alertname: KafkaeskDeadLettersExpire, exp_alerts: [] }}\n      - eval_time: 11m\n        alertname: KafkaeskDeadLettersExpire\n        exp_alerts:\n          - exp_labels: {{ group_id: billing, severity: page }}\n            exp_annotations:\n              summary: 'billing: the topic will soon delete dead letters that nobody settled'\n              description: 'kafkaesk-cli dead-letters list billing shows them. Redrive or purge them; a longer retention.ms of the topic gives more time.'\n      - {{ eval_time: 4m, alertname: KafkaeskHeld, exp_alerts: [] }}\n      - {{ eval_time: 6m, alertname: KafkaeskStalled, exp_alerts: [] }}\n      - eval_time: 6m\n        alertname: KafkaeskHeld\n        exp_alerts:\n          - exp_labels: {{ group_id: billing, severity: page }}\n            exp_annotations:\n              summary: 'billing: one message holds its partition'\n              description: '/stats and the page of the worker name it, with its attempts and its error. Repair the handler, or skip the message.'\n      - eval_time: 5m\n        alertname: KafkaeskNewDeadLetters\n        exp_alerts:\n          - exp_labels: {{ group_id: billing, reason: rejected, severity: ticket }}\n            exp_annotations:\n              summary: 'billing: new dead letters (rejected)'\n              description: 'kafkaesk-cli dead-letters list billing shows them; redrive returns them to the group.'\n",
        rules.display(),
        series("HELD", 1),
        series("STALL", 0),
    );
    std::fs::write(&file, test).unwrap();
    promtool(&["test", "rules", file.to_str().unwrap()]);
}

#[test]
fn alerts_and_dashboard_use_declared_metrics_alone() {
    let declared: Vec<String> = FAMILIES
        .iter()
        .flat_map(|family| match family.kind {
            Kind::Counter => vec![format!("{}_total", family.name)],
            Kind::Gauge => vec![family.name.to_owned()],
            Kind::Histogram => ["_bucket", "_sum", "_count"]
                .map(|end| format!("{}{end}", family.name))
                .to_vec(),
        })
        .collect();
    for name in ["alerts.yml", "grafana.json"] {
        let text = std::fs::read_to_string(docs().join(name)).unwrap();
        if name.ends_with("json") {
            let dashboard: Value = serde_json::from_str(&text).unwrap();
            assert!(dashboard["panels"].as_array().unwrap().len() > 10);
        }
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text.split(|c| !is_of_name(c));
        let metrics: Vec<&str> = words.filter(|word| word.starts_with("kafkaesk_")).collect();
        assert!(metrics.len() > 5);
        for metric in metrics {
            assert!(
                declared.iter().any(|known| known == metric),
                "{name}: {metric}"
            );
        }
    }
}
