//! Fleet: the worker processes of a run. Starts, stops, kills and ends them, and writes what they say into the book. All of
//! them end with the suite.

use std::{fs, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use kafkaesk_client::mutation::{Mutation, VARIABLE};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::watch,
    time::timeout,
};

use super::{book::Book, plan::Plan};
use crate::{
    ledger::{FaultKind, WorkerId},
    line::{Line, Said, now},
};

/// A running process.
struct Running {
    id: WorkerId,
    pid: Pid,
    /// The fault, while it is stopped.
    stopped: Option<usize>,
    /// The fault, while its handlers hang.
    hung: Option<usize>,
    state: watch::Receiver<State>,
}

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Starting,
    /// It said that it listens to signals.
    Listening,
    Gone,
}

impl Running {
    /// Whether it was gone within this time.
    async fn gone(&mut self, within: Duration) -> bool {
        let gone = self.state.wait_for(|state| *state == State::Gone);
        matches!(timeout(within, gone).await, Ok(Ok(_)))
    }
}

/// The workers of a run, by number.
pub(super) struct Fleet {
    program: PathBuf,
    arguments: Vec<String>,
    /// The fault that the workers have in their code.
    mutation: Option<Mutation>,
    /// Where their logs go.
    pub(super) folder: PathBuf,
    drain: Duration,
    book: Arc<Mutex<Book>>,
    slots: Vec<Option<Running>>,
    /// How often each was started.
    starts: Vec<usize>,
    /// Asked to end.
    ending: Vec<Running>,
}

impl Fleet {
    pub(super) fn new(
        plan: &Plan,
        servers: &str,
        prefix: &str,
        folder: PathBuf,
        book: Arc<Mutex<Book>>,
    ) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("chaos-worker");
        let mut arguments: Vec<String> = [
            ("--servers", servers.to_owned()),
            ("--prefix", prefix.to_owned()),
            ("--group", group(prefix)),
            ("--pattern", super::STREAM.to_owned()),
            ("--concurrency", plan.concurrency.to_string()),
            (
                "--shutdown-timeout-ms",
                plan.shutdown_timeout.as_millis().to_string(),
            ),
            (
                "--discovery-interval-ms",
                plan.discovery.as_millis().to_string(),
            ),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        if let Some(attempts) = plan.attempts {
            arguments.extend(["--attempts".to_owned(), attempts.to_string()]);
        }
        if let Some(max) = plan.batch {
            arguments.extend(["--batch".to_owned(), max.to_string()]);
        }
        if let Some(every) = plan.shuffled {
            arguments.extend(["--shuffle-ms".to_owned(), every.as_millis().to_string()]);
        }
        if let Some(custody) = plan.custody {
            arguments.extend(["--hold-ms".to_owned(), custody.hold.as_millis().to_string()]);
            arguments.extend(custody.deaf.then(|| "--deaf".to_owned()));
            arguments.extend(["--max-uncommitted".to_owned(), custody.most.to_string()]);
        }
        if plan.copies {
            arguments.extend(["--copies".to_owned(), super::COPIES.to_owned()]);
        }
        for (name, value) in &plan.properties {
            arguments.extend(["--property".to_owned(), format!("{name}={value}")]);
        }
        fs::create_dir_all(&folder)?;
        Ok(Self {
            program,
            arguments,
            mutation: plan.mutation,
            folder,
            drain: plan.shutdown_timeout,
            book,
            slots: (0..plan.workers).map(|_| None).collect(),
            starts: vec![0; plan.workers],
            ending: Vec::new(),
        })
    }

    /// Starts a worker, if none of its number runs.
    pub(super) fn start(&mut self, number: usize) -> Result<()> {
        if self.slots[number].is_some() {
            return Ok(());
        }
        self.starts[number] += 1;
        let name = format!("w{number}.{}", self.starts[number]);
        let log = fs::File::create(self.folder.join(format!("{name}.log")))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            // Ctrl-C is for the suite, which then kills what it started.
            .process_group(0);
        if let Some(mutation) = self.mutation {
            command.env(VARIABLE, format!("{mutation:?}"));
        }
        let mut book = self.book.lock();
        let id = book.worker(name);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        book.fault(FaultKind::Started(id));
        drop(book);
        let pid = child
            .id()
            .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
            .context("a worker without a process id")?;
        let stdin = child.stdin.take();
        let (sender, state) = watch::channel(State::Starting);
        let book = self.book.clone();
        tokio::spawn(async move {
            watch_over(child, stdin, id, book, &sender).await;
            sender.send_replace(State::Gone);
        });
        self.slots[number] = Some(Running {
            id,
            pid,
            stopped: None,
            hung: None,
            state,
        });
        Ok(())
    }

    /// SIGKILL.
    pub(super) async fn kill(&mut self, number: usize) -> Result<()> {
        let Some(mut running) = self.slots[number].take() else {
            return Ok(());
        };
        let fault = {
            let mut book = self.book.lock();
            self.over(&mut book, &running);
            book.ledger.workers[running.id].killed = Some(now());
            book.fault(FaultKind::Killed(running.id))
        };
        // It may have ended by itself just now.
        let _ = kill_process(running.pid, Signal::KILL);
        running.gone(Duration::from_secs(10)).await;
        self.book.lock().fault_is_over(fault);
        Ok(())
    }

    /// SIGTERM, as soon as the worker listens: what the operating system does to a program before is none of the library's
    /// doing. The ledger counts from then. Another worker of its number may be started at once.
    pub(super) fn terminate(&mut self, number: usize) {
        let Some(running) = self.slots[number].take() else {
            return;
        };
        if running.stopped.is_some() {
            self.slots[number] = Some(running);
            return;
        }
        let (id, pid, book) = (running.id, running.pid, self.book.clone());
        let mut state = running.state.clone();
        tokio::spawn(async move {
            let listens = state.wait_for(|state| *state >= State::Listening).await;
            if !listens.is_ok_and(|state| *state == State::Listening) {
                return;
            }
            let mut book = book.lock();
            book.ledger.workers[id].asked = Some(now());
            book.fault(FaultKind::Asked(id));
            let _ = kill_process(pid, Signal::TERM);
        });
        self.ending.push(running);
    }

    /// SIGSTOP.
    pub(super) fn stop(&mut self, number: usize) {
        if let Some(running) = &mut self.slots[number]
            && running.stopped.is_none()
        {
            let fault = self.book.lock().fault(FaultKind::Stopped(running.id));
            running.stopped = Some(fault);
            let _ = kill_process(running.pid, Signal::STOP);
        }
    }

    /// SIGCONT.
    pub(super) fn go_on(&mut self, number: usize) {
        if let Some(running) = &mut self.slots[number]
            && let Some(fault) = running.stopped.take()
        {
            self.book.lock().fault_is_over(fault);
            let _ = kill_process(running.pid, Signal::CONT);
        }
    }

    /// SIGUSR1: handlers that begin from here on hang.
    pub(super) fn hang(&mut self, number: usize) {
        if let Some(running) = &mut self.slots[number]
            && running.hung.is_none()
        {
            let fault = self.book.lock().fault(FaultKind::Hung(running.id));
            running.hung = Some(fault);
            let _ = kill_process(running.pid, Signal::USR1);
        }
    }

    /// SIGUSR2: they go on, one after the other.
    pub(super) fn release(&mut self, number: usize) {
        if let Some(running) = &mut self.slots[number]
            && let Some(fault) = running.hung.take()
        {
            self.book.lock().fault_is_over(fault);
            let _ = kill_process(running.pid, Signal::USR2);
        }
    }

    fn over(&self, book: &mut Book, running: &Running) {
        for fault in running.stopped.into_iter().chain(running.hung) {
            book.fault_is_over(fault);
        }
    }

    /// Ends all cleanly; kills those that do not end.
    pub(super) async fn end(&mut self) {
        for number in 0..self.slots.len() {
            self.go_on(number);
            self.release(number);
            self.terminate(number);
        }
        for mut running in std::mem::take(&mut self.ending) {
            if !running.gone(self.drain + Duration::from_secs(10)).await {
                let _ = kill_process(running.pid, Signal::KILL);
                running.gone(Duration::from_secs(10)).await;
                // It never ended by itself; nor did one that never listened.
                let worker = &mut self.book.lock().ledger.workers[running.id];
                worker.exited = None;
                worker.asked.get_or_insert_with(now);
            }
        }
    }
}

/// The group of a run.
pub(super) fn group(prefix: &str) -> String {
    format!("{prefix}group")
}

/// Reads what a worker says until it is gone. What a killed one wrote before is still in its pipe.
async fn watch_over(
    mut child: Child,
    stdin: Option<ChildStdin>,
    id: WorkerId,
    book: Arc<Mutex<Book>>,
    state: &watch::Sender<State>,
) {
    let pid = child.id();
    let reading = async {
        let Some(out) = child.stdout.take() else {
            return;
        };
        let mut lines = BufReader::with_capacity(64 * 1024, out).lines();
        while let Ok(Some(text)) = lines.next_line().await {
            // The last line of a killed worker may be cut.
            if let Ok(line) = serde_json::from_str::<Line>(&text) {
                if line.said == Said::Listening {
                    state.send_replace(State::Listening);
                }
                book.lock().take(id, line);
            }
        }
    };
    let measuring = async {
        loop {
            if let Some(peak) = pid.and_then(peak_kib) {
                let mut book = book.lock();
                let worker = &mut book.ledger.workers[id];
                worker.peak_kib = worker.peak_kib.max(peak);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = reading => {}
        () = measuring => {}
    }
    let status = child.wait().await;
    // Held open until now: its end tells the worker that the suite is gone.
    drop(stdin);
    let mut book = book.lock();
    let worker = &mut book.ledger.workers[id];
    worker.exited = Some(now());
    worker.status = status.ok().and_then(|status| status.code());
}

/// The most memory that a process had, in KiB, as Linux counts it.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
