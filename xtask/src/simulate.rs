//! `cargo xtask simulate`: builds the simulation of `tests-simulate/` and runs it. Knows none of its scenarios.

use std::process::Command;

use anyhow::Result;
use clap::Args;
use xtask::{command, paths};

use crate::cargo::cargo;

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SimulateArgs {
    /// Passed on to the simulation: --seed, --seeds, --scenario, --list, --plots, --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// The crate alone: it needs neither Kafka nor C code, and builds within seconds.
pub(crate) fn run(args: &SimulateArgs) -> Result<()> {
    command::run(&mut cargo(&[
        "build",
        "--package",
        "kafkaesk-simulate",
        "--quiet",
    ]))?;
    command::run(
        Command::new(paths::target().join("debug/kafkaesk-simulate"))
            .current_dir(paths::root())
            .args(&args.rest),
    )
}
