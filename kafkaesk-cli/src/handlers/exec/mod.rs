//! The `exec` handler: a message's line goes to a long-running child process, its answer line comes back.
//!
//! ```text
//! handle → queue → one of `processes` children → pending → answer
//!          bounded  at most `in-flight` each      by delivery id
//! ```
//! A child that dies is started again with backoff; what it had in flight is retried by the worker. If several messages
//! were in flight, it is unknown which one killed the child: `suspects` has each of them tried alone, and only the
//! attempt of a message that was alone counts. Once the worker stops, no child is started again.

mod child;
mod group;
mod log_rate;
mod pending;
mod supervise;
mod suspects;
mod watchdog;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use super::Reply;
pub(crate) use group::kill_all;
use suspects::Suspects;

/// How long one message may take when the configuration says nothing.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// The most processes of one subscription.
pub(crate) const MAX_PROCESSES: usize = 256;
/// The most messages in flight in one process.
pub(crate) const MAX_IN_FLIGHT: usize = 1024;

/// The configuration of an `exec` handler.
#[derive(Clone, Debug)]
pub(crate) struct ExecSettings {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// The command for logs, without secrets.
    pub(crate) shown: String,
    /// How many children.
    pub(crate) processes: usize,
    /// How many unanswered messages one child may have.
    pub(crate) in_flight: usize,
    /// From writing the line to its answer.
    pub(crate) timeout: Duration,
    /// Added to the children's environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Variables of the worker that its children do not get, besides `KAFKAESK_*`: those that hold secrets.
    pub(crate) withheld: BTreeSet<String>,
    /// The working directory: the configuration file's folder.
    pub(crate) directory: PathBuf,
    /// The group as sent to Kafka, for logs.
    pub(crate) group: String,
}

/// The longest time from SIGTERM to SIGKILL.
const TERM_TO_KILL: Duration = Duration::from_secs(2);

/// The state of the worker's shutdown for its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is none.
    Running,
    /// What is in flight is finished; no child is started again.
    Stopping,
    /// The children's input ends.
    Ending {
        /// SIGTERM for a child that still runs.
        terminate: Instant,
        /// SIGKILL.
        kill: Instant,
    },
}

impl Stage {
    fn is_ending(&self) -> bool {
        matches!(self, Self::Ending { .. })
    }
}

/// One message on its way into a child.
#[derive(Debug)]
struct Job {
    delivery: String,
    line: Vec<u8>,
    /// Answered when the line is written to the child.
    started: oneshot::Sender<()>,
    reply: oneshot::Sender<Reply>,
    /// The log context of its attempt.
    context: tracing::Span,
}

/// Hands messages to child processes.
#[derive(Debug)]
pub(crate) struct Exec {
    settings: Arc<ExecSettings>,
    jobs: mpsc::Sender<Job>,
    stage: watch::Sender<Stage>,
    children: Mutex<Vec<JoinHandle<()>>>,
    next: AtomicU64,
    run: u64,
    suspects: Suspects,
}

impl Exec {
    /// Starts the children.
    ///
    /// # Errors
    /// The program cannot be started at all (not found, not executable).
    pub(crate) fn start(settings: ExecSettings) -> anyhow::Result<Self> {
        let settings = Arc::new(settings);
        // One waits for a child to have room; every other waits in its caller.
        let (jobs, queue) = mpsc::channel(1);
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        let answered = Arc::new(AtomicBool::new(false));
        let (stage, stages) = watch::channel(Stage::Running);
        let mut children = Vec::new();
        for number in 1..=settings.processes {
            let first = child::spawn(&settings)?;
            children.push(tokio::spawn(supervise::supervise(
                settings.clone(),
                number,
                first,
                queue.clone(),
                answered.clone(),
                stages.clone(),
            )));
        }
        Ok(Self {
            settings,
            jobs,
            stage,
            children: Mutex::new(children),
            next: AtomicU64::new(1),
            suspects: Suspects::default(),
            run: std::time::SystemTime::UNIX_EPOCH
                .elapsed()
                .map(|d| d.as_micros() as u64)
                .unwrap_or_default(),
        })
    }

    /// A delivery id: unique for each attempt, in this process and across restarts.
    pub(crate) fn delivery(&self) -> String {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{next}", self.run)
    }

    /// Sends a message's line and waits for its answer. If the future is dropped, a late answer is only reported. `begun`: hears
    /// that a child has the line, or is dropped with the answer.
    pub(crate) async fn handle(
        &self,
        delivery: String,
        message: &str,
        line: Vec<u8>,
        begun: Option<oneshot::Sender<()>>,
    ) -> Reply {
        let turn = self.suspects.turn(message).await;
        let answer = self.ask(delivery, line, begun).await;
        drop(turn);
        self.suspects.learn(message, &answer);
        answer
    }

    async fn ask(
        &self,
        delivery: String,
        line: Vec<u8>,
        begun: Option<oneshot::Sender<()>>,
    ) -> Reply {
        let (reply, answer) = oneshot::channel();
        let (started, has_started) = oneshot::channel();
        let job = Job {
            delivery,
            line,
            started,
            reply,
            context: tracing::Span::current(),
        };
        let gone = || {
            let reason = format!("`{}` is gone; the message is retried", self.settings.shown);
            Reply::retry(None, reason)
        };
        if self.jobs.send(job).await.is_err() || has_started.await.is_err() {
            return gone();
        }
        if let Some(begun) = begun {
            let _ = begun.send(());
        }
        match tokio::time::timeout(self.settings.timeout, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => gone(),
            Err(_) => Reply::Overloaded {
                delay: None,
                reason: format!(
                    "`{}` gave no answer within {:?}",
                    self.settings.shown, self.settings.timeout
                ),
            },
        }
    }

    /// The shutdown begins: a child that ends from now on is not started again. Once all have ended, messages are
    /// retried at once.
    pub(crate) fn stop_restarts(&self) {
        self.stage.send_if_modified(|stage| {
            let begins = *stage == Stage::Running;
            if begins {
                *stage = Stage::Stopping;
            }
            begins
        });
    }

    /// Ends the children: end of input now, SIGKILL at the deadline, SIGTERM two seconds before it, or after half of the
    /// time if that is shorter.
    pub(crate) async fn shutdown(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        self.stage.send_replace(Stage::Ending {
            terminate: deadline - TERM_TO_KILL.min(left / 2),
            kill: deadline,
        });
        let children = std::mem::take(&mut *self.children.lock());
        for child in children {
            let _ = child.await;
        }
    }
}

#[cfg(test)]
mod tests;
