//! Each law of the checker passes on a good ledger and fails on a bad one made by hand.

mod copies;
mod custody;
mod dead_letters;
mod removed;
mod repeats;
mod stuck;

use super::*;
use crate::{
    ledger::{
        Attempt, Commit, Fault, FaultKind, Letter, Move, Place, Poison, Published, Removed,
        Unacknowledged, Warning, Worker,
    },
    line::Change,
};

const SECOND: Micros = 1_000_000;

fn bounds() -> Bounds {
    Bounds {
        progress: 15 * SECOND,
        session: 6 * SECOND,
        drain: 6 * SECOND,
        max_poll: 300 * SECOND,
        notices: 5 * SECOND,
        attempts: 2,
        memory_kib: 1000,
    }
}

fn place(offset: i64) -> Place {
    Place {
        topic: "t".into(),
        partition: 0,
        offset,
    }
}

/// A ledger by its events; times are in milliseconds.
#[derive(Default)]
struct Story(Ledger);

impl Story {
    /// Two workers that end cleanly after 100 s.
    fn new() -> Self {
        let mut story = Self::default();
        for name in ["w0.1", "w1.1"] {
            story.0.workers.push(Worker {
                name: name.into(),
                started: 0,
                asked: Some(100 * SECOND),
                exited: Some(101 * SECOND),
                status: Some(0),
                ..Worker::default()
            });
        }
        story.0.ended = 100 * SECOND;
        story
    }

    fn published(mut self, offset: i64, key: &str, at: i64) -> Self {
        self.0.published.push(Published {
            place: place(offset),
            key: key.into(),
            seq: offset as u64,
            poison: None,
            at: at * 1000,
        });
        self
    }

    fn handled(self, worker: usize, offset: i64, key: &str, from: i64, to: i64) -> Self {
        self.ended(worker, offset, key, from, Some((to, Ended::Done)))
    }

    fn ended(
        mut self,
        worker: usize,
        offset: i64,
        key: &str,
        from: i64,
        end: Option<(i64, Ended)>,
    ) -> Self {
        self.0.attempts.push(Attempt {
            worker,
            place: place(offset),
            key: key.into(),
            seq: offset as u64,
            attempt: 1,
            start: from * 1000,
            kept: None,
            end: end.map(|(at, how)| (at * 1000, how)),
            confirmed: None,
            stale: None,
        });
        self
    }

    fn committed(mut self, next: i64, at: i64) -> Self {
        self.0.commits.push(Commit {
            topic: "t".into(),
            partition: 0,
            next,
            at: at * 1000,
        });
        self
    }

    /// The last message published can never be handled.
    fn poison(mut self) -> Self {
        self.0.published.last_mut().unwrap().poison = Some(Poison::Fails);
        self
    }

    fn letter(mut self, offset: i64, at: i64) -> Self {
        self.0.letters.push(Letter {
            origin: place(offset),
            reason: "attempts".into(),
            attempts: 2,
            at: at * 1000,
        });
        self
    }

    fn moved(mut self, worker: usize, change: Change, at: i64) -> Self {
        self.0.moves.push(Move {
            worker,
            topic: "t".into(),
            partition: 0,
            change,
            at: at * 1000,
        });
        self
    }

    fn fault(mut self, what: FaultKind, at: i64, until: i64) -> Self {
        if let FaultKind::Killed(worker) = what {
            let worker = &mut self.0.workers[worker];
            (worker.killed, worker.exited) = (Some(at * 1000), Some(until * 1000));
            (worker.asked, worker.status) = (None, None);
        }
        self.0.faults.push(Fault {
            what,
            at: at * 1000,
            until: until * 1000,
        });
        self
    }

    fn verdict(&self) -> Verdict {
        check(&self.0, &bounds())
    }

    /// The laws that it breaks.
    #[track_caller]
    fn breaks(&self, laws: &[&str]) -> Verdict {
        let verdict = self.verdict();
        let mut broken: Vec<&str> = verdict.violations.iter().map(|v| v.law).collect();
        broken.dedup();
        assert_eq!(broken, laws, "{:#?}", verdict.violations);
        verdict
    }
}

/// Two messages of one key and one of another, all well.
fn good() -> Story {
    Story::new()
        .published(0, "a", 10)
        .published(1, "b", 10)
        .published(2, "a", 10)
        .moved(0, Change::Assigned, 5)
        .handled(0, 0, "a", 20, 30)
        .handled(0, 1, "b", 20, 40)
        .handled(0, 2, "a", 31, 50)
        .committed(3, 5000)
}

#[test]
fn a_good_run_breaks_nothing() {
    let verdict = good().breaks(&[]);
    assert_eq!((verdict.messages, verdict.handled), (3, 3));
    assert_eq!(verdict.standstill, 10_000);
    assert_eq!(verdict.drain, SECOND);
}

#[test]
fn an_acknowledged_message_that_nobody_handled_is_lost() {
    let verdict = good()
        .published(3, "c", 60)
        .ended(0, 3, "c", 70, Some((80, Ended::Failed)))
        .breaks(&["lost", "progress"]);
    let text = &verdict.violations[0].text;
    assert!(text.contains("t[0]@3 key \"c\" (message 3)"), "{text}");
    assert!(text.contains("attempt 1 by w0.1"), "{text}");
    let unread = good().published(3, "c", 99_000);
    assert!(
        unread.breaks(&["lost"]).violations[0]
            .text
            .contains("no handler")
    );
}

#[test]
fn a_publish_without_an_answer_breaks_the_run() {
    let mut story = good();
    story.0.unacknowledged.push(Unacknowledged {
        at: 70 * SECOND,
        error: "timed out".into(),
    });
    story.breaks(&["published"]);
}

#[test]
fn a_message_that_stands_in_the_log_twice_breaks_the_run() {
    let mut story = good().published(3, "c", 60).handled(0, 3, "c", 70, 80);
    story.0.published[3].seq = 1;
    story.0.commits[0].next = 4;
    story.breaks(&["published"]);
}

#[test]
fn a_key_whose_messages_complete_out_of_order_breaks_the_run() {
    let story = Story::new()
        .published(0, "a", 10)
        .published(1, "a", 10)
        .handled(0, 1, "a", 20, 30)
        .handled(0, 0, "a", 40, 50)
        .committed(2, 60);
    let verdict = story.breaks(&["order"]);
    assert!(verdict.violations[0].text.contains("key \"a\": t[0]@1"));
}

#[test]
fn two_handlers_of_one_key_at_once_break_the_run() {
    let overlapping = |from| {
        Story::new()
            .published(0, "a", 10)
            .published(1, "a", 10)
            .handled(0, 0, "a", 20, 40)
            .handled(1, 1, "a", from, 60)
            .committed(2, 5000)
    };
    overlapping(40).breaks(&[]);
    overlapping(39).breaks(&["overlap"]);
    // The first one's worker was stopped, so that its partition is another's.
    let mut stopped = overlapping(39).fault(FaultKind::Stopped(0), 25, 9000);
    stopped.breaks(&[]);
    stopped.0.faults[0].what = FaultKind::Stopped(9);
    stopped.breaks(&["overlap"]);
}

#[test]
fn a_handler_that_outlasts_the_deadline_of_a_revoke_may_overlap() {
    let lasting = |to| {
        Story::new()
            .published(0, "a", 10)
            .published(1, "a", 10)
            .handled(0, 0, "a", 20, to)
            .handled(1, 1, "a", to - 1, to + 10)
            .committed(2, 20_000)
    };
    lasting(5430).breaks(&[]);
    lasting(5400).breaks(&["overlap"]);
}

#[test]
fn a_killed_worker_may_repeat_what_it_had_not_committed() {
    // Offset 0 is committed; 1 is finished, 2 is in flight.
    let killed = |committed| {
        Story::new()
            .published(0, "a", 10)
            .published(1, "b", 10)
            .published(2, "c", 10)
            .handled(0, 0, "a", 20, 30)
            .handled(0, 1, "b", 20, 40)
            .ended(0, 2, "c", 20, None)
            .committed(committed, 45)
            .fault(FaultKind::Killed(0), 50, 51)
            .handled(1, 1, "b", 7000, 7010)
            .handled(1, 2, "c", 7000, 7010)
            .committed(3, 8000)
    };
    let verdict = killed(1).breaks(&[]);
    assert_eq!((verdict.allowed, verdict.repeated), (2, 1));
    // With 1 committed as well, nobody may see it again.
    let verdict = killed(2).breaks(&["duplicates"]);
    assert!(verdict.violations[0].text.contains("t[0]@1"));
}

#[test]
fn a_repeat_that_fails_first_is_one_repeat() {
    let retried = |fault| {
        let mut story = Story::new()
            .published(0, "a", 10)
            .handled(0, 0, "a", 20, 30)
            .fault(fault, 50, 51)
            .ended(1, 0, "a", 7000, Some((7010, Ended::Failed)))
            .ended(1, 0, "a", 7100, Some((7110, Ended::Panicked)))
            .handled(1, 0, "a", 7300, 7310)
            .committed(1, 8000);
        for (attempt, number) in story.0.attempts.iter_mut().skip(1).zip(1..) {
            attempt.attempt = number;
        }
        story
    };
    let verdict = retried(FaultKind::Killed(0)).breaks(&[]);
    assert_eq!((verdict.allowed, verdict.repeated), (1, 1));
    let verdict = retried(FaultKind::Other).breaks(&["duplicates"]);
    assert_eq!(verdict.violations_total, 1);
}

#[test]
fn a_stopped_worker_may_repeat_what_others_did_meanwhile() {
    let stopped = |from| {
        Story::new()
            .published(0, "a", 10)
            .handled(1, 0, "a", 7000, 7010)
            .handled(0, 0, "a", from, from + 10)
            .fault(FaultKind::Stopped(0), 15, 9000)
            .moved(0, Change::Lost, 9100)
            .committed(1, 12_000)
    };
    // What was dispatched when it heard of the loss may begin a little later.
    for from in [12, 9050, 9350] {
        assert_eq!(stopped(from).breaks(&[]).repeated, 1, "from {from}");
    }
    stopped(9351).breaks(&["duplicates"]);
}

#[test]
fn others_may_repeat_what_a_stopped_worker_did_before_it_heard_of_its_loss() {
    // w1 began it first and ends it last.
    let stopped = |from, lost| {
        Story::new()
            .published(0, "a", 10)
            .moved(0, Change::Assigned, 5)
            .moved(1, Change::Assigned, 7000)
            .handled(1, 0, "a", 9010, 9900)
            .handled(0, 0, "a", from, from + 10)
            .fault(FaultKind::Stopped(0), 15, 9000)
            .moved(0, Change::Lost, lost)
            .committed(1, 12_000)
    };
    let verdict = stopped(9400, 9150).breaks(&[]);
    assert_eq!((verdict.allowed, verdict.repeated), (1, 1));
    stopped(9400, 9149).breaks(&["overlap", "duplicates"]);
    // Each of the others has it once.
    let twice = stopped(9400, 9150).handled(1, 0, "a", 20_000, 20_010);
    twice.breaks(&["duplicates"]);
}

#[test]
fn a_stopped_worker_repeats_nothing_that_no_other_member_had() {
    let alone = |other| {
        Story::new()
            .published(0, "a", 10)
            .handled(0, 0, "a", 9010, 9020)
            .handled(other, 0, "a", 9050, 9060)
            .fault(FaultKind::Stopped(0), 15, 9000)
            .moved(0, Change::Lost, 9100)
            .committed(1, 12_000)
    };
    alone(1).breaks(&[]);
    alone(0).breaks(&["duplicates"]);
    // It has the partition again.
    let back = |at| alone(0).moved(0, Change::Assigned, at);
    back(9040).breaks(&[]);
    back(9060).breaks(&["duplicates"]);
}

#[test]
fn a_stopped_worker_hears_of_each_partition_on_its_own() {
    let heard = |partition| {
        let mut story = Story::new()
            .published(0, "a", 10)
            .handled(1, 0, "a", 7000, 7010)
            .handled(0, 0, "a", 9320, 9330)
            .fault(FaultKind::Stopped(0), 15, 9000)
            .moved(0, Change::Revoked, 9050)
            .moved(0, Change::Lost, 9100)
            .committed(1, 12_000);
        story.0.moves[0].partition = partition;
        story
    };
    heard(1).breaks(&[]);
    heard(0).breaks(&["duplicates"]);
}

#[test]
fn a_clean_end_repeats_nothing() {
    let story = good().moved(1, Change::Assigned, 6000);
    story.breaks(&[]);
    let story = story.handled(1, 2, "a", 7000, 7010);
    let verdict = story.breaks(&["duplicates"]);
    assert_eq!((verdict.repeated, verdict.behind_unfinished), (0, 0));
    let mut asked = good()
        .fault(FaultKind::Asked(0), 5500, 5500)
        .handled(1, 2, "a", 7000, 7010);
    asked.0.commits[0].next = 2;
    asked.0.commits.push(Commit {
        next: 3,
        at: 8 * SECOND,
        ..asked.0.commits[0].clone()
    });
    asked.breaks(&["duplicates"]);
}

#[test]
fn a_clean_end_repeats_not_even_what_finished_behind_an_unfinished_message() {
    let story = Story::new()
        .published(0, "a", 10)
        .published(1, "b", 10)
        .moved(0, Change::Assigned, 5)
        .handled(0, 1, "b", 20, 40)
        .moved(0, Change::Revoked, 50)
        .moved(1, Change::Assigned, 60)
        .handled(1, 0, "a", 70, 80)
        .handled(1, 1, "b", 70, 80)
        .committed(2, 8000);
    let verdict = story.breaks(&["duplicates"]);
    assert_eq!((verdict.repeated, verdict.behind_unfinished), (0, 1));
}

#[test]
fn a_message_whose_handler_ended_after_the_revoke_gave_up_is_unfinished() {
    let handler = |to| {
        Story::new()
            .published(0, "a", 10)
            .published(1, "b", 10)
            .moved(0, Change::Assigned, 5)
            .handled(0, 0, "a", 20, to)
            .handled(0, 1, "b", 20, 40)
            .moved(0, Change::Revoked, 50)
            .moved(1, Change::Assigned, 9000)
            .handled(1, 0, "a", 9010, 9020)
            .handled(1, 1, "b", 9010, 9020)
            .committed(2, 9500)
    };
    // What finished behind it is not excused: its commit says so.
    let verdict = handler(5451).breaks(&["duplicates"]);
    assert_eq!((verdict.repeated, verdict.behind_unfinished), (1, 1));
    assert_eq!(verdict.violations_total, 1);
    // In time, so that a commit should have saved both.
    assert_eq!(handler(5400).breaks(&["duplicates"]).violations_total, 2);
}

#[test]
fn what_another_worker_finished_is_unfinished_for_the_next_one() {
    // w0 finishes 1 behind 0; w1 finishes 2 behind 1, which it does not finish.
    let story = Story::new()
        .published(0, "a", 10)
        .published(1, "b", 10)
        .published(2, "c", 10)
        .moved(0, Change::Assigned, 5)
        .handled(0, 1, "b", 20, 40)
        .moved(0, Change::Revoked, 50)
        .moved(1, Change::Assigned, 60)
        .handled(1, 0, "a", 70, 80)
        .ended(1, 1, "b", 70, Some((85, Ended::CutOff)))
        .handled(1, 2, "c", 70, 80)
        .committed(1, 90)
        .moved(1, Change::Revoked, 85)
        .moved(0, Change::Assigned, 100)
        .handled(0, 1, "b", 110, 120)
        .handled(0, 2, "c", 110, 120)
        .committed(3, 8000);
    let verdict = story.breaks(&["duplicates"]);
    assert_eq!(
        (verdict.behind_unfinished, verdict.violations_total),
        (3, 3)
    );
}

#[test]
fn an_outage_excuses_repeats_only_where_partitions_moved() {
    let story = good()
        .fault(FaultKind::Outage, 45, 3000)
        .handled(1, 2, "a", 3500, 3600);
    story.breaks(&["duplicates"]);
    let moved = story.moved(0, Change::Lost, 3200);
    assert_eq!(moved.breaks(&[]).repeated, 1);
}

#[test]
fn a_commit_past_an_unfinished_message_breaks_the_run() {
    // 2 is done at 50 ms.
    let mut early = good();
    early.0.commits[0].at = 40_000;
    let verdict = early.breaks(&["commits"]);
    let text = &verdict.violations[0].text;
    assert!(
        text.contains("offset 3") && text.contains("t[0]@2"),
        "{text}"
    );
    let beyond = good().published(3, "d", 60).committed(4, 5500);
    beyond.breaks(&["lost", "commits", "progress"]);
}

#[test]
fn a_last_commit_that_misses_something_breaks_the_run() {
    let mut story = good();
    story.0.commits[0].next = 2;
    story.breaks(&["commits"]);
}

#[test]
fn a_partition_with_work_that_stands_still_breaks_the_run() {
    let still = |at| {
        Story::new()
            .published(0, "a", 0)
            .handled(0, 0, "a", at, at + 10)
            .committed(1, at + 20)
    };
    still(15_000).breaks(&[]);
    let verdict = still(15_001).breaks(&["progress"]);
    assert_eq!(verdict.standstill, 15_001_000);
    // The session of a killed or stopped worker comes on top, an outage counts from its end.
    let killed = |at| still(at).fault(FaultKind::Killed(1), 1000, 1001);
    killed(22_000).breaks(&[]);
    killed(22_001).breaks(&["progress"]);
    let stopped = |at| still(at).fault(FaultKind::Stopped(1), 1000, 30_000);
    stopped(22_000).breaks(&[]);
    stopped(22_001).breaks(&["progress"]);
    let outage = |at| still(at).fault(FaultKind::Outage, 1000, 9000);
    outage(24_000).breaks(&[]);
    outage(24_001).breaks(&["progress"]);
    // Being asked to end excuses nothing.
    still(16_000)
        .fault(FaultKind::Asked(1), 1000, 1000)
        .breaks(&["progress"]);
}

#[test]
fn a_handler_that_runs_for_long_is_no_standstill() {
    let story = Story::new()
        .published(0, "a", 0)
        .published(1, "b", 0)
        .handled(0, 0, "a", 10, 30_000)
        .handled(0, 1, "b", 10, 20)
        .committed(2, 31_000);
    story.breaks(&[]);
}

#[test]
fn an_end_that_takes_too_long_or_fails_breaks_the_run() {
    let with = |change: fn(&mut Worker)| {
        let mut story = good();
        change(&mut story.0.workers[0]);
        story
    };
    with(|worker| worker.exited = Some(107 * SECOND)).breaks(&[]);
    with(|worker| worker.exited = Some(108 * SECOND)).breaks(&["ends"]);
    with(|worker| worker.status = Some(1)).breaks(&["ends"]);
    with(|worker| worker.status = None).breaks(&["ends"]);
    with(|worker| worker.exited = None).breaks(&["ends"]);
    with(|worker| worker.asked = None).breaks(&["ends"]);
    with(|worker| worker.peak_kib = 1001).breaks(&["ends"]);
    // 3 says that a message is unfinished, which must be so.
    with(|worker| worker.status = Some(3)).breaks(&["ends"]);
    let mut cut = good().ended(0, 3, "c", 99_000, Some((100_500, Ended::CutOff)));
    cut.0.workers[0].status = Some(3);
    cut.breaks(&[]);
}

#[test]
fn an_end_in_an_outage_counts_as_a_kill() {
    let asked = |outage| {
        let mut story = Story::new()
            .published(0, "a", 10)
            .moved(0, Change::Assigned, 5)
            .handled(0, 0, "a", 20, 30)
            .fault(FaultKind::Outage, 15, outage)
            .fault(FaultKind::Asked(0), 40, 40)
            .moved(1, Change::Assigned, 9000)
            .handled(1, 0, "a", 9000, 9010)
            .committed(1, 9500);
        let worker = &mut story.0.workers[0];
        (worker.asked, worker.exited) = (Some(40_000), Some(6_000_000));
        worker.status = Some(1);
        story
    };
    assert_eq!(asked(50).breaks(&[]).repeated, 1);
    asked(39).breaks(&["duplicates", "ends"]);
}
