//! Limit: how many handlers of an instance may run at a time: a number, or a level that `handlers` seeks from what this measures.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{
    handlers::{Decision, Handlers, Reason, Window},
    history::History,
    sampling::{AT_ONCE, ENDED, LIMITED, LONGEST},
};
use crate::{
    options::Concurrency,
    snapshot::{ScaleDecision, ScaledHandlers},
};

/// A window is at least so long.
const SHORTEST: Duration = Duration::from_secs(1);

/// How many handlers of an instance may run at a time.
#[derive(Debug)]
pub(crate) enum Limit {
    /// As many.
    Fixed(u32),
    /// As many as help.
    Sought(Box<Sought>),
}

/// A level that is sought.
#[derive(Debug)]
pub(crate) struct Sought {
    handlers: Handlers,
    /// The window that is open.
    since: Option<Instant>,
    ended: u64,
    too_much: u64,
    limited: u64,
    /// All places are taken, and work waits.
    filled: bool,
    /// Attempts that do not count: they began before a cut.
    skipped: u32,
    history: History,
    bounds: (u32, u32),
}

impl Limit {
    pub(crate) fn new(concurrency: Concurrency) -> Self {
        match concurrency {
            Concurrency::Fixed(handlers) => Self::Fixed(handlers),
            Concurrency::Between { min, max } => {
                let spread = 0.75 + fastrand::f64() / 2.0;
                Self::Sought(Box::new(Sought {
                    handlers: Handlers::new(min, max, spread),
                    since: None,
                    ended: 0,
                    too_much: 0,
                    limited: 0,
                    filled: false,
                    skipped: 0,
                    history: History::default(),
                    bounds: (min, max),
                }))
            }
        }
    }

    /// How many may run.
    pub(crate) fn handlers(&self) -> u32 {
        match self {
            Self::Fixed(handlers) => *handlers,
            Self::Sought(sought) => sought.handlers.level(),
        }
    }

    /// Whether all places are taken while work waits, until this is said again.
    pub(crate) fn filled(&mut self, filled: bool) {
        if let Self::Sought(sought) = self {
            sought.filled = filled;
        }
    }

    /// Whether it follows the load.
    pub(crate) fn is_sought(&self) -> bool {
        matches!(self, Self::Sought(_))
    }

    /// An attempt ended; `too_much`: its answer means that. Gives the decision if the limit changes.
    pub(crate) fn ended(&mut self, now: Instant, too_much: bool) -> Option<&ScaleDecision> {
        match self {
            Self::Fixed(_) => None,
            Self::Sought(sought) => sought.ended(now, too_much),
        }
    }

    /// A rebalance or a pause changes the goodput: what was measured says nothing.
    pub(crate) fn disturbed(&mut self) {
        if let Self::Sought(sought) = self {
            sought.close();
            sought.handlers.disturbed();
        }
    }

    /// What a snapshot says of it.
    pub(crate) fn shown(&self) -> Option<ScaledHandlers> {
        let Self::Sought(sought) = self else {
            return None;
        };
        Some(ScaledHandlers {
            min: sought.bounds.0,
            max: sought.bounds.1,
            raised: sought.history.raised,
            lowered: sought.history.lowered,
            state: sought.handlers.describe(),
            recent: sought.history.recent.clone(),
        })
    }
}

impl Sought {
    fn ended(&mut self, now: Instant, too_much: bool) -> Option<&ScaleDecision> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        self.ended += 1;
        self.too_much += u64::from(too_much);
        self.limited += u64::from(self.filled);
        let elapsed = now.saturating_duration_since(since);
        let enough = ENDED.max(u64::from(self.handlers.level()));
        let is_over = elapsed >= SHORTEST && (self.ended >= enough || elapsed >= LONGEST);
        if !is_over && self.too_much < AT_ONCE {
            return None;
        }
        let window = Window {
            elapsed,
            ended: self.ended,
            too_much: self.too_much,
            limited: self.limited as f64 >= self.ended as f64 * LIMITED,
        };
        if !is_over && !window.is_too_much() {
            return None;
        }
        self.close();
        self.since = Some(now);
        let decision = self.handlers.window(window)?;
        if matches!(decision.reason, Reason::TooMuch(_)) {
            self.skipped = decision.from;
        }
        self.history.add(said(decision));
        self.history.recent.first()
    }

    fn close(&mut self) {
        (self.since, self.ended, self.too_much, self.limited) = (None, 0, 0, 0);
    }
}

fn said(decision: Decision) -> ScaleDecision {
    let percent = |share: f64| share * 100.0;
    let reason = match decision.reason {
        Reason::TryMore => "work waits while all places are taken: more are tried".to_owned(),
        Reason::TryFewer => "fewer are tried: they may do as much".to_owned(),
        Reason::BroughtLittle(change) => format!(
            "the trial of more changed goodput by {:.1}%, too little to stay",
            percent(change)
        ),
        Reason::CostMuch(change) => format!(
            "the trial of fewer changed goodput by {:.1}%, too much to stay",
            percent(change)
        ),
        Reason::TooMuch(share) => format!(
            "{:.1}% of the answers mean too much (429, 503, a timeout, `busy`)",
            percent(share)
        ),
    };
    ScaleDecision {
        at: SystemTime::now(),
        from: decision.from,
        to: decision.to,
        reason,
    }
}
