//! Laws of answers.

use super::*;

fn refusal(text: &str) -> (&'static str, Option<usize>) {
    let e = Answer::read_line(text.as_bytes()).unwrap_err();
    (e.class(), e.at())
}

#[test]
fn every_outcome_is_read_with_what_goes_with_it() {
    for (text, answer) in [
        (r#"{"outcome":"done"}"#, Answer::Done),
        (r#"{"outcome":"skip","reason":null}"#, Answer::Skip),
        (
            r#"{"outcome":"retry"}"#,
            Answer::Retry {
                delay: None,
                reason: None,
            },
        ),
        (
            r#"{"delay":1.5,"outcome":"retry","reason":"busy"}"#,
            Answer::Retry {
                delay: Some(Duration::from_millis(1_500)),
                reason: Some("busy".into()),
            },
        ),
        (
            r#"{"outcome":"retry","delay":"2m"}"#,
            Answer::Retry {
                delay: Some(Duration::from_secs(120)),
                reason: None,
            },
        ),
        (
            r#"{"outcome":"reject","reason":"unknown customer"}"#,
            Answer::Reject {
                reason: Some("unknown customer".into()),
            },
        ),
        (r#"{"outcome":"abort"}"#, Answer::Abort { reason: None }),
    ] {
        assert_eq!(Answer::read(text.as_bytes()).unwrap(), answer, "{text}");
        let line = text.replacen('{', r#"{"delivery":"d","#, 1);
        assert_eq!(
            Answer::read_line(line.as_bytes()).unwrap(),
            ("d".to_owned(), answer)
        );
    }
}

#[test]
fn what_is_no_answer_says_why_and_where() {
    for (text, class, at) in [
        ("hello", "not-an-object", Some(0)),
        (r#"{"outcome":"done"}"#, "missing-member", None),
        (r#"{"delivery":"d"}"#, "missing-member", None),
        (r#"{"delivery":7,"outcome":"done"}"#, "wrong-type", Some(12)),
        (r#"{"delivery":"d","outcome":"ok"}"#, "outcome", Some(26)),
        (
            r#"{"delivery":"d","outcom":"done"}"#,
            "unknown-member",
            Some(16),
        ),
        (
            r#"{"delivery":"d","outcome":"done","delay":1}"#,
            "misplaced-member",
            Some(41),
        ),
        (
            r#"{"delivery":"d","outcome":"skip","reason":"x"}"#,
            "misplaced-member",
            Some(42),
        ),
        (
            r#"{"delivery":"d","outcome":"retry","delay":"soon"}"#,
            "span",
            Some(42),
        ),
        (
            r#"{"delivery":"d","outcome":"retry","delay":-1}"#,
            "span",
            Some(42),
        ),
        (
            r#"{"delivery":"d","outcome":"retry","delay":1e300}"#,
            "span",
            Some(42),
        ),
        (
            r#"{"delivery":"d","outcome":"retry","delay":[]}"#,
            "wrong-type",
            Some(42),
        ),
    ] {
        assert_eq!(refusal(text), (class, at), "{text}");
    }
    assert!(Answer::read(br#"{"delivery":"d","outcome":"done"}"#).is_err());
}

#[test]
fn a_misspelt_member_is_named_with_the_nearest() {
    let error = Answer::read(br#"{"outcom":"done"}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "member \"outcom\" at byte 1 is not known; did you mean `outcome`?"
    );
}
