//! The measurement: contenders of one job take turns, each in a process of its own, and the order turns as well.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{
    contenders::{Contender, Job},
    result::Run,
};

/// Two contenders' runs, round by round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) ours: Vec<Run>,
    pub(crate) raw: Vec<Run>,
}

/// Measures one job; `job.run` begins the names of the runs.
pub(crate) fn measure(ours: Contender, raw: Contender, job: &Job, rounds: u32) -> Result<Rounds> {
    let mut all = Rounds::default();
    for round in 0..rounds {
        let mut order = [(ours, true), (raw, false)];
        if round % 2 == 1 {
            order.reverse();
        }
        for (contender, is_ours) in order {
            let run = child(
                contender,
                &Job {
                    run: format!("{}-{}-{round}", job.run, contender.name()),
                    ..job.clone()
                },
            )?;
            eprintln!(
                "round {round}  {:<17} {:>9.0} msg/s  {:.2} µs CPU  {:.0} MiB",
                contender.name(),
                run.per_second(),
                run.cpu_micros(),
                run.peak_mib()
            );
            if is_ours {
                all.ours.push(run);
            } else {
                all.raw.push(run);
            }
        }
    }
    Ok(all)
}

fn child(contender: Contender, job: &Job) -> Result<Run> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--servers", &job.servers])
        .args(["--contender", contender.name()])
        .args(["--prefix", &job.prefix])
        .args(["--stream", &job.stream])
        .args(["--count", &job.count.to_string()])
        .args(["--run", &job.run])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{} failed", contender.name());
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("{} said {line:?}", contender.name()))
}
