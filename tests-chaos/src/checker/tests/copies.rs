//! The law of copies.

use super::*;
use crate::{checker::copies::check as check_copies, ledger::Copy};

/// Three messages of one key, handled one after the other.
fn three() -> Story {
    Story::new()
        .published(0, "k", 1000)
        .published(1, "k", 1001)
        .published(2, "k", 1002)
        .handled(0, 0, "k", 2000, 2010)
        .handled(0, 1, "k", 2020, 2030)
        .handled(0, 2, "k", 2040, 2050)
}

fn copied(mut story: Story, copies: &[(u64, &str)]) -> Vec<String> {
    let copy = |(offset, (seq, key)): (i64, &(u64, &str))| Copy {
        place: Place {
            topic: "copies".into(),
            ..place(offset)
        },
        key: (*key).into(),
        seq: *seq,
    };
    story.0.copies = Some((0..).zip(copies).map(copy).collect());
    let history = History::of(&story.0);
    check_copies(&history)
}

#[test]
fn one_copy_of_each_message_in_the_order_of_its_key_passes() {
    assert!(copied(three(), &[(0, "k"), (1, "k"), (2, "k")]).is_empty());
    let without = three();
    assert!(check_copies(&History::of(&without.0)).is_empty());
}

#[test]
fn a_copy_that_is_missing_or_twice_or_of_nothing_or_out_of_order_or_of_another_key_is_found() {
    for (copies, words) in [
        (
            &[(0, "k"), (2, "k")][..],
            "should have 1 committed copies and has 0",
        ),
        (&[(0, "k"), (1, "k"), (1, "k"), (2, "k")], "and has 2"),
        (
            &[(0, "k"), (1, "k"), (2, "k"), (7, "k")],
            "which nobody published",
        ),
        (&[(0, "k"), (2, "k"), (1, "k")], "stands behind the copy"),
        (&[(0, "k"), (1, "j"), (2, "k")], "with another key"),
    ] {
        let found = copied(three(), copies);
        assert!(found.iter().any(|it| it.contains(words)), "{found:?}");
    }
}

#[test]
fn a_message_that_was_never_handled_has_no_copy() {
    let story = || three().published(3, "k", 1003);
    let good = [(0, "k"), (1, "k"), (2, "k")];
    assert!(copied(story(), &good).is_empty());
    assert_eq!(copied(story(), &[&good[..], &[(3, "k")]].concat()).len(), 1);
}
