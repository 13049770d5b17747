//! A sink into PostgreSQL: rows, and the offsets that they come from, in one database transaction. What comes again after a
//! crash is passed over, so that every message is in the table exactly once. docs/sinks.md explains it.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use kafkaesk_client::core::DeadLetter;
use kafkaesk_worker::prelude::*;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_postgres::{Client, NoTls, Statement, Transaction};

/// The most rows of one transaction.
const MOST: usize = 500;
/// How long a row waits for others.
const WAIT: Duration = Duration::from_millis(200);
/// How long a transaction may take, and a connection.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest wait before a flush that failed is tried again.
const BACKOFF: Duration = Duration::from_secs(5);

/// `sink_offsets.next` is the first offset of a partition that has no row yet. Locked, since sinks may start at once.
const TABLES: &str = r#"
SET client_min_messages = warning;
SELECT pg_advisory_xact_lock(1);
CREATE TABLE IF NOT EXISTS orders
    (place bigserial, topic text, partition int, "offset" bigint, customer text, id bigint);
CREATE TABLE IF NOT EXISTS sink_offsets
    (topic text, partition int, next bigint NOT NULL, PRIMARY KEY (topic, partition));
"#;
/// Locks the partition's row until the transaction ends: two sinks that both think that a partition is theirs write one after
/// the other, and the second one sees what the first one wrote.
const LOCK: &str = "INSERT INTO sink_offsets VALUES ($1, $2, 0)
    ON CONFLICT (topic, partition) DO UPDATE SET next = sink_offsets.next RETURNING next";
const INSERT: &str = r#"INSERT INTO orders (topic, partition, "offset", customer, id)
    SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::bigint[])"#;
const STORE: &str = "UPDATE sink_offsets SET next = $3 WHERE topic = $1 AND partition = $2";

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Order", version = 1)]
struct Order {
    id: i64,
    customer: String,
}

/// A row that is not written yet.
struct Row {
    order: Order,
    record: Record,
    committer: Committer,
}

/// The handler's side of the sink.
struct Sink(mpsc::Sender<Row>);

/// Only hands the row over. One handler a partition at a time: rows arrive in the order of their offsets, as the comparison
/// with the stored offset needs it.
#[subscribe(
    "orders.*",
    group = "sink-postgres",
    commit = "manual",
    ordering = "partition"
)]
async fn sink(
    order: Order,
    record: Record,
    committer: Committer,
    to: State<Sink>,
) -> Result<(), HandlerError> {
    // It has the offset of its first delivery, which the stored offset has passed.
    if DeadLetter::read(record.headers()).is_ok() {
        return Err(HandlerError::reject(
            "a redriven order comes out of its order: write it by hand",
        ));
    }
    let row = Row {
        order,
        record,
        committer,
    };
    to.0.send(row).await?;
    Ok(())
}

/// Collects rows, and flushes them once there are many, or they waited long enough, or a partition is to be given up.
async fn collect(mut rows: mpsc::Receiver<Row>, mut database: Database) {
    let mut batch = Vec::with_capacity(MOST);
    while rows.recv_many(&mut batch, MOST).await > 0 {
        let mut waited = pin!(sleep(WAIT));
        // Of the first row's partition; those of others have waited soon enough.
        let mut revoked = pin!(batch[0].committer.revoked());
        while batch.len() < MOST {
            let room = MOST - batch.len();
            tokio::select! {
                biased;
                () = &mut revoked => break,
                () = &mut waited => break,
                more = rows.recv_many(&mut batch, room) => if more == 0 { break },
            }
        }
        flush(&mut database, &batch).await;
        for row in batch.drain(..) {
            // The commit follows by itself. If it comes too late, the stored offset knows better.
            drop(row.committer.done());
        }
    }
}

/// Writes the rows, whatever that takes. Nothing else is right: if they failed, they would come again behind later ones. Once the
/// sink holds `max-uncommitted` messages of a partition, that partition is read no further.
async fn flush(database: &mut Database, batch: &[Row]) {
    let mut backoff = Duration::from_millis(100);
    while let Err(error) = database.write(batch).await {
        tracing::warn!(rows = batch.len(), "not written, tried again: {error:#}");
        sleep(backoff).await;
        backoff = BACKOFF.min(backoff * 2);
    }
}

struct Database {
    address: String,
    session: Option<Session>,
}

/// A connection, and what is prepared on it.
struct Session {
    client: Client,
    lock: Statement,
    insert: Statement,
    store: Statement,
}

impl Database {
    /// Creates the tables.
    async fn open(address: String) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(&address, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(TABLES).await?;
        Ok(Self {
            address,
            session: None,
        })
    }

    /// Writes what is not written yet. After an error, also an unknown end of the commit, the connection is a new one.
    async fn write(&mut self, batch: &[Row]) -> anyhow::Result<()> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => timeout(LIMIT, Session::open(&self.address)).await??,
        };
        timeout(LIMIT, session.write(batch)).await??;
        self.session = Some(session);
        Ok(())
    }
}

impl Session {
    async fn open(address: &str) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
        // It ends with an error that the next statement reports as well.
        tokio::spawn(connection);
        Ok(Self {
            lock: client.prepare(LOCK).await?,
            insert: client.prepare(INSERT).await?,
            store: client.prepare(STORE).await?,
            client,
        })
    }

    async fn write(&mut self, batch: &[Row]) -> Result<(), tokio_postgres::Error> {
        // Sorted: two sinks that lock several partitions lock them in the same order.
        let mut partitions: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
        for row in batch {
            let place = (row.record.topic(), row.record.partition());
            partitions.entry(place).or_default().push(row);
        }
        let Self {
            client,
            lock,
            insert,
            store,
        } = self;
        let transaction = client.transaction().await?;
        for ((topic, partition), rows) in partitions {
            let locked = transaction.query_one(&*lock, &[&topic, &partition]).await?;
            let mut next: i64 = locked.get(0);
            let mut new = Columns::default();
            for row in rows {
                let offset = row.record.offset().0;
                // A message may be there twice: of a former assignment, and of this one.
                if offset >= next {
                    next = offset + 1;
                    new.push(offset, &row.order);
                }
            }
            if !new.offsets.is_empty() {
                new.insert(&transaction, insert, topic, partition).await?;
                let stored = [&topic as _, &partition as _, &next as _];
                transaction.execute(&*store, &stored).await?;
            }
        }
        transaction.commit().await
    }
}

/// Rows of one partition.
#[derive(Default)]
struct Columns<'a> {
    offsets: Vec<i64>,
    customers: Vec<&'a str>,
    ids: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, offset: i64, order: &'a Order) {
        self.offsets.push(offset);
        self.customers.push(&order.customer);
        self.ids.push(order.id);
    }

    async fn insert(
        &self,
        transaction: &Transaction<'_>,
        insert: &Statement,
        topic: &str,
        partition: i32,
    ) -> Result<u64, tokio_postgres::Error> {
        let Self {
            offsets,
            customers,
            ids,
        } = self;
        let values = [
            &topic as _,
            &partition as _,
            offsets as _,
            customers as _,
            ids as _,
        ];
        transaction.execute(insert, &values).await
    }
}

fn app() -> App {
    App::new()
        .state_with(|_settings| async {
            let address = std::env::var("SINK_POSTGRES")
                .unwrap_or_else(|_| "host=localhost user=postgres".to_owned());
            let database = Database::open(address).await?;
            let (sender, rows) = mpsc::channel(MOST);
            tokio::spawn(collect(rows, database));
            Ok(Sink(sender))
        })
        .subscribe(sink)
}

#[tokio::main]
async fn main() -> ExitCode {
    kafkaesk_cli::run(app()).await
}
