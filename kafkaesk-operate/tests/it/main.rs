//! The service from outside, over HTTP.
#![allow(clippy::unwrap_used)]

mod browser;
mod commands;
mod health;
mod http;
mod kafka;
mod metrics;
mod page;
mod prometheus;
mod scale;
mod strangers;
mod support;
#[cfg(feature = "otel")]
mod traces;
mod truth;
