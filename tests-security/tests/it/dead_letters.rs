//! Rights of dead letters: a worker that may not write them keeps its messages, and a redrive needs what the contract lists.

use std::{
    io::Write,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kafkaesk_client::{
    ClientError, Connection, DeadLetters, Settings,
    dead_letters::{Order as Redrive, Tally},
};
use kafkaesk_worker::{AppError, RunReport, prelude::*};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    secured::Secured,
    service::{LIMIT, Order, STREAM, prepared},
};

/// What this process logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// How many lines have all of these parts.
    fn count(&self, parts: &[&str]) -> usize {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&log);
        let lines = text.lines();
        let found = lines.filter(|line| parts.iter().all(|part| line.contains(part)));
        found.count()
    }

    /// Waits for so many lines with all of these parts.
    async fn says(&self, count: usize, parts: &[&str]) {
        let said = async {
            loop {
                if self.count(parts) >= count {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, said).await.expect("the log does not say it");
    }
}

/// A running worker that rejects the order until it is healed.
struct Worker {
    healed: Arc<AtomicBool>,
    seen: mpsc::Receiver<u64>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<RunReport, AppError>>,
}

#[derive(Clone)]
struct Handler {
    rejected: u64,
    healed: Arc<AtomicBool>,
    seen: mpsc::Sender<u64>,
}

async fn take(order: Order, handler: State<Handler>) -> Result<(), HandlerError> {
    let rejects = order.id == handler.rejected && !handler.healed.load(Ordering::SeqCst);
    let _ = handler.seen.send(order.id).await;
    match rejects {
        true => Err(HandlerError::reject("no such customer")),
        false => Ok(()),
    }
}

fn worker(settings: Settings, group: &str, rejected: u64) -> Worker {
    let (sender, seen) = mpsc::channel(1024);
    let healed = Arc::new(AtomicBool::new(false));
    let handler = Handler {
        rejected,
        healed: healed.clone(),
        seen: sender,
    };
    let app = App::new()
        .state(handler)
        .subscribe(subscription("orders.*", take).group(group));
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move { app.run(&settings, async { drop(stopped.await) }).await });
    Worker {
        healed,
        seen,
        stop,
        task,
    }
}

impl Worker {
    async fn sees(&mut self, id: u64) {
        let sees = async { while self.seen.recv().await.expect("the worker runs") != id {} };
        timeout(LIMIT, sees).await.expect("the order does not come");
    }

    async fn end(self) {
        let _ = self.stop.send(());
        let ended = timeout(LIMIT, self.task).await.expect("it ends");
        ended.expect("no panic").expect("no error");
    }
}

async fn letters(settings: &Settings, group: &str) -> DeadLetters {
    let connection = Connection::open(settings).await.expect("logs in");
    DeadLetters::of(&connection, group).expect("a group's name")
}

async fn publish(broker: &Secured, id: u64) {
    let connection = Connection::open(&broker.administrator()).await;
    let publisher = connection.expect("the plain listener answers").publisher();
    let published = publisher.publish(STREAM, &Order { id }).await;
    published.expect("the administrator may publish");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_write_on_the_dead_letters_a_message_stays_and_the_log_says_why() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false);
    subscriber.init();
    let broker = prepared().await;
    let theirs = letters(&broker.administrator(), "keeping").await;
    theirs.create(&[]).await.expect("the administrator creates");
    publish(broker, 100).await;

    let mut denied = worker(broker.user("keeper"), "keeping", 100);
    denied.sees(100).await;
    let says = [
        "the dead letter cannot be written to topic sec.__dead__keeping",
        "is not passed over",
        "not allowed: Write on topic sec.__dead__keeping",
    ];
    // At the first try and at the second: it is tried again.
    log.says(2, &says).await;
    denied.end().await;
    let snapshot = theirs.snapshot().await.expect("readable");
    let snapshot = snapshot.expect("the topic is there");
    let mut read = theirs.letters(&snapshot).await.expect("readable");
    assert!(read.next().await.expect("readable").is_none());

    // Not passed over: it comes again, and with the right it becomes a dead letter.
    let mut allowed = worker(broker.administrator(), "keeping", 100);
    allowed.sees(100).await;
    allowed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_needs_its_transactional_id_and_no_more_than_the_contract_lists() {
    let broker = prepared().await;
    let theirs = letters(&broker.administrator(), "redriven").await;
    theirs
        .create_retry()
        .await
        .expect("the administrator creates");
    publish(broker, 200).await;
    let mut worker = worker(broker.administrator(), "redriven", 200);
    worker.sees(200).await;
    let kept = async {
        loop {
            if let Some(snapshot) = theirs.snapshot().await.expect("readable") {
                let mut read = theirs.letters(&snapshot).await.expect("readable");
                if read.next().await.expect("readable").is_some() {
                    return;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, kept).await.expect("a dead letter");
    worker.healed.store(true, Ordering::SeqCst);

    let on = |_: &Tally| ControlFlow::Continue(());
    let halfway = letters(&broker.user("halfway"), "redriven").await;
    let error = halfway.redrive(&Redrive::default(), on).await;
    let error = error.expect_err("it has no right on the transactional id");
    assert!(
        matches!(&error, ClientError::Unauthorized { operation: "Write", resource } if resource == "transactional id kafkaesk.redrive.redriven"),
        "{error}"
    );
    let redriver = letters(&broker.user("redriver"), "redriven").await;
    let tally = redriver.redrive(&Redrive::default(), on).await;
    assert_eq!(tally.expect("these rights are enough").settled, 1);
    worker.sees(200).await;
    worker.end().await;
}
