//! What this machine must have: looks for programs, names what is missing in one line, and as root on a Debian-family
//! machine installs it and says so. Never installs anything otherwise.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Once,
    time::Duration,
};

use anyhow::{Result, bail};

use crate::command;

const QUICK: Duration = Duration::from_secs(20);

/// What a first build needs besides Rust: librdkafka and OpenSSL are built from C.
///
/// # Errors
/// Names what is missing, with the one line that installs it.
pub fn build_tools() -> Result<()> {
    const TOOLS: [(&str, &str); 6] = [
        ("cc", "gcc"),
        ("gcc", "gcc"),
        ("g++", "g++"),
        ("make", "make"),
        ("bash", "bash"),
        ("perl", "perl"),
    ];
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(tool, _)| find(tool).is_none())
        .map(|(tool, _)| *tool)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "missing: {}; librdkafka and OpenSSL are built from source with them:\n  apt-get install -y gcc g++ make bash perl libc6-dev",
        missing.join(", ")
    )
}

/// The interop tests' needs: Python with venv, and Node.
///
/// # Errors
/// Names what is missing, with the one line that installs it.
pub fn interop_tools() -> Result<()> {
    need(
        "python3 with venv",
        python_has_venv,
        &["python3", "python3-venv"],
    )?;
    need("node", || find("node").is_some(), &["nodejs"])
}

/// What packs and checks a release: npm, the tools that strip a program and read what it needs, and what reads a unit.
///
/// # Errors
/// Names what is missing, with the one line that installs it.
pub fn release_tools() -> Result<()> {
    need("npm", || find("npm").is_some(), &["npm"])?;
    let is_there = || find("objcopy").is_some() && find("objdump").is_some();
    need("objcopy and objdump", is_there, &["binutils"])?;
    let is_there = || find("systemd-analyze").is_some();
    need("systemd-analyze", is_there, &["systemd"])
}

/// The shells that the completion scripts are tested in, besides bash.
///
/// # Errors
/// Names what is missing, with the one line that installs it.
pub fn shells() -> Result<()> {
    need("zsh", || find("zsh").is_some(), &["zsh"])?;
    need("fish", || find("fish").is_some(), &["fish"])
}

/// The Prometheus that the metrics are checked with.
///
/// # Errors
/// Names what is missing, with the one line that installs it.
pub fn monitoring_tools() -> Result<()> {
    let is_there = || find("prometheus").is_some() && find("promtool").is_some();
    need("prometheus with promtool", is_there, &["prometheus"])
}

/// The browser that the page of the service is tested in, and what drives it.
///
/// # Errors
/// Names what is missing, with the one line that installs it.
pub fn browser() -> Result<()> {
    let is_there = || find("chromium").is_some() && find("chromedriver").is_some();
    need(
        "chromium and chromedriver",
        is_there,
        &["chromium", "chromium-driver"],
    )
}

/// The PostgreSQL that the sink's example is tested with. Debian keeps its programs out of the path.
///
/// # Errors
/// Names what is missing, with the one line that installs it.
pub fn postgres() -> Result<()> {
    let debians = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten();
        let mut folders = versions.flatten().map(|version| version.path().join("bin"));
        folders.any(|folder| folder.join("initdb").is_file())
    };
    let is_there = || find("initdb").is_some() || debians();
    need("PostgreSQL", is_there, &["postgresql"])
}

/// What a Kafka without Docker needs.
///
/// # Errors
/// Names what is missing, with the one line that installs it.
pub fn jar_tools() -> Result<()> {
    need("java 17 or later", java_is_17, &["default-jre-headless"])?;
    need("mvn", || find("mvn").is_some(), &["maven"])
}

/// Where a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// Whether this is root on a machine that has apt-get.
pub fn may_install() -> bool {
    find("apt-get").is_some()
        && command::output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

fn need(what: &str, is_there: impl Fn() -> bool, packages: &[&str]) -> Result<()> {
    if is_there() {
        return Ok(());
    }
    if may_install() {
        println!("xtask: installing {} for {what}", packages.join(" "));
        install(packages)?;
        if is_there() {
            return Ok(());
        }
    }
    bail!(
        "missing: {what}; install it:\n  apt-get install -y {}",
        packages.join(" ")
    )
}

fn install(packages: &[&str]) -> Result<()> {
    static UPDATED: Once = Once::new();
    UPDATED.call_once(|| {
        let _ = command::run(Command::new("apt-get").args(["update", "-qq"]));
    });
    command::output(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    Ok(())
}

fn python_has_venv() -> bool {
    command::succeeds(
        Command::new("python3").args(["-c", "import venv, ensurepip"]),
        QUICK,
    )
}

fn java_is_17() -> bool {
    find("java").is_some_and(|java| java_version(&java).is_some_and(|major| major >= 17))
}

/// `java -version` writes `openjdk version "17.0.1"` to standard error.
fn java_version(java: &Path) -> Option<u32> {
    let output = Command::new(java).arg("-version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = text.split('"').nth(1)?;
    version.split(['.', '-']).next()?.parse().ok()
}
