//! The Docker engine: is there one, has it the image. Never touches a container that is not ours by name.

use std::{process::Command, time::Duration};

use anyhow::Result;

use super::IMAGE;
use crate::{command, paths};

/// On every container that we start ourselves.
pub const LABEL: &str = "kafkaesk.xtask=1";
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
