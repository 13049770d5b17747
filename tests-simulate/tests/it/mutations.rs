//! Mutations: the worker's controllers with one fault each; the law that it breaks must notice.

use std::time::Duration;

use kafkaesk_simulate::{
    laws::{Law, broken},
    rivals::Rule,
    run::{rival, worker},
    scale::{Controllers, Figures, Need, Ours, SeeksInstances, SeeksProcesses, Step},
    scenarios::Scenario,
};

/// A fault.
#[derive(Clone, Copy)]
enum Fault {
    /// The number of instances leaves `max-concurrency`.
    LeavesBounds,
    /// It triples at once.
    Jumps,
    /// What was known last stands for what is not known.
    InventsFigures,
    /// A step up and a step down in turn.
    Flaps,
    /// It decides nothing for half an hour.
    Sleeps,
    /// The wish is three times as high.
    WishesFar,
    /// The wish is one more than there is any use for.
    WishesBeyond,
}

/// The worker's controllers with a fault.
struct Faulty(Fault);

impl Controllers for Faulty {
    fn instances(&self, most: u32, spread: f64) -> Box<dyn SeeksInstances> {
        Box::new(FaultyInstances {
            fault: self.0,
            ours: Ours.instances(most, spread),
            most,
            looks: 0,
            last: None,
        })
    }

    fn processes(&self) -> Box<dyn SeeksProcesses> {
        Box::new(FaultyProcesses(self.0, Ours.processes()))
    }
}

struct FaultyInstances {
    fault: Fault,
    ours: Box<dyn SeeksInstances>,
    most: u32,
    looks: u32,
    last: Option<(u64, u64)>,
}

impl SeeksInstances for FaultyInstances {
    fn sample(&mut self, figures: &Figures) -> Option<Step> {
        self.looks += 1;
        let mut figures = *figures;
        let from = figures.instances;
        let known = figures.came.zip(figures.lag);
        let step = |to: u32| (to != from).then_some(Step { from, to });
        match self.fault {
            Fault::LeavesBounds if figures.busy > 0.9 && known.is_some() => step(self.most + 1),
            Fault::Jumps => {
                let decided = self.ours.sample(&figures)?;
                let up = decided.to > decided.from && decided.from * 3 <= self.most;
                let to = if up { decided.from * 3 } else { decided.to };
                Some(Step { to, ..decided })
            }
            Fault::InventsFigures => {
                self.last = known.or(self.last);
                figures.came = self.last.map(|(came, _)| came);
                figures.lag = self.last.map(|(_, lag)| lag);
                figures.disturbed = false;
                self.ours.sample(&figures)
            }
            Fault::Flaps if known.is_some() => match self.looks % 20 {
                0 => step((from + 1).min(self.most)),
                10 => step((from - 1).max(1)),
                _ => None,
            },
            Fault::Sleeps if self.looks < 180 => None,
            _ => self.ours.sample(&figures),
        }
    }

    fn wish(&self) -> Option<u32> {
        self.ours.wish()
    }

    fn is_barred(&self) -> bool {
        self.ours.is_barred()
    }
}

struct FaultyProcesses(Fault, Box<dyn SeeksProcesses>);

impl SeeksProcesses for FaultyProcesses {
    fn look(
        &mut self,
        elapsed: Duration,
        needs: &[Need],
        each: f64,
        instances: u32,
    ) -> Option<u32> {
        let wish = self.1.look(elapsed, needs, each, instances)?;
        Some(match self.0 {
            Fault::WishesFar => wish * 3,
            Fault::WishesBeyond => needs.len() as u32,
            _ => wish,
        })
    }

    fn forget(&mut self) {
        self.1.forget();
    }
}

fn broken_by(name: &str, fault: Fault) -> Vec<Law> {
    let scenario = Scenario::named(name, 1).expect("there is such a scenario");
    let oracle = rival(&scenario, Rule::Oracle);
    assert!(
        broken(&worker(&scenario, &Ours), &oracle).is_empty(),
        "{name}: ours break a law"
    );
    let faulty = worker(&scenario, &Faulty(fault));
    let mut laws: Vec<Law> = broken(&faulty, &oracle).iter().map(|it| it.law).collect();
    laws.dedup();
    laws
}

#[test]
fn each_law_notices_a_controller_that_breaks_it() {
    for (law, name, fault) in [
        (Law::Bounds, "steps", Fault::LeavesBounds),
        (Law::Bounds, "steps", Fault::Jumps),
        (
            Law::NoDataNoChange,
            "fleet-silent-brokers",
            Fault::InventsFigures,
        ),
        (Law::Turns, "sine", Fault::Flaps),
        (Law::WorkedOff, "steps", Fault::Sleeps),
        (Law::Hours, "fleet-steps", Fault::WishesFar),
        (Law::Useful, "fleet-few-partitions", Fault::WishesBeyond),
    ] {
        let found = broken_by(name, fault);
        assert!(
            found.contains(&law),
            "{name}: {} is not in {found:?}",
            law.name()
        );
    }
}
