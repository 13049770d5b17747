//! The laws of dead letters pass on a good ledger and fail on a bad one made by hand.

use super::*;

/// A poison message, its dead letter, and the next of its key.
fn given_up(letter: i64, next: i64) -> Story {
    let mut story = Story::new()
        .published(0, "a", 10)
        .poison()
        .published(1, "a", 10)
        .ended(0, 0, "a", 20, Some((30, Ended::Failed)))
        .ended(0, 0, "a", 40, Some((50, Ended::Failed)))
        .handled(0, 1, "a", next, next + 30)
        .letter(0, letter);
    story.0.attempts[1].attempt = 2;
    story
}

#[test]
fn a_dead_letter_finishes_its_message() {
    let verdict = given_up(60, 70).committed(2, 5000).breaks(&[]);
    assert_eq!((verdict.handled, verdict.letters), (2, 1));
    // The broker's time is a whole millisecond, perhaps before the attempt's end.
    given_up(50, 51).committed(2, 5000).breaks(&[]);
    let mut lost = given_up(60, 70).committed(2, 5000);
    lost.0.letters.clear();
    lost.breaks(&["lost", "commits", "progress"]);
}

#[test]
fn a_commit_that_passes_a_message_before_its_dead_letter_breaks_the_run() {
    given_up(60, 70)
        .committed(1, 60)
        .committed(2, 5000)
        .breaks(&[]);
    let story = given_up(60, 70).committed(1, 55).committed(2, 5000);
    story.breaks(&["commits"]);
}

#[test]
fn the_next_of_a_key_that_begins_before_the_dead_letter_breaks_the_run() {
    given_up(60, 59).committed(2, 5000).breaks(&["order"]);
}

#[test]
fn a_good_message_that_is_a_dead_letter_breaks_the_run() {
    good().letter(1, 60).breaks(&["dead letters"]);
    good().letter(9, 60).breaks(&["dead letters"]);
}

#[test]
fn a_dead_letter_that_is_too_early_or_of_another_reason_breaks_the_run() {
    let with = |change: fn(&mut Letter)| {
        let mut story = given_up(60, 70).committed(2, 5000);
        change(&mut story.0.letters[0]);
        story
    };
    with(|letter| letter.attempts = 1).breaks(&["dead letters"]);
    with(|letter| letter.reason = "rejected".into()).breaks(&["dead letters"]);
    let mut strange = good();
    strange.0.strange.push("no letter".into());
    strange.breaks(&["dead letters"]);
}

#[test]
fn a_second_dead_letter_needs_a_delivery_after_a_hard_fault() {
    let again = |fault| {
        given_up(60, 70)
            .fault(fault, 200, 201)
            .ended(1, 0, "a", 7000, Some((7010, Ended::Failed)))
            .letter(0, 7020)
            .handled(1, 1, "a", 7030, 7040)
            .committed(2, 8000)
    };
    let verdict = again(FaultKind::Killed(0)).breaks(&[]);
    assert_eq!((verdict.letters, verdict.repeated), (2, 2));
    again(FaultKind::Other).breaks(&["duplicates"]);
    let twice = given_up(60, 70).letter(0, 65).committed(2, 5000);
    twice.breaks(&["dead letters"]);
}

#[test]
fn a_stopped_worker_may_write_its_letter_after_that_of_a_later_delivery() {
    let stopped = |letters: &[i64]| {
        let mut story = given_up(7020, 7030)
            .fault(FaultKind::Stopped(0), 55, 9000)
            .ended(1, 0, "a", 7000, Some((7010, Ended::Failed)));
        for at in letters {
            story = story.letter(0, *at);
        }
        story.committed(2, 12_000)
    };
    stopped(&[9100]).breaks(&[]);
    stopped(&[9100, 9200]).breaks(&["dead letters"]);
}

#[test]
fn a_message_whose_dead_letter_is_written_is_not_unfinished() {
    let mut story = given_up(60, 70).committed(2, 5000);
    story.0.workers[0].status = Some(3);
    story.breaks(&["ends"]);
    // Another worker wrote it later.
    let mut later = given_up(200_000, 200_001).committed(2, 210_000);
    for (worker, until) in [(0, 100), (1, 300)] {
        let worker = &mut later.0.workers[worker];
        (worker.asked, worker.exited) = (Some(until * SECOND), Some(until * SECOND));
    }
    later.0.workers[0].status = Some(3);
    later.0.attempts[2].worker = 1;
    later = later.fault(FaultKind::LettersAway, 40, 200_000);
    later.breaks(&[]);
}

#[test]
fn a_dead_letter_has_the_time_of_progress_once_its_topic_is_back() {
    let away = |at| {
        given_up(at, at + 1)
            .fault(FaultKind::LettersAway, 40, 20_000)
            .committed(2, 90_000)
    };
    away(35_000).breaks(&[]);
    away(35_001).breaks(&["progress"]);
}
