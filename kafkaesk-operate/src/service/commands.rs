//! Commands: pause, resume and throttle the subscriptions of a group in this process, and give up one held message.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use kafkaesk_client::settings::nearest;
use kafkaesk_core::{RecordPlace, span::parse_span};
use kafkaesk_worker::{Skip, Skipped, snapshot::PausedBy};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    Service,
    guard::{json, refusal},
};

/// How long a command waits for the subscriptions. One that does not answer takes the command later.
const WAIT: Duration = Duration::from_secs(5);
/// The characters of a reason, at most.
const REASON: usize = 200;

/// `{"reason": "the database is moved", "for": "10m"}`, both optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PauseBody {
    reason: String,
    #[serde(rename = "for")]
    lasting: Option<String>,
}

/// `{"per_second": 100}`, or `null` for the subscription's own setting.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThrottleBody {
    #[serde(deserialize_with = "Option::deserialize")]
    per_second: Option<NonZeroU32>,
}

/// `{"message": "orders.placed[3]@4711", "dead_letter": false}`: kept as a dead letter, unless it says otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkipBody {
    message: String,
    #[serde(default = "kept")]
    dead_letter: bool,
}

fn kept() -> bool {
    true
}

pub(super) async fn pause(
    State(service): State<Arc<Service>>,
    Path(group): Path<String>,
    body: Bytes,
) -> Result<Response, Response> {
    let body: PauseBody = match body.is_empty() {
        true => PauseBody::default(),
        false => read(&body)?,
    };
    let lasting = body.lasting.as_deref().map(parse_span).transpose();
    let lasting = lasting.map_err(|error| bad(format!("`for`: {error}")))?;
    let reason: String = body.reason.chars().take(REASON).collect();
    let reason = reason.replace(|c: char| c.is_control(), " ");
    let name = service.group(&group).await?;
    let paused = service.control.pause_for(&name, &reason, lasting);
    Ok(answered(&name, timeout(WAIT, paused).await.ok()))
}

pub(super) async fn resume(
    State(service): State<Arc<Service>>,
    Path(group): Path<String>,
) -> Result<Response, Response> {
    let name = service.group(&group).await?;
    let resumed = timeout(WAIT, service.control.resume(&name)).await.ok();
    service.observer.forget_view().await;
    let view = service.observer.view().await;
    let own = view.snapshot.subscriptions.iter();
    let mut pauses = own
        .filter(|it| it.name == name)
        .filter_map(|it| it.pause.as_ref());
    // Only the handler's next success ends such a pause.
    match (
        resumed,
        pauses.find(|pause| pause.by == PausedBy::Unavailable),
    ) {
        (Some(some), Some(pause)) => Ok(done(json!({
            "group": name,
            "subscriptions": some,
            "note": format!(
                "no command pauses it any more, but its handler does: {}; it goes on by itself with the first attempt that ends otherwise",
                pause.reason
            ),
        }))),
        _ => Ok(answered(&name, resumed)),
    }
}

pub(super) async fn throttle(
    State(service): State<Arc<Service>>,
    Path(group): Path<String>,
    body: Bytes,
) -> Result<Response, Response> {
    let body: ThrottleBody = read(&body)?;
    let name = service.group(&group).await?;
    let throttled = service.control.throttle(&name, body.per_second);
    Ok(answered(&name, timeout(WAIT, throttled).await.ok()))
}

pub(super) async fn skip(
    State(service): State<Arc<Service>>,
    Path(group): Path<String>,
    body: Bytes,
) -> Result<Response, Response> {
    let body: SkipBody = read(&body)?;
    let place: RecordPlace = body
        .message
        .parse()
        .map_err(|error| bad(format!("`message`: {error}")))?;
    let name = service.group(&group).await?;
    let skip = Skip {
        place,
        dead_letter: body.dead_letter,
    };
    match timeout(WAIT, service.control.skip(&name, skip)).await {
        Ok(Skipped::Done) => Ok(done(json!({ "group": name, "skipped": body.message }))),
        Ok(Skipped::NoDeadLetters) => Err(refusal(
            StatusCode::CONFLICT,
            "the settings switch dead letters off (`dead-letters = false`); with `\"dead_letter\": false` the message is passed over, and kept nowhere",
        )),
        Ok(Skipped::Running) => Err(refusal(
            StatusCode::CONFLICT,
            format!(
                "the handler of {} runs now; it can be skipped once this attempt has failed: ask again, or give the handler a timeout",
                body.message
            ),
        )),
        Ok(_) => Err(refusal(
            StatusCode::CONFLICT,
            format!(
                "{} does not hold {} in this process: it was handled since, or another process has its partition",
                name, body.message
            ),
        )),
        Err(_) => Ok(answered(&name, None)),
    }
}

impl Service {
    /// The group as commands name it, if it runs here: with or without the group prefix.
    async fn group(&self, given: &str) -> Result<String, Response> {
        let view = self.observer.view().await;
        let mut known = view.snapshot.subscriptions.iter();
        if let Some(it) = known.find(|it| it.group == given || it.name == given) {
            return Ok(it.name.clone());
        }
        let all = self.control.groups();
        if let Some(name) = all.iter().find(|name| *name == given) {
            return Ok(name.clone());
        }
        let near = nearest(given, all.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near}?"));
        Err(refusal(
            StatusCode::NOT_FOUND,
            format!(
                "no subscription of this process is in the group {given:?}{}",
                near.unwrap_or_default()
            ),
        ))
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    // serde would take an array as well, its items in the order of the members.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(bad("the body: expected a JSON object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| bad(format!("the body: {error}")))
}

fn bad(sentence: String) -> Response {
    refusal(StatusCode::BAD_REQUEST, sentence)
}

fn done(answer: Value) -> Response {
    json(StatusCode::OK, &answer)
}

/// How many subscriptions did it.
fn answered(group: &str, subscriptions: Option<usize>) -> Response {
    match subscriptions {
        Some(some) => done(json!({ "group": group, "subscriptions": some })),
        None => json(
            StatusCode::ACCEPTED,
            &json!({
                "group": group,
                "note": "a subscription has not answered yet: a handler blocks its thread; it takes the command when that handler ends"
            }),
        ),
    }
}
