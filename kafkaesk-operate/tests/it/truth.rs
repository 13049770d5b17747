//! The truth: while workers join and leave, every figure against a ledger of the handlers and against Kafka's own tool.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use kafkaesk_client::testing::{self, TestKafka};
use kafkaesk_core::StreamId;
use kafkaesk_operate::Operate;
use kafkaesk_worker::{prelude::*, subscription};
use tokio::time::{Instant, sleep};

use crate::{
    http::{Answer, get, post},
    support::{Content, Running, TOKEN, shown, sum, until},
};

const PARTITIONS: u32 = 6;
/// Between two scrapes: longer than a view is kept.
const SCRAPE: Duration = Duration::from_millis(1_200);
const LAG: &str = "kafkaesk_consumer_lag_records";
const FINISHED: &str = "kafkaesk_consumer_finished_messages_total";

/// What Kafka's own tool says of a group: for each partition the committed offset, the end, the lag and the member.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    committed: i64,
    end: i64,
    lag: i64,
    member: String,
}

/// Asks `kafka-consumer-groups.sh --describe`, by the jars of the environment or those of the image.
fn describe(kafka: &TestKafka, group: &str, topic: &str) -> BTreeMap<i32, Described> {
    let mut tool = match std::env::var("KAFKAESK_TEST_JARS") {
        Ok(jars) => {
            let mut java = Command::new("java");
            java.args(["-cp", &format!("{jars}/*")]);
            java
        }
        Err(_) => {
            let mut docker = Command::new("docker");
            docker.args(["run", "--rm", "--network", "host", "--entrypoint", "java"]);
            docker.args(["apache/kafka:4.3.1", "-Xmx256m", "-cp", "/opt/kafka/libs/*"]);
            docker
        }
    };
    let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    tool.args([class, "--bootstrap-server", kafka.servers()]);
    let output = tool.args(["--describe", "--group", group]).output();
    let output = output.expect("Kafka's tool needs Docker, or Java and KAFKAESK_TEST_JARS");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| line.split_whitespace());
    let rows = lines.filter_map(|words| {
        let words: Vec<&str> = words.collect();
        let [_, its_topic, partition, committed, end, lag, member, ..] = words[..] else {
            return None;
        };
        let number = |word: &str| word.parse().unwrap_or(0);
        let described = Described {
            committed: number(committed),
            end: number(end),
            lag: number(lag),
            member: member.to_owned(),
        };
        (its_topic == topic).then(|| (partition.parse().unwrap(), described))
    });
    let found: BTreeMap<_, _> = rows.collect();
    assert!(!found.is_empty(), "{output:?}");
    found
}

/// The values of a metric by partition.
fn by_partition(answer: &Answer, name: &str) -> BTreeMap<i32, i64> {
    let lines = answer.body.lines();
    let of = lines.filter(|line| line.starts_with(&format!("{name}{{")));
    of.filter_map(|line| {
        let (_, rest) = line.split_once("partition=\"")?;
        let (partition, _) = rest.split_once('"')?;
        let value: f64 = line.rsplit_once(' ')?.1.parse().ok()?;
        Some((partition.parse().ok()?, value as i64))
    })
    .collect()
}

/// A group whose workers come and go.
struct Storm {
    kafka: TestKafka,
    settings: Settings,
    group: String,
    handled: Arc<AtomicU64>,
    workers: Vec<Running>,
    /// Those that ended, with the messages that they finished.
    ended: u64,
    /// The partitions that two workers showed at the last scrape.
    twice: BTreeSet<i32>,
    /// The messages that each worker had finished then.
    finished: BTreeMap<std::net::SocketAddr, f64>,
    scraped_at: Instant,
}

impl Storm {
    async fn join(&mut self) {
        let handled = self.handled.clone();
        let handler = move |_: Content| {
            let handled = handled.clone();
            async move {
                sleep(Duration::from_millis(3)).await;
                handled.fetch_add(1, SeqCst);
            }
        };
        let app = App::new().subscribe(subscription("content.*", handler).group(&self.group));
        let connection = Connection::open(&self.settings).await.unwrap();
        self.workers
            .push(Running::start_on(app, connection, shown()).await);
    }

    async fn leave(&mut self, which: usize) {
        let worker = self.workers.remove(which);
        let address = worker.address;
        let (operate, report): (Operate, _) = worker.end().await;
        // A view from before the end may still be fresh.
        until(address, "/metrics", |all| {
            let is_last = sum(all, FINISHED) as u64 == report.handled;
            is_last && by_partition(all, LAG).is_empty()
        })
        .await;
        self.ended += report.handled;
        self.finished.remove(&address);
        operate.finish(Duration::ZERO).await;
    }

    /// No partition is shown by two workers at two scrapes in a row, and no count goes back.
    async fn scrape(&mut self) {
        tokio::time::sleep_until(self.scraped_at + SCRAPE).await;
        self.scraped_at = Instant::now();
        let (mut once, mut twice) = (BTreeSet::new(), BTreeSet::new());
        for worker in &self.workers {
            let answer = get(worker.address, "/metrics").await;
            for partition in by_partition(&answer, LAG).into_keys() {
                if !once.insert(partition) {
                    twice.insert(partition);
                }
            }
            let finished = sum(&answer, FINISHED);
            let former = self.finished.insert(worker.address, finished);
            assert!(former.is_none_or(|former| former <= finished));
        }
        let still: Vec<_> = twice.intersection(&self.twice).collect();
        assert!(
            still.is_empty(),
            "two workers show partitions {still:?} at two scrapes in a row"
        );
        self.twice = twice;
    }

    /// All figures of all workers, by partition, once they show every partition, and the same as long as Kafka's tool needs.
    async fn at_rest(&self, holds: impl Fn(i64) -> bool) -> [BTreeMap<i32, i64>; 3] {
        let names = [
            "kafkaesk_consumer_committed_offset",
            "kafkaesk_stream_end_offset",
            LAG,
        ];
        for _ in 0..200 {
            let mut all: [BTreeMap<i32, i64>; 3] = Default::default();
            let mut shown = 0;
            for worker in &self.workers {
                let answer = get(worker.address, "/metrics").await;
                for (name, all) in names.iter().zip(&mut all) {
                    let own = by_partition(&answer, name);
                    shown += own.len();
                    all.extend(own);
                }
            }
            let lag: i64 = all[2].values().sum();
            if shown == 3 * PARTITIONS as usize && all[2].len() == PARTITIONS as usize && holds(lag)
            {
                return all;
            }
            sleep(Duration::from_millis(200)).await;
        }
        panic!("the workers never show every partition once");
    }

    async fn compare(&self, lag: i64) {
        let [committed, ends, lags] = self.at_rest(|seen| seen == lag).await;
        let topic = self
            .settings
            .topic_prefix
            .topic(&StreamId::new("content.a").unwrap());
        let topic = topic.unwrap().to_string();
        let said = describe(&self.kafka, &self.group, &topic);
        let of = |which: fn(&Described) -> i64| -> BTreeMap<i32, i64> {
            said.iter()
                .map(|(partition, it)| (*partition, which(it)))
                .collect()
        };
        assert_eq!(committed, of(|it| it.committed));
        assert_eq!(ends, of(|it| it.end));
        assert_eq!(lags, of(|it| it.lag));
        let mut members: BTreeMap<&str, usize> = BTreeMap::new();
        for it in said.values() {
            *members.entry(&it.member).or_default() += 1;
        }
        let mut theirs: Vec<usize> = members.into_values().collect();
        let mut ours = Vec::new();
        for worker in &self.workers {
            let answer = get(worker.address, "/metrics").await;
            ours.push(sum(&answer, "kafkaesk_consumer_assigned_partitions") as usize);
        }
        theirs.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, theirs);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_workers_join_and_leave_every_figure_is_that_of_kafkas_own_tool_and_of_the_ledger() {
    let kafka = testing::kafka().await;
    let mut settings = kafka.settings();
    settings.partitions = PARTITIONS;
    let mut storm = Storm {
        group: format!("{}g", kafka.prefix()),
        settings: settings.clone(),
        kafka,
        handled: Arc::default(),
        workers: Vec::new(),
        ended: 0,
        twice: BTreeSet::new(),
        finished: BTreeMap::new(),
        scraped_at: Instant::now(),
    };
    let connection = Connection::open(&settings).await.unwrap();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    storm.join().await;
    let publishing = tokio::spawn({
        let publisher = connection.publisher();
        async move {
            let mut number = 0_u64;
            while !*stopped.borrow_and_update() {
                let event = Content {
                    text: number.to_string(),
                };
                let publish = publisher.publish("content.a", &event);
                publish.key(number.to_string()).await.unwrap();
                number += 1;
                sleep(Duration::from_millis(5)).await;
            }
            number
        }
    });
    // Joins and leaves, now one and now two at a time.
    for step in [1, 1, -1, 1, 1, -1, -1, 1, 1, 1, -1, -1] {
        match step {
            1 => storm.join().await,
            _ => storm.leave(0).await,
        }
        storm.scrape().await;
        storm.scrape().await;
    }
    stop.send(true).unwrap();
    let published = publishing.await.unwrap();
    storm.compare(0).await;
    assert_eq!(storm.handled.load(SeqCst), published);
    // Paused, and behind.
    for worker in &storm.workers {
        let path = format!("/subscriptions/{}/pause", storm.group);
        assert_eq!(
            post(worker.address, &path, Some(TOKEN), "").await.status,
            200
        );
    }
    let publisher = connection.publisher();
    for number in 0..60 {
        let event = Content {
            text: String::new(),
        };
        let publish = publisher.publish("content.a", &event);
        publish.partition(number % 6).await.unwrap();
    }
    storm.compare(60).await;
    let mut finished = storm.ended;
    for worker in &storm.workers {
        finished += sum(&get(worker.address, "/metrics").await, FINISHED) as u64;
    }
    assert_eq!(finished, published);
    while !storm.workers.is_empty() {
        storm.leave(0).await;
    }
    assert_eq!(storm.ended, published);
}
