//! Cargo, called so that every step shares one build: the same packages, features and profile give the C code no reason
//! to be built again. Never adds a feature.

use std::{env, process::Command};

use anyhow::Result;
use xtask::{command, paths};

/// A cargo command in the checkout.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(paths::root()).args(args);
    // What `cargo run` sets for us describes xtask, not what is built next.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Builds every program of the workspace with the tests' targets, so that it is their build and not another one.
///
/// # Errors
/// Something does not build.
pub(crate) fn build_all() -> Result<()> {
    command::run(&mut cargo(&[
        "build",
        "--workspace",
        "--all-targets",
        "--quiet",
    ]))
}
