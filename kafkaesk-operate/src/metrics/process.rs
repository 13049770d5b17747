//! Process: what the operating system says of this process. Linux alone says all of it.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

/// This process.
#[derive(Debug)]
pub(super) struct Process {
    start: SystemTime,
}

impl Process {
    pub(super) fn new() -> Self {
        Self {
            start: SystemTime::now(),
        }
    }

    /// When it started, in seconds since 1970.
    pub(super) fn start(&self) -> f64 {
        let since = self.start.duration_since(UNIX_EPOCH);
        since.map_or(0.0, |since| since.as_secs_f64())
    }

    /// Its processor time in seconds.
    #[cfg(unix)]
    pub(super) fn cpu(&self) -> Option<f64> {
        use rustix::time::{ClockId, clock_gettime};
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Some(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
    }

    /// Its processor time in seconds.
    #[cfg(not(unix))]
    pub(super) fn cpu(&self) -> Option<f64> {
        None
    }

    /// Its memory in RAM, in bytes.
    pub(super) fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kibibytes * 1024)
    }

    /// Its open files.
    pub(super) fn files(&self) -> Option<usize> {
        Some(fs::read_dir("/proc/self/fd").ok()?.count())
    }
}
