//! Services: the laws of the handlers' controller, and one faulty controller for each.

use kafkaesk_simulate::{
    scale::{SeeksHandlers, Window, our_handlers},
    service::{ALL, BOUNDS, Rule, Service, run, run_with},
};

/// A fault.
#[derive(Clone, Copy)]
enum Fault {
    /// It stays at eight.
    Stays,
    /// It goes on beyond its bounds.
    LeavesBounds,
    /// It tries more though no work waits.
    InventsWork,
}

struct Faulty(Fault, u32, Box<dyn SeeksHandlers>);

impl SeeksHandlers for Faulty {
    fn level(&self) -> u32 {
        self.1
    }

    fn window(&mut self, window: &Window) {
        match self.0 {
            Fault::Stays => {}
            Fault::LeavesBounds => self.1 += 16,
            Fault::InventsWork => {
                let limited = true;
                self.2.window(&Window { limited, ..*window });
                self.1 = self.2.level();
            }
        }
    }
}

fn named(name: &str, seed: u64) -> Service {
    Service::named(name, seed).expect("there is such a service")
}

#[test]
fn three_seeds_of_each_service_break_no_law() {
    for (name, _) in ALL {
        for seed in 1..=3 {
            let broken = run(&named(name, seed), Rule::Ours).broken();
            assert!(broken.is_empty(), "{name} {seed}: {broken:?}");
        }
    }
}

#[test]
fn each_law_of_handlers_notices_a_controller_that_breaks_it() {
    for (law, name, fault) in [
        ("goodput:", "service", Fault::Stays),
        ("goodput after", "service", Fault::Stays),
        ("handlers' bounds", "service", Fault::LeavesBounds),
        ("no work", "service-idle", Fault::InventsWork),
    ] {
        let faulty = run_with(&named(name, 1), &|spread| {
            let ours = our_handlers(BOUNDS.0, BOUNDS.1, spread);
            Box::new(Faulty(fault, 8, ours))
        });
        let broken = faulty.broken();
        assert!(
            broken.iter().any(|it| it.starts_with(law)),
            "{name}: {law} is not in {broken:?}"
        );
    }
}
