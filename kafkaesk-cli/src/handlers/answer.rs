//! The answer object: `{"delivery":…,"outcome":"done"}` goes in, a checked [`Answer`] comes out. The same object for
//! `exec` (a line) and for `http` (a body of our media type).

use std::time::Duration;

use kafkaesk_core::span::parse_span;
use serde::Deserialize;

/// The media type of an HTTP answer that carries an answer object.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kafkaesk.answer+json";
/// The longest delay that an answer (or `Retry-After`) can ask for; longer ones are cut to it.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(600);
/// The longest reason that is kept, in characters.
pub(crate) const MAX_REASON: usize = 1024;

/// How a handler ended a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Handled.
    Done,
    /// Not now: again after this long, or after the worker's own backoff.
    Retry {
        /// At least this long.
        after: Option<Duration>,
        /// For the log.
        reason: String,
    },
    /// This message will never succeed.
    Reject(String),
    /// Handled by ignoring it.
    Skip,
    /// Stop the worker; nothing of this message is committed.
    Abort(String),
    /// The endpoint is wrong, not the message: keep it, loudly, until somebody mends the endpoint.
    Hold(String),
}

#[derive(Deserialize)]
struct Object {
    delivery: Option<serde_json::Value>,
    outcome: String,
    delay: Option<serde_json::Value>,
    reason: Option<String>,
}

/// Reads an answer object; the delivery is its text as JSON or as the string's content.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn parse(bytes: &[u8]) -> Result<(Option<String>, Answer), String> {
    let object: Object = serde_json::from_slice(bytes)
        .map_err(|e| format!("it is no answer object such as {{\"outcome\":\"done\"}}: {e}"))?;
    let delivery = object.delivery.map(|delivery| match delivery {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    });
    let reason = || bounded(object.reason.as_deref().unwrap_or("no reason given"));
    let answer = match object.outcome.as_str() {
        "done" => Answer::Done,
        "skip" => Answer::Skip,
        "retry" => Answer::Retry {
            after: object.delay.as_ref().map(delay).transpose()?,
            reason: reason(),
        },
        "reject" => Answer::Reject(reason()),
        "abort" => Answer::Abort(reason()),
        other => {
            return Err(format!(
                "outcome {other:?} is none of done, retry, reject, skip, abort"
            ));
        }
    };
    Ok((delivery, answer))
}

/// A delay as JSON: a number of seconds, or a text such as `"30s"`.
fn delay(value: &serde_json::Value) -> Result<Duration, String> {
    let span = match value {
        serde_json::Value::Number(number) => number
            .as_f64()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| format!("delay {number} is no number of seconds"))?,
        serde_json::Value::String(text) => parse_span(text).map_err(|e| e.to_string())?,
        other => {
            return Err(format!(
                "delay {other} is neither a number of seconds nor a text such as \"30s\""
            ));
        }
    };
    Ok(span.min(MAX_DELAY))
}

/// Cuts a reason to [`MAX_REASON`] characters.
pub(crate) fn bounded(reason: &str) -> String {
    let reason = reason.trim();
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_read() {
        let read = |text: &str| parse(text.as_bytes()).unwrap();
        assert_eq!(
            read(r#"{"delivery":"a-1","outcome":"done"}"#),
            (Some("a-1".into()), Answer::Done)
        );
        assert_eq!(
            read(r#"{"delivery":7,"outcome":"skip"}"#),
            (Some("7".into()), Answer::Skip)
        );
        assert_eq!(
            read(r#"{"outcome":"retry","delay":"30s","reason":"busy"}"#).1,
            Answer::Retry {
                after: Some(Duration::from_secs(30)),
                reason: "busy".into()
            }
        );
        assert_eq!(
            read(r#"{"outcome":"retry","delay":0.5}"#).1,
            Answer::Retry {
                after: Some(Duration::from_millis(500)),
                reason: "no reason given".into()
            }
        );
        assert_eq!(
            read(r#"{"outcome":"reject","reason":"unknown"}"#).1,
            Answer::Reject("unknown".into())
        );
        assert_eq!(
            read(r#"{"outcome":"abort","reason":"disk"}"#).1,
            Answer::Abort("disk".into())
        );
    }

    #[test]
    fn what_is_no_answer_says_why() {
        assert!(parse(b"hello").unwrap_err().contains("no answer object"));
        let error = parse(br#"{"outcome":"dne"}"#).unwrap_err();
        assert_eq!(
            error,
            r#"outcome "dne" is none of done, retry, reject, skip, abort"#
        );
        let error = parse(br#"{"outcome":"retry","delay":"soon"}"#).unwrap_err();
        assert!(error.contains("no span of time"), "{error}");
        assert!(parse(br#"{"outcome":"retry","delay":-1}"#).is_err());
    }

    #[test]
    fn delays_and_reasons_are_bounded() {
        let (_, answer) = parse(br#"{"outcome":"retry","delay":"9d"}"#).unwrap();
        assert!(matches!(answer, Answer::Retry { after: Some(a), .. } if a == MAX_DELAY));
        assert_eq!(bounded(&"ü".repeat(5000)).chars().count(), MAX_REASON + 1);
    }
}
