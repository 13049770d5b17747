//! The laws of records that leave their log pass on a good ledger and fail on a bad one made by hand.

use super::*;

/// The first message is deleted while no worker runs; the second is handled afterwards.
fn expired(warning: &str) -> Story {
    let mut story = Story::new()
        .published(0, "a", 10)
        .published(1, "b", 10)
        .fault(FaultKind::Retention, 20, 5000)
        .handled(0, 1, "b", 6000, 6010)
        .committed(2, 7000);
    story.0.removed.push(Removed {
        place: place(0),
        at: 20_000,
    });
    story.0.warnings.push(Warning {
        worker: 0,
        at: 5_990_000,
        text: warning.into(),
    });
    story
}

#[test]
fn a_record_that_was_deleted_before_it_was_handled_is_not_lost() {
    let verdict = expired("t[0]: offset 0 is not in the log any more").breaks(&[]);
    assert_eq!((verdict.handled, verdict.removed), (1, 1));
    let mut kept = expired("t[0]: offset 0 is not in the log any more");
    kept.0.removed.clear();
    kept.breaks(&["lost", "commits", "progress"]);
}

#[test]
fn deleted_records_that_are_passed_over_without_a_warning_break_the_run() {
    expired("t[1]: offset 0 is not in the log any more").breaks(&["removed"]);
    let mut early = expired("t[0]: offset 0 is not in the log any more");
    early.0.warnings[0].at = 19_999;
    early.breaks(&["removed"]);
    // Nobody needs to hear of what was handled before.
    expired("nothing").handled(0, 0, "a", 12, 15).breaks(&[]);
}

#[test]
fn a_commit_that_passes_a_record_before_it_is_deleted_breaks_the_run() {
    let mut story = expired("t[0]: offset 0 is not in the log any more").committed(1, 15);
    story.breaks(&["commits"]);
    story.0.commits[1].at = 20_000;
    story.breaks(&[]);
}

#[test]
fn a_topic_that_is_created_again_without_a_warning_breaks_the_run() {
    let again = |warning: &str| {
        let mut story = good()
            .fault(FaultKind::StreamAway, 60, 70)
            .published(0, "a", 80);
        story.0.published[3].place.topic = "t#2".into();
        story.0.published[3].seq = 3;
        story = story.handled(0, 0, "a", 90, 95).committed(1, 6000);
        story.0.attempts[3].place.topic = "t#2".into();
        story.0.attempts[3].seq = 3;
        story.0.commits[1].topic = "t#2".into();
        for offset in 0..3 {
            story.0.removed.push(Removed {
                place: place(offset),
                at: 60_000,
            });
        }
        story.0.warnings.push(Warning {
            worker: 0,
            at: 85_000,
            text: warning.into(),
        });
        story
    };
    let mut good = again("topic t was deleted and created again");
    good.breaks(&[]);
    // Of the deleted topic nothing needs to be committed.
    good.0.commits.remove(0);
    good.breaks(&[]);
    // Of the new one everything does.
    good.0.commits.clear();
    good.breaks(&["commits"]);
    again("nothing").breaks(&["removed"]);
}

#[test]
fn a_publish_to_a_topic_that_is_gone_or_only_just_back_may_fail() {
    let away = |until| {
        let mut story = good().fault(FaultKind::StreamAway, 60_000, until);
        story.0.unacknowledged.push(Unacknowledged {
            at: 70 * SECOND,
            error: "unknown topic".into(),
        });
        story
    };
    away(65_000).breaks(&[]);
    away(64_999).breaks(&["published"]);
}

#[test]
fn what_was_handled_of_a_new_topic_before_it_was_noticed_may_come_twice() {
    let again = |lost| {
        good()
            .fault(FaultKind::StreamAway, 15, 16)
            .moved(0, Change::Lost, lost)
            .handled(0, 2, "a", 2000, 2010)
    };
    let mut noticed = again(1000);
    noticed.0.warnings.clear();
    assert_eq!(noticed.breaks(&[]).repeated, 1);
    again(30).breaks(&["duplicates"]);
    noticed
        .handled(0, 2, "a", 3000, 3010)
        .breaks(&["duplicates"]);
}

#[test]
fn what_a_member_handled_of_a_new_topic_and_died_before_it_noticed_may_come_twice() {
    // It read the new topic, and committed 3 for the deleted one.
    let died = |away, killed| {
        let mut story = good()
            .fault(FaultKind::StreamAway, 15, away)
            .fault(FaultKind::Killed(0), killed, killed + 1)
            .handled(1, 2, "a", 20_000, 20_010);
        story.0.warnings.clear();
        story
    };
    assert_eq!(died(16, 5001).breaks(&[]).repeated, 1);
    // It had noticed by then.
    died(16, 5017).breaks(&["duplicates"]);
    let lost = died(16, 5001).moved(0, Change::Lost, 4000);
    assert_eq!(lost.breaks(&[]).repeated, 1, "as without a kill");
    died(16, 5001)
        .handled(1, 2, "a", 21_000, 21_010)
        .breaks(&["duplicates"]);
}

#[test]
fn a_commit_of_the_deleted_topic_is_overwritten_once_its_member_notices() {
    let stale = |at| {
        let story = good().fault(FaultKind::StreamAway, 15, 16);
        let mut story = story.committed(3, at);
        story.0.commits.swap(0, 1);
        story.0.warnings.clear();
        story
    };
    stale(45).breaks(&["commits"]);
    stale(45).committed(0, 46).breaks(&[]);
    // Too late to be one.
    let mut late = stale(45).committed(0, 46);
    late.0.faults[0].at = 46_000;
    late.breaks(&["commits"]);
}
