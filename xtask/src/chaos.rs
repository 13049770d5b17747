//! `cargo xtask chaos`: builds the chaos suite of `tests-chaos/` and runs it. Knows none of its scenarios.

use std::process::Command;

use anyhow::Result;
use clap::Args;
use xtask::{command, machine, paths};

use crate::cargo::cargo;

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ChaosArgs {
    /// Passed on to the suite: --seed, --seeds, --messages, --scenario, --list, --short, --mutations, --keep, --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &ChaosArgs) -> Result<()> {
    machine::build_tools()?;
    suite(&args.rest)
}

/// The part that every run of the tests has: ten scenarios, a seed each.
pub(crate) fn briefly() -> Result<()> {
    suite(&["--short".to_owned()])
}

fn suite(args: &[String]) -> Result<()> {
    // As the tests are built, so that their C code serves.
    let mut build = cargo(&["build", "--workspace", "--all-targets", "--quiet"]);
    if args.iter().any(|arg| arg == "--mutations") {
        build.args(["--features", "kafkaesk-chaos/_mutations"]);
    }
    command::run(&mut build)?;
    command::run(
        Command::new(paths::target().join("debug/kafkaesk-chaos"))
            .current_dir(paths::root())
            .env("CARGO_MANIFEST_DIR", paths::root().join("tests-chaos"))
            .args(args),
    )
}
