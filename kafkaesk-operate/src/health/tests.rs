//! The matrix: states of a process, and both answers to each.

use kafkaesk_client::lag::Verdict;
use kafkaesk_worker::snapshot::{Apart, PauseState, PausedBy, SubscriptionSnapshot};
use std::sync::Arc;

use super::*;
use crate::{
    testing::{hold, running, view},
    view::ANSWER_WITHIN,
};

const WITHIN: Duration = Duration::from_secs(30);

/// A state, with what `/livez` and `/readyz` answer: nothing, or the check that fails.
type Case = (
    &'static str,
    View,
    Option<&'static str>,
    Option<&'static str>,
);

fn with(change: impl FnOnce(&mut SubscriptionSnapshot)) -> View {
    let mut it = running("billing", &["orders.placed", "orders.paid"]);
    change(&mut it);
    view(vec![it])
}

fn then(mut view: View, change: impl FnOnce(&mut View)) -> View {
    change(&mut view);
    view
}

fn paused(by: PausedBy) -> View {
    with(|it| {
        it.pause = Some(PauseState {
            by,
            reason: "the database is moved".into(),
            since: SystemTime::now() - Duration::from_secs(3600),
            until: None,
        });
    })
}

fn judged(verdict: Verdict) -> View {
    then(with(|_| {}), |view| {
        view.lags
            .iter_mut()
            .flatten()
            .for_each(|it| it.verdict = verdict);
    })
}

fn matrix() -> Vec<Case> {
    let hour = Duration::from_secs(3600);
    let well = || with(|_| {});
    vec![
        ("all is well", well(), None, None),
        ("before it connects", View::default(), None, Some("broker")),
        (
            "connected, and no broker has answered",
            View {
                connected: true,
                ..View::default()
            },
            None,
            Some("broker"),
        ),
        (
            "connected, and no subscription has started",
            View {
                connected: true,
                answered: Some(Duration::ZERO),
                ..View::default()
            },
            None,
            Some("started"),
        ),
        (
            "one of two subscriptions has started",
            then(well(), |view| view.snapshot.expected = 2),
            None,
            Some("started"),
        ),
        (
            "it joins its group",
            with(|it| it.state = State::Joining),
            None,
            Some("joined"),
        ),
        (
            "the group has no partition for it",
            with(|it| it.partitions.clear()),
            None,
            None,
        ),
        (
            "one of two subscriptions joins",
            then(well(), |view| {
                let mut other = running("mail", &[]);
                other.state = State::Joining;
                view.snapshot.subscriptions.push(Arc::new(other));
                view.snapshot.expected = 2;
            }),
            None,
            Some("joined"),
        ),
        (
            "brokers have been away for an hour",
            then(well(), |view| view.answered = Some(hour)),
            None,
            Some("broker"),
        ),
        (
            "brokers answered 30 s ago",
            then(well(), |view| view.answered = Some(ANSWER_WITHIN)),
            None,
            None,
        ),
        (
            "paused by an operator for an hour",
            paused(PausedBy::Operator),
            None,
            None,
        ),
        (
            "paused since its handler is unavailable",
            paused(PausedBy::Unavailable),
            None,
            None,
        ),
        (
            "a poison message is held",
            with(|it| hold(it, hour)),
            None,
            None,
        ),
        ("it is behind", judged(Verdict::Warn), None, None),
        (
            "its position stands still",
            judged(Verdict::Stall),
            None,
            None,
        ),
        (
            "its position went back",
            judged(Verdict::Rewind),
            None,
            None,
        ),
        (
            "a partition's next record cannot be read",
            with(|it| it.partitions[0].stalled = Some("its batch is damaged".into())),
            None,
            None,
        ),
        (
            "a partition is being revoked",
            with(|it| it.partitions[0].revoking = true),
            None,
            None,
        ),
        (
            "too much waits, so partitions are not read",
            with(|it| it.partitions.iter_mut().for_each(|own| own.paused = true)),
            None,
            None,
        ),
        (
            "one of four handlers is stuck",
            with(|it| (it.running, it.stuck) = (4, 1)),
            None,
            None,
        ),
        (
            "all handlers run, and none is stuck",
            with(|it| it.running = 4),
            None,
            None,
        ),
        (
            "all handlers are stuck",
            with(|it| (it.running, it.stuck) = (4, 4)),
            Some("handlers"),
            None,
        ),
        (
            "it gave up its partitions, since all handlers are stuck",
            with(|it| {
                (it.running, it.stuck) = (4, 4);
                it.apart = Some(Apart::new(4, "4 handlers"));
                it.partitions.clear();
            }),
            Some("handlers"),
            Some("joined"),
        ),
        (
            "it gave up its only partition, whose one handler is stuck",
            with(|it| {
                (it.running, it.stuck) = (1, 1);
                it.apart = Some(Apart::new(1, "1 handler"));
                it.partitions.clear();
            }),
            Some("handlers"),
            Some("joined"),
        ),
        (
            "a partition does not move, and joining again did not help",
            then(well(), |view| {
                let source = view.lags[0][0].source.clone();
                view.standing = vec![vec![source]];
            }),
            Some("partitions"),
            None,
        ),
        (
            "the task is silent for 30 s",
            with(|it| it.silent_for = WITHIN),
            None,
            None,
        ),
        (
            "the task is silent for longer",
            with(|it| it.silent_for = WITHIN + Duration::from_millis(1)),
            Some("task"),
            None,
        ),
        (
            "the consumer's thread is silent for longer",
            with(|it| it.thread_silent_for = hour),
            Some("consumer"),
            None,
        ),
        (
            "one of two subscriptions is silent",
            then(well(), |view| {
                let mut other = running("mail", &[]);
                other.silent_for = hour;
                view.snapshot.subscriptions.push(Arc::new(other));
                view.snapshot.expected = 2;
            }),
            Some("task"),
            None,
        ),
        (
            "the shutdown began",
            then(with(|it| it.state = State::Ending), |view| {
                view.snapshot.shutdown = Some(SystemTime::now());
            }),
            None,
            Some("shutdown"),
        ),
        (
            "it ended, and its last answer was long ago",
            then(
                with(|it| (it.state, it.silent_for) = (State::Ended, hour)),
                |view| view.snapshot.shutdown = Some(SystemTime::now()),
            ),
            None,
            Some("shutdown"),
        ),
    ]
}

#[test]
fn only_what_a_restart_helps_fails_livez_and_only_what_takes_part_is_ready() {
    let failing = |question, view: &View| {
        let all = checks(question, view);
        let mut failing = all.iter().filter(|check| check.result.is_err());
        failing.next().map(|check| check.check)
    };
    for (state, view, live, ready) in matrix() {
        assert_eq!(failing(Question::Live, &view), live, "/livez: {state}");
        assert_eq!(failing(Question::Ready, &view), ready, "/readyz: {state}");
    }
}

#[test]
fn a_check_says_since_when_it_is_as_it_is() {
    let mut history = History::default();
    let (first, later) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + WITHIN);
    let ask = |history: &mut History, view: &View, now| {
        let answer = history.answer(Question::Ready, checks(Question::Ready, view), now);
        let broker = answer.checks.iter().find(|shown| shown.check == "broker");
        broker.map(|shown| (shown.ok, shown.since.clone())).unwrap()
    };
    let well = with(|_| {});
    let away = then(with(|_| {}), |view| view.answered = None);
    assert_eq!(ask(&mut history, &well, first), (true, time(first)));
    assert_eq!(ask(&mut history, &well, later), (true, time(first)));
    assert_eq!(ask(&mut history, &away, later), (false, time(later)));
    assert_eq!(ask(&mut history, &well, later), (true, time(later)));
}
