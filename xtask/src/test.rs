//! `cargo xtask test`: every check and every test, fast first, on one Kafka that it finds or starts. No step that needs
//! Kafka passes without one.

use std::process::Command;

use anyhow::Result;
use clap::Args;
use xtask::{
    command::{run as run_command, watch},
    kafka::{Kafka, jars},
    machine, paths,
};

use crate::{cargo::cargo, chaos, entry, examples, fuzz, handbook, release, steps::Steps, tidy};

/// How many tests of one binary run at once: more would only queue behind one broker on a small machine.
const TEST_THREADS: &str = "4";

/// The seed of all property tests: a run of this command has the same cases every time, so that its verdict belongs to the code.
/// `cargo test` takes others each time.
const SEED: &str = "PROPTEST_RNG_SEED";

#[derive(Args)]
pub(crate) struct TestArgs {
    /// Only what needs no Kafka
    #[arg(long)]
    quick: bool,
    /// Stop at the first step that fails
    #[arg(long)]
    fail_fast: bool,
    /// Only this step, by the name that a run prints; may be repeated
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
}

pub(crate) fn run(args: &TestArgs) -> Result<()> {
    machine::build_tools()?;
    announce_first_build();
    let mut steps = Steps::new(args.fail_fast, &args.only);
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
    machine::release_tools()?;
    machine::shells()?;
    machine::monitoring_tools()?;
    machine::browser()?;
    machine::postgres()?;
    let kafka = Kafka::find()?;
    println!("Kafka: {}", kafka.describe());
    checks(&mut steps);
    steps.step("contract", contract);
    steps.step("tests", || tests(&kafka));
    steps.step("examples", || examples::run(&kafka));
    steps.step("handbook", || handbook::check(&kafka));
    steps.step("release", || release::briefly(&kafka));
    steps.step("entry crates", entry::check);
    steps.step("chaos briefly", chaos::briefly);
    steps.step("fuzz briefly", fuzz::briefly);
    steps.step("bench builds", bench);
    steps.finish()
}

/// Cargo is quiet in most steps, so a first build says what takes so long.
fn announce_first_build() {
    let built = std::fs::read_dir(paths::target().join("debug/build"))
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("rdkafka-sys-")
        });
    if !built {
        println!(
            "first build in {}: librdkafka and OpenSSL are compiled from C, about four minutes on two cores; later builds take seconds",
            paths::target().display()
        );
    }
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
    run_command(Command::new("python3").arg(check))
}

/// Every rule of the second implementation changed, one at a time: a vector must notice.
pub(crate) fn mutants() -> Result<()> {
    let mutants = paths::root().join("contract/mutants.py");
    run_command(Command::new("python3").arg(mutants))
}

/// The bench stands outside the workspace; its C code is that of the entry crates.
fn bench() -> Result<()> {
    let manifest = paths::root().join("bench/Cargo.toml");
    let format = ["fmt", "--check", "--manifest-path"];
    run_command(cargo(&format).arg(&manifest))?;
    let clippy = [
        "clippy",
        "--quiet",
        "--locked",
        "--all-targets",
        "--manifest-path",
    ];
    run_command(cargo(&clippy).arg(&manifest).args(["--", "-D", "warnings"]))
}

/// Unit, doc, compile-fail and integration tests of every crate: one command, so that one build serves all.
fn tests(kafka: &Kafka) -> Result<()> {
    let mut test = cargo(&["test", "--workspace", "--no-fail-fast"]);
    test.env("RUST_TEST_THREADS", TEST_THREADS);
    if std::env::var_os(SEED).is_none() {
        test.env(SEED, "1");
    }
    if let Some(servers) = kafka.servers() {
        test.env("KAFKAESK_TEST_SERVERS", servers);
    }
    if let Kafka::Jars { .. } = kafka {
        // Kafka's own tools, which a container has.
        test.env("KAFKAESK_TEST_JARS", jars::libs()?);
    }
    let mut failures = Failures::default();
    watch(&mut test, |line| failures.line(line)).map_err(|error| failures.explain(error))
}

/// What failing tests printed. It is repeated at the end of a run: a log's end is what people see first, and some see no
/// more of it.
#[derive(Default)]
struct Failures {
    lines: Vec<String>,
    within: bool,
    more: usize,
}

impl Failures {
    const MOST_LINES: usize = 200;

    /// The test harness prints what failing tests said between these lines.
    fn line(&mut self, line: &str) {
        match line {
            "failures:" => self.within = true,
            _ if line.starts_with("test result:") => self.within = false,
            _ if !self.within => {}
            _ if self.lines.len() < Self::MOST_LINES => self.lines.push(line.to_owned()),
            _ => self.more += 1,
        }
    }

    fn explain(self, error: anyhow::Error) -> anyhow::Error {
        let more = match self.more {
            0 => String::new(),
            more => format!("\n… and {more} lines more, above"),
        };
        anyhow::anyhow!("{error:#}\n{}{more}", self.lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failing_tests_said_is_in_the_error_and_nothing_else() {
        let mut failures = Failures::default();
        let output = "test a ... ok\nfailures:\n\n---- b stdout ----\nleft: 1\n\nfailures:\n    b\n\ntest result: FAILED.\ntest c ... ok";
        output.lines().for_each(|line| failures.line(line));
        let error = failures.explain(anyhow::anyhow!("failed")).to_string();
        assert!(
            error.starts_with("failed\n\n---- b stdout ----\nleft: 1\n"),
            "{error}"
        );
        assert!(!error.contains(" ... ok"), "{error}");
    }

    #[test]
    fn what_failing_tests_said_is_bounded_and_says_so() {
        let mut failures = Failures::default();
        failures.line("failures:");
        (0..1000).for_each(|_| failures.line("again"));
        let error = failures.explain(anyhow::anyhow!("failed")).to_string();
        assert!(error.ends_with("and 800 lines more, above"), "{error}");
    }
}
