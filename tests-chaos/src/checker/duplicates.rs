//! Duplicates: what was handled is handled again only after a hard fault, and then only what its worker had in flight or had
//! finished since the last commit, or what a stopped worker and others both did before it heard of its loss. A clean end or rebalance repeats nothing but, today, what finished behind an unfinished
//! message of its partition.

use super::{
    BEHIND_UNFINISHED_IS_ALLOWED, History, attempt,
    history::{Log, Message},
};
use crate::{
    ledger::{Attempt, Bounds, Fault, FaultKind},
    line::{Change, Ended, Micros},
};

#[derive(Default)]
pub(super) struct Duplicates {
    pub(super) allowed: usize,
    pub(super) repeated: usize,
    pub(super) behind_unfinished: usize,
    pub(super) violations: Vec<String>,
}

pub(super) fn check(history: &History<'_>, bounds: &Bounds) -> Duplicates {
    let mut found = Duplicates::default();
    for log in history.logs.values() {
        for message in &log.messages {
            let mut allowed = allowed(history, bounds, log, message);
            let mut repeated = 0;
            found.allowed += allowed;
            let Some((done, first)) = message.done else {
                continue;
            };
            for &index in &message.attempts {
                let again = &history.ledger.attempts[index];
                let finished_twice = matches!(again.end, Some((_, Ended::Done)));
                if index == first || (again.start < done && !finished_twice) {
                    continue;
                }
                if of_a_repeat(history, message, done, index)
                    || of_an_open_repeat(history, bounds, log, message, index)
                {
                    continue;
                }
                if after_hard_fault(history, bounds, log, message, index) {
                    repeated += 1;
                    continue;
                }
                // A revoke waited for it in vain, so its partition's next owner has the message as well.
                let outlasting = message.attempts.iter().any(|&other| {
                    other != index
                        && history.outlasts(bounds, other)
                        && history.ledger.attempts[other].start <= again.start
                        && !history.counts(bounds, log, other, again.start)
                }) || (again.start < done && history.outlasts(bounds, index));
                if outlasting {
                    found.allowed += 1;
                    allowed += 1;
                    repeated += 1;
                    continue;
                }
                let behind = behind_unfinished(history, bounds, log, message, index);
                if behind {
                    found.behind_unfinished += 1;
                }
                if !behind || !BEHIND_UNFINISHED_IS_ALLOWED {
                    found.violations.push(format!(
                        "{} key {:?} was handled again without a hard fault: {}; {}; committed when it was begun again: {}",
                        message.place,
                        message.key,
                        attempt(history, first),
                        attempt(history, index),
                        log.committed(again.start)
                    ));
                }
            }
            found.repeated += repeated;
            if repeated > allowed {
                found.violations.push(format!(
                    "{} key {:?} was repeated {repeated} times; {allowed} hard faults met it in flight or finished since the last commit",
                    message.place, message.key
                ));
            }
        }
    }
    found
}

/// How often this message may be repeated: once for each hard fault that meets it in flight, or finished and uncommitted.
fn allowed(history: &History<'_>, bounds: &Bounds, log: &Log<'_>, message: &Message) -> usize {
    let attempts = || {
        message
            .attempts
            .iter()
            .map(|&index| &history.ledger.attempts[index])
    };
    let had = |worker, until| attempts().any(|it| it.worker == worker && it.start <= until);
    let faults = history.ledger.faults.iter().filter(|fault| {
        let until = history.knows_of(log, fault);
        let unaware = attempts().any(|it| died_unaware(history, bounds, log, fault, it));
        (unaware || log.committed(fault.at) <= message.place.offset)
            && match fault.what {
                FaultKind::Killed(worker) | FaultKind::Stopped(worker) => had(worker, until),
                FaultKind::Asked(worker) => {
                    had(worker, until) && history.ended_in_outage(worker).is_some()
                }
                FaultKind::Outage => attempts().any(|it| it.start <= until),
                FaultKind::StreamAway => attempts().any(|it| noticed(log, fault, bounds, it)),
                _ => false,
            }
    });
    faults.count()
}

/// Whether an attempt is a further one of a delivery that began after the message was done: judged with its first one.
fn of_a_repeat(history: &History<'_>, message: &Message, done: Micros, index: usize) -> bool {
    let again = &history.ledger.attempts[index];
    message.attempts.iter().any(|&other| {
        let other = &history.ledger.attempts[other];
        other.worker == again.worker
            && other.attempt + 1 == again.attempt
            && other.start > done
            && other.start < again.start
    })
}

/// Whether the delivery before was a repeat after a hard fault, and its worker did not end the message: it goes on with the next
/// owner, and is judged with the first of them.
fn of_an_open_repeat(
    history: &History<'_>,
    bounds: &Bounds,
    log: &Log<'_>,
    message: &Message,
    index: usize,
) -> bool {
    let (Some(before), Some((done, _))) = (index_before(history, message, index), message.done)
    else {
        return false;
    };
    let it = &history.ledger.attempts[before];
    it.start > done
        && it.start < history.ledger.attempts[index].start
        && !matches!(it.end, Some((_, Ended::Done)))
        && (after_hard_fault(history, bounds, log, message, before)
            || of_a_repeat(history, message, done, before)
            || of_an_open_repeat(history, bounds, log, message, before))
}

/// The last delivery of a message before this one.
fn before<'a>(history: &History<'a>, message: &Message, index: usize) -> Option<&'a Attempt> {
    index_before(history, message, index).map(|before| &history.ledger.attempts[before])
}

fn index_before(history: &History<'_>, message: &Message, index: usize) -> Option<usize> {
    let of = |index: usize| &history.ledger.attempts[index];
    let again = of(index);
    message
        .attempts
        .iter()
        .copied()
        .filter(|&other| other != index)
        // Not what was tried before in the same delivery.
        .filter(|&other| of(other).worker != again.worker || of(other).attempt >= again.attempt)
        .rfind(|&other| of(other).start <= again.start)
}

/// Whether this run of a message follows from a hard fault of the worker that had it before.
fn after_hard_fault(
    history: &History<'_>,
    bounds: &Bounds,
    log: &Log<'_>,
    message: &Message,
    index: usize,
) -> bool {
    let again = &history.ledger.attempts[index];
    let before = before(history, message, index);
    history.ledger.faults.iter().any(|fault| {
        if before.is_some_and(|it| died_unaware(history, bounds, log, fault, it)) {
            return true;
        }
        if log.committed(fault.at) > message.place.offset {
            return false;
        }
        let knows = history.knows_of(log, fault);
        let had =
            |worker| before.is_some_and(|before| before.worker == worker && before.start <= knows);
        match fault.what {
            FaultKind::Killed(worker) => had(worker),
            FaultKind::Asked(worker) => had(worker) && history.ended_in_outage(worker).is_some(),
            FaultKind::Stopped(worker) => {
                let since = log.assigned(worker, again.start);
                let delivered_again =
                    again.worker != worker || since.is_some_and(|at| at >= fault.until);
                (had(worker) && delivered_again)
                    || both(history, message, index, worker, (fault.at, knows))
            }
            FaultKind::StreamAway => before.is_some_and(|it| noticed(log, fault, bounds, it)),
            // Only where the group took the partitions away meanwhile.
            FaultKind::Outage => {
                let until = fault.until + bounds.session + bounds.progress;
                again.start >= fault.at
                    && before.is_some_and(|before| {
                        before.start <= fault.until && moved(log, before.worker, fault.at, until)
                    })
            }
            _ => false,
        }
    })
}

/// Whether this run of a message is the stopped worker's own, which others did meanwhile as well, or theirs of what the
/// stopped worker did: from its stop until it heard that the partition is gone.
fn both(
    history: &History<'_>,
    message: &Message,
    index: usize,
    stopped: usize,
    (from, knows): (Micros, Micros),
) -> bool {
    let unaware = |index: usize| {
        let attempt = &history.ledger.attempts[index];
        attempt.worker == stopped && attempt.start <= knows && history.over(index) >= from
    };
    let anothers = |index: usize| {
        history.ledger.attempts[index].worker != stopped && history.over(index) >= from
    };
    let other = |whose: &dyn Fn(usize) -> bool| message.attempts.iter().any(|&it| whose(it));
    (unaware(index) && other(&anothers)) || (anothers(index) && other(&unaware))
}

/// Whether a worker noticed after this attempt that its topic was created again, and read the new one from its beginning.
fn noticed(log: &Log<'_>, fault: &Fault, bounds: &Bounds, attempt: &Attempt) -> bool {
    let until = fault.until + bounds.progress;
    attempt.start >= fault.at && moved(log, attempt.worker, attempt.start, until)
}

/// Whether this fault killed the worker of this attempt before it noticed that its topic was created again. It may have handled
/// records of the new topic, but commits for the deleted one, so they count for nobody.
fn died_unaware(
    history: &History<'_>,
    bounds: &Bounds,
    log: &Log<'_>,
    fault: &Fault,
    attempt: &Attempt,
) -> bool {
    fault.what == FaultKind::Killed(attempt.worker)
        && !moved(log, attempt.worker, attempt.start, fault.at)
        && history.ledger.faults.iter().any(|away| {
            away.what == FaultKind::StreamAway
                && attempt.start >= away.at
                && (away.at..=away.until + bounds.notices).contains(&fault.at)
        })
}

/// Whether a worker gave the partition up in this time.
fn moved(log: &Log<'_>, worker: usize, from: Micros, to: Micros) -> bool {
    log.moves.iter().any(|it| {
        it.worker == worker && it.change != Change::Assigned && it.at >= from && it.at <= to
    })
}

/// Whether this message, or one before it that the last commit does not cover, was unfinished for the worker that had the
/// partition, when it changed hands. What another worker did before does not count for it.
fn behind_unfinished(
    history: &History<'_>,
    bounds: &Bounds,
    log: &Log<'_>,
    message: &Message,
    index: usize,
) -> bool {
    let again = &history.ledger.attempts[index];
    let Some(before) = before(history, message, index) else {
        return false;
    };
    let since = log.assigned(before.worker, before.start).unwrap_or(0);
    let assigned = log
        .assigned(again.worker, again.start)
        .unwrap_or(again.start);
    let committed = log.committed(assigned);
    let from = log
        .messages
        .partition_point(|other| other.place.offset < committed);
    log.messages[from..]
        .iter()
        .take_while(|other| other.place.offset <= message.place.offset)
        .any(|other| {
            !other.attempts.iter().any(|&index| {
                let attempt = &history.ledger.attempts[index];
                attempt.worker == before.worker
                    && attempt.start >= since
                    && history.counts(bounds, log, index, assigned)
            })
        })
}
