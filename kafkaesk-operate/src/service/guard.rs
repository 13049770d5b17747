//! Guard: refuses a request before it is answered: too many at a time, a `Host` that is not ours, a command without token.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

use super::Service;

/// An answer as JSON, with a line break at its end for those who read it in a terminal.
pub(super) fn json(status: StatusCode, answer: &impl Serialize) -> Response {
    let mut text = serde_json::to_string(answer).unwrap_or_default();
    text.push('\n');
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, text).into_response()
}

/// A refusal: a status, and a sentence as JSON.
pub(crate) fn refusal(status: StatusCode, sentence: impl Into<String>) -> Response {
    json(status, &json!({ "error": sentence.into() }))
}

/// Bounds the requests that are answered at a time; health is not among them.
pub(super) async fn bound(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    match service.requests.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{} requests are being answered; ask again", super::REQUESTS),
        ),
    }
}

/// The routes as they are answered at this address.
pub(crate) fn at(address: SocketAddr, router: Router) -> Router {
    match address.ip().is_loopback() {
        true => router.layer(from_fn(own_host)),
        false => router,
    }
}

/// On loopback, refuses a name that is not this machine's own: a web page could use one that resolves here (DNS rebinding).
async fn own_host(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    match host.is_none_or(|host| host.to_str().is_ok_and(is_own)) {
        true => next.run(request).await,
        false => refusal(
            StatusCode::MISDIRECTED_REQUEST,
            "the Host header names another machine; ask for localhost or a loopback address",
        ),
    }
}

fn is_own(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Lets a command through only with the token.
pub(super) async fn with_token(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(token) = &service.settings.token else {
        return refusal(
            StatusCode::FORBIDDEN,
            "commands are switched off: set `operate-token`, and send it as `Authorization: Bearer …`",
        );
    };
    match bearer(request.headers()) {
        Some(given) if is_same(given.as_bytes(), token.as_bytes()) => {
            let response = next.run(request).await;
            // Who looks next sees what the command did.
            service.observer.forget_view().await;
            response
        }
        given => {
            let what = match given {
                Some(_) => "the token is wrong",
                None => {
                    "a command needs the token: send `Authorization: Bearer …` with `operate-token`"
                }
            };
            let mut response = refusal(StatusCode::UNAUTHORIZED, what);
            let bearer = header::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
            response
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then_some(token.trim())
}

/// Compares in a time that does not depend on where they differ.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for own in [
            "localhost",
            "LOCALHOST:9464",
            "127.0.0.1:9464",
            "127.3.2.1",
            "[::1]:9464",
            "[::1]",
        ] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "",
            "evil.example",
            "evil.example:9464",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[fe80::1]",
            "localhost.evil",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }

    #[test]
    fn tokens_are_the_same_only_if_every_byte_is() {
        assert!(is_same(b"12345678", b"12345678"));
        assert!(!is_same(b"12345678", b"12345679"));
        assert!(!is_same(b"1234567", b"12345678"));
        assert!(!is_same(b"", b"12345678"));
    }
}
