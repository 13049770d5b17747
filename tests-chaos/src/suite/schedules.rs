//! Schedules: fills a plan in for each scenario of `scenarios`, from a seed. The last argument of each is the schedule's
//! length in seconds.

use std::time::Duration;

use fastrand::Rng;

use super::plan::{Action, Brokers, Plan, Refusal};

/// A time between these, in seconds.
pub(super) fn between(rng: &mut Rng, from: f64, to: f64) -> f64 {
    from + rng.f64() * (to - from)
}

pub(super) fn sigkill(plan: &mut Plan, rng: &mut Rng, length: f64) {
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

pub(super) fn sigterm(plan: &mut Plan, rng: &mut Rng, length: f64) {
    ends(plan, rng, length, (0.5, 3.0));
}

/// All workers end and start again in this span of the plan, away and in between for so long.
fn all_restart(
    plan: &mut Plan,
    rng: &mut Rng,
    (mut at, until): (f64, f64),
    away: (f64, f64),
    pause: (f64, f64),
) {
    while at < until {
        let back = at + between(rng, away.0, away.1);
        for worker in 0..plan.workers {
            plan.step(at + rng.f64() * 0.1, Action::Terminate(worker));
            plan.step(back + rng.f64() * 0.1, Action::Start(worker));
        }
        at = back + between(rng, pause.0, pause.1);
    }
}

pub(super) fn restart_all(plan: &mut Plan, rng: &mut Rng, length: f64) {
    let at = between(rng, 1.0, 3.0);
    all_restart(plan, rng, (at, length - 2.0), (0.0, 2.0), (2.0, 5.0));
}

pub(super) fn rolling(plan: &mut Plan, rng: &mut Rng, length: f64) {
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

pub(super) fn storm(plan: &mut Plan, rng: &mut Rng, length: f64) {
    // Long enough for the first answer of the group: see `storm-at-once`.
    churn(plan, rng, length, 1.5);
}

pub(super) fn storm_at_once(plan: &mut Plan, rng: &mut Rng, length: f64) {
    churn(plan, rng, length, 0.0);
}

/// Workers add and remove instances all the time. Now and then one of them ends so, and starts again.
fn shuffled(plan: &mut Plan, rng: &mut Rng, length: f64, end: fn(usize) -> Action) {
    // A rebalance of a quick group takes less, so most steps meet none and some meet one.
    plan.shuffled = Some(Duration::from_millis(700));
    let mut at = between(rng, 3.0, 5.0);
    while at < length - 3.0 {
        let worker = rng.usize(..plan.workers);
        plan.step(at, end(worker));
        plan.step(at + between(rng, 0.2, 1.0), Action::Start(worker));
        at += between(rng, 4.0, 7.0);
    }
}

pub(super) fn instances(plan: &mut Plan, rng: &mut Rng, length: f64) {
    shuffled(plan, rng, length, Action::Terminate);
}

pub(super) fn instances_killed(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.short_session();
    shuffled(plan, rng, length, Action::Kill);
}

pub(super) fn sigstop(plan: &mut Plan, rng: &mut Rng, length: f64) {
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

pub(super) fn stopped_alone(plan: &mut Plan, rng: &mut Rng, length: f64) {
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

pub(super) fn stuck(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.max_poll = Duration::from_secs(6);
    let millis = plan.max_poll.as_millis().to_string();
    plan.properties.push(("max.poll.interval.ms", millis));
    // Fewer than the keys of a worker, so that all of them are taken soon.
    plan.concurrency = rng.u32(3..9);
    match rng.usize(..3) {
        0 => plan.short_session(),
        1 => {
            plan.short_session();
            let strategy = "partition.assignment.strategy";
            plan.properties.push((strategy, "range".into()));
        }
        _ => {
            // The session is the brokers': see `cluster`.
            plan.session = Duration::from_secs(6);
            plan.properties.push(("group.protocol", "consumer".into()));
        }
    }
    let mut at = between(rng, 2.0, 4.0);
    while at < length - 30.0 {
        // Longer than the law of progress allows the group to stand still.
        let back = at + between(rng, 23.0, 26.0);
        let worker = rng.usize(..plan.workers);
        plan.step(at, Action::Hang(worker));
        plan.step(back, Action::Release(worker));
        // A rebalance while it hangs, and one while its handlers end.
        let other = (worker + 1) % plan.workers;
        for from in [between(rng, at + 1.0, back - 3.0), back + 1.0] {
            plan.step(from, Action::Terminate(other));
            plan.step(from + between(rng, 0.2, 1.0), Action::Start(other));
        }
        at = back + between(rng, 6.0, 8.0);
    }
}

pub(super) fn hot_key(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.workers = 2;
    plan.partitions = 2;
    plan.keys = 1;
    plan.session_of(Duration::from_secs(6));
    // Slower than messages come, faster than a run should last.
    plan.mix.quick = Duration::from_micros(rng.u64(100..300));
    // Somebody else has the other partition: nothing changes for the hot one.
    plan.step(length / 2.0, Action::Terminate(1));
}

pub(super) fn slow(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.mix.slow_one_in = 200;
    plan.mix.slow = Duration::from_millis(2800);
    ends(plan, rng, length, (1.0, 4.0));
}

pub(super) fn panics(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.mix.panics_one_in = 20;
    ends(plan, rng, length / 2.0, (1.0, 4.0));
    plan.short_session();
    let worker = rng.usize(..plan.workers);
    plan.step(length * 0.6, Action::Kill(worker));
    plan.step(length * 0.6 + 1.0, Action::Start(worker));
}

pub(super) fn fails(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.mix.fails_one_in = 10;
    ends(plan, rng, length, (1.0, 4.0));
}

/// Handlers publish copies in transactions; workers are killed and start again.
fn copies(plan: &mut Plan, rng: &mut Rng, until: f64) {
    plan.copies = true;
    plan.short_session();
    plan.mix.fails_one_in = 10;
    plan.mix.panics_one_in = 100;
    let mut at = between(rng, 1.0, 2.0);
    while at < until {
        let worker = rng.usize(..plan.workers);
        let back = at + between(rng, 0.1, 1.0);
        plan.step(at, Action::Kill(worker));
        plan.step(back, Action::Start(worker));
        // Its session is over by then, so that the next one has partitions.
        at = back + between(rng, 4.0, 9.0);
    }
}

pub(super) fn transactions(plan: &mut Plan, rng: &mut Rng, length: f64) {
    copies(plan, rng, length * 0.6);
    // A clean end beside a dead member may find no time in which the group takes a commit: so first its session is over.
    let mut at = length * 0.6 + plan.session.as_secs_f64() + between(rng, 2.0, 3.0);
    while at < length - 1.5 {
        let worker = rng.usize(..plan.workers);
        let back = at + between(rng, 0.0, 1.0);
        plan.step(at, Action::Terminate(worker));
        plan.step(back, Action::Start(worker));
        at = back + between(rng, 0.3, 2.0);
    }
}

pub(super) fn transactions_cut(plan: &mut Plan, rng: &mut Rng, length: f64) {
    copies(plan, rng, length * 0.5);
    proxied(plan, rng);
    let mut at = length * 0.5 + between(rng, 1.0, 3.0);
    while at < length - 7.0 {
        let action = match rng.bool() {
            true => Action::Cut,
            false => Action::Hole,
        };
        // Short enough that no session ends.
        let back = at + between(rng, 0.2, 2.5);
        plan.step(at, action);
        plan.step(back, Action::Restore);
        at = back + between(rng, 3.0, 6.0);
    }
}

pub(super) fn transactions_stopped(plan: &mut Plan, rng: &mut Rng, length: f64) {
    copies(plan, rng, length * 0.3);
    let mut at = length * 0.3 + between(rng, 1.0, 3.0);
    while at < length - 9.0 {
        let worker = rng.usize(..plan.workers);
        let back = at + between(rng, 7.0, 9.0);
        plan.step(at, Action::Stop(worker));
        plan.step(back, Action::Continue(worker));
        at = back + between(rng, 1.0, 4.0);
    }
}

pub(super) fn hangs(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.mix.slow_one_in = 300;
    plan.mix.slow = plan.shutdown_timeout + Duration::from_secs(2);
    ends(plan, rng, length, (2.0, 5.0));
}

pub(super) fn poison(plan: &mut Plan, rng: &mut Rng, length: f64) {
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

pub(super) fn batch_poison(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.batch = Some(rng.u32(5..200));
    poison(plan, rng, length);
    // Whether a batch fails depends on its messages alone.
    plan.mix.fails_one_in = 0;
}

pub(super) fn dead_letters_away(plan: &mut Plan, rng: &mut Rng, length: f64) {
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

/// The topic of dead letters takes nothing for a while, in which a worker ends. No worker starts meanwhile: it would ask
/// for the topic.
fn letters_refused(plan: &mut Plan, rng: &mut Rng, length: f64, refusal: Refusal) {
    plan.attempts = Some(5);
    plan.mix.poison_one_in = 40;
    plan.step(2.0, Action::RefuseLetters(refusal));
    let worker = rng.usize(..plan.workers);
    plan.step(
        between(rng, length * 0.35, length * 0.5),
        Action::Terminate(worker),
    );
    let back = between(rng, length * 0.55, length * 0.65);
    plan.step(back, Action::TakeLetters(refusal));
    // Kafka's tool takes its time.
    plan.step(length * 0.9, Action::Start(worker));
}

pub(super) fn dead_letters_full(plan: &mut Plan, rng: &mut Rng, length: f64) {
    letters_refused(plan, rng, length, Refusal::TooLarge);
}

pub(super) fn dead_letters_denied(plan: &mut Plan, rng: &mut Rng, length: f64) {
    letters_refused(plan, rng, length, Refusal::Denied);
}

pub(super) fn topic_created_again(plan: &mut Plan, rng: &mut Rng, length: f64) {
    let at = between(rng, length * 0.25, length * 0.45);
    plan.step(at, Action::DeleteStream);
    if rng.bool() {
        plan.stream = Some(Vec::new());
        plan.step(at + between(rng, 0.5, 4.0), Action::CreateStream);
    }
    let worker = rng.usize(..plan.workers);
    plan.step(length * 0.75, Action::Terminate(worker));
    plan.step(length * 0.8, Action::Start(worker));
}

pub(super) fn killed_before_it_notices(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.short_session();
    plan.stream = Some(Vec::new());
    // A worker commits every 5 s, so most of those that are killed have committed for the deleted topic.
    plan.discovery = Duration::from_secs(12);
    let at = between(rng, length * 0.15, length * 0.2);
    plan.step(at, Action::DeleteStream);
    let there = at + between(rng, 0.3, 1.5);
    plan.step(there, Action::CreateStream);
    let killed = there + between(rng, 4.5, 6.5);
    let first = rng.usize(..plan.workers);
    for worker in [first, (first + 1) % plan.workers] {
        plan.step(killed, Action::Kill(worker));
        plan.step(killed + between(rng, 0.1, 3.0), Action::Start(worker));
    }
}

pub(super) fn retention(plan: &mut Plan, rng: &mut Rng, length: f64) {
    // Only whole segments are deleted.
    plan.stream = Some(vec![("segment.ms", "300"), ("file.delete.delay.ms", "100")]);
    let at = between(rng, length * 0.15, length * 0.25);
    for worker in 0..plan.workers {
        plan.step(at, Action::Terminate(worker));
    }
    plan.step(at + 1.0, Action::ShortRetention);
    let long = between(rng, length * 0.45, length * 0.5);
    plan.step(long, Action::LongRetention);
    // Some workers may read on while it is short: Kafka's tool takes its time.
    let back = between(rng, length * 0.5, length * 0.6);
    for worker in 0..plan.workers {
        plan.step(back + rng.f64() * 0.1, Action::Start(worker));
    }
}

pub(super) fn compaction(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.keys = rng.u64(20..60);
    plan.stream = Some(vec![
        ("cleanup.policy", "compact"),
        ("segment.ms", "300"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("file.delete.delay.ms", "100"),
    ]);
    let at = between(rng, 2.0, 4.0);
    all_restart(plan, rng, (at, length - 6.0), (3.0, 5.0), (2.0, 4.0));
}

pub(super) fn broker_restart(plan: &mut Plan, rng: &mut Rng, length: f64) {
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

pub(super) fn cut(plan: &mut Plan, rng: &mut Rng, length: f64) {
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

pub(super) fn delay(plan: &mut Plan, rng: &mut Rng, length: f64) {
    proxied(plan, rng);
    plan.step(0.5, Action::Delay(Duration::from_millis(rng.u64(50..400))));
    ends(plan, rng, length * 0.8, (3.0, 6.0));
    plan.step(length * 0.9, Action::Restore);
}

pub(super) fn throttle(plan: &mut Plan, rng: &mut Rng, length: f64) {
    proxied(plan, rng);
    plan.step(0.5, Action::Throttle(rng.u64(60_000..200_000)));
    ends(plan, rng, length * 0.8, (3.0, 6.0));
    plan.step(length * 0.9, Action::Restore);
}

pub(super) fn partitions_grow(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.partitions = 3;
    plan.step(between(rng, 1.0, length / 3.0), Action::Grow(6));
    plan.step(between(rng, length / 2.0, length * 0.8), Action::Grow(9));
    ends(plan, rng, length * 0.7, (2.0, 5.0));
}

pub(super) fn gaps(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.step(between(rng, 1.0, 3.0), Action::AbortedTransaction);
    plan.step(
        between(rng, length / 2.0, length * 0.6),
        Action::AbortedTransaction,
    );
    ends(plan, rng, length * 0.8, (2.0, 5.0));
}

/// Clean ends, a restart of all, and a kill.
fn everything(plan: &mut Plan, rng: &mut Rng, length: f64) {
    ends(plan, rng, length * 0.4, (1.0, 3.0));
    let back = length * 0.45 + between(rng, 0.0, 2.0);
    for worker in 0..plan.workers {
        plan.step(length * 0.45 + rng.f64() * 0.1, Action::Terminate(worker));
        plan.step(back + rng.f64() * 0.1, Action::Start(worker));
    }
    let worker = rng.usize(..plan.workers);
    let at = between(rng, length * 0.6, length * 0.7);
    plan.step(at, Action::Kill(worker));
    plan.step(at + between(rng, 0.1, 2.0), Action::Start(worker));
}

fn assigned_by(plan: &mut Plan, rng: &mut Rng, length: f64, assignor: &str) {
    plan.short_session();
    let strategy = "partition.assignment.strategy";
    plan.properties.push((strategy, assignor.to_owned()));
    everything(plan, rng, length);
}

pub(super) fn range(plan: &mut Plan, rng: &mut Rng, length: f64) {
    assigned_by(plan, rng, length, "range");
}

pub(super) fn roundrobin(plan: &mut Plan, rng: &mut Rng, length: f64) {
    assigned_by(plan, rng, length, "roundrobin");
}

pub(super) fn protocol_consumer(plan: &mut Plan, rng: &mut Rng, length: f64) {
    // The session is the brokers': see `cluster`.
    plan.session = Duration::from_secs(6);
    let protocol = ("group.protocol", "consumer".to_owned());
    plan.properties.push(protocol);
    everything(plan, rng, length);
}

pub(super) fn broker_of_three(plan: &mut Plan, rng: &mut Rng, length: f64) {
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

pub(super) fn coordinator_moved(plan: &mut Plan, rng: &mut Rng, length: f64) {
    plan.brokers = Brokers::Three;
    let at = between(rng, 2.0, 8.0);
    plan.step(at, Action::KillCoordinator);
    plan.step(at + between(rng, 5.0, 10.0), Action::StartCoordinator);
    ends(plan, rng, length * 0.6, (3.0, 6.0));
}
