//! Laws of the search, on models of what handlers call.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// What the handlers call: it works on `knee` messages at a time, each in `service` seconds; with more, its goodput
/// falls, the faster the larger `collapse` is.
#[derive(Clone, Copy, Debug)]
struct Downstream {
    knee: f64,
    service: f64,
    collapse: f64,
    /// Beyond so many, this share of the answers means *too much*.
    refuses_above: Option<(f64, f64)>,
}

impl Downstream {
    fn goodput(&self, level: u32) -> f64 {
        let level = f64::from(level);
        let beyond = (level / self.knee - 1.0).max(0.0);
        level.min(self.knee) / self.service / (1.0 + self.collapse * beyond)
    }

    fn best(&self, least: u32, most: u32) -> f64 {
        let all = (least..=most).map(|level| self.goodput(level));
        all.fold(0.0, f64::max)
    }
}

/// A small generator, so that a failure is repeated by its seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, with this deviation.
    fn normal(&mut self, deviation: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.next()).sum();
        (sum - 6.0) * deviation
    }
}

/// A search and the time that passes.
struct Run {
    handlers: Handlers,
    noise: Noise,
    decisions: Vec<(Duration, Decision)>,
    now: Duration,
    ended: f64,
    refused: f64,
}

impl Run {
    fn new(least: u32, most: u32, seed: u64) -> Self {
        let mut noise = Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let spread = 0.75 + noise.next() / 2.0;
        Self {
            handlers: Handlers::new(least, most, spread),
            noise,
            decisions: Vec::new(),
            now: Duration::ZERO,
            ended: 0.0,
            refused: 0.0,
        }
    }

    /// Under full load for this long; each window is as long as `limit` would make it. Gives the mean goodput.
    fn load(&mut self, downstream: Downstream, lasting: Duration) -> f64 {
        let until = self.now + lasting;
        let (mut good, from) = (0.0, self.now);
        while self.now < until {
            let level = self.handlers.level();
            let rate = downstream.goodput(level) * (1.0 + self.noise.normal(0.02));
            let seconds = (50_u32.max(level) as f64 / rate).clamp(1.0, 20.0);
            let ended = rate * seconds;
            let refused = match downstream.refuses_above {
                Some((most, share)) if f64::from(level) > most => share,
                _ => 0.0,
            };
            good += ended * (1.0 - refused);
            self.ended += ended;
            self.refused += ended * refused;
            self.now += Duration::from_secs_f64(seconds);
            self.give(Window {
                elapsed: Duration::from_secs_f64(seconds),
                ended: ended as u64,
                too_much: (ended * refused) as u64,
                limited: true,
            });
        }
        good / (self.now - from).as_secs_f64()
    }

    fn give(&mut self, window: Window) {
        if let Some(decision) = self.handlers.window(window) {
            self.decisions.push((self.now, decision));
        }
    }
}

fn downstream() -> impl Strategy<Value = Downstream> {
    // Slower ones take longer: a window has a number of attempts.
    let any = (1.0..400.0_f64, 0.001..0.1_f64, 0.0..0.8_f64);
    let any = any.prop_map(|(knee, service, collapse)| Downstream {
        knee,
        service,
        collapse,
        refuses_above: None,
    });
    any.prop_filter("too slow", |it| it.goodput(Handlers::START) >= 50.0)
}

const MINUTE: Duration = Duration::from_secs(60);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn after_a_minute_goodput_is_within_a_tenth_of_the_best_fixed_level(
        downstream in downstream(), seed in any::<u64>(),
    ) {
        let mut run = Run::new(1, 512, seed);
        run.load(downstream, MINUTE);
        let got = run.load(downstream, MINUTE * 5);
        let best = downstream.best(1, 512);
        prop_assert!(got >= best * 0.9, "{got} of {best}: {:?}", run.decisions);
    }

    #[test]
    fn a_knee_that_moved_is_found_by_the_next_trial(
        first in downstream(), second in downstream(), seed in any::<u64>(),
    ) {
        let second = Downstream { service: first.service, ..second };
        let mut run = Run::new(1, 512, seed);
        run.load(first, MINUTE * 4);
        // A downstream that can do more shows it only to one who tries more: after the longest rest.
        run.load(second, MINUTE * 15);
        let got = run.load(second, MINUTE * 10);
        let best = second.best(1, 512);
        prop_assert!(got >= best * 0.85, "{got} of {best}: {:?}", run.decisions);
    }

    #[test]
    fn the_level_never_leaves_its_bounds(
        least in 1_u32..50, more in 0_u32..200, seed in any::<u64>(),
        windows in prop::collection::vec((1_u64..10_000, 0_u64..200, any::<bool>()), 0..400),
    ) {
        let mut run = Run::new(least, least + more, seed);
        for (ended, too_much, limited) in windows {
            run.give(Window {
                elapsed: Duration::from_secs(1), ended, too_much: too_much.min(ended), limited,
            });
            let level = run.handlers.level();
            prop_assert!((least..=least + more).contains(&level), "{level}");
        }
    }

    #[test]
    fn without_work_that_waits_nothing_is_tried(
        seed in any::<u64>(), windows in prop::collection::vec(1_u64..10_000, 0..200),
    ) {
        let mut run = Run::new(1, 512, seed);
        for ended in windows {
            run.give(Window {
                elapsed: Duration::from_secs(1), ended, too_much: 0, limited: false,
            });
        }
        prop_assert_eq!(run.decisions.len(), 0);
        prop_assert_eq!(run.handlers.level(), Handlers::START);
    }

    #[test]
    fn a_steady_load_is_left_alone_nearly_all_of_the_time(
        downstream in downstream(), seed in any::<u64>(),
    ) {
        let mut run = Run::new(1, 512, seed);
        run.load(downstream, MINUTE * 10);
        let before = run.decisions.len();
        run.load(downstream, MINUTE * 60);
        let hour = run.decisions.len() - before;
        prop_assert!(hour <= 60, "{hour} changes in an hour: {:?}", &run.decisions[before..]);
    }
}

#[test]
fn answers_that_mean_too_much_cut_the_level_at_once_and_it_stays_for_a_minute() {
    for seed in 0..50 {
        let downstream = Downstream {
            knee: 1_000.0,
            service: 0.01,
            collapse: 0.0,
            refuses_above: Some((40.0, 0.3)),
        };
        let mut run = Run::new(1, 512, seed);
        run.load(downstream, MINUTE * 10);
        let before = run.refused;
        let ended = run.ended;
        run.load(downstream, MINUTE * 20);
        let share = (run.refused - before) / (run.ended - ended);
        assert!(share < 0.01, "{share}: {:?}", run.decisions);
        let cuts: Vec<_> = run
            .decisions
            .iter()
            .filter(|(_, decision)| matches!(decision.reason, Reason::TooMuch(_)))
            .collect();
        assert!(!cuts.is_empty(), "{:?}", run.decisions);
        for (at, cut) in cuts {
            assert!(f64::from(cut.to) <= f64::from(cut.from) * CUT);
            let soon = run
                .decisions
                .iter()
                .find(|(later, decision)| later > at && decision.to > cut.to);
            if let Some((later, raised)) = soon {
                // At least REST twice, less the spread of an instance.
                assert!(*later - *at >= MINUTE.mul_f64(0.75), "{cut:?} {raised:?}");
            }
        }
        // Some 70% of what it can take, or more.
        assert!(run.handlers.level() >= 26, "{:?}", run.decisions);
    }
}

#[test]
fn a_trial_whose_work_runs_out_is_taken_back() {
    let mut run = Run::new(1, 512, 1);
    let window = |ended, limited| Window {
        elapsed: Duration::from_secs(1),
        ended,
        too_much: 0,
        limited,
    };
    for _ in 0..4 {
        run.give(window(800, true));
    }
    assert_eq!(run.handlers.level(), 16);
    for _ in 0..4 {
        run.give(window(100, false));
    }
    assert_eq!(run.handlers.level(), 8);
    for _ in 0..50 {
        run.give(window(100, false));
    }
    assert_eq!(run.handlers.level(), 8);
}

#[test]
fn windows_of_a_disturbance_do_not_count() {
    let mut run = Run::new(1, 512, 1);
    for _ in 0..50 {
        run.give(Window {
            elapsed: Duration::from_secs(1),
            ended: 800,
            too_much: 0,
            limited: true,
        });
        run.handlers.disturbed();
    }
    assert_eq!(run.decisions.len(), 0);
}
