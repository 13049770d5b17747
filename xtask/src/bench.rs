//! `cargo xtask bench`: gives `bench/` a Kafka and passes its arguments on. Measures nothing itself.

use anyhow::Result;
use clap::Args;
use xtask::{
    broker::{Broker, BrokerSpec, free_port},
    command,
    kafka::{VARIABLES, answers},
    machine,
};

use crate::cargo::cargo;

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Fewer rounds
    #[arg(long)]
    quick: bool,
    /// Measure on this Kafka instead of a fresh one
    #[arg(long)]
    servers: Option<String>,
    /// Passed on to bench/
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    machine::build_tools()?;
    let named = args.servers.clone().or_else(|| {
        VARIABLES
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|servers| !servers.trim().is_empty() && answers(servers))
    });
    let (servers, _broker) = match named {
        Some(servers) => (servers, None),
        None => {
            let port = free_port()?;
            let spec = BrokerSpec::plain(&format!("kafkaesk-bench-{port}"), port)?;
            let broker = Broker::start(&spec)?;
            (format!("127.0.0.1:{port}"), Some(broker))
        }
    };
    println!("Kafka: {servers}");
    let mut bench = cargo(&[
        "run",
        "--release",
        "--manifest-path",
        "bench/Cargo.toml",
        "--",
    ]);
    bench.args(["--servers", &servers]);
    if args.quick {
        bench.arg("--quick");
    }
    command::run(bench.args(&args.rest))
}
