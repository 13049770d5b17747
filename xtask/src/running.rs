//! Running: a program in the background whose lines are watched, for chores that use a program as its users do. Killed
//! when dropped.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use xtask::command;

/// How long a program may take to say what it should, and to end.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A process whose lines are watched. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    /// What it said so far.
    pub(crate) seen: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let (sender, lines) = channel();
        forward(child.stdout.take(), sender.clone());
        forward(child.stderr.take(), sender);
        Ok(Self {
            child,
            lines,
            seen: String::new(),
        })
    }

    /// Until a line holds this text, on either output.
    pub(crate) fn wait_for(&mut self, text: &str) -> Result<()> {
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                bail!("it did not say {text:?}; it said:\n{}", self.seen);
            };
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return Ok(());
            }
        }
    }

    /// As [`Self::wait_for`], of any line so far as well.
    pub(crate) fn wait_for_any(&mut self, text: &str) -> Result<()> {
        match self.seen.contains(text) {
            true => Ok(()),
            false => self.wait_for(text),
        }
    }

    /// Takes the lines that are there.
    pub(crate) fn read_on(&mut self) {
        for line in self.lines.try_iter() {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
    }

    /// Asks it to end, which it must do cleanly.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.end_with("TERM")
    }

    pub(crate) fn end_with(&mut self, signal: &str) -> Result<()> {
        let id = self.child.id().to_string();
        command::output(Command::new("kill").args([format!("-{signal}"), id]))?;
        let end = Instant::now() + LIMIT;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("it ended with {status}; it said:\n{}", self.seen),
                None if Instant::now() > end => bail!("it did not end when asked to"),
                None => thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(from: Option<impl Read + Send + 'static>, to: Sender<String>) {
    let Some(from) = from else { return };
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                break;
            }
        }
    });
}
