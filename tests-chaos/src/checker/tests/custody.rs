//! The laws of manual commit.

use super::*;

impl Story {
    /// The last attempt went into custody then.
    fn kept(mut self, at: i64) -> Self {
        self.0.attempts.last_mut().unwrap().kept = Some(at * 1000);
        self
    }

    /// `done` of the last attempt resolved then.
    fn confirmed(mut self, at: i64) -> Self {
        self.0.attempts.last_mut().unwrap().confirmed = Some(at * 1000);
        self
    }

    /// `done` of the last attempt was stale then.
    fn stale(mut self, at: i64) -> Self {
        self.0.attempts.last_mut().unwrap().stale = Some(at * 1000);
        self
    }
}

#[test]
fn messages_of_a_key_may_be_in_custody_at_once_and_end_in_any_order() {
    let story = Story::new()
        .published(0, "a", 1)
        .published(1, "a", 1)
        .handled(0, 0, "a", 10, 90)
        .kept(20)
        .handled(0, 1, "a", 21, 50)
        .kept(30)
        .committed(2, 100);
    story.breaks(&[]);
}

#[test]
fn handlers_of_a_key_that_hand_over_at_once_overlap() {
    let story = Story::new()
        .published(0, "a", 1)
        .published(1, "a", 1)
        .handled(0, 0, "a", 10, 90)
        .kept(20)
        .handled(0, 1, "a", 15, 50)
        .kept(30)
        .committed(2, 100);
    story.breaks(&["overlap"]);
}

#[test]
fn messages_of_a_key_that_are_handed_over_in_another_order_break_it() {
    let story = Story::new()
        .published(0, "a", 1)
        .published(1, "a", 1)
        .handled(0, 1, "a", 10, 50)
        .kept(20)
        .handled(0, 0, "a", 21, 90)
        .kept(30)
        .committed(2, 100);
    story.breaks(&["order"]);
}

#[test]
fn a_commit_does_not_pass_what_is_in_custody() {
    let story = Story::new()
        .published(0, "a", 1)
        .handled(0, 0, "a", 10, 90)
        .kept(20)
        .committed(1, 50);
    story.breaks(&["commits"]);
}

#[test]
fn what_is_confirmed_comes_to_nobody_again_whatever_was_killed() {
    let story = Story::new()
        .published(0, "a", 1)
        .handled(0, 0, "a", 10, 20)
        .kept(15)
        .confirmed(30)
        .fault(FaultKind::Killed(0), 40, 41)
        .handled(1, 0, "a", 7000, 7010)
        .committed(1, 7020);
    story.breaks(&["custody"]);
}

#[test]
fn what_is_done_and_not_confirmed_may_come_again_after_a_kill() {
    let story = Story::new()
        .published(0, "a", 1)
        .handled(0, 0, "a", 10, 20)
        .kept(15)
        .fault(FaultKind::Killed(0), 40, 41)
        .handled(1, 0, "a", 7000, 7010)
        .committed(1, 7020);
    story.breaks(&[]);
}

#[test]
fn a_committer_is_not_stale_without_a_reason() {
    let story = Story::new()
        .published(0, "a", 1)
        .handled(0, 0, "a", 10, 20)
        .kept(15)
        .stale(21)
        .committed(1, 30);
    story.breaks(&["custody"]);
}
