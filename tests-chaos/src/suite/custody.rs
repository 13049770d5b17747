//! Custody: the schedules of scenarios whose workers commit by hand. As in `schedules`, the last argument is the schedule's length in
//! seconds.

use std::time::Duration;

use fastrand::Rng;

use super::{
    plan::{Action, Custody, Plan},
    schedules::{between, storm},
};

/// A sink holds messages for up to half a second; there is room for all of them.
fn held(plan: &mut Plan, rng: &mut Rng) {
    plan.custody = Some(Custody {
        hold: Duration::from_millis(rng.u64(50..500)),
        deaf: false,
        most: 10_000,
    });
}

pub(super) fn sink(plan: &mut Plan, rng: &mut Rng, length: f64) {
    held(plan, rng);
    plan.mix.fails_one_in = 20;
    storm(plan, rng, length);
}

pub(super) fn sink_killed(plan: &mut Plan, rng: &mut Rng, length: f64) {
    held(plan, rng);
    plan.short_session();
    // More than a good message fails and panics.
    plan.attempts = Some(8);
    plan.mix.fails_one_in = 20;
    plan.mix.panics_one_in = 50;
    plan.mix.poison_one_in = 60;
    let mut at = between(rng, 1.0, 3.0);
    while at < length - 10.0 {
        let worker = rng.usize(..plan.workers);
        let (action, back, undo) = match rng.usize(..3) {
            0 => (
                Action::Kill(worker),
                at + between(rng, 0.1, 2.0),
                Action::Start(worker),
            ),
            1 => (
                Action::Stop(worker),
                at + between(rng, 7.0, 9.0),
                Action::Continue(worker),
            ),
            _ => (
                Action::Terminate(worker),
                at + between(rng, 0.0, 1.0),
                Action::Start(worker),
            ),
        };
        plan.step(at, action);
        plan.step(back, undo);
        at = back + between(rng, 2.0, 5.0);
    }
}

pub(super) fn sink_hangs(plan: &mut Plan, rng: &mut Rng, length: f64) {
    held(plan, rng);
    // Reached soon.
    if let Some(custody) = &mut plan.custody {
        custody.most = rng.u32(20..60);
    }
    let mut at = between(rng, 1.0, 3.0);
    while at < length - 14.0 {
        let worker = rng.usize(..plan.workers);
        let back = at + between(rng, 4.0, 11.0);
        plan.step(at, Action::Hang(worker));
        plan.step(back, Action::Release(worker));
        // A rebalance while it hangs: the revoke waits for it, up to its deadline.
        let other = (worker + 1) % plan.workers;
        let away = between(rng, at + 0.5, back - 1.0);
        plan.step(away, Action::Terminate(other));
        plan.step(away + between(rng, 0.2, 1.0), Action::Start(other));
        at = back + between(rng, 5.0, 7.0);
    }
}

pub(super) fn sink_alone(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.messages = plan.messages.min(1500);
    plan.workers = 1;
    plan.partitions = 1;
    // Long enough for a machine with other work.
    plan.session_of(Duration::from_secs(2));
    plan.custody = Some(Custody {
        // Committers of an assignment are there while the next one counts its messages from the beginning.
        hold: Duration::from_secs(8),
        deaf: true,
        most: 10_000,
    });
    let mut at = between(rng, 5.0, 6.0);
    while at < length - 4.0 {
        plan.step(at, Action::Stop(0));
        plan.step(at + 3.0, Action::Continue(0));
        at += between(rng, 6.0, 8.0);
    }
}
