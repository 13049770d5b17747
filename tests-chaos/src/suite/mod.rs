//! The suite: makes plans from seeds, carries them out, has their ledgers checked, and prints the verdicts. Next: `plan`,
//! `run`.

mod book;
mod cluster;
mod commits;
mod copies;
mod custody;
mod fleet;
mod letters;
mod mutations;
mod plan;
mod proxy;
mod report;
mod run;
mod scenarios;
mod schedules;
mod stream;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio::task::JoinSet;

use crate::{
    checker::{self, Verdict},
    ledger::{Bounds, Ledger},
    line::Micros,
};
use cluster::Cluster;
use plan::{Brokers, Plan};
use scenarios::{SCENARIOS, Scenario};

/// The stream that is published to.
const STREAM: &str = "load";
/// The stream that handlers publish copies to.
const COPIES: &str = "copies";
/// How long the brokers keep the transaction of a worker open that was killed in the middle of it (20 s), and until they look. The
/// next owner of its partitions waits for it.
const OPEN_TRANSACTION: Micros = 22_000_000;
/// How soon a group goes on after a fault.
const PROGRESS: Micros = 15_000_000;
/// The memory of one worker in a debug build: some 25 MiB, 95 MiB once it read its own symbols for a panic's trace.
const MEMORY_KIB: u64 = 256 * 1024;
/// How long after a look for topics a worker acts on what it saw.
const LOOK: Micros = 3_000_000;
/// How many messages a run of `--short` publishes.
const SHORT_MESSAGES: u64 = 1500;

/// Runs schedules of faults on a real Kafka and checks that nothing is lost, repeated or out of order
#[derive(Debug, Parser)]
#[command(name = "cargo xtask chaos")]
struct Args {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How many messages a run publishes
    #[arg(long)]
    messages: Option<u64>,
    /// Only this scenario; may be repeated
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Show the scenarios
    #[arg(long)]
    list: bool,
    /// The scenarios that every run of the tests has, each with another seed
    #[arg(long)]
    short: bool,
    /// Put faults into the workers' code, one at a time, and fail if the checker misses one; `--scenario` names those
    /// that show in it
    #[arg(long)]
    mutations: bool,
    /// How many runs that leave the brokers alone go on at a time, on the same brokers
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    beside: usize,
    /// Keep ledgers and logs of runs that pass, too
    #[arg(long)]
    keep: bool,
}

/// The program.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for scenario in SCENARIOS {
            println!("{:<18} {}", scenario.name, scenario.does);
        }
        return ExitCode::SUCCESS;
    }
    let ran = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start a runtime")
        .and_then(|runtime| {
            runtime.block_on(async {
                tokio::select! {
                    ran = all(&args) => ran,
                    // What was started ends with its handles.
                    _ = tokio::signal::ctrl_c() => bail!("interrupted"),
                }
            })
        });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn all(args: &Args) -> Result<()> {
    if args.mutations {
        return mutations::all(args.seed..args.seed + args.seeds, &args.scenario).await;
    }
    let plans = plans(args)?;
    let all = plans.len();
    let (together, alone): (Vec<Plan>, Vec<Plan>) = plans
        .into_iter()
        .partition(|plan| args.beside > 1 && plan.spares_the_brokers());
    let mut clusters = Clusters::default();
    let mut ended = side_by_side(together, &mut clusters, args).await?;
    for plan in alone {
        announce(&plan);
        let cluster = clusters.get(plan.brokers).await?;
        let carried_out = one(&plan, cluster, args.keep).await;
        if carried_out.is_err() {
            // Whatever state it is in.
            clusters = Clusters::default();
        }
        ended.push(judged(&plan, carried_out));
    }
    let rows = ended.iter().map(|(row, _)| row);
    let failed: Vec<_> = ended
        .iter()
        .filter_map(|(_, failed)| failed.clone())
        .collect();
    println!("\n{}", report::HEAD);
    for row in rows {
        println!("{row}");
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "{} of {} runs broke a law:\n  {}",
        failed.len(),
        all,
        failed.join("\n  ")
    )
}

/// What the arguments ask for.
fn plans(args: &Args) -> Result<Vec<Plan>> {
    for name in &args.scenario {
        if !SCENARIOS.iter().any(|scenario| scenario.name == name) {
            bail!("there is no scenario {name:?}; `--list` shows them");
        }
    }
    let wanted: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|it| match args.scenario.is_empty() {
            true => !args.short || it.short,
            false => args.scenario.iter().any(|name| name == it.name),
        })
        .collect();
    let messages = args.messages.unwrap_or(SHORT_MESSAGES);
    let mut plans = Vec::new();
    for round in 0..args.seeds {
        for (index, scenario) in wanted.iter().enumerate() {
            let own = match args.short {
                true => u64::try_from(index)?,
                false => 0,
            };
            plans.push(scenarios::plan(scenario, args.seed + round + own, messages));
        }
    }
    // Those of one Kafka together.
    plans.sort_by_key(|plan| plan.brokers);
    Ok(plans)
}

/// The Kafkas that run; one at a time.
#[derive(Default)]
struct Clusters(Option<(Brokers, Cluster)>);

impl Clusters {
    async fn get(&mut self, which: Brokers) -> Result<&mut Cluster> {
        if self.0.as_ref().is_none_or(|(there, _)| *there != which) {
            self.0 = None;
            println!("starting Kafka: {which:?} broker(s)");
            self.0 = Some((which, Cluster::start(which).await?));
        }
        match &mut self.0 {
            Some((_, cluster)) => Ok(cluster),
            None => bail!("no cluster"),
        }
    }
}

/// Carries out several plans at a time that leave their brokers alone.
async fn side_by_side(
    plans: Vec<Plan>,
    clusters: &mut Clusters,
    args: &Args,
) -> Result<Vec<Ended>> {
    let mut waiting = plans.into_iter();
    let (mut running, mut ended) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < args.beside
            && let Some(plan) = waiting.next()
        {
            announce(&plan);
            let mut cluster = clusters.get(plan.brokers).await?.beside();
            let keep_all = args.keep;
            running.spawn(async move {
                let carried_out = one(&plan, &mut cluster, keep_all).await;
                judged(&plan, carried_out)
            });
        }
        match running.join_next().await {
            Some(over) => ended.push(over.context("a run panicked")?),
            None => return Ok(ended),
        }
    }
}

/// A run's row, and the command that repeats it if it did not pass.
type Ended = (String, Option<String>);

fn judged(plan: &Plan, carried_out: Result<(String, bool)>) -> Ended {
    match carried_out {
        Ok((row, true)) => (row, None),
        Ok((row, false)) => (row, Some(report::again(plan))),
        Err(error) => {
            println!("  {} could not be carried out: {error:#}", plan.scenario);
            (report::failed(plan), Some(report::again(plan)))
        }
    }
}

fn announce(plan: &Plan) {
    println!(
        "\n== {} --seed {} --messages {}: {} workers, {} partitions, {} keys, concurrency {}, {:.0} s",
        plan.scenario,
        plan.seed,
        plan.messages,
        plan.workers,
        plan.partitions,
        plan.keys,
        plan.concurrency,
        plan.length.as_secs_f64()
    );
    for step in &plan.steps {
        println!("  {step}");
    }
}

/// A run: its row, and whether it passed.
async fn one(plan: &Plan, cluster: &mut Cluster, keep_all: bool) -> Result<(String, bool)> {
    let folder = folder(plan);
    let (ledger, verdict) = judge(plan, cluster, &bounds(plan)?).await?;
    let row = report::row(plan, &verdict);
    println!("{row}");
    let passed = verdict.violations_total == 0;
    if passed && !keep_all {
        fs::remove_dir_all(&folder)?;
    } else {
        keep(&folder, &ledger, &verdict)?;
    }
    if !passed {
        println!("{}", report::broken(plan, &verdict, &folder));
    }
    Ok((row, passed))
}

/// Where a run's logs go.
fn folder(plan: &Plan) -> PathBuf {
    let name = format!("{}-{}", plan.scenario, plan.seed);
    xtask::paths::target().join("chaos").join(name)
}

/// Carries a plan out.
async fn judge(plan: &Plan, cluster: &mut Cluster, bounds: &Bounds) -> Result<(Ledger, Verdict)> {
    let folder = folder(plan);
    // What a former run left.
    let _ = fs::remove_dir_all(&folder);
    let ledger = run::run(plan, cluster, folder).await?;
    let verdict = checker::check(&ledger, bounds);
    Ok((ledger, verdict))
}

fn bounds(plan: &Plan) -> Result<Bounds> {
    Ok(Bounds {
        progress: PROGRESS + if plan.copies { OPEN_TRANSACTION } else { 0 },
        session: i64::try_from(plan.session.as_micros())?,
        drain: i64::try_from(plan.shutdown_timeout.as_micros())?,
        notices: i64::try_from(plan.discovery.as_micros())? + LOOK,
        max_poll: i64::try_from(plan.max_poll.as_micros())?,
        attempts: plan.attempts.unwrap_or(0),
        memory_kib: MEMORY_KIB,
    })
}

/// Keeps the ledger and what is broken beside the workers' logs.
fn keep(folder: &Path, ledger: &Ledger, verdict: &Verdict) -> Result<()> {
    fs::create_dir_all(folder)?;
    let file = fs::File::create(folder.join("ledger.json"))?;
    serde_json::to_writer(std::io::BufWriter::new(file), ledger)?;
    let mut laws: BTreeMap<&str, String> = BTreeMap::new();
    for violation in &verdict.violations {
        let text = laws.entry(violation.law).or_default();
        text.push_str(&violation.text);
        text.push('\n');
    }
    fs::write(folder.join("broken.txt"), format!("{laws:#?}\n"))?;
    Ok(())
}
