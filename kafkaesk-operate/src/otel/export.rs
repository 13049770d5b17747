//! Export: sends batches of spans to the collector, by OTLP over HTTP. A batch that is not taken is dropped and counted.

use std::{sync::Arc, time::Duration};

use kafkaesk_core::Occurrences;
use opentelemetry_otlp::{
    Protocol, RetryPolicy, SpanExporter as OtlpExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{Resource, trace::SpanExporter};
use tokio::time::timeout;
use tracing::warn;

use super::{
    client::{Client, Trouble},
    environment::Target,
    queue::Queue,
};
use crate::traces::DropReason;

/// Makes what sends; contacts nobody.
///
/// # Errors
/// Why it cannot be made.
pub(super) fn exporter(
    target: &Target,
    resource: &Resource,
) -> Result<(OtlpExporter, Trouble), String> {
    let url = reqwest::Url::parse(&target.url).ok();
    if !url.is_some_and(|url| url.has_host() && ["http", "https"].contains(&url.scheme())) {
        return Err("it is not a URL such as http://localhost:4318 (`otel-endpoint`, OTEL_EXPORTER_OTLP_ENDPOINT)".into());
    }
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(target.timeout)
        .user_agent(concat!("kafkaesk/", env!("CARGO_PKG_VERSION")));
    if is_loopback(&target.url) {
        // HTTP_PROXY names another machine, which has another loopback.
        client = client.no_proxy();
    }
    if target.url.starts_with("https:") && !cfg!(feature = "tls") {
        return Err("it needs TLS, and this program was built without the feature `tls`".into());
    }
    let trouble = Trouble::default();
    let client = Client {
        inner: client.build().map_err(|error| error.to_string())?,
        trouble: trouble.clone(),
    };
    let mut exporter = OtlpExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&target.url)
        .with_timeout(target.timeout)
        .with_http_client(client)
        .with_retry_policy(RetryPolicy::recommended())
        .build()
        .map_err(|error| error.to_string())?;
    exporter.set_resource(resource);
    Ok((exporter, trouble))
}

/// Whether a URL names this machine, by its address or as `localhost`. Asks no name service.
pub(super) fn is_loopback(url: &str) -> bool {
    let host = reqwest::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<std::net::IpAddr>();
        host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
    })
}

/// Sends what the queue gets, until it is closed and empty.
pub(super) async fn run(
    queue: &Arc<Queue>,
    exporter: &impl SpanExporter,
    trouble: &Trouble,
    delay: Duration,
) {
    let mut failures = Occurrences::default();
    let mut reported = 0;
    loop {
        if !queue.is_closed() {
            let _ = timeout(delay, queue.ready.notified()).await;
        }
        loop {
            let batch = queue.take();
            if batch.is_empty() {
                break;
            }
            let spans = batch.len();
            let result = exporter.export(batch).await;
            queue.settled();
            let error = result.err();
            let error = error.map(|error| trouble.lock().take().unwrap_or(error.to_string()));
            if error.is_some() {
                queue.dropped.add(DropReason::Export, spans);
            }
            let dropped = DropReason::ALL.iter().map(|it| queue.dropped.of(*it)).sum();
            if dropped > reported {
                reported = dropped;
                if let Some(count) = failures.count() {
                    warn!(count, error, "spans were dropped so far: {}", queue.dropped);
                }
            }
            // A part of a batch waits for others, but not at the end.
            if !queue.is_closed() && !queue.has_batch() {
                break;
            }
        }
        if queue.is_done() {
            return;
        }
    }
}
