//! Repeats that several workers have, one after the other.

use super::*;

#[test]
fn a_repeat_that_its_worker_did_not_end_goes_on_with_the_next_owner() {
    let repeated = |how| {
        let mut story = Story::new()
            .published(0, "a", 10)
            .handled(0, 0, "a", 20, 30)
            .fault(FaultKind::Killed(0), 50, 51)
            .ended(1, 0, "a", 7000, Some((7010, how)))
            .ended(2, 0, "a", 9000, Some((9010, Ended::Done)))
            .committed(1, 9500);
        let third = story.0.workers[1].clone();
        story.0.workers.push(Worker {
            name: "w2.1".into(),
            ..third
        });
        story
    };
    repeated(Ended::Failed).breaks(&[]);
    repeated(Ended::Done).breaks(&["duplicates"]);
}
