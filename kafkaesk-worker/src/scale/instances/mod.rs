//! Instances: seeks how many consumer instances of a subscription a process needs. Input: samples of load. Output: decisions.
//! Pure: it has no clock and starts nothing.
//!
//! What is needed is what arrives and what works off the backlog within `catch-up`; an instance gives its true rate, which is
//! what it finished for each second in which it was busy (DS2, OSDI 2018). It goes up quickly and down slowly, since every step
//! costs the group a rebalance. A step that brought less than [`PAYS`] of what it promised is taken back, and not tried again
//! for [`BARRED`]. A step down that follows one up comes [`SETTLED`] after the last step down, at the soonest: so the direction
//! changes at most twice in that time.

use std::time::Duration;

use super::remembered::{REMEMBERED, Remembered};

/// The share of an instance's time that is planned for.
pub(super) const TARGET: f64 = 0.7;
/// Busier instances for [`SUSTAINED`] ask for more of them.
const BUSY: f64 = 0.85;
/// Less busy ones ask for fewer.
const IDLE: f64 = 0.4;
/// How long instances are busy before a step up.
const SUSTAINED: Duration = Duration::from_secs(60);
/// Nothing changes so soon after a rebalance or a step up …
const QUIET: Duration = Duration::from_secs(60);
/// … and after a step down.
const QUIET_DOWN: Duration = Duration::from_secs(10 * 60);
/// How long a step up is measured before it is judged.
const TRIAL: Duration = Duration::from_secs(60);
/// A step up stays if it brought so much of what it promised.
const PAYS: f64 = 0.1;
/// A step that did not pay is not tried again for this long.
const BARRED: Duration = Duration::from_secs(60 * 60);
/// Two steps down with one up between them are so far apart.
const SETTLED: Duration = Duration::from_secs(30 * 60);
/// A backlog: it takes the present instances longer than this.
const BACKLOG: f64 = 10.0;

/// What a subscription did in one span of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) elapsed: Duration,
    /// Instances that ran.
    pub(super) instances: u32,
    /// Partitions that they have together.
    pub(super) partitions: u32,
    /// Messages that were finished.
    pub(super) finished: u64,
    /// The share of their time in which they worked: the mean over them, from 0 to 1.
    pub(super) busy: f64,
    /// Records that came. `None`: not known.
    pub(super) came: Option<u64>,
    /// Records that are not finished, at the end of the span. `None`: not known.
    pub(super) lag: Option<u64>,
    /// Whether many partitions came or went, or the subscription was paused: it says nothing then.
    pub(super) disturbed: bool,
}

/// What bounds the number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// `max-concurrency`.
    pub(super) most: u32,
    /// `catch-up`.
    pub(super) catch_up: Duration,
    /// Static members (`group.instance.id`) do not leave their group, so there is no step down.
    pub(super) is_static: bool,
}

/// Why the number changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reason {
    /// The instances are this busy. So many records a second are needed, and an instance gives `each`.
    Busy { busy: f64, need: f64, each: f64 },
    /// The instances are this busy, and no more than `highest` were needed for 15 minutes.
    Idle { busy: f64, highest: u32 },
    /// The last step brought so many records a second and had promised so many: it is taken back.
    BroughtLittle { brought: f64, promised: f64 },
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) reason: Reason,
}

/// Why nothing changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Hold {
    /// Nothing was measured yet, or a figure is missing.
    NoFigures,
    /// Partitions came or went, or the subscription was paused, so lately; or a step was taken.
    Quiet(Duration),
    /// It measures whether the last step helps.
    Trial,
    /// The instances can do what comes.
    Enough,
    /// They are busy, but not for long enough yet.
    Short,
    /// More are needed than `max-concurrency` allows.
    Most,
    /// More are needed than there are partitions.
    Partitions,
    /// A step up brought nothing: it is not tried again for this long.
    Barred(Duration),
    /// Fewer are needed, but not for long enough yet.
    Needed,
    /// Fewer are needed, but the number went down and up again so lately: this long it stays.
    Settled(Duration),
    /// Fewer are needed, but static members do not leave.
    Static,
}

/// A step up that is measured.
#[derive(Clone, Copy, Debug)]
struct Trial {
    from: u32,
    to: u32,
    /// Records a second before it.
    before: f64,
    finished: u64,
    elapsed: Duration,
}

/// A span of load of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    elapsed: Duration,
    finished: u64,
    came: u64,
    /// Seconds in which instances were busy, summed over them.
    busy: f64,
}

/// Records a second: what is needed, and what one instance gives.
#[derive(Clone, Copy, Debug)]
struct Need {
    need: f64,
    each: f64,
}

impl Need {
    /// How many instances that are.
    fn instances(&self) -> u32 {
        let needed = self.need / (self.each * TARGET);
        needed.ceil().clamp(1.0, 1e6) as u32
    }
}

/// Seeks the number of instances of one subscription.
#[derive(Debug)]
pub(super) struct Instances {
    bounds: Bounds,
    /// Stretches waits, so that processes do not act at the same time.
    spread: f64,
    /// What happened since the instances are busy.
    span: Option<Span>,
    /// What was wished for: the highest one counts before a step down.
    wishes: Remembered,
    /// How far back the wishes reach without a gap.
    known_for: Duration,
    quiet: Duration,
    /// It is quiet since a step down: what follows is measured after it.
    went_down: bool,
    trial: Option<Trial>,
    /// So many are not tried for this long.
    barred: Option<(u32, Duration)>,
    /// What is left of [`SETTLED`] since the last step down.
    fell: Duration,
    /// Whether there was a step up since the last step down.
    rose: bool,
    hold: Hold,
}

impl Instances {
    pub(super) fn new(bounds: Bounds, spread: f64) -> Self {
        Self {
            bounds,
            spread,
            span: None,
            wishes: Remembered::default(),
            known_for: Duration::ZERO,
            quiet: Duration::ZERO,
            went_down: false,
            trial: None,
            barred: None,
            fell: Duration::ZERO,
            rose: false,
            hold: Hold::NoFigures,
        }
    }

    /// Why nothing changes.
    pub(super) fn hold(&self) -> Hold {
        self.hold
    }

    /// How many the last sample asked for, within no bounds but one instance.
    pub(super) fn wish(&self) -> Option<u32> {
        self.wishes.last()
    }

    /// Takes a sample. A decision that is not carried out is made again after a while.
    pub(super) fn sample(&mut self, sample: Sample) -> Option<Decision> {
        self.pass(sample.elapsed);
        if sample.disturbed {
            self.forget();
            self.quiet = self.quiet.max(QUIET.mul_f64(self.spread));
        }
        let known = sample.came.zip(sample.lag);
        let decided = match known.filter(|_| !sample.disturbed) {
            known if self.quiet > Duration::ZERO => {
                if let Some((came, lag)) = known {
                    self.wish_of(&sample, came, lag);
                }
                // After a rebalance, the minute in which they must be busy may be the quiet one.
                self.follow(
                    &sample,
                    known.map(|(came, _)| came).filter(|_| !self.went_down),
                );
                Err(Hold::Quiet(self.quiet))
            }
            Some((came, lag)) => self.decide(&sample, came, lag),
            None => {
                self.forget();
                Err(Hold::NoFigures)
            }
        };
        match decided {
            Ok(decision) => Some(decision),
            Err(hold) => {
                self.hold = hold;
                None
            }
        }
    }

    /// Time passes.
    fn pass(&mut self, elapsed: Duration) {
        self.quiet = self.quiet.saturating_sub(elapsed);
        self.went_down &= !self.quiet.is_zero();
        self.barred = self.barred.and_then(|(level, left)| {
            let left = left.checked_sub(elapsed)?;
            (!left.is_zero()).then_some((level, left))
        });
        self.fell = self.fell.saturating_sub(elapsed);
        self.wishes.pass(elapsed);
        self.known_for = (self.known_for + elapsed).min(REMEMBERED);
    }

    /// What was measured last says nothing about what comes.
    fn forget(&mut self) {
        self.span = None;
        // A gap in what is known: a step down needs the whole time again.
        self.known_for = Duration::ZERO;
    }

    /// What the sample asks for is kept, if it says something.
    fn wish_of(&mut self, sample: &Sample, came: u64, lag: u64) -> Option<u32> {
        let wish = self
            .need(&Span::default().with(sample, came), lag)?
            .instances();
        self.wishes.add(wish);
        Some(wish)
    }

    fn decide(&mut self, sample: &Sample, came: u64, lag: u64) -> Result<Decision, Hold> {
        let Some(wish) = self.wish_of(sample, came, lag) else {
            // Records wait, and none is finished: more instances may or may not help.
            self.forget();
            return Err(Hold::NoFigures);
        };
        if let Some(decided) = self.judge(sample, lag) {
            return decided;
        }
        if let Some(span) = self.follow(sample, Some(came)) {
            return self.up(sample, span, lag);
        }
        if sample.busy < IDLE && wish < sample.instances {
            return self.down(sample);
        }
        Err(Hold::Enough)
    }

    /// What happened since the instances are busy, if they are. `came`: what came, if all is known of the sample.
    fn follow(&mut self, sample: &Sample, came: Option<u64>) -> Option<Span> {
        let span = self.span.take();
        let came = came.filter(|_| sample.busy > BUSY)?;
        let span = span.unwrap_or_default().with(sample, came);
        self.span = Some(span);
        Some(span)
    }

    /// What is needed, and what one instance gives; `None` if the span does not tell.
    fn need(&self, span: &Span, lag: u64) -> Option<Need> {
        let elapsed = span.elapsed.as_secs_f64();
        if elapsed <= 0.0 {
            return None;
        }
        if span.finished == 0 || span.busy <= 0.0 {
            // Nothing came, and nothing waits: one instance is enough.
            let (need, each) = (0.0, 1.0);
            return (lag == 0 && span.came == 0).then_some(Need { need, each });
        }
        let catch_up = self.bounds.catch_up.as_secs_f64().max(1.0);
        Some(Need {
            need: span.came as f64 / elapsed + lag as f64 / catch_up,
            each: span.finished as f64 / span.busy,
        })
    }

    fn up(&mut self, sample: &Sample, span: Span, lag: u64) -> Result<Decision, Hold> {
        let from = sample.instances;
        let needed = self.need(&span, lag).ok_or(Hold::NoFigures)?;
        let wish = needed.instances();
        let barred = self.barred.filter(|(level, _)| *level <= from + 1);
        if wish <= from {
            return Err(Hold::Enough);
        } else if from >= self.bounds.most {
            return Err(Hold::Most);
        } else if from >= sample.partitions {
            return Err(Hold::Partitions);
        } else if let Some((_, left)) = barred {
            return Err(Hold::Barred(left));
        } else if span.elapsed < SUSTAINED {
            return Err(Hold::Short);
        }
        let below_bar = self.barred.map_or(u32::MAX, |(level, _)| level - 1);
        let to = [
            from.saturating_mul(2),
            self.bounds.most,
            sample.partitions,
            below_bar,
        ]
        .into_iter()
        .fold(wish, u32::min);
        let seconds = span.elapsed.as_secs_f64();
        self.trial = Some(Trial {
            from,
            to,
            before: span.finished as f64 / seconds,
            finished: 0,
            elapsed: Duration::ZERO,
        });
        let busy = span.busy / seconds / f64::from(from.max(1));
        let Need { need, each } = needed;
        self.go(from, to, QUIET, Reason::Busy { busy, need, each })
    }

    /// How long no step down follows, if one must wait.
    fn settled(&self) -> Option<Duration> {
        (self.rose && !self.fell.is_zero()).then_some(self.fell)
    }

    fn down(&mut self, sample: &Sample) -> Result<Decision, Hold> {
        let from = sample.instances;
        if self.bounds.is_static {
            return Err(Hold::Static);
        }
        let highest = self.wishes.highest().unwrap_or(1);
        if self.known_for < REMEMBERED || highest >= from {
            return Err(Hold::Needed);
        }
        if let Some(left) = self.settled() {
            return Err(Hold::Settled(left));
        }
        let to = highest.max(from.div_ceil(2));
        let reason = Reason::Idle {
            busy: sample.busy,
            highest,
        };
        self.go(from, to, QUIET_DOWN, reason)
    }

    /// Whether the last step up stays. `None`: no step is measured.
    fn judge(&mut self, sample: &Sample, lag: u64) -> Option<Result<Decision, Hold>> {
        let mut trial = self.trial.take()?;
        if sample.instances != trial.to {
            // It was not carried out.
            return None;
        }
        trial.finished += sample.finished;
        trial.elapsed += sample.elapsed;
        let rate = trial.finished as f64 / trial.elapsed.as_secs_f64().max(1e-6);
        if (lag as f64) < rate * BACKLOG {
            // Without a backlog the goodput is what arrives, whatever the step could bring.
            return None;
        }
        if trial.elapsed < TRIAL {
            self.trial = Some(trial);
            return Some(Err(Hold::Trial));
        }
        let more = f64::from(trial.to) / f64::from(trial.from.max(1)) - 1.0;
        let (brought, promised) = (rate - trial.before, trial.before * more);
        if brought >= promised * PAYS {
            return None;
        }
        self.barred = Some((trial.from + 1, BARRED.mul_f64(self.spread)));
        if self.bounds.is_static {
            return Some(Err(Hold::Static));
        }
        if let Some(left) = self.settled() {
            // Measured on until it may be taken back.
            self.trial = Some(trial);
            return Some(Err(Hold::Settled(left)));
        }
        let reason = Reason::BroughtLittle { brought, promised };
        Some(self.go(trial.to, trial.from, QUIET_DOWN, reason))
    }

    fn go(
        &mut self,
        from: u32,
        to: u32,
        quiet: Duration,
        reason: Reason,
    ) -> Result<Decision, Hold> {
        self.span = None;
        self.went_down = to < from;
        self.rose = !self.went_down;
        if self.went_down {
            self.fell = SETTLED;
        }
        self.quiet = quiet.mul_f64(self.spread);
        self.hold = Hold::Quiet(self.quiet);
        Ok(Decision { from, to, reason })
    }
}

impl Span {
    fn with(self, sample: &Sample, came: u64) -> Self {
        let seconds = sample.elapsed.as_secs_f64();
        Self {
            elapsed: self.elapsed + sample.elapsed,
            finished: self.finished + sample.finished,
            busy: self.busy + sample.busy * seconds * f64::from(sample.instances),
            came: self.came + came,
        }
    }
}

#[cfg(test)]
mod tests;
