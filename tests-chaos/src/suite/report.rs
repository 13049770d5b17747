//! Report: a run's verdict as text: one row of a table, and each broken law with the command that repeats the run.

use super::plan::Plan;
use crate::checker::Verdict;

/// The table's head.
pub(super) const HEAD: &str = "\
| scenario | seed | messages | handled | repeats: allowed, seen, behind unfinished | standstill | drain | memory | verdict |
|---|---|---|---|---|---|---|---|---|";

/// A row of it.
pub(super) fn row(plan: &Plan, verdict: &Verdict) -> String {
    format!(
        "| {} | {} | {} | {} | {}, {}, {} | {:.1} s | {:.1} s | {} MiB | {} |",
        plan.scenario,
        plan.seed,
        verdict.messages,
        match (verdict.letters, verdict.removed) {
            (0, 0) => verdict.handled.to_string(),
            (0, removed) => format!("{} ({removed} removed)", verdict.handled),
            (letters, _) => format!("{} ({letters} letters)", verdict.handled),
        },
        verdict.allowed,
        verdict.repeated,
        verdict.behind_unfinished,
        verdict.standstill as f64 / 1e6,
        verdict.drain as f64 / 1e6,
        verdict.memory_kib / 1024,
        match verdict.violations_total {
            0 => "ok".to_owned(),
            count => format!("**{count} broken**"),
        }
    )
}

/// How many warnings of one worker a broken run prints.
const WARNINGS: usize = 8;

/// The row of a run that could not be carried out.
pub(super) fn failed(plan: &Plan) -> String {
    format!(
        "| {} | {} | | | | | | | **not carried out** |",
        plan.scenario, plan.seed
    )
}

/// What is broken.
pub(super) fn broken(plan: &Plan, verdict: &Verdict, folder: &std::path::Path) -> String {
    let mut text = String::new();
    for violation in &verdict.violations {
        text.push_str(&format!("  {}: {}\n", violation.law, violation.text));
    }
    if verdict.violations_total > verdict.violations.len() {
        text.push_str(&format!(
            "  … and {} more\n",
            verdict.violations_total - verdict.violations.len()
        ));
    }
    for line in warnings(folder) {
        text.push_str(&format!("  log: {line}\n"));
    }
    text.push_str(&format!(
        "  ledger and logs: {}\n  again: {}",
        folder.display(),
        again(plan)
    ));
    text
}

/// The last warnings and errors of each worker's log: a machine whose files are gone shows the cause as well.
fn warnings(folder: &std::path::Path) -> Vec<String> {
    let logs = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut logs: Vec<_> = logs
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "log"))
        .collect();
    logs.sort();
    let mut last = Vec::new();
    for log in logs {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let name = log.file_stem().unwrap_or_default().to_string_lossy();
        let loud = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        let mut lines: Vec<_> = text.lines().rev().filter(loud).take(WARNINGS).collect();
        lines.reverse();
        last.extend(lines.into_iter().map(|line| format!("{name}: {line}")));
    }
    last
}

/// The command that repeats a run.
pub(super) fn again(plan: &Plan) -> String {
    format!(
        "cargo xtask chaos --scenario {} --seed {} --messages {}",
        plan.scenario, plan.seed, plan.messages
    )
}
