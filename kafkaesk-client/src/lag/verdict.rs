//! Verdict: says from a few looks at one partition of a group whether it keeps up. Pure: no clock, no broker.
//!
//! The rules are those of Burrow (LinkedIn), on what was seen at each look instead of on single commits, and in this order;
//! what a group without members does is known at once.

use std::{collections::VecDeque, fmt, time::Duration};

use kafkaesk_core::NextOffset;

/// How a group does in one partition, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It has read everything.
    Ok,
    /// It is behind, and too few looks were taken to say more.
    Unknown,
    /// It is behind and moves, but it never gained on the end while it was looked at.
    Warn,
    /// Its position went back, and it has not got to where it was before.
    Rewind,
    /// It is behind, and its subscription is paused. Only the worker itself knows this.
    Paused,
    /// One message holds it up: it failed and is tried again. Only the worker itself knows this.
    Held,
    /// It is behind and has members, and its position stands still.
    Stall,
    /// It is behind and nobody is in the group.
    Stop,
}

impl Verdict {
    /// All of them, from best to worst.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Unknown,
        Self::Warn,
        Self::Rewind,
        Self::Paused,
        Self::Held,
        Self::Stall,
        Self::Stop,
    ];

    /// One word, as in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Unknown => "UNKNOWN",
            Self::Warn => "WARN",
            Self::Rewind => "REWIND",
            Self::Paused => "PAUSED",
            Self::Held => "HELD",
            Self::Stall => "STALL",
            Self::Stop => "STOP",
        }
    }

    /// What it means, and what to do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Ok => "everything is read",
            Self::Unknown => "behind, and seen too briefly to say more; look again, or use --watch",
            Self::Warn => {
                "messages come faster than they are handled; look for slow handlers, raise concurrency, or start another worker"
            }
            Self::Rewind => {
                "the position went back, by a reset or a topic that was created again; messages are delivered again until it is caught up"
            }
            Self::Paused => "its subscription is paused; resume it when the cause is gone",
            Self::Held => {
                "one message fails and is tried again; repair its handler, or skip the message"
            }
            Self::Stall => {
                "members are there and nothing is committed; a message is held or retried, or a handler hangs: the worker's log names it"
            }
            Self::Stop => "nobody is in the group; start its worker",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What one look saw of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When, since any fixed moment. Never before that of the look before.
    pub at: Duration,
    /// What the group committed; `None` for nothing.
    pub committed: Option<NextOffset>,
    /// How many records it has not read.
    pub lag: u64,
    /// Whether the group has members; `None` where that is not known.
    pub has_members: Option<bool>,
}

/// The looks at one partition of a group within a span of time.
#[derive(Clone, Debug)]
pub struct Window {
    span: Duration,
    looks: VecDeque<Look>,
}

/// The most looks that are kept: the oldest go first, whatever the span is.
const LOOKS: usize = 256;
/// From so many looks on the movement between them says something.
const ENOUGH: usize = 3;

impl Window {
    /// Keeps looks of this span, and 256 at most.
    pub fn new(span: Duration) -> Self {
        Self {
            span,
            looks: VecDeque::new(),
        }
    }

    /// Adds a look, and returns the verdict with it.
    pub fn look(&mut self, look: Look) -> Verdict {
        self.looks.push_back(look);
        // One that is older than the span stays, so that the looks cover the span.
        while self.looks.len() > LOOKS
            || self
                .looks
                .get(1)
                .is_some_and(|second| look.at.saturating_sub(second.at) >= self.span)
        {
            self.looks.pop_front();
        }
        self.verdict(look)
    }

    fn verdict(&self, last: Look) -> Verdict {
        if last.lag == 0 {
            return Verdict::Ok;
        }
        if last.has_members == Some(false) {
            return Verdict::Stop;
        }
        let positions = || self.looks.iter().map(|look| look.committed);
        if positions().max() > Some(last.committed) {
            return Verdict::Rewind;
        }
        let covered = self
            .looks
            .front()
            .is_some_and(|first| last.at.saturating_sub(first.at) >= self.span);
        let was_behind = self.looks.iter().all(|look| look.lag > 0);
        if !covered || self.looks.len() < ENOUGH {
            return Verdict::Unknown;
        }
        if !was_behind {
            return Verdict::Ok;
        }
        if positions().all(|position| position == last.committed) {
            return Verdict::Stall;
        }
        let gained = self
            .looks
            .iter()
            .zip(self.looks.iter().skip(1))
            .any(|(before, after)| after.lag < before.lag);
        match gained {
            true => Verdict::Ok,
            false => Verdict::Warn,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPAN: Duration = Duration::from_secs(10);

    /// The verdict after looks a second apart: what was committed, and the lag.
    fn after(looks: &[(i64, u64)], has_members: Option<bool>) -> Verdict {
        let mut window = Window::new(SPAN);
        let mut verdict = Verdict::Ok;
        for (second, (committed, lag)) in looks.iter().enumerate() {
            verdict = window.look(Look {
                at: Duration::from_secs(second as u64),
                committed: Some(NextOffset(*committed)),
                lag: *lag,
                has_members,
            });
        }
        verdict
    }

    /// As many looks as cover the span, each made from its number.
    fn span(look: impl Fn(i64) -> (i64, u64)) -> Vec<(i64, u64)> {
        (0..=10).map(look).collect()
    }

    #[test]
    fn all_verdicts_are_listed_once_from_best_to_worst() {
        assert!(Verdict::ALL.is_sorted_by(|a, b| a < b));
        assert_eq!(Verdict::ALL.last(), Some(&Verdict::Stop));
    }

    #[test]
    fn what_has_no_lag_is_ok_whatever_was_before() {
        assert_eq!(after(&[(5, 0)], Some(false)), Verdict::Ok);
        assert_eq!(after(&[(9, 3), (4, 8), (12, 0)], Some(true)), Verdict::Ok);
    }

    #[test]
    fn a_group_that_is_behind_without_members_has_stopped_at_the_first_look() {
        assert_eq!(after(&[(5, 1)], Some(false)), Verdict::Stop);
    }

    #[test]
    fn a_position_that_stands_still_for_the_span_is_a_stall() {
        assert_eq!(after(&span(|_| (5, 3)), Some(true)), Verdict::Stall);
        assert_eq!(after(&span(|n| (5, 3 + n as u64)), None), Verdict::Stall);
        // It caught up in between, so what stands there is new.
        let caught_up = span(|n| (5, if n == 4 { 0 } else { 3 }));
        assert_eq!(after(&caught_up, Some(true)), Verdict::Ok);
    }

    #[test]
    fn a_group_that_moves_and_never_gains_is_warned_of_and_one_that_gains_is_ok() {
        assert_eq!(after(&span(|n| (n, 3)), Some(true)), Verdict::Warn);
        assert_eq!(after(&span(|n| (n, 3 + n as u64)), None), Verdict::Warn);
        let gains = span(|n| (n, if n == 7 { 2 } else { 3 }));
        assert_eq!(after(&gains, Some(true)), Verdict::Ok);
    }

    #[test]
    fn a_position_that_went_back_is_a_rewind_until_it_is_where_it_was() {
        assert_eq!(after(&[(9, 1), (4, 6)], Some(true)), Verdict::Rewind);
        assert_eq!(after(&[(9, 1), (4, 6), (8, 2)], None), Verdict::Rewind);
        assert_eq!(after(&[(9, 1), (4, 6), (9, 2)], None), Verdict::Unknown);
    }

    #[test]
    fn what_is_behind_is_not_judged_before_the_span_is_over() {
        assert_eq!(after(&span(|_| (5, 3))[..10], Some(true)), Verdict::Unknown);
        assert_eq!(after(&[(5, 3)], Some(true)), Verdict::Unknown);
    }

    proptest! {
        /// Only what is behind is judged badly, and a window keeps what it says that it keeps.
        #[test]
        fn a_bad_verdict_needs_lag_and_a_window_is_bounded(
            looks in prop::collection::vec((0_i64..20, 0_u64..4, 0_u64..30, prop::option::of(any::<bool>())), 1..600)
        ) {
            let mut window = Window::new(SPAN);
            let mut at = Duration::ZERO;
            for (committed, lag, pause, has_members) in looks {
                at += Duration::from_secs(pause);
                let committed = Some(NextOffset(committed));
                let verdict = window.look(Look { at, committed, lag, has_members });
                prop_assert!(lag > 0 || verdict == Verdict::Ok);
                prop_assert_eq!(verdict == Verdict::Stop, lag > 0 && has_members == Some(false));
                prop_assert!(window.looks.len() <= LOOKS);
                let inside = window.looks.iter().skip(1);
                prop_assert!(inside.into_iter().all(|look| at - look.at < SPAN));
            }
        }
    }
}
