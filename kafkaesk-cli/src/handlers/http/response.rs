//! Reads an HTTP answer as a [`Reply`] (docs/decisions.md, http-answers), from its status, `Retry-After` and a bounded body.

use std::time::Duration;

use kafkaesk_core::answer::MEDIA_TYPE;
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, LOCATION, RETRY_AFTER},
};

use super::{
    super::reply::{Reply, bounded},
    MAX_BODY, loopback_host,
};

/// The longest text of a redirect's target, in characters.
const MAX_LOCATION: usize = 200;

/// Reads what decides: the status, and the body where it says more.
pub(crate) async fn answer(mut response: Response, endpoint: &Url, address: &str) -> Reply {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(retry_after);
    let location = response
        .headers()
        .get(LOCATION)
        .filter(|_| status.is_redirection())
        .map(|value| location(endpoint, value.as_bytes()));
    let ours = has_type(&response, MEDIA_TYPE);
    if status.is_success() && !ours {
        // The status is the answer. The body is ignored, so the handler does not wait for it.
        return Reply::DONE;
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() < MAX_BODY => {
                body.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY - body.len())]);
            }
            Ok(_) => break,
            // A truncated answer object has no meaning; for any other status, the status is the answer.
            Err(error) if status.is_success() => return broken(&error, address),
            Err(_) => break,
        }
    }
    decide(
        status,
        retry_after,
        ours,
        &body,
        location.as_deref(),
        address,
    )
}

/// Where a redirect leads, for logs: without what may be a secret (user info, query, and the endpoint's own path unless
/// the endpoint is this machine), bounded. A URL escapes what a terminal would act on.
fn location(endpoint: &Url, value: &[u8]) -> String {
    let Ok(mut target) = endpoint.join(&String::from_utf8_lossy(value)) else {
        return "a location that is not a URL".to_owned();
    };
    let query = if target.query().is_some() { "?…" } else { "" };
    target.set_query(None);
    target.set_fragment(None);
    // Neither can be removed from a URL without a host, which has none.
    let _ = target.set_username("");
    let _ = target.set_password(None);
    let mut text = target.to_string();
    let own = endpoint.path();
    if own != "/" && loopback_host(endpoint).is_none() {
        text = text.replace(own, "/…");
    }
    text.push_str(query);
    match text.char_indices().nth(MAX_LOCATION) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Nothing, or no whole answer, came back.
pub(crate) fn broken(error: &reqwest::Error, address: &str) -> Reply {
    if error.is_connect() && !error.is_timeout() {
        // Refused, no such host, no trust in its certificate: the message was never sent.
        return Reply::Unavailable(format!("{address} cannot be reached: {}", root(error)));
    }
    if error.is_timeout() {
        return Reply::Overloaded {
            delay: None,
            reason: format!("{address} gave no answer in time"),
        };
    }
    Reply::retry(None, format!("{address} broke off: {}", root(error)))
}

fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn decide(
    status: StatusCode,
    retry_after: Option<Duration>,
    ours: bool,
    body: &[u8],
    location: Option<&str>,
    address: &str,
) -> Reply {
    let said = || {
        let text = bounded(&String::from_utf8_lossy(body));
        let mut said = format!("{address} answered {status}");
        if let Some(location) = location {
            said.push_str(&format!(", a redirect to {location}"));
        }
        if !text.is_empty() {
            said.push_str(&format!(": {text}"));
        }
        said
    };
    match status.as_u16() {
        200..=299 if ours => match Reply::read_body(body) {
            Ok(answer) => answer,
            Err(why) => Reply::Unavailable(format!(
                "{address} answered {status} with {MEDIA_TYPE}, but {why}"
            )),
        },
        200..=299 => Reply::DONE,
        400 | 410 | 413 | 415 | 422 => Reply::reject(said()),
        429 if retry_after.is_none() => Reply::Busy(said()),
        429 | 503 | 504 => Reply::Overloaded {
            delay: retry_after,
            reason: said(),
        },
        408 | 409 | 425 | 500..=599 => Reply::retry(retry_after, said()),
        _ => Reply::Unavailable(format!(
            "endpoint wrong: {}; correct `http` of this handler in kafkaesk.toml, or what answers there",
            said()
        )),
    }
}

/// Whether an answer's body says that it is of this type.
pub(super) fn has_type(response: &Response, media_type: &str) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    content_type.is_some_and(|given| is_type(given, media_type))
}

fn is_type(content_type: &str, media_type: &str) -> bool {
    let media = content_type.split(';').next();
    media.is_some_and(|media| media.trim().eq_ignore_ascii_case(media_type))
}

/// `Retry-After` in seconds; the worker bounds it. Its other form, a date, needs the server's clock to agree with ours:
/// the worker's own backoff serves instead.
fn retry_after(value: &str) -> Option<Duration> {
    let seconds: u64 = value.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use kafkaesk_core::answer::Answer;

    use super::*;

    fn by(status: u16) -> Reply {
        decide(
            StatusCode::from_u16(status).unwrap(),
            Some(Duration::from_secs(3)),
            false,
            b"because",
            None,
            "http://x/",
        )
    }

    #[test]
    fn the_status_decides() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(by(status), Reply::DONE, "{status}");
        }
        for status in [400, 410, 413, 415, 422] {
            let Reply::Answered(Answer::Reject {
                reason: Some(reason),
            }) = by(status)
            else {
                panic!("{status}")
            };
            assert!(reason.ends_with(": because"), "{reason}");
        }
        for status in [429, 503, 504] {
            let Reply::Overloaded { delay, .. } = by(status) else {
                panic!("{status}")
            };
            assert_eq!(delay, Some(Duration::from_secs(3)), "{status}");
        }
        for status in [408, 409, 425, 500, 502, 599] {
            let Reply::Answered(Answer::Retry { delay, .. }) = by(status) else {
                panic!("{status}")
            };
            assert_eq!(delay, Some(Duration::from_secs(3)), "{status}");
        }
        for status in [301, 302, 307, 308, 401, 403, 404, 405, 406, 418, 431, 451] {
            let Reply::Unavailable(reason) = by(status) else {
                panic!("{status}")
            };
            assert!(reason.starts_with("endpoint wrong"), "{reason}");
        }
    }

    #[test]
    fn too_many_requests_without_a_delay_are_busy_so_that_they_use_no_attempt() {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let answer = decide(status, None, false, b"", None, "x");
        assert!(matches!(answer, Reply::Busy(_)), "{answer:?}");
    }

    #[test]
    fn our_media_type_carries_the_answer_object() {
        let ok = StatusCode::OK;
        let rejected = decide(
            ok,
            None,
            true,
            br#"{"outcome":"reject","reason":"no"}"#,
            None,
            "x",
        );
        assert_eq!(rejected, Reply::reject("no".into()));
        // A body that cannot be read must not count as handled.
        assert!(matches!(
            decide(ok, None, true, b"?", None, "x"),
            Reply::Unavailable(_)
        ));
        assert!(is_type(
            "application/vnd.kafkaesk.answer+json; charset=utf-8",
            MEDIA_TYPE
        ));
        assert!(!is_type("application/json", MEDIA_TYPE));
    }

    #[test]
    fn a_redirects_target_is_shown_without_secrets_and_bounded() {
        let endpoint: Url = "http://hooks.example/s3cret/in".parse().unwrap();
        for (given, shown) in [
            ("https://hooks.example/s3cret/in", "https://hooks.example/…"),
            ("/s3cret/in/", "http://hooks.example/…/"),
            (
                "https://u:s3cret@login.example/login?next=/s3cret/in#s3cret",
                "https://login.example/login?…",
            ),
            (
                "/a\u{9b}31m\u{202e}b",
                "http://hooks.example/a%C2%9B31m%E2%80%AEb",
            ),
            ("http://[", "a location that is not a URL"),
        ] {
            assert_eq!(location(&endpoint, given.as_bytes()), shown);
        }
        let long = location(&endpoint, format!("/{}", "x".repeat(9_000)).as_bytes());
        assert_eq!(long.chars().count(), MAX_LOCATION + 1);
        let here: Url = "http://127.0.0.1:8080/in".parse().unwrap();
        assert_eq!(location(&here, b"/in/"), "http://127.0.0.1:8080/in/");
    }

    #[test]
    fn retry_after_is_taken_in_seconds() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(" 0 "), Some(Duration::ZERO));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }
}
