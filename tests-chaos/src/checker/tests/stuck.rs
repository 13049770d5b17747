//! The laws of handlers that hang pass on a good ledger and fail on a bad one made by hand.

use super::*;

#[test]
fn one_worker_never_handles_a_key_twice_at_once_whatever_outlasts_a_revoke() {
    let again = |worker, from| {
        Story::new()
            .published(0, "a", 10)
            .published(1, "a", 10)
            .handled(0, 0, "a", 20, 20_000)
            .handled(1, 0, "a", 9000, 9010)
            .handled(worker, 1, "a", from, 21_000)
            .committed(2, 22_000)
    };
    again(1, 19_999).breaks(&[]);
    again(0, 20_000).breaks(&[]);
    again(0, 19_999).breaks(&["overlap"]);
}

#[test]
fn a_partition_of_a_worker_whose_handlers_hang_is_anothers_soon() {
    // 0 hangs from 1 s to 60 s; the bound is 6 s, and 15 s.
    let hung = |taken| {
        let story = Story::new()
            .published(0, "a", 0)
            .published(1, "b", 0)
            .handled(0, 0, "a", 1000, 60_000)
            .handled(1, 0, "a", taken, taken + 10)
            .handled(1, 1, "b", taken, taken + 10)
            .committed(2, taken + 20)
            .fault(FaultKind::Hung(0), 1000, 60_000);
        check(
            &story.0,
            &Bounds {
                max_poll: 6 * SECOND,
                ..bounds()
            },
        )
    };
    let verdict = hung(22_000);
    assert_eq!(
        (verdict.violations_total, verdict.repeated),
        (0, 1),
        "{verdict:?}"
    );
    let laws: Vec<_> = hung(22_001).violations.iter().map(|it| it.law).collect();
    assert_eq!(laws, ["progress"]);
}
