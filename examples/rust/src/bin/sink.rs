//! A sink that writes many rows at once: every 100 messages, after a second, or when a partition is to be given up. With manual
//! commit, a message counts as finished when its row is written, and not when its handler returns.

use std::{pin::Pin, time::Duration};

use kafkaesk_worker::prelude::*;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Rows of one flush.
const MOST: usize = 100;
/// How long a row waits for others.
const WAIT: Duration = Duration::from_secs(1);

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(name = "Order", version = 1)]
struct Order {
    id: i64,
}

type Row = (i64, Committer);

/// The handler's side of the sink.
struct Sink(mpsc::Sender<Row>);

/// Only hands the row over: its lane is free at once, so a flush may hold many messages of one key.
#[subscribe("orders.*", group = "sink", commit = "manual", max_uncommitted = 1000)]
async fn sink(order: Order, committer: Committer, to: State<Sink>) -> Result<(), HandlerError> {
    to.0.send((order.id, committer)).await?;
    Ok(())
}

/// Collects rows and flushes them.
async fn collect(mut rows: mpsc::Receiver<Row>) {
    let mut batch: Vec<Row> = Vec::new();
    let mut flush_at = Instant::now();
    let mut revoked: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(std::future::pending());
    loop {
        let row = tokio::select! {
            row = rows.recv(), if batch.len() < MOST => match row {
                Some(row) => Some(row),
                None => return flush(batch).await,
            },
            // A rebalance waits for what is in custody: the sooner it is written, the sooner the group goes on. Rows of
            // other partitions have the time below, which is well within the deadline of a drain.
            () = &mut revoked, if !batch.is_empty() => None,
            () = sleep_until(flush_at), if !batch.is_empty() => None,
        };
        if let Some(row) = row {
            if batch.is_empty() {
                flush_at = Instant::now() + WAIT;
                revoked = Box::pin(row.1.revoked());
            }
            batch.push(row);
            if batch.len() < MOST {
                continue;
            }
        }
        flush(std::mem::take(&mut batch)).await;
    }
}

/// Writes rows; then their messages are done, or failed and tried again.
async fn flush(batch: Vec<Row>) {
    let rows: Vec<i64> = batch.iter().map(|(id, _)| *id).collect();
    if let Err(error) = write(&rows).await {
        for (_, committer) in batch {
            committer.fail(error.to_string());
        }
        return;
    }
    // All are done first, and then one commit covers them.
    let done: Vec<_> = batch.into_iter().map(|(_, it)| it.done()).collect();
    for commit in done {
        if let Err(error) = commit.await {
            println!("written, and perhaps written again: {error}");
        }
    }
}

/// Stands for the statement of a database, which should overwrite rows that it has already.
async fn write(rows: &[i64]) -> std::io::Result<()> {
    println!("{} rows in one statement", rows.len());
    Ok(())
}

fn app() -> App {
    App::new()
        .state_with(|_settings| async {
            let (sender, rows) = mpsc::channel(MOST);
            tokio::spawn(collect(rows));
            Ok(Sink(sender))
        })
        .subscribe(sink)
}

#[tokio::main]
async fn main() -> ExitCode {
    kafkaesk_cli::run(app()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_message_is_done_once_its_row_is_written() {
        let app = TestApp::start(app()).await;
        for id in 0..250 {
            app.publish("orders.placed", &Order { id }).await.unwrap();
        }
        assert_eq!(app.settle().await.outcomes(), vec![Outcome::Done; 250]);
        assert!(app.in_custody("sink").is_empty());
        let report = app.stop().await.unwrap();
        assert_eq!((report.handled, report.in_custody), (250, 0));
    }
}
