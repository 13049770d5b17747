//! Jars: fetches Apache Kafka's jars from Maven Central into the cache, once. Never part of the checkout.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{command, machine, paths};

/// The folder that holds them; fetched at first use.
///
/// # Errors
/// Java or Maven is missing (it says how to install them), or Maven's error.
pub fn libs() -> Result<PathBuf> {
    machine::jar_tools()?;
    let dir = paths::cache("kafka-4.3.1")?;
    let libs = dir.join("libs");
    if libs.exists() {
        return Ok(libs);
    }
    println!(
        "xtask: fetching Kafka's jars from Maven Central into {}",
        libs.display()
    );
    let fresh = dir.join(format!("fetching-{}", std::process::id()));
    command::output(
        Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(paths::root().join("xtask/kafka-image/pom.xml"))
            .arg("dependency:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", fresh.display())),
    )?;
    // Whole or not at all: another run may have been faster.
    if fs::rename(&fresh, &libs).is_err() {
        fs::remove_dir_all(&fresh)?;
    }
    Ok(libs)
}
