//! The tracker's laws.

use proptest::prelude::*;

use super::*;

fn next(offset: i64) -> Option<NextOffset> {
    Some(NextOffset(offset))
}

#[test]
fn nothing_may_be_committed_before_something_is_finished() {
    let mut tracker = Tracker::new(1);
    tracker.push(Offset(5));
    assert_eq!(tracker.watermark(), None);
}

#[test]
fn the_watermark_stops_before_the_first_unfinished_record() {
    let mut tracker = Tracker::new(1);
    let tickets: Vec<_> = (0..4).map(|o| tracker.push(Offset(o))).collect();
    tracker.done(tickets[1]);
    tracker.done(tickets[3]);
    assert_eq!(tracker.watermark(), None);
    tracker.done(tickets[0]);
    assert_eq!(tracker.watermark(), next(2));
    tracker.done(tickets[2]);
    assert_eq!(tracker.watermark(), next(4));
    assert_eq!(tracker.uncommitted_span(), 0);
}

#[test]
fn gaps_between_offsets_do_not_hold_the_watermark() {
    let mut tracker = Tracker::new(1);
    let first = tracker.push(Offset(10));
    let second = tracker.push(Offset(1000));
    tracker.done(second);
    tracker.done(first);
    assert_eq!(tracker.watermark(), next(1001));
}

#[test]
fn offsets_without_records_are_committed_once_all_before_is_finished() {
    let mut tracker = Tracker::new(1);
    tracker.reached(NextOffset(3));
    assert_eq!(tracker.watermark(), next(3), "nothing was read before");
    let first = tracker.push(Offset(3));
    tracker.reached(NextOffset(9));
    assert_eq!(tracker.watermark(), next(3), "a record is unfinished");
    tracker.pass(Offset(9));
    tracker.done(first);
    assert_eq!(tracker.watermark(), next(10));
    tracker.reached(NextOffset(12));
    assert_eq!(tracker.watermark(), next(12));
}

#[test]
fn a_ticket_of_another_generation_changes_nothing() {
    let mut old = Tracker::new(1);
    let late = old.push(Offset(0));
    let mut new = Tracker::new(2);
    new.push(Offset(0));
    new.done(late);
    assert_eq!(new.watermark(), None);
}

#[test]
fn finishing_twice_counts_once() {
    let mut tracker = Tracker::new(1);
    let first = tracker.push(Offset(0));
    tracker.push(Offset(1));
    tracker.done(first);
    tracker.done(first);
    assert_eq!(tracker.watermark(), next(1));
    assert_eq!(tracker.uncommitted_span(), 1);
}

#[test]
fn what_is_committed_is_what_the_contract_says() {
    let mut cases = kafkaesk_vectors::cases("consuming.json");
    cases.retain(|case| case.get("records").is_some());
    assert!(!cases.is_empty());
    for case in cases {
        let mut tracker = Tracker::new(1);
        let records = case["records"].as_array().unwrap();
        let read = records.iter().map(|record| {
            let ticket = tracker.push(Offset(record["offset"].as_i64().unwrap()));
            (ticket, record["finished"].as_bool().unwrap())
        });
        let read: Vec<_> = read.collect();
        tracker.reached(NextOffset(case["position"].as_i64().unwrap()));
        for (ticket, _) in read.iter().rev().filter(|(_, finished)| *finished) {
            tracker.done(*ticket);
        }
        let committed = tracker.watermark().map(|next| next.0);
        assert_eq!(committed, case["commit"].as_i64(), "{}", case["name"]);
        for forbidden in case["forbidden"].as_array().unwrap() {
            assert!(committed < forbidden.as_i64(), "{}", case["name"]);
        }
    }
}

#[test]
fn a_partition_is_full_before_a_commit_has_no_room_for_what_is_finished() {
    for step in [2, 3, 500, 100_000] {
        let mut tracker = Tracker::new(1);
        let mut offset = 0;
        while !tracker.is_full() {
            for _ in 0..10 {
                tracker.push(Offset(offset));
                tracker.pass(Offset(offset + step - 1));
                offset += step;
            }
            assert_eq!(tracker.redelivered(), 0, "{step}: {offset}");
            assert!(offset < 1_000_000_000, "{step}: never full");
        }
        assert!(offset / step > 300, "{step}: full at {offset}");
    }
}

#[test]
fn what_is_finished_in_order_never_fills_a_commit() {
    let mut tracker = Tracker::new(1);
    let held = tracker.push(Offset(0));
    for offset in 1..100_000 {
        tracker.pass(Offset(offset));
    }
    assert!(!tracker.is_full());
    let position = tracker.position().unwrap();
    assert_eq!(position.next, NextOffset(0));
    assert!(position.finished.is_finished(Offset(99_999)));
    tracker.done(held);
    assert_eq!(tracker.position(), Some(NextOffset(100_000).into()));
}

/// Finishes in any order, some at once; a model keeps every record and looks at all of them.
#[derive(Clone, Debug)]
enum Step {
    Push { gap: i64 },
    Pass { gap: i64 },
    Done { which: usize },
    Reach { gap: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..5_i64).prop_map(|gap| Step::Push { gap }),
        (0..5_i64).prop_map(|gap| Step::Pass { gap }),
        any::<usize>().prop_map(|which| Step::Done { which }),
        (0..5_i64).prop_map(|gap| Step::Reach { gap }),
    ];
    proptest::collection::vec(step, 0..200)
}

/// A tracker, and beside it a plain list: each record's offset, and whether it is finished.
struct Played {
    tracker: Tracker,
    model: Vec<(i64, bool)>,
    /// Records that are not finished, by their place in the model.
    open: Vec<(Ticket, usize)>,
    /// The last offset that was read.
    offset: i64,
}

impl Played {
    fn new() -> Self {
        Self {
            tracker: Tracker::new(3),
            model: Vec::new(),
            open: Vec::new(),
            offset: 0,
        }
    }

    /// Takes a step. Offsets that were reached without a record are not in the model.
    fn play(&mut self, step: &Step) {
        match step {
            Step::Push { gap } => {
                self.offset += 1 + gap;
                let ticket = self.tracker.push(Offset(self.offset));
                self.open.push((ticket, self.model.len()));
                self.model.push((self.offset, false));
            }
            Step::Pass { gap } => {
                self.offset += 1 + gap;
                self.tracker.pass(Offset(self.offset));
                self.model.push((self.offset, true));
            }
            Step::Done { which } if !self.open.is_empty() => {
                let (ticket, index) = self.open.remove(which % self.open.len());
                self.tracker.done(ticket);
                self.model[index].1 = true;
            }
            Step::Done { .. } => {}
            Step::Reach { gap } => {
                self.offset += gap;
                self.tracker.reached(NextOffset(self.offset + 1));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_commit_says_of_each_record_whether_it_is_finished_also_after_restarts(
        steps in steps(),
        restarts in proptest::collection::vec(0..30_usize, 0..4),
    ) {
        let mut played = Played::new();
        for step in steps {
            played.play(&step);
        }
        let Played { tracker, mut model, .. } = played;
        let Some(mut committed) = tracker.position() else {
            prop_assert!(model.iter().all(|(_, done)| !done));
            return Ok(());
        };
        let is_finished = |position: &Position, offset: i64| {
            offset < position.next.0 || position.finished.is_finished(Offset(offset))
        };
        for (offset, done) in &model {
            prop_assert_eq!(is_finished(&committed, *offset), *done, "{}", offset);
        }
        // Each restart reads some of the rest and finishes every second of that.
        for (number, count) in restarts.into_iter().enumerate() {
            let mut tracker = Tracker::new(number as u64);
            tracker.finished_before(committed.finished.clone());
            let next = committed.next.0;
            let (mut read, mut reached) = (0, next);
            for (offset, done) in model.iter_mut().filter(|(offset, _)| *offset >= next) {
                if read == count {
                    break;
                }
                reached = *offset + 1;
                prop_assert_eq!(tracker.is_finished(Offset(*offset)), *done);
                if *done {
                    continue;
                }
                let ticket = tracker.push(Offset(*offset));
                if read % 2 == 0 {
                    tracker.done(ticket);
                    *done = true;
                }
                read += 1;
            }
            if reached > next {
                tracker.reached(NextOffset(reached));
            }
            committed = tracker.position().unwrap_or(committed);
            for (offset, done) in &model {
                prop_assert_eq!(is_finished(&committed, *offset), *done, "{}", offset);
            }
        }
    }

    #[test]
    fn the_tracker_agrees_with_a_naive_model(steps in steps()) {
        let mut played = Played::new();
        for step in steps {
            played.play(&step);
            // What was reached is a finished record that stands on the last of these offsets.
            if let Step::Reach { .. } = step {
                match played.model.last_mut() {
                    Some((last, _)) => *last = played.offset,
                    None => played.model.push((played.offset, true)),
                }
            }
            let Played { tracker, model, .. } = &played;
            let finished = model.iter().take_while(|(_, done)| *done);
            let expected = finished.last().map(|(offset, _)| NextOffset(offset + 1));
            prop_assert_eq!(tracker.watermark(), expected);
            let span = model.iter().skip_while(|(_, done)| *done).count();
            prop_assert_eq!(tracker.uncommitted_span(), span);
        }
    }
}
