//! Laws of patterns. The answers of CPython itself are in contract/vectors/patterns.json.

use proptest::prelude::*;

use super::*;

fn overlap(a: &str, b: &str) -> bool {
    let both = Pattern::new(a).unwrap().overlaps(&Pattern::new(b).unwrap());
    assert_eq!(
        both,
        Pattern::new(b).unwrap().overlaps(&Pattern::new(a).unwrap())
    );
    both
}

#[test]
fn the_odd_corners_are_pythons() {
    for (pattern, text, is) in [
        ("a*c", "abbbc", true),
        ("a.*", "a.b.c", true),
        ("a?c", "a.c", true),
        ("[ab]x", "bx", true),
        ("[!ab]x", "bx", false),
        ("[", "[", true),
        ("[a", "[a", true),
        ("[]]", "]", true),
        ("[!]]", "]", false),
        ("[]-a]", "^", true),
        ("[z-a]", "z", false),
        ("[!z-a]", "z", true),
        ("[a-]", "-", true),
        ("[-a]", "-", true),
        ("[z-a!b]", "b", false),
        ("[z-a!-c]", "-", false),
        ("[z-a!-c]", "b", true),
        ("[c-b-a]", "-", true),
        ("[a-c-e]", "d", false),
        ("[\\a]", "\\", true),
        ("[^a]", "^", true),
        ("**", "", true),
        ("A", "a", false),
        ("é?", "éé", true),
    ] {
        assert_eq!(fnmatch(pattern, text), is, "{pattern} {text}");
    }
}

#[test]
fn reserved_names_never_match() {
    let all = Pattern::new("*").unwrap();
    for stream in [
        "__x",
        "__schema__A",
        "shop.__schema__A",
        "shop.__streams__",
        "shop.__dead__billing",
        "shop.__retry__billing",
        "a__connect__b",
    ] {
        assert!(!all.matches(stream), "{stream}");
    }
    assert!(all.matches("_x") && all.matches("a__b") && all.matches("a__dead_b"));
}

#[test]
fn a_pattern_that_can_match_no_stream_is_refused_with_the_place() {
    let text = |pattern: &str| Pattern::new(pattern).unwrap_err();
    assert_eq!(text(""), PatternError::Empty);
    assert!(matches!(
        text("orders.[ab"),
        PatternError::Unclosed { at: 7, .. }
    ));
    assert!(matches!(
        text("orders/*"),
        PatternError::Character {
            character: '/',
            at: 6,
            ..
        }
    ));
    assert!(matches!(
        text("orders.[z-a]"),
        PatternError::MatchesNothing(_)
    ));
    assert!(matches!(text("__*"), PatternError::MatchesNothing(_)));
    assert!(matches!(
        text("*__streams__"),
        PatternError::MatchesNothing(_)
    ));
}

#[test]
fn a_pattern_without_wildcards_names_its_stream() {
    let literal = |pattern: &str| Pattern::new(pattern).unwrap().literal();
    assert_eq!(literal("orders.placed").unwrap().as_str(), "orders.placed");
    assert_eq!(literal("orders.*"), None);
    assert_eq!(literal("orders.[p]"), None);
}

#[test]
fn overlap_is_exact() {
    assert!(overlap("orders.*", "*.placed"));
    assert!(overlap("a?", "?b"));
    assert!(overlap("a*c", "ab*"));
    assert!(!overlap("orders.*", "content.*"));
    assert!(!overlap("a?", "a"));
    assert!(!overlap("[a-m]*", "[n-z]*"));
    assert!(!overlap("orders.[!p]*", "orders.p*"));
    assert!(!overlap("?", "??"));
    assert!(
        !overlap("_*x", "?_*"),
        "only names that begin with `__` match both"
    );
    assert!(
        !overlap("a__schema*", "?__?????__b"),
        "only reserved names match both"
    );
}

#[test]
fn a_hostile_pattern_takes_no_exponential_time() {
    let pattern = "a*".repeat(100) + "b";
    assert!(!fnmatch(&pattern, &"a".repeat(5_000)));
}

/// Tries every text up to four characters over a small alphabet.
fn brute(a: &Pattern, b: &Pattern) -> bool {
    let mut texts = vec![String::new()];
    for _ in 0..4 {
        let longer: Vec<String> = texts
            .iter()
            .flat_map(|t| ["a", "b", "_"].map(|c| format!("{t}{c}")))
            .collect();
        if longer.iter().any(|t| a.matches(t) && b.matches(t)) {
            return true;
        }
        texts = longer;
    }
    false
}

proptest! {
    #[test]
    fn overlap_agrees_with_trying_every_short_name(a in "[ab_?*]{1,3}", b in "([ab_?*]|\\[ab\\]|\\[!a\\]){1,3}") {
        let (Ok(a), Ok(b)) = (Pattern::new(&a), Pattern::new(&b)) else { return Ok(()) };
        let short = brute(&a, &b);
        // A `[!a]` also takes characters outside the small alphabet, so only one direction is certain for it.
        if short || !b.as_str().contains('!') {
            prop_assert_eq!(a.overlaps(&b), short, "{} {}", a, b);
        }
    }

    #[test]
    fn a_name_that_matches_both_proves_an_overlap(name in "[a-c._]{1,8}", a in "[a-c._?*]{1,5}", b in "[a-c._?*]{1,5}") {
        let (Ok(a), Ok(b)) = (Pattern::new(&a), Pattern::new(&b)) else { return Ok(()) };
        if a.matches(&name) && b.matches(&name) {
            prop_assert!(a.overlaps(&b));
        }
    }

    #[test]
    fn no_pattern_panics(pattern in ".{0,12}", set in "[\\[\\]!a-c^*?-]{0,12}", text in ".{0,6}") {
        fnmatch(&pattern, &text);
        fnmatch(&set, &text);
    }
}

#[test]
fn many_stars_are_compared_without_exponential_work() {
    let stars = |end: &str| format!("{}{end}", "a*".repeat(100));
    let underscores = |end: &str| format!("{}{end}", "*__".repeat(60));
    for (one, other, shared) in [
        (stars("a"), stars("a"), true),
        (stars("b"), stars("c"), false),
        (stars("b"), "*c".repeat(100), false),
        ("*a".repeat(100), format!("{}*", "*b".repeat(100)), true),
        ("*a".repeat(140), format!("{}*", "*b".repeat(140)), false),
        (underscores("x"), underscores("y"), false),
        (underscores("x"), "*_x".repeat(40), true),
    ] {
        let (one, other) = (Pattern::new(&one).unwrap(), Pattern::new(&other).unwrap());
        let start = std::time::Instant::now();
        assert_eq!(one.overlaps(&other), shared, "{one} {other}");
        // It takes milliseconds; exponential work would take longer than anyone waits, however busy the machine.
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }
}

#[test]
fn a_pattern_that_is_too_long_is_refused() {
    assert!(Pattern::new(&format!("[{}]", "a".repeat(4000))).is_ok());
    let error = Pattern::new(&"[".repeat(5000)).unwrap_err();
    assert_eq!(error, PatternError::TooLong { bytes: 5000 });
    let none = Pattern::new(&"a".repeat(250)).unwrap_err();
    assert!(matches!(none, PatternError::MatchesNothing(_)), "{none}");
}

/// All texts of at most five characters of a small alphabet, in which reserved names are frequent.
static IDS: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..5 {
        let longer = last
            .iter()
            .flat_map(|text| ["a", "b", "_"].map(|c| format!("{text}{c}")));
        last = longer.collect();
        all.extend(last.iter().cloned());
    }
    all
});

proptest! {
    #[test]
    fn patterns_overlap_where_some_text_matches_both(one in "[ab_*?]{1,6}", other in "[ab_*?]{1,6}") {
        let (Ok(one), Ok(other)) = (Pattern::new(&one), Pattern::new(&other)) else {
            return Ok(());
        };
        // A shortest shared text has the characters of both patterns at most, stars aside, and one before a `__`.
        let characters = |it: &Pattern| it.as_str().matches(['a', 'b', '_', '?']).count();
        let shared = IDS.iter().any(|id| one.matches(id) && other.matches(id));
        if shared || characters(&one) + characters(&other) <= 4 {
            prop_assert_eq!(one.overlaps(&other), shared, "{} {}", one, other);
        }
    }
}
