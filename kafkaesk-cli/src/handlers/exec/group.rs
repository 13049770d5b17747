//! Process groups: signals to a child and everything that it started. Keeps a list, so that an exit at once leaves
//! no child running, and a watchdog for each group, for the case that this process is killed.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::watchdog::Watchdog;

/// The groups that run now, by the id of their first process.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Please end.
    Terminate,
    /// End.
    Kill,
}

/// A child's process group; dropping it kills what is left of it.
#[derive(Debug)]
pub(super) struct Group {
    pid: u32,
    /// Called off after the group was killed.
    _watchdog: Watchdog,
}

impl Group {
    /// Of a child that was started as the first of its group.
    pub(super) fn of(pid: u32) -> Self {
        RUNNING.lock().insert(pid);
        Self {
            pid,
            _watchdog: Watchdog::over(pid),
        }
    }

    /// Signals every process of the group; one that ended already is not an error.
    pub(super) fn signal(&self, signal: Signal) {
        send(self.pid, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::Kill);
        RUNNING.lock().remove(&self.pid);
    }
}

/// Kills every group at once: the last act before an exit that waits for nothing.
pub(crate) fn kill_all() {
    for pid in RUNNING.lock().iter() {
        send(*pid, Signal::Kill);
    }
}

#[cfg(unix)]
fn send(pid: u32, signal: Signal) {
    use rustix::process::{Pid, Signal as Unix, kill_process_group};
    let signal = match signal {
        Signal::Terminate => Unix::TERM,
        Signal::Kill => Unix::KILL,
    };
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, signal);
    }
}

#[cfg(not(unix))]
fn send(_: u32, _: Signal) {}
