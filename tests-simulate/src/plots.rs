//! Plots: which scenarios are drawn, and into which files. Draws nothing itself.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use kafkaesk_simulate::{
    plot::{Line, svg},
    rivals::Rule,
    run::{rival, worker},
    scale::Ours,
    scenarios::Scenario,
    service::{self, MOVES, Service},
};

/// Scenarios of instances, with their titles.
const DRAWN: [(&str, &str); 3] = [
    ("steps", "One process: ten times the load for half an hour"),
    (
        "fleet-sine",
        "Processes of up to 3 instances: a load that rises and falls",
    ),
    (
        "large",
        "334 processes, 10,000 partitions: five times the load for half an hour",
    ),
];

/// Writes one SVG each.
pub(crate) fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let save = |name: &str, text: String| {
        let path = folder.join(format!("{name}.svg"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    for (name, title) in DRAWN {
        let scenario = Scenario::named(name, 1).context("there is no such scenario")?;
        let (ours, oracle) = (worker(&scenario, &Ours), rival(&scenario, Rule::Oracle));
        let most = f64::from(scenario.most_instances());
        let lines = [
            line(
                "load",
                "#8b949e",
                false,
                ours.seconds.iter().map(|it| it.load),
            ),
            line(
                "wish",
                "#e08a00",
                false,
                ours.seconds.iter().map(|it| it.wish.min(most)),
            ),
            line(
                "actual",
                "#2f81f7",
                false,
                ours.seconds.iter().map(|it| f64::from(it.running)),
            ),
            line(
                "oracle",
                "#2da44e",
                true,
                oracle.seconds.iter().map(|it| f64::from(it.running)),
            ),
        ];
        save(name, svg(title, "instances", &lines, &[]))?;
    }
    let service = Service::named("service", 1).context("there is no such scenario")?;
    let ours = service::run(&service, service::Rule::Ours);
    let aimd = service::run(&service, service::Rule::Aimd);
    let knee = (0..service::SECONDS).map(|at| match at < MOVES {
        true => service.knees.0,
        false => service.knees.1,
    });
    let lines = [
        line("knee", "#8b949e", false, knee),
        line(
            "handlers",
            "#2f81f7",
            false,
            ours.seconds.iter().map(|(level, _)| f64::from(*level)),
        ),
        line(
            "AIMD",
            "#e08a00",
            true,
            aimd.seconds.iter().map(|(level, _)| f64::from(*level)),
        ),
    ];
    let title = "Handlers before a service whose knee moves after 20 minutes";
    save(
        "service",
        svg(
            title,
            "handlers at a time",
            &lines,
            &[(MOVES, "the knee moves")],
        ),
    )
}

fn line(
    name: &'static str,
    color: &'static str,
    dashed: bool,
    values: impl Iterator<Item = f64>,
) -> Line {
    Line {
        name,
        color,
        dashed,
        values: values.collect(),
    }
}
