//! `cargo xtask test`: every check and every test, fast first, on one Kafka that it finds or starts. No step that needs
//! Kafka passes without one.

use std::{
    process::{self, Command},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use clap::Args;
use xtask::{
    command::run as run_command,
    kafka::{Kafka, docker},
    machine, paths,
};

use crate::{cargo::cargo, steps::Steps, tidy};

/// How many tests of one binary run at once: more would only queue behind one broker on a small machine.
const TEST_THREADS: &str = "4";

#[derive(Args)]
pub(crate) struct TestArgs {
    /// Only what needs no Kafka
    #[arg(long)]
    quick: bool,
    /// Stop at the first step that fails
    #[arg(long)]
    fail_fast: bool,
}

pub(crate) fn run(args: &TestArgs) -> Result<()> {
    machine::build_tools()?;
    let mut steps = Steps::new(args.fail_fast);
    if args.quick {
        checks(&mut steps);
        steps.step("tests without Kafka", || {
            run_command(&mut cargo(&[
                "test",
                "--workspace",
                "--lib",
                "--bins",
                "--no-fail-fast",
            ]))
        });
        steps.step("contract", contract);
        return steps.finish();
    }
    machine::interop_tools()?;
    let kafka = Kafka::find()?;
    println!("Kafka: {}", kafka.describe());
    checks(&mut steps);
    steps.step("contract", contract);
    let run = Run::new(&kafka);
    steps.step("tests", || run.tests());
    steps.finish()
}

/// What needs no Kafka and no linking.
fn checks(steps: &mut Steps) {
    steps.step("format", || {
        run_command(&mut cargo(&["fmt", "--all", "--check"]))
    });
    steps.step("tidy", tidy::run);
    steps.step("clippy", || {
        run_command(&mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    });
    steps.step("docs", || {
        run_command(
            cargo(&["doc", "--workspace", "--no-deps", "--quiet"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    });
}

/// The vectors, read by something that is not our code.
fn contract() -> Result<()> {
    let check = paths::root().join("contract/check.py");
    if !check.exists() {
        return Ok(());
    }
    run_command(Command::new("python3").arg(check))
}

/// What the tests of one run share.
struct Run<'a> {
    kafka: &'a Kafka,
    /// On each container that a test starts, so that this run can remove its own.
    name: String,
}

impl<'a> Run<'a> {
    fn new(kafka: &'a Kafka) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            kafka,
            name: format!("{}-{}", process::id(), now.as_secs()),
        }
    }

    fn tests(&self) -> Result<()> {
        let mut test = cargo(&["test", "--workspace", "--no-fail-fast"]);
        test.env("RUST_TEST_THREADS", TEST_THREADS)
            .env(docker::RUN_VARIABLE, &self.name);
        if let Some(servers) = self.kafka.servers() {
            test.env("KAFKAESK_TEST_SERVERS", servers);
        }
        run_command(&mut test)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if matches!(self.kafka, Kafka::Docker) {
            docker::remove_run(&self.name);
        }
    }
}
