//! Input: the merged values. Output: [`OperateSettings`]. The only place with the type and bounds of each of them.

use std::{path::PathBuf, time::Duration};

use kafkaesk_core::span::format_span;
use serde::{Deserialize, de::value::MapDeserializer};

use super::{
    SettingsError,
    keys::KEYS,
    layers::Merged,
    limits::{DAY, HOUR, MINUTE, SECOND},
    node::Node,
    typed::{Span, Whole},
};
use crate::{MetricsDetail, OperateSettings, REDACTED, without_secrets};

const LISTEN: &str = "operate-listen";
const TOKEN: &str = "operate-token";
const FILE: &str = "metrics-file";
const OTEL: &str = "otel-endpoint";

/// The settings of one value each, as serde reads them. What is absent keeps its default.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Plain {
    operate_show_keys: bool,
    operate_linger: Option<Span<0, { 5 * MINUTE }>>,
    metrics_detail: Option<MetricsDetail>,
    metrics_max_series: Option<Whole<usize, 100, 1_000_000>>,
    lag_interval: Option<Span<SECOND, HOUR>>,
    lag_window: Option<Span<{ 3 * SECOND }, DAY>>,
    lag_allowed: Option<Whole<u64, 0, { i64::MAX }>>,
    alive_within: Option<Span<SECOND, HOUR>>,
    trace_parent_max_age: Option<Span<0, { 365 * DAY }>>,
    stall_after: Option<Span<{ 10 * SECOND }, DAY>>,
}

pub(super) fn settings(merged: &Merged) -> Result<OperateSettings, SettingsError> {
    let values = KEYS
        .iter()
        .filter_map(|key| Some((*key, merged.setting(key)?)));
    let plain = Plain::deserialize(MapDeserializer::new(values))
        .map_err(|problem| problem.at(&merged.root))?;
    let default = OperateSettings::default();
    let span = |given: Option<Duration>, default| given.unwrap_or(default);
    let interval = span(plain.lag_interval.map(|it| it.0), default.lag_interval);
    let looks = interval * 3;
    let settings = OperateSettings {
        listen: merged.setting(LISTEN).map(listen).transpose()?,
        token: merged.setting(TOKEN).map(token).transpose()?,
        show_keys: plain.operate_show_keys,
        linger: span(plain.operate_linger.map(|it| it.0), default.linger),
        detail: plain.metrics_detail.unwrap_or_default(),
        max_series: plain
            .metrics_max_series
            .map_or(default.max_series, |it| it.0),
        metrics_file: merged.setting(FILE).map(file).transpose()?,
        lag_interval: interval,
        // A verdict needs three looks.
        lag_window: span(
            plain.lag_window.map(|it| it.0),
            default.lag_window.max(looks),
        ),
        lag_allowed: plain.lag_allowed.map_or(default.lag_allowed, |it| it.0),
        alive_within: span(plain.alive_within.map(|it| it.0), default.alive_within),
        otel_endpoint: merged.setting(OTEL).map(endpoint).transpose()?,
        trace_parent_max_age: span(
            plain.trace_parent_max_age.map(|it| it.0),
            default.trace_parent_max_age,
        ),
        loopback_only: default.loopback_only,
        stall_after: span(plain.stall_after.map(|it| it.0), default.stall_after),
    };
    if let Some(node) = merged.setting("lag-window")
        && settings.lag_window < looks
    {
        return Err(node.error(format!(
            "a window needs three looks, so it is at least three times `lag-interval`, which is {}",
            format_span(settings.lag_interval)
        )));
    }
    Ok(settings)
}

fn listen(node: Node) -> Result<String, SettingsError> {
    let text: String = node.clone().read()?;
    let parts = text.rsplit_once(':');
    let is_address = parts.is_some_and(|(host, port)| {
        let is_v6 = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (is_v6 || !host.contains(':')) && port.parse::<u16>().is_ok()
    });
    match is_address {
        true => Ok(text),
        false => Err(node.expected(
            "an address to listen at, such as \"127.0.0.1:9464\" for this machine alone or \"0.0.0.0:9464\"",
        )),
    }
}

fn endpoint(node: Node) -> Result<String, SettingsError> {
    let node = node.resolved()?;
    let text: String = node.clone().read()?;
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let is_url = rest.is_some_and(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority.rsplit('@').next().unwrap_or_default();
        // The colons of an IPv6 address stand within brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        let is_closed = host.starts_with('[') == host.ends_with(']');
        !host.is_empty() && is_closed && port.is_none_or(is_port)
    });
    match is_url && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text),
        // The value may have a password.
        false => Err(node.error(
            "this is not the URL of a collector that takes OTLP over HTTP, such as \"http://localhost:4318\"",
        )),
    }
}

fn token(node: Node) -> Result<String, SettingsError> {
    let node = node.resolved()?;
    let text: String = node.clone().read()?;
    // It travels in a header.
    match text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text),
        false => Err(node.error(
            "a token has at least 8 characters, all of them visible ASCII; `openssl rand -hex 16` makes one",
        )),
    }
}

fn file(node: Node) -> Result<PathBuf, SettingsError> {
    let text: String = node.clone().read()?;
    match text.is_empty() {
        true => Err(node.error("a file needs a name")),
        false => Ok(node.path_to(&text)),
    }
}

/// The settings as text, in the form that a setting takes, by key. What is off is empty.
pub(super) fn in_words(settings: &OperateSettings) -> [(&'static str, String); 14] {
    let file = settings.metrics_file.as_ref();
    let otel = settings.otel_endpoint.as_deref();
    let token = settings.token.as_ref().map(|_| REDACTED.to_owned());
    [
        (LISTEN, settings.listen.clone().unwrap_or_default()),
        (TOKEN, token.unwrap_or_default()),
        ("operate-show-keys", settings.show_keys.to_string()),
        ("operate-linger", format_span(settings.linger)),
        ("metrics-detail", settings.detail.as_str().to_owned()),
        ("metrics-max-series", settings.max_series.to_string()),
        (
            FILE,
            file.map(|file| file.display().to_string())
                .unwrap_or_default(),
        ),
        ("lag-interval", format_span(settings.lag_interval)),
        ("lag-window", format_span(settings.lag_window)),
        ("lag-allowed", settings.lag_allowed.to_string()),
        ("alive-within", format_span(settings.alive_within)),
        (OTEL, otel.map(without_secrets).unwrap_or_default()),
        (
            "trace-parent-max-age",
            format_span(settings.trace_parent_max_age),
        ),
        ("stall-after", format_span(settings.stall_after)),
    ]
}
