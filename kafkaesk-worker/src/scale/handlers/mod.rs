//! Handlers: seeks the number of handlers beyond which more do not help. Input: windows of goodput. Output: decisions. Pure: it
//! has no clock and runs nothing.
//!
//! It climbs a hill. A step up stays if it brought [`GAIN`], a step down if it cost no more than [`LOSS`]; otherwise it is taken
//! back. When neither direction pays, the level rests for [`REST`], after each search without a result twice as long, up to
//! [`LONGEST`]. A window counts only if work was waiting for a free handler, and the window after a change is left out. When
//! too many answers mean *too much*, the level is cut at once by [`CUT`], and nothing is tried for [`REST`] twice.
//!
//! A level is compared with goodput, not with latency: a limit that follows latency must be free to refuse work, and a
//! consumer refuses nothing (see docs/scaling.md).

use std::time::Duration;

/// A step up stays if it brought so much.
const GAIN: f64 = 0.05;
/// A step down stays if it cost no more.
const LOSS: f64 = 0.02;
/// When the goodput of a resting level changes by more, the search begins again.
const DRIFT: f64 = 0.2;
/// More of the answers that mean *too much* cut the level.
const TOO_MUCH: f64 = 0.01;
/// What a cut leaves.
const CUT: f64 = 0.7;
/// Windows of which a trial's mean is made.
const WINDOWS: u32 = 3;
/// Between two searches.
const REST: Duration = Duration::from_secs(30);
/// The same, at most.
const LONGEST: Duration = Duration::from_secs(600);

/// What was measured of one span of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) elapsed: Duration,
    /// Attempts that ended.
    pub(super) ended: u64,
    /// Of these, the ones whose answer meant *too much*.
    pub(super) too_much: u64,
    /// Whether the limit was reached while work was waiting, nearly all of the time.
    pub(super) limited: bool,
}

impl Window {
    /// Whether the level must be cut.
    pub(super) fn is_too_much(&self) -> bool {
        self.too_much as f64 > self.ended as f64 * TOO_MUCH
    }

    fn goodput(&self) -> f64 {
        let good = self.ended.saturating_sub(self.too_much);
        good as f64 / self.elapsed.as_secs_f64().max(1e-6)
    }
}

/// Why a level changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reason {
    /// More are tried.
    TryMore,
    /// Fewer are tried.
    TryFewer,
    /// The trial of more changed goodput by this share, too little: it is taken back.
    BroughtLittle(f64),
    /// The trial of fewer changed goodput by this share, too much: it is taken back.
    CostMuch(f64),
    /// This share of the answers meant *too much*.
    TooMuch(f64),
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) reason: Reason,
}

/// A way to change a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Double,
    Up,
    Halve,
    Down,
}

impl Step {
    fn is_up(self) -> bool {
        matches!(self, Self::Double | Self::Up)
    }

    fn of(self, level: u32) -> u32 {
        // So large that a step that helps brings more than GAIN.
        let small = (level.saturating_add(4) / 8).max(1);
        match self {
            Self::Double => level.saturating_mul(2),
            Self::Up => level.saturating_add(small),
            Self::Halve => level / 2,
            Self::Down => level.saturating_sub(small),
        }
    }
}

/// A search for a better level.
#[derive(Clone, Copy, Debug)]
struct Search {
    /// Nothing is known yet: large steps are tried as well.
    wide: bool,
    /// The goodput fell, so fewer are tried first.
    fewer_first: bool,
    /// It has changed the level.
    kept: bool,
    /// The goodput to compare with.
    goodput: f64,
}

impl Search {
    /// What is tried after a step that paid.
    fn again(&self, step: Step) -> Step {
        match step {
            // More help again, so the best may be far away.
            Step::Up if !self.wide => Step::Double,
            same => same,
        }
    }

    /// What is tried after a step that did not pay. The opposite large step is known to be worse where one stayed, and costs
    /// too much to be tried often.
    fn instead(&self, step: Step) -> Option<Step> {
        let far = self.wide && !self.kept;
        match (step, self.fewer_first) {
            (Step::Halve, true) if far => Some(Step::Double),
            (Step::Up, false) if far => Some(Step::Halve),
            (Step::Halve, true) | (Step::Up, _) | (Step::Halve, false) => Some(Step::Down),
            (Step::Double, _) => Some(Step::Up),
            (Step::Down, _) => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The level is measured before anything is tried. `fell`: its goodput is less than it was.
    Measure { fell: bool },
    /// The level is a step away from `from`.
    Try {
        step: Step,
        from: u32,
        search: Search,
    },
    /// A step was taken back; this one is next.
    Back { next: Step, search: Search },
    /// Nothing is tried for this long.
    Rest {
        left: Duration,
        goodput: Option<f64>,
    },
}

/// Seeks the level of one instance.
#[derive(Debug)]
pub(super) struct Handlers {
    least: u32,
    most: u32,
    level: u32,
    phase: Phase,
    /// The next window is left out.
    settling: bool,
    /// Of the windows that count since the phase began.
    sum: f64,
    count: u32,
    /// Windows in a row that did not count.
    idle: u32,
    /// At this level, answers meant *too much*: it is come near in small steps only.
    refused: Option<u32>,
    /// How long the next rest lasts.
    rest: Duration,
    /// Stretches rests, so that instances do not try at the same time.
    spread: f64,
}

impl Handlers {
    /// Where a search begins.
    const START: u32 = 8;

    /// Between these bounds. `spread`, about 1, differs between instances.
    pub(super) fn new(least: u32, most: u32, spread: f64) -> Self {
        let least = least.max(1);
        let most = most.max(least);
        Self {
            least,
            most,
            level: Self::START.clamp(least, most),
            phase: Phase::Measure { fell: false },
            settling: true,
            sum: 0.0,
            count: 0,
            idle: 0,
            refused: None,
            rest: REST,
            spread,
        }
    }

    /// How many handlers may run.
    pub(super) fn level(&self) -> u32 {
        self.level
    }

    /// What it does now, for people.
    pub(super) fn describe(&self) -> String {
        match self.phase {
            _ if self.idle > 0 => "it holds: no work waited for a free handler".to_owned(),
            Phase::Measure { .. } => "it measures the goodput of this level".to_owned(),
            Phase::Try { from, .. } => format!("it tries this level instead of {from}"),
            Phase::Back { .. } => "it took a step back and measures this level again".to_owned(),
            Phase::Rest { left, .. } => format!(
                "it holds: the next trial is due after {} s of load",
                left.as_secs()
            ),
        }
    }

    /// Something else changed the goodput: the windows so far say nothing.
    pub(super) fn disturbed(&mut self) {
        self.settling = true;
        self.clear();
    }

    /// Takes a window, and changes the level or keeps it. After a cut, the attempts that ran then must be left out by the caller:
    /// what they meet is older than the cut.
    pub(super) fn window(&mut self, window: Window) -> Option<Decision> {
        if let Phase::Rest { left, .. } = &mut self.phase {
            *left = left.saturating_sub(window.elapsed);
        }
        if window.is_too_much() {
            return self.cut(window.too_much as f64 / window.ended as f64);
        }
        if window.ended == 0 || window.elapsed.is_zero() || std::mem::take(&mut self.settling) {
            return None;
        }
        // More than there is work for may bring all that there is to gain: a trial is judged all the same.
        let is_trial = matches!(self.phase, Phase::Try { .. });
        if window.limited || is_trial {
            self.sum += window.goodput();
            self.count += 1;
        }
        self.idle = match window.limited {
            true => 0,
            false => self.idle.saturating_add(1),
        };
        let mean = self.sum / f64::from(self.count.max(1));
        match self.phase {
            Phase::Back { next, mut search } if self.count >= 1 => {
                // The load may have changed meanwhile, so this level's own goodput counts, where it is larger.
                search.goodput = search.goodput.max(mean);
                self.attempt(next, search)
            }
            _ if self.count < WINDOWS => None,
            Phase::Measure { fell: false } | Phase::Back { .. } => {
                self.attempt(Step::Double, Search::wide(mean))
            }
            Phase::Measure { fell: true } => {
                let search = Search {
                    fewer_first: true,
                    ..Search::wide(mean)
                };
                self.attempt(Step::Halve, search)
            }
            Phase::Try { step, from, search } => self.judge(step, from, search, mean),
            Phase::Rest { left, goodput } => {
                self.clear();
                let known = goodput.unwrap_or(mean);
                if (mean / known - 1.0).abs() > DRIFT {
                    // Some of these windows are older than what changed.
                    self.rest = REST;
                    self.refused = None;
                    self.settling = true;
                    self.phase = Phase::Measure { fell: mean < known };
                    return None;
                }
                if left.is_zero() {
                    let search = Search {
                        wide: false,
                        ..Search::wide(mean)
                    };
                    return self.attempt(Step::Up, search);
                }
                self.phase = Phase::Rest {
                    left,
                    goodput: Some(known + (mean - known) * 0.2),
                };
                None
            }
        }
    }

    /// A trial is over: its level stays, or the former one comes back.
    fn judge(&mut self, step: Step, from: u32, mut search: Search, mean: f64) -> Option<Decision> {
        let change = mean / search.goodput.max(1e-6) - 1.0;
        let (pays, reason) = match step.is_up() {
            true => (change >= GAIN, Reason::BroughtLittle(change)),
            false => (change >= -LOSS, Reason::CostMuch(change)),
        };
        if pays {
            search.kept = true;
            // Small losses must not add up, so the goodput to compare with does not fall.
            search.goodput = search.goodput.max(mean);
            return self.attempt(search.again(step), search);
        }
        // Work ran out: that says nothing about other steps.
        let next = search.instead(step).filter(|_| self.idle < WINDOWS);
        match next {
            Some(next) => self.phase = Phase::Back { next, search },
            None => self.rests(Some(search)),
        }
        self.go(from, reason)
    }

    /// Takes this step, or the next one that changes the level; rests if there is none.
    fn attempt(&mut self, step: Step, search: Search) -> Option<Decision> {
        let mut next = Some(step);
        while let Some(step) = next {
            let (from, to) = (self.level, step.of(self.level).clamp(self.least, self.most));
            let is_refused = self.refused.is_some_and(|refused| to >= refused);
            if to != from && !(step == Step::Double && is_refused) {
                self.phase = Phase::Try { step, from, search };
                return self.go(
                    to,
                    match step.is_up() {
                        true => Reason::TryMore,
                        false => Reason::TryFewer,
                    },
                );
            }
            next = search.instead(step);
        }
        self.rests(Some(search));
        None
    }

    /// The search is over.
    fn rests(&mut self, search: Option<Search>) {
        self.phase = Phase::Rest {
            left: self.rest.mul_f64(self.spread),
            goodput: search.map(|search| search.goodput),
        };
        self.rest = (self.rest * 2).min(LONGEST);
        self.clear();
    }

    /// At once, whatever was tried.
    fn cut(&mut self, share: f64) -> Option<Decision> {
        let to = (f64::from(self.level) * CUT).floor() as u32;
        self.refused = Some(self.level);
        self.rest = self.rest.max(REST * 2);
        self.rests(None);
        self.go(to.clamp(self.least, self.most), Reason::TooMuch(share))
    }

    fn go(&mut self, to: u32, reason: Reason) -> Option<Decision> {
        let from = self.level;
        self.level = to;
        self.settling = true;
        self.clear();
        (from != to).then_some(Decision { from, to, reason })
    }

    fn clear(&mut self) {
        (self.sum, self.count, self.idle) = (0.0, 0, 0);
    }
}

impl Search {
    /// From a level of this goodput.
    fn wide(goodput: f64) -> Self {
        Self {
            wide: true,
            fewer_first: false,
            kept: false,
            goodput,
        }
    }
}

#[cfg(test)]
mod tests;
