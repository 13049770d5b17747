//! What the tests share: a project folder, the program run to its end or in the background.

use std::{
    io::{BufRead, BufReader, PipeReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use kafkaesk_client::testing::TestKafka;
use tempfile::TempDir;

/// How long anything may take that is expected to happen.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(90);

/// A project's folder, and the program with its flags.
pub(crate) struct Project {
    folder: TempDir,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Project {
    /// One that knows no Kafka.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            flags: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// One on this Kafka, behind a prefix of its own.
    pub(crate) fn on(kafka: &TestKafka) -> Self {
        let mut project = Self::new();
        project.flags = vec![
            "--kafka-servers".into(),
            kafka.servers().into(),
            "--topic-prefix".into(),
            kafka.prefix().into(),
        ];
        project
    }

    /// With this variable in its environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// The configuration.
    pub(crate) fn toml(&self, text: &str) -> &Self {
        self.file("kafkaesk.toml", text)
    }

    /// The schema Order:1, pushed.
    pub(crate) fn with_order(self) -> Self {
        self.file("schemas/Order.1.json", ORDER);
        self.run(&["schema", "push", "schemas"]).succeeds();
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kafkaesk-cli"));
        command.args(arguments).args(&self.flags);
        self.surround(&mut command);
        command
    }

    /// In the project's folder, without what the tests' own environment would add.
    fn surround(&self, command: &mut Command) {
        command
            .current_dir(self.folder.path())
            .env_remove("PYTHONUNBUFFERED")
            .env_remove("RUST_LOG");
        for (name, _) in std::env::vars() {
            if ["KAFKAESK_", "CARGO", "OTEL_"]
                .iter()
                .any(|start| name.starts_with(start))
            {
                command.env_remove(name);
            }
        }
        // Brokers bear only so many partitions.
        command.env("KAFKAESK_DEAD_LETTER_PARTITIONS", "1");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    /// Runs a line of shell to its end.
    pub(crate) fn shell(&self, line: &str) -> Ran {
        let mut command = Command::new("bash");
        command.args(["-c", line]);
        self.surround(&mut command);
        Ran::new(command.output().unwrap())
    }

    /// Runs to the end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs to the end with this standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &str) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = stdin.to_owned();
        let writer = std::thread::spawn(move || {
            // A program that stops early does not read it all.
            let _ = input.write_all(text.as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran::new(output)
    }

    /// Starts in the background.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, Stdio::null())
    }

    /// Starts in the background with this standard error, which is not collected.
    pub(crate) fn start_saying(&self, arguments: &[&str], stderr: impl Into<Stdio>) -> Running {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Running {
            stdout: collect(child.stdout.take().unwrap()),
            stderr: Lines::default(),
            child,
        }
    }

    /// Starts in the background with both of its outputs in one pipe, which the caller reads.
    pub(crate) fn start_into_one_pipe(&self, arguments: &[&str]) -> (Running, PipeReader) {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = self
            .command(arguments)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        let running = Running {
            stdout: Lines::default(),
            stderr: Lines::default(),
            child,
        };
        (running, reader)
    }

    /// Starts in the background with its standard output in this file.
    pub(crate) fn start_onto(&self, arguments: &[&str], stdout: std::fs::File) -> Running {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running {
            stdout: Lines::default(),
            stderr: collect(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Starts in the background with this standard input.
    pub(crate) fn start_with(&self, arguments: &[&str], stdin: Stdio) -> Running {
        Self::spawn(self.command(arguments).stdin(stdin))
    }

    /// Starts the program of a line of shell in the background; it takes the shell's place.
    pub(crate) fn start_shell(&self, line: &str) -> Running {
        let mut command = Command::new("bash");
        command.args(["-c", line]).stdin(Stdio::null());
        self.surround(&mut command);
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running {
            stdout: collect(child.stdout.take().unwrap()),
            stderr: collect(child.stderr.take().unwrap()),
            child,
        }
    }
}

/// `{"id": integer}`.
pub(crate) const ORDER: &str =
    r#"{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}"#;

/// Lines of orders.placed with the ids from 0 on, under 20 keys.
pub(crate) fn orders(count: usize) -> String {
    (0..count)
        .map(|id| {
            format!(
                "{{\"stream\":\"orders.placed\",\"schema\":\"Order:1\",\"key\":\"k{}\",\"data\":{{\"id\":{id}}}}}\n",
                id % 20
            )
        })
        .collect()
}

/// A run that ended.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn new(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> String {
        assert_eq!(self.status, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Ended with this status, and said all of this on standard error, each line of it whole.
    #[track_caller]
    pub(crate) fn fails(&self, status: i32, said: &[&str]) {
        assert_eq!(self.status, status, "{}{}", self.stdout, self.stderr);
        for text in said {
            assert!(
                self.stderr.contains(text),
                "{text:?} is missing in:\n{}",
                self.stderr
            );
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        assert!(!self.stderr.contains("Error {"), "{}", self.stderr);
    }
}

/// A program in the background; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// The lines that came from a pipe so far; none where there is no pipe.
#[derive(Default)]
struct Lines {
    so_far: Arc<Mutex<Vec<String>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Lines {
    fn all_there(&self) -> bool {
        self.reader.as_ref().is_none_or(|it| it.is_finished())
    }
}

fn collect(pipe: impl std::io::Read + Send + 'static) -> Lines {
    let so_far = Arc::new(Mutex::new(Vec::new()));
    let into = so_far.clone();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            into.lock().unwrap().push(line);
        }
    });
    Lines {
        so_far,
        reader: Some(reader),
    }
}

impl Running {
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.stdout.so_far.lock().unwrap().clone()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.so_far.lock().unwrap().join("\n")
    }

    /// Its standard input, when that is a pipe.
    pub(crate) fn stdin(&mut self) -> &mut impl Write {
        self.child.stdin.as_mut().unwrap()
    }

    /// Waits until this holds.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                begun.elapsed() < TIMEOUT && ended.is_none(),
                "{what} did not happen ({ended:?}):\n{}\n{}",
                self.stdout().join("\n"),
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `TERM`, `KILL`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits until a signal that it got ends it no longer by default: its own handler listens.
    pub(crate) fn until_it_listens_to(&mut self, signal: &str) {
        let id = self.child.id();
        self.until("listening to a signal", |_| {
            has_signal(id, "SigCgt", signal)
        });
    }

    /// Waits until the signals that were sent are delivered: two of a kind that wait become one.
    pub(crate) fn until_delivered(&mut self, signal: &str) {
        let id = self.child.id();
        self.until("the delivery of a signal", |_| {
            !has_signal(id, "ShdPnd", signal)
        });
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // Its last lines are still in the pipes, which end with it unless a child of its own outlives it.
                until("the end of its output", || {
                    self.stdout.all_there() && self.stderr.all_there()
                });
                return Ran {
                    status: status.code().unwrap_or(-1),
                    stdout: self.stdout().join("\n"),
                    stderr: self.stderr(),
                };
            }
            assert!(
                begun.elapsed() < TIMEOUT,
                "it does not end:\n{}",
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether Linux has a signal in a set of a process: pending, ignored or handled (`/proc/PID/status`).
pub(crate) fn has_signal(process: u32, set: &str, signal: &str) -> bool {
    let number = match signal {
        "HUP" => 1,
        "INT" => 2,
        "TERM" => 15,
        other => panic!("a signal without its number here: {other}"),
    };
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix(set)?.strip_prefix(':'))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (number - 1)) != 0)
}

/// Waits until the pipe behind a descriptor of a process, which nobody reads, takes nothing more.
pub(crate) fn until_full(process: u32, descriptor: u8) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    until("a full pipe", || {
        let path = format!("/proc/{process}/fd/{descriptor}");
        let pipe = std::fs::File::options().write(true).open(path).unwrap();
        let mut asked = [PollFd::new(&pipe, PollFlags::OUT)];
        let at_once = Timespec::default();
        poll(&mut asked, Some(&at_once)).unwrap() == 0
    });
}

/// Waits until this holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < TIMEOUT, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The signals that ask for a clean end. SIGHUP is not one where the tests run under `nohup`.
pub(crate) fn ending_signals() -> Vec<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    match ignored.unwrap_or_default() & 1 {
        0 => vec!["TERM", "INT", "HUP"],
        _ => vec!["TERM", "INT"],
    }
}
