//! Runs one child process from its start to its end: writes jobs as lines, reads answers, logs its standard error.
//!
//! Four tasks run concurrently: feeding, reading answers, reading standard error, and waiting for the child. The first
//! that ends also ends the child, except the reading of standard error.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use kafkaesk_core::Occurrences;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::{Notify, Semaphore, mpsc, watch},
    time::Instant,
};
use tracing::{info, warn};

use super::{
    ExecSettings, Job, Reply, Stage,
    group::{Group, Signal},
    log_rate::{self, LogRate},
    pending::{AnswerMatch, Pending},
};
use crate::lines::{Lines, TooLong};

/// How long a child may be silent with messages in flight before a warning.
const SILENCE: Duration = Duration::from_secs(10);
/// The longest line of a child's standard error that is logged, in bytes.
pub(super) const MAX_LOG_LINE: usize = 256 * 1024;
/// After so many lines of standard error the answers have their turn.
const TURN: u32 = 32;
/// How much the log shows of a line that is not an answer, in characters.
const EXCERPT: usize = 200;

/// Where jobs come from, shared by the children of one subscription.
pub(super) type Queue = Arc<tokio::sync::Mutex<mpsc::Receiver<Job>>>;

/// Starts a child in a process group of its own.
///
/// # Errors
/// The program cannot be started.
pub(super) fn spawn(settings: &ExecSettings) -> anyhow::Result<Child> {
    let (program, arguments) = settings
        .command
        .split_first()
        .context("handler exec names no program")?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if shown.starts_with("KAFKAESK_") || settings.withheld.contains(&*shown) {
            command.env_remove(&name);
        }
    }
    command
        .args(arguments)
        .current_dir(&settings.directory)
        // Otherwise the output of a plain print() in Python would stay in its buffer.
        .env("PYTHONUNBUFFERED", "1")
        .envs(&settings.environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    command.spawn().with_context(|| {
        format!(
            "the exec handler of group {} cannot start `{}` in {}",
            settings.group,
            settings.shown,
            settings.directory.display()
        )
    })
}

/// How a child ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// In words, for the log: `exit status: 1`.
    pub(super) how: String,
    /// Whether it ever answered: then the next one may start without delay.
    pub(super) worked: bool,
}

/// One running child.
struct Running<'a> {
    settings: &'a ExecSettings,
    number: usize,
    pid: u32,
    group: Group,
    pending: Mutex<Pending>,
    places: Arc<Semaphore>,
    /// Whether it ever answered.
    worked: AtomicBool,
    /// Notified when every answer that it wrote is read.
    answers_end: Notify,
    ignored: Mutex<Ignored>,
    /// What it may log.
    log_rate: Mutex<LogRate>,
}

/// Lines of a child that are ignored: of each kind the 1st, 2nd, 4th, 8th … is logged with its count.
#[derive(Debug, Default)]
struct Ignored {
    /// Not an answer.
    noise: Occurrences,
    /// A late answer: its message no longer waits.
    late: Occurrences,
    /// An answer to no delivery of this child.
    unknown: Occurrences,
}

/// Runs a child until it ends or the worker stops. `answered`: whether a child of this handler ever answered.
pub(super) async fn run(
    settings: &ExecSettings,
    number: usize,
    mut child: Child,
    queue: &Queue,
    answered: &AtomicBool,
    stage: &watch::Receiver<Stage>,
) -> Ended {
    let pid = child.id().unwrap_or_default();
    let running = Running {
        settings,
        number,
        pid,
        group: Group::of(pid),
        pending: Mutex::new(Pending::new(Instant::now())),
        places: Arc::new(Semaphore::new(settings.in_flight)),
        worked: AtomicBool::new(false),
        answers_end: Notify::new(),
        ignored: Mutex::default(),
        log_rate: Mutex::default(),
    };
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Ended {
            how: "it has no pipes".into(),
            worked: false,
        };
    };
    info!(
        group = settings.group.as_str(),
        process = number,
        pid,
        "started `{}`",
        settings.shown
    );
    let how = {
        let errors = running.log_errors(stderr);
        let work = async {
            tokio::select! {
                how = running.feed(stdin, queue, stage.clone()) => how,
                how = running.read_answers(stdout) => how,
                how = running.watch() => how,
                how = running.wait(&mut child) => how,
            }
        };
        // Standard error is read as long as the child lives; its end ends nothing.
        let both = async {
            tokio::pin!(work);
            tokio::pin!(errors);
            tokio::select! {
                // First, so that a line is logged before the answer behind it is taken: it belongs to that message.
                biased;
                () = &mut errors => work.await,
                how = &mut work => {
                    // The last lines of the child explain its end.
                    let _ = tokio::time::timeout(Duration::from_millis(500), errors).await;
                    how
                }
            }
        };
        tokio::select! {
            how = both => how,
            () = time_to_kill(stage.clone()) => {
                "SIGKILL: it, or a process that it started, still ran when the time of the shutdown was over".into()
            }
        }
    };
    running.say_left_out(running.log_rate.lock().end());
    running.group.signal(Signal::Kill);
    let _ = child.wait().await;
    let reason = format!("`{}` (pid {pid}) ended: {how}", settings.shown);
    let worked = running.worked.load(Ordering::Relaxed);
    if worked {
        answered.store(true, Ordering::Relaxed);
    }
    let retried = running
        .pending
        .lock()
        .end(&match answered.load(Ordering::Relaxed) {
            true => Reply::retry(None, reason),
            // No child of this handler ever answered, so the program itself may be broken: the messages are not the
            // cause.
            false => Reply::Unavailable(reason),
        });
    if retried > 0 {
        warn!(
            group = settings.group.as_str(),
            process = number,
            pid,
            "messages in flight are retried: {retried}"
        );
    }
    Ended { how, worked }
}

impl Running<'_> {
    /// Writes jobs as lines while there is room; at the stop closes the child's input and sees it out.
    async fn feed(
        &self,
        mut stdin: ChildStdin,
        queue: &Queue,
        mut stage: watch::Receiver<Stage>,
    ) -> String {
        loop {
            let next = tokio::select! {
                biased;
                terminate = end_of_input(&mut stage) => Err(terminate),
                job = self.next_job(queue) => Ok(job),
            };
            let (job, place) = match next {
                Ok(Some(job)) => job,
                Err(Some(terminate)) => {
                    drop(stdin);
                    return self.terminate_at(terminate).await;
                }
                Ok(None) | Err(None) => return "the worker is gone".into(),
            };
            let mut line = job.line;
            line.push(b'\n');
            // Entered first: the answer may come before the write returns.
            self.pending
                .lock()
                .insert(job.delivery, job.reply, job.context, place, Instant::now());
            let _ = job.started.send(());
            // A child that does not read fills the pipe; this must not delay the timeouts of its messages or the stop.
            let wait = self.settings.timeout * 2;
            let written = tokio::select! {
                written = stdin.write_all(&line) => written,
                terminate = time_to_terminate(&mut stage) => {
                    return match terminate {
                        Some(terminate) => self.terminate_at(terminate).await,
                        None => "the worker is gone".into(),
                    };
                }
                () = tokio::time::sleep(wait) => {
                    return format!("it did not read a message within twice the timeout ({:?})", self.settings.timeout);
                }
            };
            if let Err(error) = written {
                return self.write_failed(&error).await;
            }
        }
    }

    /// A child whose input is closed usually ends: its status says more than the pipe's error.
    async fn write_failed(&self, error: &std::io::Error) -> String {
        tokio::time::sleep(Duration::from_millis(500)).await;
        format!("it takes no more input: {error}")
    }

    async fn next_job(&self, queue: &Queue) -> Option<(Job, tokio::sync::OwnedSemaphorePermit)> {
        loop {
            let place = self.places.clone().acquire_owned().await.ok()?;
            let job = queue.lock().await.recv().await?;
            // Its message went away while it waited.
            if !job.reply.is_closed() {
                return Some((job, place));
            }
        }
    }

    /// Sends SIGTERM at this time. The child's own end ends this first; what outlives the signal is killed at the end of
    /// the shutdown's time.
    async fn terminate_at(&self, terminate: Instant) -> String {
        tokio::time::sleep_until(terminate).await;
        warn!(
            group = self.settings.group.as_str(),
            process = self.number,
            pid = self.pid,
            "`{}` still runs after the end of its input: SIGTERM",
            self.settings.shown
        );
        self.group.signal(Signal::Terminate);
        std::future::pending().await
    }

    async fn read_answers(&self, stdout: ChildStdout) -> String {
        let mut lines = Lines::over(BufReader::new(stdout));
        loop {
            match lines.next().await {
                Ok(Some(line)) => match line.bytes {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => {
                        if self.pending.lock().only().is_some() {
                            // What it said of its message before this answer is there by now, and is logged first.
                            tokio::task::yield_now().await;
                        }
                        if self.take(&bytes) {
                            self.worked.store(true, Ordering::Relaxed);
                        }
                    }
                    Err(why) => self.no_answer(&why.to_string(), b""),
                },
                Ok(None) => {
                    self.answers_end.notify_one();
                    // Usually the child ended; its exit status says more.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    return "it closed its standard output".into();
                }
                Err(error) => return format!("its standard output cannot be read: {error}"),
            }
        }
    }

    /// Takes one line of the child; `true` if it was an answer.
    fn take(&self, line: &[u8]) -> bool {
        let (delivery, answer) = match Reply::read_line(line) {
            Ok(answered) => answered,
            Err(why) => {
                self.no_answer(&why.to_string(), line);
                return false;
            }
        };
        let matched = self
            .pending
            .lock()
            .answer(&delivery, answer, Instant::now());
        let (count, what) = match matched {
            AnswerMatch::Message => return true,
            AnswerMatch::Late => (
                self.ignored.lock().late.count(),
                "a late answer is ignored: its message does not wait for it any more",
            ),
            AnswerMatch::Unknown => (
                self.ignored.lock().unknown.count(),
                "an answer to an unknown delivery is ignored",
            ),
        };
        if let Some(count) = count {
            warn!(
                group = self.settings.group.as_str(),
                process = self.number,
                pid = self.pid,
                %delivery,
                count,
                "{what}"
            );
        }
        true
    }

    fn no_answer(&self, why: &str, line: &[u8]) {
        let Some(count) = self.ignored.lock().noise.count() else {
            return;
        };
        let text = String::from_utf8_lossy(line);
        let shown: String = text.chars().take(EXCERPT).collect();
        warn!(
            group = self.settings.group.as_str(),
            process = self.number,
            pid = self.pid,
            count,
            "a line on standard output is ignored: {why}: {shown} (standard output is for answers; print other text to standard error)"
        );
    }

    /// Logs what the child says, line by line, as far as [`LogRate`] allows.
    async fn log_errors(&self, stderr: ChildStderr) {
        let mut lines = Lines::over(BufReader::new(stderr)).at_most(MAX_LOG_LINE);
        let mut read = 0_u32;
        loop {
            read = read.wrapping_add(1);
            if read.is_multiple_of(TURN) {
                // A child that floods it must not keep its answers from being read.
                tokio::task::yield_now().await;
            }
            let (group, process, pid) = (self.settings.group.as_str(), self.number, self.pid);
            let due = self.log_rate.lock().due();
            let line = tokio::select! {
                biased;
                () = at(due) => {
                    self.say_left_out(self.log_rate.lock().left_out(Instant::now()));
                    continue;
                }
                line = lines.next() => line,
            };
            match line {
                Ok(None) => return,
                Ok(Some(line)) => {
                    let bytes = line.bytes.as_ref().map_or(0, |bytes| bytes.len());
                    if !self.log_rate.lock().takes(bytes, Instant::now()) {
                        continue;
                    }
                    match line.bytes {
                        Ok(bytes) => {
                            let text = String::from_utf8_lossy(&bytes);
                            let only = self.pending.lock().only();
                            let only = only.unwrap_or_else(tracing::Span::none);
                            only.in_scope(|| info!(group, process, pid, "stderr: {text}"));
                        }
                        Err(TooLong { bytes, most }) => warn!(
                            group,
                            process,
                            pid,
                            "stderr: a line of {bytes} bytes was left out; the log takes {most}"
                        ),
                    }
                }
                Err(error) => {
                    // Its pipe is closed with this, so it cannot stall on it.
                    warn!(
                        group,
                        process, pid, "its standard error cannot be read: {error}"
                    );
                    return;
                }
            }
        }
    }

    fn say_left_out(&self, lines: u64) {
        if lines > 0 {
            warn!(
                group = self.settings.group.as_str(),
                process = self.number,
                pid = self.pid,
                "{lines} lines of the child's standard error were left out: the log takes {} lines and {} bytes a second of one child",
                log_rate::LINES,
                log_rate::BYTES
            );
        }
    }

    /// Checks once a second: warns of a silent child, and ends a child if all its messages have waited for twice their
    /// timeout.
    async fn watch(&self) -> String {
        let timeout = self.settings.timeout;
        loop {
            tokio::time::sleep(Duration::from_secs(1).min(timeout)).await;
            let now = Instant::now();
            let (silent, stuck) = {
                let mut pending = self.pending.lock();
                (
                    pending.silent(SILENCE, now),
                    pending.is_stuck(self.settings.in_flight, timeout * 2, now),
                )
            };
            if let Some(waiting) = silent {
                warn!(
                    group = self.settings.group.as_str(),
                    process = self.number,
                    pid = self.pid,
                    "`{}` has given no answer for {SILENCE:?} with {waiting} in flight; it must write one line such as {{\"delivery\":\"…\",\"outcome\":\"done\"}} for each message, and flush it",
                    self.settings.shown
                );
            }
            if stuck {
                return format!(
                    "it answered none of its {} messages within twice the timeout ({timeout:?})",
                    self.settings.in_flight
                );
            }
        }
    }

    /// The child's own end, once its last answers are read.
    async fn wait(&self, child: &mut Child) -> String {
        let how = match child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => format!("its end cannot be seen: {error}"),
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), self.answers_end.notified()).await;
        how
    }
}

/// Resolves at this time; never without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Resolves when a child's input ends: when SIGTERM is due; `None` if the worker is gone without a word.
async fn end_of_input(stage: &mut watch::Receiver<Stage>) -> Option<Instant> {
    match *stage.wait_for(Stage::is_ending).await.ok()? {
        Stage::Ending { terminate, .. } => Some(terminate),
        Stage::Running | Stage::Stopping => None,
    }
}

/// Resolves when SIGTERM is due: when that was.
async fn time_to_terminate(stage: &mut watch::Receiver<Stage>) -> Option<Instant> {
    let terminate = end_of_input(stage).await?;
    tokio::time::sleep_until(terminate).await;
    Some(terminate)
}

/// Resolves when SIGKILL is due.
async fn time_to_kill(mut stage: watch::Receiver<Stage>) {
    let kill = match stage.wait_for(Stage::is_ending).await.as_deref() {
        Ok(Stage::Ending { kill, .. }) => Some(*kill),
        _ => None,
    };
    at(kill).await;
}
