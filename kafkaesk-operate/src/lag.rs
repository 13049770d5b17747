//! Lag: judges each partition from what Kafka said of it and from what the worker knows now. Pure: no clock, no broker.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use kafkaesk_client::lag::{Look, PartitionLag, Verdict, Window};
use kafkaesk_core::{Offset, RecordPlace, Source, span::rough_span, timestamp};
use kafkaesk_worker::snapshot::{HeldMessage, PartitionSnapshot, PauseState, SubscriptionSnapshot};

/// When the verdicts change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The time whose looks count.
    pub(crate) window: Duration,
    /// So many records of lag are always well.
    pub(crate) allowed: u64,
    /// A message that has been failing for this long holds its partition.
    pub(crate) held_after: Duration,
    /// What Kafka said longer ago counts as unknown.
    pub(crate) stale_after: Duration,
}

/// What Kafka said of the partitions of a process, by group and partition.
#[derive(Debug)]
pub(crate) struct Looks {
    rules: Rules,
    of: HashMap<Key, Looked>,
}

/// A group, and a partition.
type Key = (String, Arc<Source>);

#[derive(Debug)]
struct Looked {
    window: Window,
    last: PartitionLag,
    at: Duration,
    verdict: Verdict,
}

/// How a subscription does in one partition.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// The partition.
    pub(crate) source: Arc<Source>,
    /// What Kafka said last, if it said something lately.
    pub(crate) lag: Option<PartitionLag>,
    /// What it means.
    pub(crate) verdict: Verdict,
    /// The age of the first unfinished record, where it is known. Zero where every record is finished.
    pub(crate) age: Option<Duration>,
    /// One sentence: what happened, and what to do.
    pub(crate) sentence: String,
    /// Whether one message has been failing for long enough to hold it.
    pub(crate) is_held: bool,
}

impl Judged {
    /// Records that it is behind; `None` while unknown.
    pub(crate) fn records(&self) -> Option<u64> {
        self.lag.as_ref()?.records()
    }
}

impl Looks {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            of: HashMap::new(),
        }
    }

    /// Keeps what Kafka said of a partition. `at` grows from look to look.
    pub(crate) fn look(
        &mut self,
        group: &str,
        source: &Arc<Source>,
        lag: PartitionLag,
        at: Duration,
    ) {
        let Some(records) = lag.records() else {
            return;
        };
        let key = (group.to_owned(), source.clone());
        let former = self.of.remove(&key).map(|looked| looked.window);
        let mut window = former.unwrap_or_else(|| Window::new(self.rules.window));
        let verdict = window.look(Look {
            at,
            committed: lag.committed,
            lag: match records > self.rules.allowed {
                true => records,
                false => 0,
            },
            has_members: Some(true),
        });
        let looked = Looked {
            window,
            at,
            verdict,
            last: lag,
        };
        self.of.insert(key, looked);
    }

    /// Forgets the partitions that no subscription has any more.
    pub(crate) fn keep(&mut self, subscriptions: &[Arc<SubscriptionSnapshot>]) {
        let assigned = subscriptions.iter().flat_map(|it| {
            let partitions = it.partitions.iter();
            partitions.map(|own| (it.group.as_str(), &own.source))
        });
        let assigned: HashSet<_> = assigned.collect();
        self.of
            .retain(|(group, source), _| assigned.contains(&(group.as_str(), source)));
    }

    /// Judges all partitions of a subscription.
    pub(crate) fn judge(
        &self,
        subscription: &SubscriptionSnapshot,
        at: Duration,
        now: SystemTime,
    ) -> Vec<Judged> {
        let judged = subscription.partitions.iter().map(|own| {
            let looked = self
                .of
                .get(&(subscription.group.clone(), own.source.clone()));
            let looked = looked.filter(|it| at.saturating_sub(it.at) < self.rules.stale_after);
            self.judge_one(subscription, own, looked, now)
        });
        judged.collect()
    }

    fn judge_one(
        &self,
        subscription: &SubscriptionSnapshot,
        own: &PartitionSnapshot,
        looked: Option<&Looked>,
        now: SystemTime,
    ) -> Judged {
        let records = looked.and_then(|it| it.last.records());
        let is_behind = records > Some(self.rules.allowed);
        let held = self.holding(own, now);
        let (verdict, sentence) = match (looked, &subscription.pause, held) {
            (None, ..) => (
                Verdict::Unknown,
                "its lag is not known: Kafka has not answered for it yet".to_owned(),
            ),
            (_, Some(pause), Some(held)) if is_behind => {
                let held = failures(held, now);
                (Verdict::Paused, format!("{}; {held}", of_pause(pause)))
            }
            (_, Some(pause), None) if is_behind => (Verdict::Paused, of_pause(pause)),
            (_, _, Some(held)) if is_behind => (Verdict::Held, of_held(held, now)),
            (Some(looked), ..) => (looked.verdict, of_looks(own, looked.verdict)),
        };
        Judged {
            source: own.source.clone(),
            age: looked.and_then(|it| age(own, &it.last, now)),
            lag: looked.map(|it| it.last.clone()),
            verdict,
            sentence,
            is_held: held.is_some(),
        }
    }

    /// The message that keeps the partition from being committed, if it has been failing for long enough.
    fn holding<'a>(&self, own: &'a PartitionSnapshot, now: SystemTime) -> Option<&'a HeldMessage> {
        let held = own.holding.as_deref()?;
        let since = now.duration_since(held.since).unwrap_or_default();
        (since >= self.rules.held_after).then_some(held)
    }
}

/// How old the first unfinished record is. Unknown where it was not read yet.
fn age(own: &PartitionSnapshot, lag: &PartitionLag, now: SystemTime) -> Option<Duration> {
    let end = lag.bounds?.end;
    match own.first_unfinished {
        Some(first) => {
            // A timestamp before 1970 is as old as can be.
            let millis = u64::try_from(first.timestamp?).unwrap_or(0);
            let since = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            Some(now.duration_since(since).unwrap_or_default())
        }
        None if lag.records() == Some(0) || own.position >= Some(end) => Some(Duration::ZERO),
        None => None,
    }
}

/// Who or what paused a subscription, since when and why.
pub(crate) fn of_pause(pause: &PauseState) -> String {
    let by = pause.by.name();
    let since = time(pause.since);
    match pause.reason.as_str() {
        "" => format!("paused by {by} since {since}"),
        reason => format!("paused by {by} since {since}: {reason}"),
    }
}

fn of_held(held: &HeldMessage, now: SystemTime) -> String {
    let failed = failures(held, now);
    format!("{failed}; repair its handler, or skip the message")
}

fn failures(held: &HeldMessage, now: SystemTime) -> String {
    let since = now.duration_since(held.since).unwrap_or_default();
    format!(
        "{} failed {} times in {}",
        message(&held.source, held.offset),
        held.attempts,
        rough_span(since),
    )
}

/// What the worker itself knows is more than what Kafka knows from outside.
fn of_looks(own: &PartitionSnapshot, verdict: Verdict) -> String {
    match (&own.stalled, verdict) {
        (Some(why), _) => format!("its next record cannot be read: {why}"),
        (None, Verdict::Stall) => of_stall(own),
        (None, Verdict::Unknown) => "behind, and seen too briefly to say more".to_owned(),
        (None, verdict) => verdict.advice().to_owned(),
    }
}

/// Why a position stands still that no failed message holds.
fn of_stall(own: &PartitionSnapshot) -> String {
    let (running, waiting) = (own.running, own.waiting);
    match own.first_unfinished {
        None => {
            "nothing is committed, and no record comes; look at its brokers, or restart the worker"
                .to_owned()
        }
        Some(first) if running > 0 => format!(
            "nothing is committed: {} is the first unfinished message, {running} handlers run here; one may hang: the longest running ones are listed",
            message(&own.source, first.offset),
        ),
        Some(first) => format!(
            "nothing is committed: {} is the first unfinished message, and {waiting} messages wait for a free handler; raise concurrency, or look for slow handlers",
            message(&own.source, first.offset),
        ),
    }
}

/// A message as commands name it.
pub(crate) fn message(source: &Source, offset: i64) -> RecordPlace {
    RecordPlace {
        stream: source.stream.clone(),
        partition: source.partition,
        offset: Offset(offset),
    }
}

/// A time of day as in JSON.
pub(crate) fn time(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    let millis = i64::try_from(millis).ok();
    millis.and_then(timestamp::format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kafkaesk_client::broker::Bounds;
    use kafkaesk_core::NextOffset;
    use kafkaesk_worker::snapshot::{PausedBy, Unsettled};

    use super::*;
    use crate::testing::{hold, running};

    const SECOND: Duration = Duration::from_secs(1);

    fn looks() -> Looks {
        Looks::new(Rules {
            window: SECOND * 10,
            allowed: 2,
            held_after: SECOND * 10,
            stale_after: SECOND * 30,
        })
    }

    fn lag(source: &Source, committed: i64, end: i64) -> PartitionLag {
        let bounds = Bounds {
            first: NextOffset(0),
            end: NextOffset(end),
        };
        PartitionLag::new(source.clone(), Some(NextOffset(committed)), Some(bounds))
    }

    /// The verdict and sentence of the first partition after a look at these lags a second apart.
    fn judged(it: &SubscriptionSnapshot, seen: &[(i64, i64)]) -> Judged {
        let mut looks = looks();
        let source = it.partitions[0].source.clone();
        for (second, (committed, end)) in seen.iter().enumerate() {
            let at = SECOND * second as u32;
            looks.look(&it.group, &source, lag(&source, *committed, *end), at);
        }
        let at = SECOND * seen.len() as u32;
        looks.judge(it, at, SystemTime::now()).remove(0)
    }

    fn orders() -> SubscriptionSnapshot {
        running("billing", &["orders.placed"])
    }

    #[test]
    fn a_lag_that_is_allowed_is_well_whatever_holds_it() {
        let mut it = orders();
        hold(&mut it, SECOND * 60);
        assert_eq!(judged(&it, &[(3, 5)]).verdict, Verdict::Ok);
    }

    #[test]
    fn a_message_that_fails_for_long_enough_holds_its_partition_and_is_named() {
        let mut it = orders();
        hold(&mut it, SECOND * 60);
        let held = judged(&it, &[(3, 9)]);
        assert_eq!(held.verdict, Verdict::Held);
        assert_eq!(
            held.sentence,
            "orders.placed[0]@3 failed 17 times in 1m 0s; repair its handler, or skip the message"
        );
        let mut young = orders();
        hold(&mut young, SECOND);
        assert_eq!(judged(&young, &[(3, 9)]).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_held_message_that_is_not_the_first_unfinished_one_does_not_hold_the_partition() {
        let mut it = orders();
        hold(&mut it, SECOND * 60);
        it.partitions[0].holding = None;
        assert_ne!(judged(&it, &[(3, 9)]).verdict, Verdict::Held);
    }

    #[test]
    fn a_stall_names_the_first_unfinished_message_and_what_it_waits_for() {
        let mut it = orders();
        let stall = |it: &SubscriptionSnapshot| judged(it, &[(3, 9); 11]);
        assert_eq!(stall(&it).verdict, Verdict::Stall);
        assert!(stall(&it).sentence.contains("no record comes"));
        it.partitions[0].first_unfinished = Some(Unsettled {
            offset: 3,
            timestamp: None,
        });
        it.partitions[0].waiting = 6;
        let free = stall(&it).sentence;
        assert!(
            free.contains("orders.placed[0]@3") && free.contains("6 messages wait"),
            "{free}"
        );
        it.partitions[0].running = 1;
        assert!(stall(&it).sentence.contains("may hang"));
    }

    #[test]
    fn a_pause_is_named_before_what_it_keeps_from_moving() {
        let mut it = orders();
        hold(&mut it, SECOND * 60);
        it.pause = Some(PauseState {
            by: PausedBy::Operator,
            reason: "the database is moved".into(),
            since: SystemTime::UNIX_EPOCH,
            until: None,
        });
        let paused = judged(&it, &[(3, 9)]);
        assert_eq!(paused.verdict, Verdict::Paused);
        assert_eq!(
            paused.sentence,
            "paused by operator since 1970-01-01T00:00:00.000Z: the database is moved; orders.placed[0]@3 failed 17 times in 1m 0s"
        );
        assert_eq!(judged(&it, &[(9, 9)]).verdict, Verdict::Ok);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_named_where_the_position_stands() {
        let mut it = orders();
        it.partitions[0].stalled = Some("its batch is damaged".into());
        let stall = judged(&it, &[(3, 9); 11]);
        assert_eq!(stall.verdict, Verdict::Stall);
        assert_eq!(
            stall.sentence,
            "its next record cannot be read: its batch is damaged"
        );
    }

    #[test]
    fn what_kafka_did_not_say_lately_is_unknown() {
        let it = orders();
        let source = it.partitions[0].source.clone();
        let mut looks = looks();
        let now = SystemTime::now();
        assert_eq!(looks.judge(&it, SECOND, now)[0].verdict, Verdict::Unknown);
        looks.look(&it.group, &source, lag(&source, 3, 3), SECOND);
        assert_eq!(looks.judge(&it, SECOND * 30, now)[0].verdict, Verdict::Ok);
        let stale = looks.judge(&it, SECOND * 31, now).remove(0);
        assert_eq!((stale.verdict, stale.age), (Verdict::Unknown, None));
        assert!(stale.lag.is_none());
    }

    #[test]
    fn a_partition_that_moved_away_is_forgotten_and_starts_over_when_it_returns() {
        let mut it = orders();
        let source = it.partitions[0].source.clone();
        let mut looks = looks();
        looks.look(&it.group, &source, lag(&source, 3, 9), SECOND);
        let away = {
            let mut away = it.clone();
            away.partitions.clear();
            away
        };
        assert!(looks.judge(&away, SECOND, SystemTime::now()).is_empty());
        looks.keep(&[Arc::new(away)]);
        it.partitions[0].since = SystemTime::now();
        let back = looks.judge(&it, SECOND, SystemTime::now()).remove(0);
        assert!(back.lag.is_none());
    }

    #[test]
    fn the_age_is_that_of_the_first_unfinished_record() {
        let mut it = orders();
        // Everything is finished and not committed yet.
        it.partitions[0].position = Some(NextOffset(9));
        assert_eq!(judged(&it, &[(3, 9)]).age, Some(Duration::ZERO));
        // The rest was not read yet.
        it.partitions[0].position = Some(NextOffset(5));
        assert_eq!(judged(&it, &[(3, 9)]).age, None);
        let timestamp = SystemTime::now() - SECOND * 60;
        let since = timestamp.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        it.partitions[0].first_unfinished = Some(Unsettled {
            offset: 5,
            timestamp: i64::try_from(since.as_millis()).ok(),
        });
        let age = judged(&it, &[(3, 9)]).age.unwrap();
        assert!(age >= SECOND * 60 && age < SECOND * 70, "{age:?}");
        it.partitions[0].first_unfinished = Some(Unsettled {
            offset: 5,
            timestamp: None,
        });
        assert_eq!(judged(&it, &[(3, 9)]).age, None);
    }
}
