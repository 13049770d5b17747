//! `kafkaesk-simulate`: runs the simulation, prints what came of it and which laws did not hold. Called by `cargo xtask simulate`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it prints its result")]

mod plots;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::Parser;
use kafkaesk_simulate::{
    rivals::Rule,
    scenarios::{ALL, Scenario},
    service::{self, Service},
    suite::{Compared, Kept, run},
};

#[derive(Parser)]
#[command(
    name = "cargo xtask simulate",
    about = "The scaling controllers on a model of a group"
)]
struct Args {
    /// Only this seed
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Seeds 1 to this one
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Only this scenario; may be repeated
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Shows the scenarios
    #[arg(long)]
    list: bool,
    /// Draws some scenarios with seed 1 into this folder, and runs nothing else
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if args.list {
        for (name, about) in ALL.into_iter().chain(service::ALL) {
            println!("{name:22} {about}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(folder) = &args.plots {
        return plots::write(folder).map(|()| ExitCode::SUCCESS);
    }
    for name in &args.scenario {
        if Scenario::named(name, 0).is_none() && Service::named(name, 0).is_none() {
            bail!("there is no scenario {name:?}: see `cargo xtask simulate --list`");
        }
    }
    let seeds = args.seed.map_or(1..=args.seeds, |seed| seed..=seed);
    let wanted = |name: &str| args.scenario.is_empty() || args.scenario.iter().any(|it| it == name);
    let pairs = |all: &[(&'static str, &'static str)]| -> Vec<(&'static str, u64)> {
        let names = all
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| wanted(name));
        names
            .flat_map(|name| seeds.clone().map(move |seed| (name, seed)))
            .collect()
    };
    let all = run(&pairs(&ALL));
    if !all.is_empty() {
        print!("{}", table(&all));
    }
    let mut broken: Vec<String> = all.iter().flat_map(explain).collect();
    let services = pairs(&service::ALL);
    if !services.is_empty() {
        print!("{}", services_table(&services, &mut broken));
    }
    let runs = all.len() + services.len();
    for line in &broken {
        println!("{line}");
    }
    println!("{runs} runs, {} broken laws", broken.len());
    Ok(match broken.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn explain(run: &Compared) -> Vec<String> {
    let lines = run.broken.iter().map(|it| {
        format!(
            "broken: {}: {} (cargo xtask simulate --scenario {} --seed {})",
            it.law.name(),
            it.seen,
            run.name,
            run.seed
        )
    });
    lines.collect()
}

/// The worst of all seeds, by scenario: of ours and of each rival.
fn table(all: &[Compared]) -> String {
    let names = Rule::ALL.map(Rule::name).join(" / ");
    let mut text = format!(
        "worst of all seeds: ours / {names}\n\n| scenario | behind, min | instance-hours by the oracle's | turns |\n|---|---|---|---|\n"
    );
    for (name, _) in ALL {
        let runs: Vec<&Compared> = all.iter().filter(|it| it.name == name).collect();
        if runs.is_empty() {
            continue;
        }
        let cell = |digits: usize, figure: &dyn Fn(&Kept, &Kept) -> f64| {
            let worst = |at: Option<usize>| {
                let figures = runs.iter().map(|run| {
                    let kept = at.map_or(&run.ours, |at| &run.rivals[at]);
                    figure(kept, &run.rivals[ORACLE])
                });
                format!("{:.digits$}", figures.fold(0.0, f64::max))
            };
            let rivals = (0..Rule::ALL.len()).map(|at| worst(Some(at)));
            let rivals: Vec<String> = rivals.collect();
            format!("**{}** / {}", worst(None), rivals.join(" / "))
        };
        text += &format!(
            "| `{name}` | {} | {} | {} |\n",
            cell(1, &|it, _| f64::from(it.behind) / 60.0),
            cell(2, &|it, oracle| it.hours / oracle.hours),
            cell(0, &|it, _| it.turns as f64),
        );
    }
    text + "\n"
}

/// The place of the oracle among the rivals.
const ORACLE: usize = 3;

/// The worst share of the best goodput, by scenario and rule: before the knee moves, and after.
fn services_table(all: &[(&'static str, u64)], broken: &mut Vec<String>) -> String {
    let mut text = String::from(
        "worst share of the best fixed number's goodput, from one minute on / from 15 minutes after the knee moved\n\n| scenario | ours | 32 | AIMD |\n|---|---|---|---|\n",
    );
    for (name, _) in service::ALL {
        let services = all.iter().filter(|(it, _)| *it == name);
        let services: Vec<(u64, Service)> = services
            .filter_map(|(name, seed)| Some((*seed, Service::named(name, *seed)?)))
            .collect();
        if services.is_empty() {
            continue;
        }
        text += &format!("| `{name}` |");
        for rule in [
            service::Rule::Ours,
            service::Rule::Fixed,
            service::Rule::Aimd,
        ] {
            let mut worst = (f64::MAX, f64::MAX);
            for (seed, service) in &services {
                let outcome = service::run(service, rule);
                worst.0 = worst.0.min(outcome.share(service::FOUND, service::MOVES));
                worst.1 = worst
                    .1
                    .min(outcome.share(service::FOUND_AGAIN, service::SECONDS));
                if rule == service::Rule::Ours {
                    let repeat = format!("(cargo xtask simulate --scenario {name} --seed {seed})");
                    let found = outcome.broken().into_iter();
                    broken.extend(found.map(|it| format!("broken: {it} {repeat}")));
                }
            }
            text += &match services.iter().all(|(_, service)| service.busy) {
                true => format!(" {:.2} / {:.2} |", worst.0, worst.1),
                false => " – |".to_owned(),
            };
        }
        text += "\n";
    }
    text + "\n"
}
