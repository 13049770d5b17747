//! Python: virtual environments outside the checkout, each made once from a file of pinned packages. Never installs
//! anything into the machine's own Python.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{command, machine, paths};

/// The interpreter of an environment with the packages that this file pins; made if there is none for these pins and this
/// version of Python. Call a package's program as `python -m`: the environment was moved after it was made.
///
/// # Errors
/// Python with venv is missing, or a package cannot be installed.
pub fn environment(name: &str, requirements: &Path) -> Result<PathBuf> {
    machine::interop_tools()?;
    let pins = fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let version = command::output(Command::new("python3").arg("--version"))?;
    let mut hash = DefaultHasher::new();
    (pins, version).hash(&mut hash);
    let cache = paths::cache(name)?;
    let home = cache.join(format!("python-{:016x}", hash.finish()));
    let python = home.join("bin/python");
    if python.exists() {
        return Ok(python);
    }
    // Whole or not at all: made aside, then renamed.
    let fresh = cache.join(format!("making-{}", std::process::id()));
    command::output(Command::new("python3").args(["-m", "venv"]).arg(&fresh))?;
    let mut install = Command::new(fresh.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet"]);
    install.args(["--disable-pip-version-check", "-r"]);
    command::output(install.arg(requirements))?;
    // Another process may have been first.
    if fs::rename(&fresh, &home).is_err() {
        fs::remove_dir_all(&fresh)?;
    }
    Ok(python)
}
