//! Holds: a few seeds of each scenario under the laws, and the same seed twice.

use kafkaesk_simulate::{
    rivals::Rule,
    run::{rival, worker},
    scale::Ours,
    scenarios::{ALL, Scenario},
    suite::run,
};

#[test]
fn three_seeds_of_each_scenario_break_no_law() {
    let all: Vec<_> = ALL
        .iter()
        .flat_map(|(name, _)| (1..=3).map(move |seed| (*name, seed)))
        .collect();
    let runs = run(&all);
    assert_eq!(runs.len(), ALL.len() * 3);
    let broken: Vec<_> = runs
        .iter()
        .flat_map(|run| run.broken.iter().map(move |it| (run.name, run.seed, it)))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_seed_decides_everything() {
    for (name, _) in ALL.iter().filter(|(name, _)| *name != "large") {
        let scenario = Scenario::named(name, 7).unwrap();
        let text = |seed: u64| {
            let scenario = Scenario::named(name, seed).unwrap();
            let (ours, other) = (worker(&scenario, &Ours), rival(&scenario, Rule::Aimd));
            let lags = ours.seconds.iter().chain(&other.seconds).map(|it| it.lag);
            let lags: Vec<u64> = lags.map(f64::to_bits).collect();
            format!("{:?} {:?} {lags:?}", ours.decided, other.decided)
        };
        assert_eq!(scenario.seconds, 3600);
        assert!(text(7) == text(7), "{name}: the same seed gave another run");
        assert!(text(7) != text(8), "{name}: the seed changes nothing");
    }
}

#[test]
fn no_scenario_has_the_name_of_another() {
    for (name, _) in ALL {
        let named = Scenario::named(name, 1).map(|it| it.name);
        assert_eq!(named, Some(name));
    }
    assert!(Scenario::named("fleet", 1).is_none());
}
