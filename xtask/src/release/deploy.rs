//! Deploy: checks the files of `deploy/` by the tools that read them: Kubernetes' API schemas, promtool, systemd, and the
//! program for each `kafkaesk.toml`. Starts nothing.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use xtask::{command, paths};

use super::{program::Program, tools};

/// The most that `systemd-analyze security` may find open, from 0 to 100.
const EXPOSURE: &str = "20";

/// Checks all of them.
///
/// # Errors
/// What is wrong, with its file.
pub(super) fn check(program: &Program, dist: &Path) -> Result<()> {
    let root = paths::root();
    let deploy = root.join("deploy");
    let script = root.join("xtask/release/deploy.py");
    command::output(
        Command::new(tools()?)
            .args([&script, &deploy, &program.path])
            // What this run's environment says is not what the files say.
            .env_remove("KAFKAESK_TEST_SERVERS"),
    )?;
    let folder = dist.join("deploy");
    fs::create_dir_all(&folder)?;
    prometheus(&root, &folder)?;
    systemd(program, &deploy, &folder)?;
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// The configuration with the rules beside it, as the compose file mounts them.
fn prometheus(root: &Path, folder: &Path) -> Result<()> {
    let config = folder.join("prometheus.yml");
    fs::copy(root.join("deploy/compose/prometheus.yml"), &config)?;
    fs::copy(root.join("docs/alerts.yml"), folder.join("alerts.yml"))?;
    command::output(
        Command::new("promtool")
            .args(["check", "config"])
            .arg(config),
    )?;
    Ok(())
}

/// The unit with the program's path on this machine: systemd looks whether it is there.
fn systemd(program: &Program, deploy: &Path, folder: &Path) -> Result<()> {
    const INSTALLED: &str = "/usr/local/bin/kafkaesk-cli";
    let name = "kafkaesk-worker.service";
    let text = fs::read_to_string(deploy.join("systemd").join(name))?;
    let path = program.path.to_string_lossy();
    let unit = folder.join(name);
    fs::write(&unit, text.replace(INSTALLED, &path))?;
    let verify = ["verify", "--man=no"];
    command::output(Command::new("systemd-analyze").args(verify).arg(&unit))?;
    let security = ["security", "--offline=true", "--threshold", EXPOSURE];
    let said = command::output(Command::new("systemd-analyze").args(security).arg(&unit))?;
    let verdict = said.lines().rfind(|line| line.contains("exposure level"));
    println!(
        "{}",
        verdict.context("`systemd-analyze security` gives no level")?
    );
    Ok(())
}
