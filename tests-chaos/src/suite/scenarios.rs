//! Scenarios: the table of what the suite can do, and the plan of each for a seed.

use std::time::Duration;

use fastrand::Rng;

use super::plan::{Action, Brokers, Mix, Plan, Step};

/// A scenario.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// What it does, for `--list`.
    pub(super) does: &'static str,
    /// Whether `--short` runs it.
    pub(super) short: bool,
    /// The shortest schedule, in seconds.
    least: f64,
    /// Fills the plan in. The last argument is the schedule's length in seconds.
    fill: fn(&mut Plan, &mut Rng, f64),
}

/// The most messages that are published in a second: what two cores handle in a debug build beside a Kafka.
const MOST_A_SECOND: f64 = 1500.0;

/// All of them.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "sigkill",
        does: "workers are killed and started again, one or two at a time",
        short: true,
        least: 16.0,
        fill: sigkill,
    },
    Scenario {
        name: "sigterm",
        does: "workers end cleanly and start again, with Kafka's own timeouts",
        short: true,
        least: 12.0,
        fill: sigterm,
    },
    Scenario {
        name: "restart-all",
        does: "all workers end at once and start again at once, with Kafka's own timeouts",
        short: true,
        least: 12.0,
        fill: restart_all,
    },
    Scenario {
        name: "rolling",
        does: "workers end and start again, one after the other, with Kafka's own timeouts",
        short: true,
        least: 14.0,
        fill: rolling,
    },
    Scenario {
        name: "storm",
        does: "workers join and leave all the time, each cleanly",
        short: true,
        least: 14.0,
        fill: storm,
    },
    Scenario {
        name: "storm-at-once",
        does: "the same, and some are asked to end while they still join",
        short: false,
        least: 14.0,
        fill: storm_at_once,
    },
    Scenario {
        name: "sigstop",
        does: "a worker is stopped for longer than its session, and then goes on",
        short: true,
        least: 18.0,
        fill: sigstop,
    },
    Scenario {
        name: "stopped-alone",
        does: "the only worker is stopped for longer than its session; its handlers outlast the loss of its partitions",
        short: false,
        least: 24.0,
        fill: stopped_alone,
    },
    Scenario {
        name: "hot-key",
        does: "one key gets more messages than its lane holds, so that its partition is paused and resumed",
        short: false,
        least: 8.0,
        fill: hot_key,
    },
    Scenario {
        name: "slow",
        does: "one handler in 200 takes 2.8 s while workers end and start again",
        short: false,
        least: 20.0,
        fill: slow,
    },
    Scenario {
        name: "panics",
        does: "one handler in 20 panics once or twice while workers end and are killed",
        short: false,
        least: 20.0,
        fill: panics,
    },
    Scenario {
        name: "fails",
        does: "one handler in 10 fails one to four times while workers end and start again",
        short: true,
        least: 14.0,
        fill: fails,
    },
    Scenario {
        name: "hangs",
        does: "one handler in 300 takes longer than the shutdown timeout while workers end",
        short: false,
        least: 24.0,
        fill: hangs,
    },
    Scenario {
        name: "poison",
        does: "one message in 40 always fails or is rejected, while workers end and are killed",
        short: true,
        least: 20.0,
        fill: poison,
    },
    Scenario {
        name: "dead-letters-away",
        does: "the topic of dead letters is deleted while messages use up their attempts, and created again",
        short: false,
        least: 24.0,
        fill: dead_letters_away,
    },
    Scenario {
        name: "broker-restart",
        does: "the only broker is killed or ended, and started again",
        short: false,
        least: 30.0,
        fill: broker_restart,
    },
    Scenario {
        name: "cut",
        does: "the proxy ends all connections, or passes nothing, for less than a session",
        short: false,
        least: 30.0,
        fill: cut,
    },
    Scenario {
        name: "delay",
        does: "the proxy delays everything by up to 400 ms while workers end and start",
        short: false,
        least: 24.0,
        fill: delay,
    },
    Scenario {
        name: "throttle",
        does: "the proxy passes few bytes a second while workers end and start",
        short: false,
        least: 24.0,
        fill: throttle,
    },
    Scenario {
        name: "partitions-grow",
        does: "partitions are added to the topic while it is read",
        short: false,
        least: 20.0,
        fill: partitions_grow,
    },
    Scenario {
        name: "gaps",
        does: "aborted transactions leave gaps in the offsets while workers end and start",
        short: false,
        least: 30.0,
        fill: gaps,
    },
    Scenario {
        name: "broker-of-three",
        does: "one broker of three is killed or ended, and started again",
        short: false,
        least: 40.0,
        fill: broker_of_three,
    },
    Scenario {
        name: "coordinator-moved",
        does: "the broker of three that coordinates the group is killed, and started again",
        short: false,
        least: 40.0,
        fill: coordinator_moved,
    },
];

/// The plan of a scenario.
pub(super) fn plan(scenario: &Scenario, seed: u64, messages: u64) -> Plan {
    // Scenarios of one seed differ.
    let salt = scenario.name.bytes().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let mut rng = Rng::with_seed(seed ^ salt.rotate_left(32));
    let length = scenario.least.max(messages as f64 / MOST_A_SECOND);
    let mut plan = Plan {
        scenario: scenario.name,
        seed,
        brokers: Brokers::One,
        proxied: false,
        publisher_proxied: false,
        messages,
        length: Duration::from_secs_f64(length),
        workers: 3,
        partitions: 6,
        keys: rng.u64(100..300),
        concurrency: rng.u32(8..32),
        shutdown_timeout: Duration::from_secs(6),
        attempts: None,
        properties: Vec::new(),
        // Kafka's own.
        session: Duration::from_secs(45),
        mix: Mix {
            quick: Duration::from_millis(rng.u64(2..16)),
            slow_one_in: 0,
            slow: Duration::ZERO,
            fails_one_in: 0,
            panics_one_in: 0,
            poison_one_in: 0,
            poison_from: 0,
        },
        steps: Vec::new(),
        mutation: None,
    };
    (scenario.fill)(&mut plan, &mut rng, length);
    plan.steps.sort_by_key(|step| step.after);
    plan
}

/// A time between these, in seconds.
fn between(rng: &mut Rng, from: f64, to: f64) -> f64 {
    from + rng.f64() * (to - from)
}

fn sigkill(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.short_session();
    let mut at = between(rng, 1.0, 3.0);
    while at < length - 3.0 {
        let first = rng.usize(..plan.workers);
        let mut killed = vec![first];
        if rng.bool() {
            killed.push((first + 1) % plan.workers);
        }
        let back = at + between(rng, 0.1, 2.0);
        for worker in killed {
            plan.step(at, Action::Kill(worker));
            plan.step(back, Action::Start(worker));
        }
        at = back + between(rng, 5.0, 10.0);
    }
}

/// Ends one worker after the other and starts it again.
fn ends(plan: &mut Plan, rng: &mut Rng, length: f64, pause: (f64, f64)) {
    let mut at = between(rng, 0.5, 2.0);
    while at < length - 1.5 {
        let worker = rng.usize(..plan.workers);
        let back = at + between(rng, 0.0, 1.5);
        plan.step(at, Action::Terminate(worker));
        plan.step(back, Action::Start(worker));
        at = back + between(rng, pause.0, pause.1);
    }
}

fn sigterm(plan: &mut Plan, rng: &mut Rng, length: f64) {
    ends(plan, rng, length, (0.5, 3.0));
}

fn restart_all(plan: &mut Plan, rng: &mut Rng, length: f64) {
    let mut at = between(rng, 1.0, 3.0);
    while at < length - 2.0 {
        let back = at + between(rng, 0.0, 2.0);
        for worker in 0..plan.workers {
            plan.step(at + rng.f64() * 0.1, Action::Terminate(worker));
            plan.step(back + rng.f64() * 0.1, Action::Start(worker));
        }
        at = back + between(rng, 2.0, 5.0);
    }
}

fn rolling(plan: &mut Plan, rng: &mut Rng, length: f64) {
    let mut at = between(rng, 0.5, 2.0);
    let pause = between(rng, 0.3, 2.0);
    let mut worker = rng.usize(..plan.workers);
    while at < length - 1.5 {
        plan.step(at, Action::Terminate(worker));
        plan.step(at + 0.2, Action::Start(worker));
        worker = (worker + 1) % plan.workers;
        at += 0.5 + pause;
    }
}

/// Workers start and end all the time; none ends before it lived for so many seconds.
fn churn(plan: &mut Plan, rng: &mut Rng, length: f64, least: f64) {
    plan.workers = 5;
    let mut at = between(rng, 0.2, 1.0);
    let mut started = vec![Some(-least); plan.workers];
    while at < length - 1.0 {
        let worker = rng.usize(..plan.workers);
        match started[worker] {
            None => {
                plan.step(at, Action::Start(worker));
                started[worker] = Some(at);
            }
            Some(since) if at - since >= least => {
                plan.step(at, Action::Terminate(worker));
                started[worker] = None;
            }
            Some(_) => {}
        }
        at += between(rng, 0.05, 0.7);
    }
}

fn storm(plan: &mut Plan, rng: &mut Rng, length: f64) {
    // Long enough for the first answer of the group: see `storm-at-once`.
    churn(plan, rng, length, 1.5);
}

fn storm_at_once(plan: &mut Plan, rng: &mut Rng, length: f64) {
    churn(plan, rng, length, 0.0);
}

fn sigstop(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.short_session();
    let mut at = between(rng, 1.0, 3.0);
    while at < length - 9.0 {
        let worker = rng.usize(..plan.workers);
        let back = at + between(rng, 7.0, 9.0);
        plan.step(at, Action::Stop(worker));
        plan.step(back, Action::Continue(worker));
        at = back + between(rng, 3.0, 8.0);
    }
}

fn stopped_alone(plan: &mut Plan, rng: &mut Rng, length: f64) {
    // Its handlers take 2 s on average.
    plan.messages = plan.messages.min(400);
    plan.workers = 1;
    plan.partitions = 1;
    plan.concurrency = 30;
    plan.session_of(Duration::from_secs(1));
    plan.mix.quick = Duration::from_secs(1);
    plan.mix.slow_one_in = 2;
    plan.mix.slow = Duration::from_secs(4);
    // After a first commit, so that the place of a record in its assignment is another one than before.
    let mut at = between(rng, 6.0, 7.0);
    while at < length - 3.0 {
        plan.step(at, Action::Stop(0));
        plan.step(at + 1.8, Action::Continue(0));
        at += between(rng, 6.0, 7.5);
    }
}

fn hot_key(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.workers = 2;
    plan.partitions = 2;
    plan.keys = 1;
    plan.session_of(Duration::from_secs(6));
    // Slower than messages come, faster than a run should last.
    plan.mix.quick = Duration::from_micros(rng.u64(100..300));
    // Somebody else has the other partition: nothing changes for the hot one.
    plan.step(length / 2.0, Action::Terminate(1));
}

fn slow(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.mix.slow_one_in = 200;
    plan.mix.slow = Duration::from_millis(2800);
    ends(plan, rng, length, (1.0, 4.0));
}

fn panics(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.mix.panics_one_in = 20;
    ends(plan, rng, length / 2.0, (1.0, 4.0));
    plan.short_session();
    let worker = rng.usize(..plan.workers);
    plan.step(length * 0.6, Action::Kill(worker));
    plan.step(length * 0.6 + 1.0, Action::Start(worker));
}

fn fails(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.mix.fails_one_in = 10;
    ends(plan, rng, length, (1.0, 4.0));
}

fn hangs(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.mix.slow_one_in = 300;
    plan.mix.slow = plan.shutdown_timeout + Duration::from_secs(2);
    ends(plan, rng, length, (2.0, 5.0));
}

fn poison(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.short_session();
    // More than a good message fails.
    plan.attempts = Some(5);
    plan.mix.poison_one_in = 40;
    plan.mix.fails_one_in = 30;
    let mut at = between(rng, 1.0, 3.0);
    while at < length - 3.0 {
        let worker = rng.usize(..plan.workers);
        let back = at + between(rng, 0.1, 2.0);
        plan.step(
            at,
            match rng.usize(..3) {
                0 => Action::Terminate(worker),
                _ => Action::Kill(worker),
            },
        );
        plan.step(back, Action::Start(worker));
        at = back + between(rng, 2.0, 6.0);
    }
}

fn dead_letters_away(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.attempts = Some(5);
    plan.mix.poison_one_in = 40;
    // A letter that was written before would be gone.
    plan.mix.poison_from = plan.messages / 4;
    plan.step(2.0, Action::DeleteLetters);
    // A worker that starts would create it.
    let worker = rng.usize(..plan.workers);
    plan.step(
        between(rng, length * 0.35, length * 0.5),
        Action::Terminate(worker),
    );
    let back = between(rng, length * 0.55, length * 0.65);
    plan.step(back, Action::CreateLetters);
    plan.step(back + 0.5, Action::Start(worker));
    let next = (worker + 1) % plan.workers;
    plan.step(length * 0.8, Action::Terminate(next));
    plan.step(length * 0.85, Action::Start(next));
}

fn broker_restart(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.short_session();
    let action = match rng.bool() {
        true => Action::KillBroker(0),
        false => Action::EndBroker(0),
    };
    let at = between(rng, 2.0, length / 3.0);
    plan.step(at, action);
    plan.step(at + between(rng, 0.5, 5.0), Action::StartBroker(0));
}

fn proxied(plan: &mut Plan, rng: &mut Rng) {
    plan.proxied = true;
    plan.publisher_proxied = rng.bool();
}

fn cut(plan: &mut Plan, rng: &mut Rng, length: f64) {
    proxied(plan, rng);
    let mut at = between(rng, 1.0, 3.0);
    while at < length - 9.0 {
        let action = match rng.bool() {
            true => Action::Cut,
            false => Action::Hole,
        };
        let back = at + between(rng, 0.2, 6.0);
        plan.step(at, action);
        plan.step(back, Action::Restore);
        at = back + between(rng, 2.0, 6.0);
    }
}

fn delay(plan: &mut Plan, rng: &mut Rng, length: f64) {
    proxied(plan, rng);
    plan.step(0.5, Action::Delay(Duration::from_millis(rng.u64(50..400))));
    ends(plan, rng, length * 0.8, (3.0, 6.0));
    plan.step(length * 0.9, Action::Restore);
}

fn throttle(plan: &mut Plan, rng: &mut Rng, length: f64) {
    proxied(plan, rng);
    plan.step(0.5, Action::Throttle(rng.u64(60_000..200_000)));
    ends(plan, rng, length * 0.8, (3.0, 6.0));
    plan.step(length * 0.9, Action::Restore);
}

fn partitions_grow(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.partitions = 3;
    plan.step(between(rng, 1.0, length / 3.0), Action::Grow(6));
    plan.step(between(rng, length / 2.0, length * 0.8), Action::Grow(9));
    ends(plan, rng, length * 0.7, (2.0, 5.0));
}

fn gaps(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.step(between(rng, 1.0, 3.0), Action::AbortedTransaction);
    plan.step(
        between(rng, length / 2.0, length * 0.6),
        Action::AbortedTransaction,
    );
    ends(plan, rng, length * 0.8, (2.0, 5.0));
}

fn broker_of_three(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.brokers = Brokers::Three;
    let mut at = between(rng, 2.0, 5.0);
    while at < length - 18.0 {
        let broker = rng.usize(..3);
        let action = match rng.bool() {
            true => Action::KillBroker(broker),
            false => Action::EndBroker(broker),
        };
        let back = at + between(rng, 3.0, 8.0);
        plan.step(at, action);
        plan.step(back, Action::StartBroker(broker));
        at = back + between(rng, 10.0, 15.0);
    }
}

fn coordinator_moved(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.brokers = Brokers::Three;
    let at = between(rng, 2.0, 8.0);
    plan.step(at, Action::KillCoordinator);
    plan.step(at + between(rng, 5.0, 10.0), Action::StartCoordinator);
    ends(plan, rng, length * 0.6, (3.0, 6.0));
}

/// What brings everything back at a plan's end, whatever its last step was.
pub(super) fn restore(plan: &Plan) -> Vec<Step> {
    let mut actions = vec![Action::Restore];
    actions.extend((0..3).map(Action::StartBroker));
    actions.extend((0..plan.workers).map(Action::Continue));
    actions.extend((0..plan.workers).map(Action::Start));
    actions
        .into_iter()
        .map(|action| Step {
            after: plan.length,
            action,
        })
        .collect()
}
