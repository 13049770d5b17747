//! Laws of the sink into PostgreSQL, on a real Kafka and a real PostgreSQL.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use kafkaesk_client::{
    Connection, Publisher,
    core::Source,
    testing::{TestKafka, kafka},
};
use kafkaesk_worker::prelude::*;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::sleep};
use tokio_postgres::{Client, NoTls};

use crate::postgres::Postgres;

const LIMIT: Duration = Duration::from_secs(90);
const STREAM: &str = "orders.placed";
const PARTITIONS: u32 = 4;
const CUSTOMERS: u64 = 60;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Order", version = 1)]
struct Order {
    id: i64,
    customer: String,
}

/// Partition and offset.
type Place = (i32, i64);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_in_the_table_exactly_once_and_in_order_whatever_is_killed() {
    let bed = Bed::start().await;
    let publishing = bed.publish(9000, Duration::from_secs(35));
    let mut sinks = [bed.sink(0), bed.sink(1)];
    let (mut rounds, mut repeated) = (0, 0);
    // A kill between the database's commit and Kafka's is what repeats messages: at least one kill must have met that.
    while rounds < 4 || (repeated == 0 && rounds < 12) {
        bed.await_rows(bed.rows().await + 200).await;
        bed.await_a_transaction().await;
        let killed = match rounds {
            0 => 1,
            _ => 2,
        };
        for sink in &mut sinks[..killed] {
            sink.child.kill().unwrap();
            sink.child.wait().unwrap();
        }
        if killed == 2 {
            repeated += bed.written_and_not_committed().await;
        }
        if rounds == 2 {
            bed.postgres.crash();
        }
        for (number, sink) in sinks[..killed].iter_mut().enumerate() {
            *sink = bed.sink(number);
        }
        rounds += 1;
    }
    assert!(repeated > 0, "no kill met a row whose message comes again");
    // The database goes away while both sinks run.
    bed.await_rows(bed.rows().await + 200).await;
    bed.postgres.crash();
    let published = publishing.await.unwrap();
    bed.await_rows(published.len()).await;
    for sink in &mut sinks {
        let status = sink.end();
        assert!(status.success(), "{status}: {}", bed.said());
    }
    bed.check(&published).await;
    assert_eq!(bed.written_and_not_committed().await, 0);
}

struct Bed {
    kafka: TestKafka,
    connection: Connection,
    postgres: Postgres,
    logs: TempDir,
}

impl Bed {
    async fn start() -> Self {
        let kafka = kafka().await;
        let mut settings = kafka.settings();
        settings.partitions = PARTITIONS;
        Self {
            connection: Connection::open(&settings).await.unwrap(),
            kafka,
            postgres: Postgres::start(),
            logs: tempfile::tempdir().unwrap(),
        }
    }

    /// Publishes so many orders, evenly over this time. Returns where they stand, with customer and id.
    fn publish(&self, count: i64, over: Duration) -> JoinHandle<BTreeMap<Place, (String, i64)>> {
        let publisher: Publisher = self.connection.publisher();
        tokio::spawn(async move {
            let begun = Instant::now();
            let mut answers = Vec::new();
            for id in 0..count {
                let due = over.mul_f64(id as f64 / count as f64);
                if let Some(early) = due.checked_sub(begun.elapsed()) {
                    sleep(early).await;
                }
                let customer = format!("customer-{}", spread(id) % CUSTOMERS);
                let order = Order {
                    id,
                    customer: customer.clone(),
                };
                let queued = publisher.publish(STREAM, &order).key(&customer).enqueue();
                answers.push(((customer, id), queued.await.unwrap()));
            }
            let mut published = BTreeMap::new();
            for (order, answer) in answers {
                let receipt = answer.await.unwrap();
                published.insert((receipt.partition, receipt.offset.unwrap().0), order);
            }
            published
        })
    }

    fn sink(&self, number: usize) -> Sink {
        let log = self.logs.path().join(format!("sink-{number}"));
        let errors = File::options().create(true).append(true).open(&log);
        let child = Command::new(env!("CARGO_BIN_EXE_sink_postgres"))
            .arg("worker")
            .env("KAFKAESK_KAFKA_SERVERS", self.kafka.servers())
            .env("KAFKAESK_TOPIC_PREFIX", self.kafka.prefix())
            .env("KAFKAESK_GROUP_PREFIX", self.kafka.prefix())
            .env("KAFKAESK_KAFKA_SETTINGS", r#"{"session.timeout.ms":6000}"#)
            .env("SINK_POSTGRES", self.postgres.address())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors.unwrap())
            .spawn()
            .unwrap();
        Sink { child }
    }

    /// What the sinks logged.
    fn said(&self) -> String {
        let logs = (0..2).map(|number| self.logs.path().join(format!("sink-{number}")));
        logs.filter_map(|log| fs::read_to_string(log).ok())
            .collect()
    }

    async fn database(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.postgres.address(), NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
    }

    /// How many rows there are. No stored offset is beyond or behind its rows, at any time.
    async fn rows(&self) -> usize {
        let database = self.database().await;
        if !has_tables(&database).await {
            return 0;
        }
        let found = database
            .query(
                r#"SELECT s.partition, s.next, count(o.place), count(DISTINCT o."offset"), max(o."offset")
                   FROM sink_offsets s LEFT JOIN orders o USING (topic, partition) GROUP BY 1, 2"#,
                &[],
            )
            .await
            .unwrap();
        let mut rows = 0;
        for row in found {
            let partition: i32 = row.get(0);
            let (next, count, distinct): (i64, i64, i64) = (row.get(1), row.get(2), row.get(3));
            let last: Option<i64> = row.get(4);
            assert_eq!(
                (count, distinct, last.map_or(0, |last| last + 1)),
                (next, next, next),
                "partition {partition}: rows, different offsets, and the offset after the last row"
            );
            rows += usize::try_from(count).unwrap();
        }
        rows
    }

    async fn await_rows(&self, count: usize) {
        let end = Instant::now() + LIMIT;
        loop {
            let rows = self.rows().await;
            if rows >= count {
                return;
            }
            assert!(
                Instant::now() < end,
                "{rows} rows of {count}; {}",
                self.said()
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns as soon as the sinks have written again.
    async fn await_a_transaction(&self) {
        let database = self.database().await;
        let end = Instant::now() + LIMIT;
        let sum = async || -> Option<i64> {
            let sum = "SELECT sum(next)::bigint FROM sink_offsets";
            database.query_one(sum, &[]).await.unwrap().get(0)
        };
        let before = sum().await;
        while sum().await == before {
            assert!(Instant::now() < end, "nothing more is written");
        }
    }

    /// How many messages are in the table whose offsets the group has not committed.
    async fn written_and_not_committed(&self) -> i64 {
        let settings = self.connection.settings();
        let stream = settings
            .topic_prefix
            .stream_of(&format!("{}{STREAM}", self.kafka.prefix()));
        let stream = stream.unwrap();
        let sources: Vec<Source> = (0..PARTITIONS.cast_signed())
            .map(|partition| Source {
                topic: settings.topic_prefix.topic(&stream).unwrap(),
                stream: stream.clone(),
                partition,
            })
            .collect();
        let group = format!("{}sink-postgres", self.kafka.prefix());
        let lags = self.connection.lag_of(&group, &sources).await.unwrap();
        let committed: i64 = lags
            .iter()
            .filter_map(|lag| lag.committed.map(|next| next.0))
            .sum();
        i64::try_from(self.rows().await).unwrap() - committed
    }

    async fn check(&self, published: &BTreeMap<Place, (String, i64)>) {
        let rows = self
            .database()
            .await
            .query(
                r#"SELECT partition, "offset", customer, id FROM orders ORDER BY place"#,
                &[],
            )
            .await
            .unwrap();
        let mut written = BTreeSet::new();
        let mut last: BTreeMap<String, i64> = BTreeMap::new();
        for row in rows {
            let place: Place = (row.get(0), row.get(1));
            let (customer, id): (String, i64) = (row.get(2), row.get(3));
            assert_eq!(published.get(&place), Some(&(customer.clone(), id)));
            assert!(written.insert(place), "{place:?} is there twice");
            if let Some(before) = last.insert(customer.clone(), id) {
                assert!(before < id, "{customer}: {id} came after {before}");
            }
        }
        assert_eq!(written.len(), published.len());
    }
}

async fn has_tables(database: &Client) -> bool {
    let ask = "SELECT to_regclass('sink_offsets') IS NOT NULL";
    database.query_one(ask, &[]).await.unwrap().get(0)
}

/// Spreads numbers.
fn spread(id: i64) -> u64 {
    id.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

/// A sink's process. Killed when dropped.
struct Sink {
    child: Child,
}

impl Sink {
    /// Asks it to end.
    fn end(&mut self) -> ExitStatus {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
