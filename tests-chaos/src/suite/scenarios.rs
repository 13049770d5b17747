//! Scenarios: the table of what the suite can do, and the plan of each for a seed. Next: `schedules`.

use std::time::Duration;

use fastrand::Rng;

use super::{
    custody,
    plan::{Action, Brokers, Mix, Plan, Step},
    schedules,
};

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
        fill: schedules::sigkill,
    },
    Scenario {
        name: "sigterm",
        does: "workers end cleanly and start again, with Kafka's own timeouts",
        short: true,
        least: 12.0,
        fill: schedules::sigterm,
    },
    Scenario {
        name: "restart-all",
        does: "all workers end at once and start again at once, with Kafka's own timeouts",
        short: true,
        least: 12.0,
        fill: schedules::restart_all,
    },
    Scenario {
        name: "rolling",
        does: "workers end and start again, one after the other, with Kafka's own timeouts",
        short: true,
        least: 14.0,
        fill: schedules::rolling,
    },
    Scenario {
        name: "storm",
        does: "workers join and leave all the time, each cleanly",
        short: true,
        least: 14.0,
        fill: schedules::storm,
    },
    Scenario {
        name: "storm-at-once",
        does: "the same, and some are asked to end while they still join",
        short: false,
        least: 14.0,
        fill: schedules::storm_at_once,
    },
    Scenario {
        name: "instances",
        does: "workers add and remove instances all the time, while some end cleanly and start again, with Kafka's own timeouts",
        short: true,
        least: 16.0,
        fill: schedules::instances,
    },
    Scenario {
        name: "instances-killed",
        does: "the same, and workers are killed",
        short: false,
        least: 16.0,
        fill: schedules::instances_killed,
    },
    Scenario {
        name: "sigstop",
        does: "a worker is stopped for longer than its session, and then goes on",
        short: true,
        least: 18.0,
        fill: schedules::sigstop,
    },
    Scenario {
        name: "stopped-alone",
        does: "the only worker is stopped for longer than its session; its handlers outlast the loss of its partitions",
        short: false,
        least: 24.0,
        fill: schedules::stopped_alone,
    },
    Scenario {
        name: "stuck",
        does: "all handlers of a worker hang for longer than max.poll.interval.ms, and then end one after the other",
        short: false,
        least: 40.0,
        fill: schedules::stuck,
    },
    Scenario {
        name: "hot-key",
        does: "one key gets more messages than its lane holds, so that its partition is paused and resumed",
        short: false,
        least: 8.0,
        fill: schedules::hot_key,
    },
    Scenario {
        name: "slow",
        does: "one handler in 200 takes 2.8 s while workers end and start again",
        short: false,
        least: 20.0,
        fill: schedules::slow,
    },
    Scenario {
        name: "panics",
        does: "one handler in 20 panics once or twice while workers end and are killed",
        short: false,
        least: 20.0,
        fill: schedules::panics,
    },
    Scenario {
        name: "fails",
        does: "one handler in 10 fails one to four times while workers end and start again",
        short: true,
        least: 14.0,
        fill: schedules::fails,
    },
    Scenario {
        name: "transactions",
        does: "handlers publish a copy of each message in transactions, and some fail after it, while workers are killed, and then end cleanly",
        short: true,
        least: 36.0,
        fill: schedules::transactions,
    },
    Scenario {
        name: "transactions-cut",
        does: "the same, and the proxy ends all connections, or passes nothing, for less than a session",
        short: false,
        least: 40.0,
        fill: schedules::transactions_cut,
    },
    Scenario {
        name: "transactions-stopped",
        does: "the same, and workers are stopped for longer than their session, and then go on",
        short: false,
        least: 40.0,
        fill: schedules::transactions_stopped,
    },
    Scenario {
        name: "hangs",
        does: "one handler in 300 takes longer than the shutdown timeout while workers end",
        short: false,
        least: 24.0,
        fill: schedules::hangs,
    },
    Scenario {
        name: "poison",
        does: "one message in 40 always fails or is rejected, while workers end and are killed",
        short: true,
        least: 20.0,
        fill: schedules::poison,
    },
    Scenario {
        name: "batch-poison",
        does: "batches: one message in 40 always fails or is rejected, and its batch with it, while workers end and are killed",
        short: false,
        least: 20.0,
        fill: schedules::batch_poison,
    },
    Scenario {
        name: "sink",
        does: "manual commit: messages are held and end in any order while workers join and leave all the time",
        short: true,
        least: 14.0,
        fill: custody::sink,
    },
    Scenario {
        name: "sink-killed",
        does: "manual commit: workers are killed, stopped and ended while messages are held, fail, are dropped and rejected",
        short: false,
        least: 30.0,
        fill: custody::sink_killed,
    },
    Scenario {
        name: "sink-hangs",
        does: "manual commit: a sink hangs until its partitions are full, while workers end and start",
        short: false,
        least: 30.0,
        fill: custody::sink_hangs,
    },
    Scenario {
        name: "sink-alone",
        does: "manual commit: the only worker is stopped for longer than its session; messages are held for longer than its loss",
        short: false,
        least: 24.0,
        fill: custody::sink_alone,
    },
    Scenario {
        name: "dead-letters-away",
        does: "the topic of dead letters is deleted while messages use up their attempts, and created again",
        short: false,
        least: 24.0,
        fill: schedules::dead_letters_away,
    },
    Scenario {
        name: "dead-letters-full",
        does: "the topic of dead letters takes no record while messages use up their attempts, and then takes them again",
        short: false,
        least: 24.0,
        fill: schedules::dead_letters_full,
    },
    Scenario {
        name: "dead-letters-denied",
        does: "nobody may write the topic of dead letters while messages use up their attempts, and then all may again",
        short: false,
        least: 24.0,
        fill: schedules::dead_letters_denied,
    },
    Scenario {
        name: "topic-created-again",
        does: "the stream's topic is deleted and created again while it is published to and read",
        short: false,
        least: 24.0,
        fill: schedules::topic_created_again,
    },
    Scenario {
        name: "killed-before-it-notices",
        does: "the same, and workers are killed after it was created again and before they notice",
        short: false,
        least: 36.0,
        fill: schedules::killed_before_it_notices,
    },
    Scenario {
        name: "retention",
        does: "the topic's retention deletes records while no worker runs",
        short: false,
        least: 30.0,
        fill: schedules::retention,
    },
    Scenario {
        name: "compaction",
        does: "compaction takes records of a topic while workers are away",
        short: false,
        least: 24.0,
        fill: schedules::compaction,
    },
    Scenario {
        name: "broker-restart",
        does: "the only broker is killed or ended, and started again",
        short: false,
        least: 30.0,
        fill: schedules::broker_restart,
    },
    Scenario {
        name: "cut",
        does: "the proxy ends all connections, or passes nothing, for less than a session",
        short: false,
        least: 30.0,
        fill: schedules::cut,
    },
    Scenario {
        name: "delay",
        does: "the proxy delays everything by up to 400 ms while workers end and start",
        short: false,
        least: 24.0,
        fill: schedules::delay,
    },
    Scenario {
        name: "throttle",
        does: "the proxy passes few bytes a second while workers end and start",
        short: false,
        least: 24.0,
        fill: schedules::throttle,
    },
    Scenario {
        name: "partitions-grow",
        does: "partitions are added to the topic while it is read",
        short: false,
        least: 20.0,
        fill: schedules::partitions_grow,
    },
    Scenario {
        name: "gaps",
        does: "aborted transactions leave gaps in the offsets while workers end and start",
        short: false,
        least: 30.0,
        fill: schedules::gaps,
    },
    Scenario {
        name: "range",
        does: "workers end, restart together and are killed, with the assignor range",
        short: false,
        least: 30.0,
        fill: schedules::range,
    },
    Scenario {
        name: "roundrobin",
        does: "the same, with the assignor roundrobin",
        short: false,
        least: 30.0,
        fill: schedules::roundrobin,
    },
    Scenario {
        name: "protocol-consumer",
        does: "the same, with group.protocol=consumer (KIP-848)",
        short: false,
        least: 30.0,
        fill: schedules::protocol_consumer,
    },
    Scenario {
        name: "broker-of-three",
        does: "one broker of three is killed or ended, and started again",
        short: false,
        least: 40.0,
        fill: schedules::broker_of_three,
    },
    Scenario {
        name: "coordinator-moved",
        does: "the broker of three that coordinates the group is killed, and started again",
        short: false,
        least: 40.0,
        fill: schedules::coordinator_moved,
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
        discovery: Duration::from_secs(2),
        max_poll: Duration::from_secs(300),
        stream: None,
        custody: None,
        batch: None,
        shuffled: None,
        copies: false,
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

/// What brings everything back at a plan's end, whatever its last step was.
pub(super) fn restore(plan: &Plan) -> Vec<Step> {
    let mut actions = vec![Action::Restore];
    actions.extend((0..3).map(Action::StartBroker));
    actions.extend((0..plan.workers).map(Action::Continue));
    actions.extend((0..plan.workers).map(Action::Release));
    actions.extend((0..plan.workers).map(Action::Start));
    actions
        .into_iter()
        .map(|action| Step {
            after: plan.length,
            action,
        })
        .collect()
}
