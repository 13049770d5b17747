//! Process: reads the CPU time and the peak memory of this process from `/proc`. Linux only.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// User and system time of all threads. Its grain is 10 ms (`USER_HZ`).
pub(crate) fn cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("CPU time needs Linux's /proc")?;
    // The second field, a name in parentheses, may hold spaces: fields count from behind it.
    let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let ticks = |index: usize| -> Result<u64> {
        Ok(fields
            .get(index)
            .context("a short /proc/self/stat")?
            .parse()?)
    };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// The highest resident set so far, in KiB.
pub(crate) fn peak_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("peak memory needs /proc")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM in /proc/self/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
