//! One contender's run, as its process tells it in one JSON line.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{event::sum_of_ids, process};

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) messages: u64,
    /// From the first message to the last.
    pub(crate) seconds: f64,
    /// Of the whole process, start and end included.
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_kib: u64,
}

impl Run {
    /// Tells the parent; everything must be accounted for.
    pub(crate) fn tell(wanted: u64, messages: u64, ids: u64, took: Duration) -> Result<()> {
        ensure!(
            messages == wanted && ids == sum_of_ids(wanted),
            "{messages} of {wanted} messages, ids sum to {ids}: something was lost or doubled"
        );
        let run = Self {
            messages,
            seconds: took.as_secs_f64(),
            cpu_seconds: process::cpu()?.as_secs_f64(),
            peak_kib: process::peak_kib()?,
        };
        println!("{}", serde_json::to_string(&run)?);
        Ok(())
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.messages as f64
    }

    pub(crate) fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}
