//! Sources: the `.crate` of every crate that is published, as cargo packages it, and a build of each from its package with
//! the others' packages beside it.

use anyhow::Result;
use xtask::command;

use crate::{cargo::cargo, tidy::SHIPPED};

/// Packages each crate; with `build` also builds each from its package, which compiles librdkafka several times.
///
/// # Errors
/// A package lacks a file that its crate needs, or does not build.
pub(super) fn check(build: bool) -> Result<()> {
    let mut package = cargo(&["package", "--locked", "--quiet"]);
    for name in SHIPPED {
        package.args(["--package", name]);
    }
    if !build {
        // In a checkout with changes that are not committed as well: nothing is uploaded.
        package.args(["--no-verify", "--allow-dirty"]);
    }
    command::run(&mut package)
}
