//! Routes: which address answers what.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{from_fn_with_state, map_response},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::{Service, commands, guard};
use crate::{
    health::Question,
    metrics::Format,
    page,
    stats::{self, Wish, scaling},
};

/// The bytes of a command's body, at most.
const BODY: usize = 16 * 1024;

/// What is answered here, for all but browsers.
const INDEX: &str = "\
kafkaesk
  GET /          the page, for a browser
  GET /metrics   Prometheus text, or OpenMetrics by Accept
  GET /stats     what each subscription does, as JSON (?group=, search=, sort=, limit=, skip=, settings=true); /stats/schema is its JSON Schema
  GET /scale     the numbers that follow the load, with the last decisions and why (?group=)
  GET /livez     200 unless a restart would help (/healthz is the same)
  GET /readyz    200 while every subscription takes part and a broker answers
  POST /subscriptions/{group}/pause, resume, throttle, skip   need operate-token
";

/// All routes.
pub(crate) fn router(service: &Arc<Service>) -> Router {
    let commands = Router::new()
        .route("/subscriptions/{group}/pause", post(commands::pause))
        .route("/subscriptions/{group}/resume", post(commands::resume))
        .route("/subscriptions/{group}/throttle", post(commands::throttle))
        .route("/subscriptions/{group}/skip", post(commands::skip))
        .layer(DefaultBodyLimit::max(BODY))
        .route_layer(from_fn_with_state(service.clone(), guard::with_token));
    let bounded = Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/stats", get(stats))
        .route("/stats/schema", get(stats_schema))
        .route("/scale", get(scale))
        .merge(commands)
        .route_layer(from_fn_with_state(service.clone(), guard::bound));
    // Many requests must not make it look dead.
    Router::new()
        .route("/livez", get(|state| health(state, Question::Live)))
        .route("/healthz", get(|state| health(state, Question::Live)))
        .route("/readyz", get(|state| health(state, Question::Ready)))
        .merge(bounded)
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(map_response(with_headers))
        .with_state(service.clone())
}

/// What every answer carries: nobody keeps it, frames it or guesses its type. Refusals that axum words become ours.
async fn with_headers(mut response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_ours = kind.is_some_and(|kind| kind == "application/json");
    if status.is_client_error() && !is_ours {
        response = guard::refusal(
            status,
            match status {
                StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than 16 KiB",
                _ => "the address or the body cannot be read; GET / lists what there is",
            },
        );
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

async fn index(headers: HeaderMap) -> Response {
    match page::is_wanted(&headers) {
        true => page::page().into_response(),
        false => INDEX.into_response(),
    }
}

async fn metrics(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let format = Format::of(&headers);
    let text = service.exposition(format).await;
    service.scraped.notify_waiters();
    ([(header::CONTENT_TYPE, format.content_type())], text).into_response()
}

/// Bounded, and made apart from the threads that run handlers.
async fn stats(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let wish: Wish = match serde_urlencoded::from_str(&query) {
        Ok(wish) => wish,
        Err(error) => {
            let sentence = format!(
                "the query: {error}; it may have group, search, sort (verdict, lag or group), limit, skip and settings (true)"
            );
            return guard::refusal(StatusCode::BAD_REQUEST, sentence);
        }
    };
    let view = service.observer.view().await;
    let text = spawn_blocking(move || stats::text(&view, &wish)).await;
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, text.unwrap_or_default()).into_response()
}

/// What `/scale` is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ScaleWish {
    group: Option<String>,
}

async fn scale(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Response {
    let wish = serde_urlencoded::from_str::<ScaleWish>(&query.unwrap_or_default());
    let wish = match wish {
        Ok(wish) => wish,
        Err(error) => {
            let sentence = format!("the query: {error}; it may have group");
            return guard::refusal(StatusCode::BAD_REQUEST, sentence);
        }
    };
    let view = service.observer.view().await;
    let text = scaling::text(&view, wish.group.as_deref());
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn stats_schema() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/schema+json")];
    (kind, stats::schema()).into_response()
}

async fn health(State(service): State<Arc<Service>>, question: Question) -> Response {
    let view = service.observer.view().await;
    let answer = service.observer.health(question, &view);
    let status = match answer.ok {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    guard::json(status, &answer)
}

async fn unknown(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(100).collect();
    let sentence = format!("there is no {path}; GET / lists what there is");
    guard::refusal(StatusCode::NOT_FOUND, sentence)
}

async fn wrong_method(request: Request) -> Response {
    let method: String = request.method().as_str().chars().take(20).collect();
    let sentence = format!("this address takes no {method}; GET / lists what there is");
    guard::refusal(StatusCode::METHOD_NOT_ALLOWED, sentence)
}
