//! Laws of patterns. What CPython itself answers stands in contract/vectors/patterns.json.

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
    for stream in ["__x", "__schema__A", "shop.__schema__A", "shop.__streams__"] {
        assert!(!all.matches(stream), "{stream}");
    }
    assert!(all.matches("_x") && all.matches("a__b"));
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
