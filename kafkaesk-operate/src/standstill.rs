//! Standstill: finds partitions that do not move although nothing holds them, so that their subscription can join its group
//! again, and a restart follows if that does not help. Pure: no clock, no broker.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kafkaesk_core::{NextOffset, Offset, Source};
use kafkaesk_worker::snapshot::{PartitionSnapshot, State, SubscriptionSnapshot};

use crate::{lag::Judged, view::View};

/// Partitions whose next record is read to make sure, at a time.
const SUSPECTS: usize = 10;

/// The partitions that do not move.
#[derive(Debug)]
pub(crate) struct Standstills {
    after: Duration,
    of: HashMap<Key, Standing>,
}

/// A group and pattern, and a partition.
type Key = (String, String, Arc<Source>);

#[derive(Debug)]
struct Standing {
    committed: Option<NextOffset>,
    /// Since its last move, or since the last thing that was done about it.
    since: Duration,
    /// When it was seen last. While its subscription joins again it is not assigned.
    seen: Duration,
    /// Its subscription joined its group again for it.
    rejoined: bool,
    /// It did not help.
    stands: bool,
}

/// A partition whose next record is to be read, to learn whether anybody can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspect {
    key: Key,
    /// The group as commands name it.
    pub(crate) name: String,
    pub(crate) source: Arc<Source>,
    pub(crate) next: Offset,
}

/// What helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Its subscription joins its group again.
    Rejoin,
    /// It did so already: `/livez` fails.
    Restart,
}

impl Standstills {
    pub(crate) fn new(after: Duration) -> Self {
        Self {
            after,
            of: HashMap::new(),
        }
    }

    /// The partitions that have not moved for long enough. `at` grows from look to look.
    pub(crate) fn look(&mut self, view: &View, at: Duration) -> Vec<Suspect> {
        let mut suspects = Vec::new();
        for (it, judged) in view.subscriptions() {
            for (own, judged) in it.partitions.iter().zip(judged) {
                let key = (it.group.clone(), it.pattern.clone(), own.source.clone());
                let Some(next) = unread(it, own, judged).filter(|_| view.hears()) else {
                    // Its subscription may be joining again: what was done is not forgotten before it is known to move.
                    if judged.lag.is_some() {
                        self.of.remove(&key);
                    }
                    continue;
                };
                let committed = judged.lag.as_ref().and_then(|lag| lag.committed);
                let standing = self.of.entry(key.clone()).or_insert(Standing {
                    committed,
                    since: at,
                    seen: at,
                    rejoined: false,
                    stands: false,
                });
                standing.seen = at;
                if standing.committed != committed {
                    *standing = Standing {
                        committed,
                        since: at,
                        seen: at,
                        rejoined: false,
                        stands: false,
                    };
                } else if at.saturating_sub(standing.since) >= self.after {
                    suspects.push(Suspect {
                        key,
                        name: it.name.clone(),
                        source: own.source.clone(),
                        next,
                    });
                }
            }
        }
        let after = self.after;
        self.of
            .retain(|_, standing| at.saturating_sub(standing.seen) < after);
        suspects.truncate(SUSPECTS);
        suspects
    }

    /// The next record of a suspect was read, or was not: then nothing here helps, and it is looked at again later.
    pub(crate) fn tried(
        &mut self,
        suspect: &Suspect,
        readable: bool,
        at: Duration,
    ) -> Option<Remedy> {
        let standing = self.of.get_mut(&suspect.key)?;
        standing.since = at;
        standing.seen = at;
        standing.stands = readable && standing.rejoined;
        if !readable {
            return None;
        }
        if standing.rejoined {
            return Some(Remedy::Restart);
        }
        // All of the subscription's partitions join again with it.
        let (group, pattern, _) = &suspect.key;
        for ((of_group, of_pattern, _), other) in &mut self.of {
            if of_group == group && of_pattern == pattern {
                other.rejoined = true;
            }
        }
        Some(Remedy::Rejoin)
    }

    /// The partitions of a subscription that a restart would help.
    pub(crate) fn standing(&self, group: &str, pattern: &str) -> Vec<Arc<Source>> {
        let of = self.of.iter();
        let mut standing: Vec<_> = of
            .filter(|((of_group, of_pattern, _), it)| {
                it.stands && of_group == group && of_pattern == pattern
            })
            .map(|((_, _, source), _)| source.clone())
            .collect();
        standing.sort_unstable_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        standing
    }
}

/// The offset that is to be read next in a partition that is behind and that nothing holds.
fn unread(it: &SubscriptionSnapshot, own: &PartitionSnapshot, judged: &Judged) -> Option<Offset> {
    let lag = judged.lag.as_ref()?;
    let bounds = lag.bounds?;
    let holds = it.state != State::Running
        || it.pause.is_some()
        || it.apart.is_some()
        || own.paused
        || own.revoking
        || own.stalled.is_some()
        || own.running + own.waiting > 0
        || own.first_unfinished.is_some();
    let next = own.read.or(lag.committed).unwrap_or(bounds.first);
    let next = next.max(bounds.first);
    (!holds && lag.records()? > 0 && next < bounds.end).then_some(Offset(next.0))
}

#[cfg(test)]
mod tests {
    use kafkaesk_client::{broker::Bounds, lag::PartitionLag};
    use kafkaesk_worker::snapshot::{PauseState, PausedBy};
    use std::time::SystemTime;

    use super::*;
    use crate::testing::{running, view};

    const SECOND: Duration = Duration::from_secs(1);

    /// A view in which one partition is behind: committed at this offset of nine.
    fn behind(committed: i64, change: impl FnOnce(&mut SubscriptionSnapshot)) -> View {
        let mut it = running("billing", &["orders.placed"]);
        it.partitions[0].position = None;
        change(&mut it);
        let mut view = view(vec![it]);
        let judged = &mut view.lags[0][0];
        let bounds = Bounds {
            first: NextOffset(0),
            end: NextOffset(9),
        };
        let source = (*judged.source).clone();
        judged.lag = Some(PartitionLag::new(
            source,
            Some(NextOffset(committed)),
            Some(bounds),
        ));
        view
    }

    fn suspects(view: &View, looks: &mut Standstills, seconds: std::ops::Range<u32>) -> Vec<u32> {
        let mut found = Vec::new();
        for second in seconds {
            if !looks.look(view, second * SECOND).is_empty() {
                found.push(second);
            }
        }
        found
    }

    #[test]
    fn a_partition_that_stands_still_joins_again_once_and_needs_a_restart_then() {
        let mut looks = Standstills::new(10 * SECOND);
        let view = behind(3, |_| {});
        assert_eq!(suspects(&view, &mut looks, 0..11), [10]);
        let suspect = looks.look(&view, 10 * SECOND).remove(0);
        assert_eq!(suspect.next, Offset(3));
        let remedy = looks.tried(&suspect, true, 10 * SECOND);
        assert_eq!(remedy, Some(Remedy::Rejoin));
        let (group, pattern) = ("billing", view.snapshot.subscriptions[0].pattern.clone());
        assert!(looks.standing(group, &pattern).is_empty());
        // While it joins it has no partition.
        let mut away = view.clone();
        let mut it = (*away.snapshot.subscriptions[0]).clone();
        it.partitions.clear();
        away.snapshot.subscriptions[0] = Arc::new(it);
        away.lags[0].clear();
        assert!(looks.look(&away, 12 * SECOND).is_empty());
        assert_eq!(suspects(&view, &mut looks, 13..21), [20]);
        let remedy = looks.tried(&suspect, true, 20 * SECOND);
        assert_eq!(remedy, Some(Remedy::Restart));
        assert_eq!(looks.standing(group, &pattern), [suspect.source]);
        // It moves after all.
        looks.look(&behind(4, |_| {}), 21 * SECOND);
        assert!(looks.standing(group, &pattern).is_empty());
    }

    #[test]
    fn a_record_that_nobody_can_read_asks_for_nothing_however_often_it_is_tried() {
        let mut looks = Standstills::new(10 * SECOND);
        let view = behind(3, |_| {});
        for round in 1..10 {
            let from = (round - 1) * 10;
            assert_eq!(suspects(&view, &mut looks, from..from + 11), [from + 10]);
            let at = (from + 10) * SECOND;
            let suspect = looks.look(&view, at).remove(0);
            assert_eq!(looks.tried(&suspect, false, at), None);
            let pattern = &view.snapshot.subscriptions[0].pattern;
            assert!(looks.standing("billing", pattern).is_empty());
        }
    }

    #[test]
    fn what_is_held_paused_read_or_unknown_does_not_stand_still() {
        let pause = PauseState {
            by: PausedBy::Operator,
            reason: String::new(),
            since: SystemTime::now(),
            until: None,
        };
        let quiet: [View; 9] = [
            behind(9, |_| {}),
            behind(3, |it| it.pause = Some(pause)),
            behind(3, |it| it.state = State::Joining),
            behind(3, |it| it.partitions[0].running = 1),
            behind(3, |it| it.partitions[0].waiting = 1),
            behind(3, |it| it.partitions[0].paused = true),
            behind(3, |it| it.partitions[0].stalled = Some("damaged".into())),
            // Everything is read, and a commit is refused.
            behind(3, |it| it.partitions[0].read = Some(NextOffset(9))),
            {
                let mut away = behind(3, |_| {});
                away.answered = Some(3600 * SECOND);
                away
            },
        ];
        for (number, view) in quiet.iter().enumerate() {
            let mut looks = Standstills::new(10 * SECOND);
            let found = suspects(view, &mut looks, 0..60);
            assert!(found.is_empty(), "{number}: {found:?}");
        }
    }

    #[test]
    fn a_partition_that_moves_now_and_then_does_not_stand_still() {
        let mut looks = Standstills::new(10 * SECOND);
        for second in 0..60_u32 {
            let view = behind(i64::from(second / 8), |_| {});
            assert!(looks.look(&view, second * SECOND).is_empty());
        }
    }
}
