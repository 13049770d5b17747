//! One token request: client credentials by POST, the answer's token, its life and its subject.

use std::time::Duration;

use base64::Engine;
use serde::Deserialize;

use super::{Token, now_ms};
use crate::settings::{OidcSettings, without_secrets};

/// The life of a token that does not say how long it lives.
const DEFAULT_LIFE: i64 = 300;
/// How much of a refusal is shown.
const SHOWN: usize = 300;

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<i64>,
}

/// What we read of a token, if it is a JWT.
#[derive(Default, Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
}

/// Asks on a thread of its own, so that it does not matter whose thread waits.
pub(super) fn ask(settings: &OidcSettings, timeout: Duration) -> Result<Token, String> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("kafkaesk-token".into())
            .spawn_scoped(scope, || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|e| e.to_string())?
                    .block_on(request(settings, timeout))
            })
            .map_err(|e| e.to_string())?
            .join()
            .unwrap_or_else(|_| Err("the request panicked".to_owned()))
    })
}

async fn request(settings: &OidcSettings, timeout: Duration) -> Result<Token, String> {
    let url = without_secrets(&settings.token_endpoint_url);
    let client = client(settings, timeout)?;
    let mut form = vec![("grant_type", "client_credentials")];
    if let Some(scope) = &settings.scope {
        form.push(("scope", scope));
    }
    let answer = client
        .post(&settings.token_endpoint_url)
        .basic_auth(&settings.client_id, Some(&settings.client_secret))
        .form(&form)
        .send()
        .await
        .map_err(|e| format!("{url}: {}", reason(&e)))?;
    let status = answer.status();
    let body = answer
        .bytes()
        .await
        .map_err(|e| format!("{url}: {}", reason(&e)))?;
    if !status.is_success() {
        let shown: String = String::from_utf8_lossy(&body).chars().take(SHOWN).collect();
        return Err(format!("{url} answered {status}: {shown}"));
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|e| format!("{url} answered no token response: {e}"))?;
    let claims = claims(&answer.access_token).unwrap_or_default();
    let now = now_ms();
    let expires = match (answer.expires_in, claims.exp) {
        (Some(seconds), _) => now.saturating_add(seconds.saturating_mul(1000)),
        (None, Some(at)) => (at * 1000.0) as i64,
        (None, None) => now + DEFAULT_LIFE * 1000,
    };
    Ok(Token {
        principal: claims.sub.unwrap_or_else(|| settings.client_id.clone()),
        token: answer.access_token,
        expires,
    })
}

fn client(settings: &OidcSettings, timeout: Duration) -> Result<reqwest::Client, String> {
    let mut pem = Vec::new();
    if let Some(path) = &settings.ca_location {
        pem = crate::settings::read_file(path.as_ref(), crate::settings::MAX_FILE_BYTES)
            .map_err(|e| format!("`https.ca.location` {path}: {e}"))?;
    }
    if let Some(text) = &settings.ca_pem {
        pem.extend_from_slice(b"\n");
        pem.extend_from_slice(text.as_bytes());
    }
    let mut builder = reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none());
    if !pem.is_empty() {
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|e| format!("`https.ca.location`: {e}"))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|e| e.to_string())
}

/// The middle part of a JWT; a token that is none says nothing about itself.
fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload.trim_end_matches('='))
        .ok()?;
    serde_json::from_slice(&json).ok()
}

/// reqwest's own text leaves out the cause.
fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
