//! A watchdog for a child's process group: a small shell that kills the group when this process is gone without having
//! ended the child, as after SIGKILL. Without `sh` there is none.

use std::{fs::File, io::Write as _, process::Stdio};

use tokio::process::Command;
use tracing::debug;

/// Waits for a line or the end of its input. The end means that the worker died: the group gets SIGTERM, and SIGKILL
/// a second later. Signals to the worker's own group or session leave it alone.
const SCRIPT: &str = "trap '' HUP INT TERM
read -r over && exit
kill -s TERM -- \"-$1\" 2>/dev/null || exit
sleep 1
kill -s KILL -- \"-$1\" 2>/dev/null";

/// Dropping it calls the watchdog off.
#[derive(Debug)]
pub(super) struct Watchdog(Option<File>);

impl Watchdog {
    /// For the group of this child.
    pub(super) fn over(pid: u32) -> Self {
        Self(start(pid))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(input) = &mut self.0 {
            // A watchdog that died has nothing left to do.
            let _ = input.write_all(b"over\n");
        }
    }
}

#[cfg(unix)]
fn start(pid: u32) -> Option<File> {
    let mut command = Command::new("sh");
    command
        .args(["-c", SCRIPT, "kafkaesk-watchdog", &pid.to_string()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let input = command.spawn().and_then(|mut child| {
        // tokio collects its exit status once it has ended.
        child
            .stdin
            .take()
            .map(|stdin| stdin.into_owned_fd())
            .transpose()
    });
    match input {
        Ok(input) => input.map(File::from),
        Err(error) => {
            debug!("no `sh` to watch over a child, which may outlive a killed worker: {error}");
            None
        }
    }
}

#[cfg(not(unix))]
fn start(_: u32) -> Option<File> {
    None
}
