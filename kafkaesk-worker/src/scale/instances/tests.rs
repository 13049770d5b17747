//! Laws of the search, on a model of a subscription.

use proptest::prelude::*;

use super::*;

const TICK: Duration = Duration::from_secs(10);

/// A subscription of one process: its instances give `each` records a second, and `all` together at most.
#[derive(Clone, Copy, Debug)]
struct Process {
    each: f64,
    all: f64,
    partitions: u32,
}

/// A search, the process, and what came of it.
struct Run {
    process: Process,
    bounds: Bounds,
    instances: Instances,
    running: u32,
    lag: f64,
    now: Duration,
    /// When partitions move until.
    moving: Duration,
    decisions: Vec<(Duration, Decision)>,
    /// Instances times seconds.
    spent: f64,
}

impl Run {
    fn new(process: Process, most: u32) -> Self {
        let bounds = Bounds {
            most,
            catch_up: Duration::from_secs(600),
            is_static: false,
        };
        Self::within(process, bounds)
    }

    fn within(process: Process, bounds: Bounds) -> Self {
        Self {
            process,
            bounds,
            instances: Instances::new(bounds, 1.0),
            running: 1,
            lag: 0.0,
            now: Duration::ZERO,
            moving: Duration::ZERO,
            decisions: Vec::new(),
            spent: 0.0,
        }
    }

    /// Records of this rate come for one tick.
    fn tick(&mut self, rate: f64) -> Option<Decision> {
        self.tick_with(rate, |_| ())
    }

    fn tick_with(&mut self, rate: f64, change: impl Fn(&mut Sample)) -> Option<Decision> {
        let seconds = TICK.as_secs_f64();
        let useful = self.running.min(self.process.partitions);
        let own = f64::from(useful) * self.process.each;
        let able = own.min(self.process.all) * seconds;
        let is_moving = self.now < self.moving;
        let able = if is_moving { able * 0.7 } else { able };
        let came = self.lag + rate * seconds;
        let done = came.min(able);
        self.lag = came - done;
        // An instance that waits for what all share is busy, too.
        let busy = if came > able {
            1.0
        } else {
            done / (own * seconds)
        };
        let busy = busy * f64::from(useful) / f64::from(self.running);
        self.now += TICK;
        self.spent += f64::from(self.running) * seconds;
        let mut sample = Sample {
            elapsed: TICK,
            instances: self.running,
            partitions: self.process.partitions,
            finished: done as u64,
            busy,
            came: Some((rate * seconds) as u64),
            lag: Some(self.lag as u64),
            disturbed: is_moving,
        };
        change(&mut sample);
        let decision = self.instances.sample(sample)?;
        assert_eq!(decision.from, self.running);
        assert_ne!(decision.to, decision.from);
        assert!(
            decision.to >= 1 && decision.to <= self.bounds.most,
            "{decision:?}"
        );
        assert!(
            decision.to < decision.from || decision.to <= self.process.partitions,
            "{decision:?} beyond {} partitions",
            self.process.partitions
        );
        assert!(decision.to <= decision.from * 2 && decision.to >= decision.from.div_ceil(2));
        self.running = decision.to;
        self.moving = self.now + TICK;
        self.decisions.push((self.now, decision));
        Some(decision)
    }

    fn ticks(&mut self, count: u32, rate: impl Fn(u32) -> f64) {
        for at in 0..count {
            self.tick(rate(at));
        }
    }

    /// How often the direction changed in the last so many seconds of any time.
    fn turns_within(&self, span: Duration) -> usize {
        let most = self.decisions.iter().map(|(end, _)| {
            let seen: Vec<bool> = self
                .decisions
                .iter()
                .filter(|(at, _)| at <= end && *at + span > *end)
                .map(|(_, decision)| decision.to > decision.from)
                .collect();
            seen.windows(2).filter(|pair| pair[0] != pair[1]).count()
        });
        most.max().unwrap_or(0)
    }
}

const PLAIN: Process = Process {
    each: 1000.0,
    all: f64::INFINITY,
    partitions: 12,
};

#[test]
fn a_load_step_is_met_within_minutes_and_given_back_after_it() {
    let mut run = Run::new(PLAIN, 8);
    run.ticks(60, |_| 300.0);
    assert_eq!(run.running, 1, "{:?}", run.decisions);
    run.ticks(60, |_| 2500.0);
    assert!((4..=6).contains(&run.running), "{:?}", run.decisions);
    assert_eq!(run.lag, 0.0);
    run.ticks(6 * 60, |_| 300.0);
    assert_eq!(run.running, 1, "{:?}", run.decisions);
    assert!(run.turns_within(Duration::from_secs(1800)) <= 2);
}

#[test]
fn a_steady_load_changes_nothing() {
    for share in [0.0, 0.2, 0.5, 0.69, 0.8] {
        let mut run = Run::new(PLAIN, 8);
        run.ticks(360, |_| share * 1000.0);
        assert_eq!(run.decisions, [], "{share}");
    }
}

#[test]
fn a_step_that_brings_nothing_is_taken_back_and_barred_for_an_hour() {
    let full = Process {
        all: 1000.0,
        ..PLAIN
    };
    let mut run = Run::new(full, 8);
    run.ticks(360, |_| 3000.0);
    let steps: Vec<_> = run
        .decisions
        .iter()
        .map(|(_, it)| (it.from, it.to))
        .collect();
    assert_eq!(steps, [(1, 2), (2, 1)]);
    assert!(matches!(run.instances.hold(), Hold::Barred(_)));
    assert!(matches!(
        run.decisions[1].1.reason,
        Reason::BroughtLittle { .. }
    ));
    run.ticks(60, |_| 3000.0);
    assert_eq!(run.decisions.len(), 4, "after an hour it is tried again");
}

#[test]
fn figures_that_are_missing_change_nothing() {
    let mut run = Run::new(PLAIN, 8);
    for _ in 0..60 {
        assert_eq!(run.tick_with(5000.0, |it| it.lag = None), None);
    }
    assert_eq!(run.instances.hold(), Hold::NoFigures);
    // One figure is missing every half minute: never a whole minute of figures.
    for at in 0..60 {
        let decision = run.tick_with(5000.0, |it| it.lag = it.lag.filter(|_| at % 3 > 0));
        assert_eq!(decision, None);
    }
}

#[test]
fn nothing_is_decided_within_a_minute_of_a_rebalance() {
    let mut run = Run::new(PLAIN, 8);
    for at in 0..120 {
        let decision = run.tick_with(5000.0, |it| it.disturbed = at % 6 == 0);
        assert_eq!(decision, None);
    }
    assert!(matches!(run.instances.hold(), Hold::Quiet(_)));
}

#[test]
fn the_quiet_minute_may_be_the_minute_of_load() {
    let mut run = Run::new(PLAIN, 8);
    run.tick_with(5000.0, |it| it.disturbed = true);
    let steps: Vec<_> = (0..6).map(|_| run.tick(5000.0)).collect();
    assert!(steps[..5].iter().all(Option::is_none), "{steps:?}");
    assert!(
        steps[5].is_some(),
        "a minute after the rebalance, all of it busy"
    );
}

#[test]
fn static_members_never_leave() {
    let bounds = Bounds {
        most: 8,
        catch_up: Duration::from_secs(600),
        is_static: true,
    };
    let mut run = Run::within(PLAIN, bounds);
    run.ticks(60, |_| 3000.0);
    let most = run.running;
    assert!(most > 3);
    run.ticks(360, |_| 10.0);
    assert_eq!(run.running, most);
    assert_eq!(run.instances.hold(), Hold::Static);
}

#[test]
fn what_binds_is_named() {
    let mut run = Run::new(PLAIN, 2);
    run.ticks(60, |_| 9000.0);
    assert_eq!((run.running, run.instances.hold()), (2, Hold::Most));
    assert!(run.instances.wish().is_some_and(|wish| wish > 2));
    let few = Process {
        partitions: 3,
        ..PLAIN
    };
    let mut run = Run::new(few, 8);
    run.ticks(60, |_| 9000.0);
    assert_eq!((run.running, run.instances.hold()), (3, Hold::Partitions));
}

#[test]
fn handlers_that_end_nothing_get_no_further_instance() {
    let mut run = Run::new(PLAIN, 8);
    for at in 1..=60 {
        let stuck = |it: &mut Sample| {
            (it.finished, it.busy, it.lag) = (0, 1.0, Some(at * 5_000));
        };
        assert_eq!(run.tick_with(500.0, stuck), None);
    }
    assert_eq!(run.instances.hold(), Hold::NoFigures);
}

#[test]
fn a_step_is_worth_its_price_where_two_cores_are_shared() {
    // Two instances give 1.6 times what one gives, three no more than two.
    let mut run = Run::new(
        Process {
            all: 1600.0,
            ..PLAIN
        },
        3,
    );
    run.ticks(90, |_| 5000.0);
    assert_eq!(run.running, 2, "{:?}", run.decisions);
}

#[test]
fn spikes_that_no_instance_helps_with_turn_it_no_more_than_others() {
    let saturated = Process {
        each: 10.0,
        all: 78.0,
        partitions: 9,
    };
    let mut run = Run::new(saturated, 9);
    run.ticks(2000, |at| if at % 161 < 8 { 384.0 } else { 8.0 });
    assert!(run.decisions.len() > 6, "{:?}", run.decisions);
    assert!(
        run.turns_within(Duration::from_secs(1800)) <= 2,
        "{:?}",
        run.decisions
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_load_stays_within_the_bounds_and_turns_at_most_twice_in_half_an_hour(
        each in 10.0..10_000.0f64,
        shared in prop::option::of(0.5..10.0f64),
        partitions in 1..60u32,
        most in 1..20u32,
        kind in 0..4u32,
        height in 0.05..30.0f64,
        period in 3..200u32,
    ) {
        let all = shared.map_or(f64::INFINITY, |times| times * each);
        let mut run = Run::new(Process { each, all, partitions }, most);
        run.ticks(720, |at| {
            let full = height * each;
            let part = f64::from(at % period) / f64::from(period);
            match kind {
                0 => full,
                1 => if part < 0.5 { full } else { full * 0.1 },
                2 => full * (0.5 + 0.5 * (part * std::f64::consts::TAU).sin()),
                _ => if part < 0.05 { full * 10.0 } else { full * 0.2 },
            }
        });
        prop_assert!(run.turns_within(Duration::from_secs(1800)) <= 2, "{:?}", run.decisions);
    }

    #[test]
    fn a_step_of_load_is_worked_off_with_few_instances_too_many(
        load in 1.0..6.0f64,
    ) {
        let mut run = Run::new(PLAIN, 16);
        run.ticks(30, |_| 300.0);
        run.ticks(180, |_| load * 1000.0);
        let needed = load.ceil();
        prop_assert!(run.lag < load * 1000.0 * 60.0, "{:?} lag {}", run.decisions, run.lag);
        prop_assert!(f64::from(run.running) >= needed.max(1.0) - 1.0);
        prop_assert!(f64::from(run.running) <= (load / TARGET).ceil() + 2.0, "{:?}", run.decisions);
    }
}
