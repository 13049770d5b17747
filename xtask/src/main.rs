//! `cargo xtask`: runs the chore that the command line names. Never part of what is shipped.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod cargo;
mod chaos;
mod entry;
mod examples;
mod fuzz;
mod handbook;
mod local;
mod release;
mod running;
mod simulate;
mod steps;
mod test;
mod tidy;
mod walk;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own chores")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Runs every check and every test, fast ones first; finds or starts the Kafka that they need
    Test(test::TestArgs),
    /// Checks the house rules that no other tool checks
    Tidy,
    /// Keeps a local Kafka for daily work
    Kafka {
        #[command(subcommand)]
        action: local::Action,
    },
    /// Changes the contract's rules one at a time, and shows that the vectors notice
    Mutants,
    /// Feeds mutated inputs to everything that parses foreign bytes
    Fuzz(fuzz::FuzzArgs),
    /// Runs seeded faults against workers on a real Kafka, and checks what became of every message
    Chaos(chaos::ChaosArgs),
    /// Runs the scaling controllers on a model of a group, under seeded loads and faults, and checks their laws
    Simulate(simulate::SimulateArgs),
    /// Builds what users install: a tarball, a Python wheel, npm packages
    Release(release::ReleaseArgs),
    /// Makes the handbook from `docs/`, and checks its links, its data and its HTML
    Handbook(handbook::HandbookArgs),
    /// Measures against other clients on a real Kafka
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    let result = match Args::parse().chore {
        Chore::Test(args) => test::run(&args),
        Chore::Tidy => tidy::run(),
        Chore::Kafka { action } => local::run(&action),
        Chore::Mutants => test::mutants(),
        Chore::Fuzz(args) => fuzz::run(&args),
        Chore::Chaos(args) => chaos::run(&args),
        Chore::Simulate(args) => simulate::run(&args),
        Chore::Release(args) => release::run(&args),
        Chore::Handbook(args) => handbook::run(&args),
        Chore::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
