//! The Docker engine: is there one, has it the image, which containers did a run leave. Never touches a container that
//! is not ours by label or name.

use std::{process::Command, time::Duration};

use anyhow::Result;

use super::IMAGE;
use crate::{command, paths};

/// On every container that we start ourselves.
pub const LABEL: &str = "kafkaesk.xtask=1";
/// Names a test run to the tests; their containers carry it as a label, so that the run can remove its own.
pub const RUN_VARIABLE: &str = "KAFKAESK_TEST_RUN";
/// The label with that value.
pub const RUN_LABEL: &str = "kafkaesk.test-run";

/// Whether an engine answers within 10 s.
pub fn engine() -> bool {
    command::succeeds(Command::new("docker").arg("info"), Duration::from_secs(10))
}

/// Makes the image exist: there, pulled, or built.
///
/// # Errors
/// Neither works; the script's output is on standard error.
pub fn ensure_image() -> Result<()> {
    let there = command::succeeds(
        Command::new("docker").args(["image", "inspect", IMAGE]),
        Duration::from_secs(20),
    );
    if there {
        return Ok(());
    }
    command::run(Command::new("bash").arg(paths::root().join("xtask/kafka-image/ensure.sh")))
}

/// Removes a container, if it is there.
pub fn remove(name: &str) {
    let _ = command::output(Command::new("docker").args(["rm", "-f", "-v", name]));
}

/// Removes the containers of one test run.
pub fn remove_run(run: &str) {
    let ids = command::output(Command::new("docker").args([
        "ps",
        "-aq",
        "--filter",
        &format!("label={RUN_LABEL}={run}"),
    ]));
    for id in ids.unwrap_or_default().lines() {
        remove(id);
    }
}
