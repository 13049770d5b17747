//! Mutations: runs the shortest scenario that shows a fault in the worker's code, for each fault, and fails where the
//! checker notices nothing. The workers must be built with the feature `_mutations`.

use std::{collections::BTreeSet, ops::Range};

use anyhow::{Context, Result, bail};
use kafkaesk_client::mutation::Mutation;

use super::{
    Clusters, bounds, judge,
    scenarios::{SCENARIOS, plan},
};

/// A fault, where it shows, with how many messages, and the law that it breaks.
const MUTATIONS: [(Mutation, &str, u64, &str); 17] = [
    (Mutation::CommitBeforeFinish, "slow", 1500, "commits"),
    (Mutation::WatermarkOffByOne, "sigterm", 1500, "commits"),
    (Mutation::DropOnRevoke, "slow", 1500, "duplicates"),
    (Mutation::LaneReleasedTooEarly, "slow", 1500, "overlap"),
    (Mutation::IgnoreGeneration, "stopped-alone", 400, "commits"),
    (Mutation::NoFence, "stopped-alone", 400, "overlap"),
    (Mutation::StuckKeepsPartitions, "stuck", 1500, "progress"),
    (Mutation::PauseNeverResumed, "hot-key", 12_000, "progress"),
    (Mutation::DeadLetterNotConfirmed, "poison", 1500, "lost"),
    (Mutation::CustodyEndsAtReturn, "sink", 1500, "commits"),
    (Mutation::DroppedIsDone, "sink", 1500, "lost"),
    (
        Mutation::BatchGivenUpWhole,
        "batch-poison",
        1500,
        "dead letters",
    ),
    (Mutation::RevokePassesCustody, "sink", 1500, "duplicates"),
    (
        Mutation::OffsetsBesideTransaction,
        "transactions",
        1500,
        "copies",
    ),
    (
        Mutation::SentBesideTransaction,
        "transactions",
        1500,
        "copies",
    ),
    (Mutation::FailedOutboxKept, "transactions", 1500, "copies"),
    (
        Mutation::RefusedTransactionDropped,
        "transactions",
        1500,
        "copies",
    ),
];

/// All of them, or those that show in one of these scenarios, with each seed.
pub(super) async fn all(seeds: Range<u64>, only: &[String]) -> Result<()> {
    let mut clusters = Clusters::default();
    let mut survivors = Vec::new();
    println!("| fault | scenario | seed | broken laws | verdict |\n|---|---|---|---|---|");
    for (mutation, name, messages, law) in MUTATIONS {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        let scenario = SCENARIOS
            .iter()
            .find(|scenario| scenario.name == name)
            .with_context(|| format!("no scenario {name}"))?;
        for seed in seeds.clone() {
            let mut plan = plan(scenario, seed, messages);
            plan.mutation = Some(mutation);
            let cluster = clusters.get(plan.brokers).await?;
            let (_, verdict) = judge(&plan, cluster, &bounds(&plan)?).await?;
            let laws: BTreeSet<&str> = verdict.violations.iter().map(|it| it.law).collect();
            let noticed = laws.contains(law);
            println!(
                "| {mutation:?} | {name} | {seed} | {} ({} violations) | {} |",
                laws.into_iter().collect::<Vec<_>>().join(", "),
                verdict.violations_total,
                if noticed { "noticed" } else { "**survived**" }
            );
            if !noticed {
                survivors.push(format!("{mutation:?} (seed {seed})"));
            }
        }
    }
    if survivors.is_empty() {
        return Ok(());
    }
    bail!(
        "the checker does not notice: {}; are the workers built with the feature `_mutations`?",
        survivors.join(", ")
    )
}
