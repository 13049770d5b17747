//! Trial: installs a package into a fresh folder and uses the program there as a new user does: `init`, `dev`, and the
//! command that `dev` prints. Neither cargo nor the checkout is in reach.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use xtask::{broker::free_port, command, paths};

use super::{folder, program::Program};
use crate::running::Running;

/// The folder of a trial, which ends with it.
struct Fresh(PathBuf);

impl Fresh {
    fn new(name: &str) -> Result<Self> {
        let path = env::temp_dir().join(format!("kafkaesk-{name}-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The tarball: unpacked, with everything in it that it should have.
///
/// # Errors
/// A file is missing, or the program does not do what it should.
pub(super) fn tarball(program: &Program, dist: &Path) -> Result<()> {
    let fresh = Fresh::new("tarball")?;
    let archive = dist.join(format!("{}.tar.gz", folder::name(program)));
    command::output(
        Command::new("tar")
            .arg("-xzf")
            .arg(archive)
            .current_dir(&fresh.0),
    )?;
    let unpacked = fresh.0.join(folder::name(program));
    for file in [
        "LICENSE-MIT",
        "THIRD-PARTY-LICENSES",
        "README.md",
        "completions/_kafkaesk-cli",
        "man/man1/kafkaesk-cli-worker.1",
        folder::SBOM,
    ] {
        if !unpacked.join(file).is_file() {
            bail!("the tarball has no {file}");
        }
    }
    let notices = fs::read_to_string(unpacked.join("THIRD-PARTY-LICENSES"))?;
    for library in [
        "librdkafka in rdkafka-sys",
        "openssl in openssl-src",
        "zstd in zstd-sys",
    ] {
        if !notices.contains(library) {
            bail!("THIRD-PARTY-LICENSES does not name {library}");
        }
    }
    project(&unpacked, &fresh.0)
}

/// The wheel, by pip without a network, in a fresh virtual environment.
///
/// # Errors
/// pip refuses it, or the program does not do what it should.
pub(super) fn wheel(dist: &Path) -> Result<()> {
    let fresh = Fresh::new("wheel")?;
    let environment = fresh.0.join("venv");
    command::output(
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment),
    )?;
    let bin = environment.join("bin");
    let mut install = Command::new(bin.join("python"));
    install.args(["-m", "pip", "install", "--no-index"]);
    install.args(["--disable-pip-version-check"]);
    command::output(install.arg(found(dist, ".whl")?))?;
    project(&bin, &fresh.0)
}

/// Both npm packages, by npm without a network, in a fresh folder.
///
/// # Errors
/// npm refuses one, or the program does not do what it should.
pub(super) fn npm(program: &Program, dist: &Path) -> Result<()> {
    let fresh = Fresh::new("npm")?;
    fs::write(fresh.0.join("package.json"), "{\"private\": true}")?;
    let mut install = Command::new("npm");
    install.args(["install", "--offline", "--no-audit", "--no-fund"]);
    for package in all(dist, ".tgz")? {
        install.arg(package);
    }
    command::output(install.current_dir(&fresh.0))?;
    let modules = fresh.0.join("node_modules");
    project(&modules.join(".bin"), &fresh.0)?;
    // As on a platform that has no package.
    let missing = format!("kafkaesk-cli-linux-{}", program.platform.cpu);
    fs::remove_dir_all(modules.join(&missing))?;
    let ended = Command::new(modules.join(".bin/kafkaesk-cli")).output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    let is_named = said.contains(&format!("the package {missing} is not installed"));
    anyhow::ensure!(
        ended.status.code() == Some(1) && is_named,
        "without {missing} the launcher ends with {} and says: {said}",
        ended.status
    );
    Ok(())
}

/// `init` and `dev` in a folder, by the program in `bin`, and an order that both handlers handle.
fn project(bin: &Path, fresh: &Path) -> Result<()> {
    let port = free_port()?;
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(fresh).env_clear();
        let path = env::var("PATH").unwrap_or_default();
        // Neither cargo nor a program of a build is found.
        let home = env::var("CARGO_HOME").unwrap_or_else(|_| ".cargo".into());
        let target = paths::target().display().to_string();
        let rest = path
            .split(':')
            .filter(|folder| !folder.starts_with(&home) && !folder.starts_with(&target));
        let rest: Vec<&str> = rest.collect();
        command
            .env("PATH", format!("{}:{}", bin.display(), rest.join(":")))
            .env("HOME", fresh)
            .env("KAFKAESK_KAFKA_SERVERS", format!("127.0.0.1:{port}"));
        command
    };
    let said = command::output(&mut shell("kafkaesk-cli init shop"))?;
    let dev = said.lines().last().unwrap_or_default().trim();
    let mut dev = Running::start(&mut shell(&format!("exec {dev}")))?;
    dev.wait_for("try, in another terminal:")?;
    dev.wait_for(" publish orders.placed ")?;
    let publish = dev
        .seen
        .lines()
        .last()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let receipt = command::output(&mut shell(&publish))?;
    for handled in ["bill order 1 ", "audit order 1 "] {
        dev.wait_for_any(handled)?;
    }
    println!(
        "{}: published {}, handled by Python and by Node",
        publish_by(&publish),
        receipt.trim()
    );
    dev.end()
}

fn publish_by(command: &str) -> &str {
    command.split(' ').next().unwrap_or_default()
}

/// The one file in `dist` whose name ends so.
fn found(dist: &Path, end: &str) -> Result<PathBuf> {
    all(dist, end)?
        .pop()
        .with_context(|| format!("there is no {end} in {}", dist.display()))
}

fn all(dist: &Path, end: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dist)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
